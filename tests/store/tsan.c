/* SQLite is not built with ThreadSanitizer: between its connections it synchronizes through the shared memory
 * of the log, which the tool cannot see. What it says about memory of SQLite's own is ignored; our threads
 * are still watched. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void) {
    return "called_from_lib:libsqlite3.so.0\n"
           "mutex:x_shm_barrier\n"; /* the fault VFS in between makes half of SQLite's own locking visible */
}
