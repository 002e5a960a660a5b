/* The check of a file that is to be restored. The first byte says what it is: 'r', the rest as it is; 'p', an
 * empty store of ours in which each three further bytes change one: where (big endian, modulo the size), and
 * to what. The check must come to an end, must not write, and accepts only what carries our mark. */
#include "base/assert.h"
#include "base/mem.h"
#include "store/sqlite_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 * 1024, IMAGE_MAX = 1024 * 1024, VERSION_AT = 60, APPLICATION_AT = 68 };

static uint8_t store[IMAGE_MAX];
static size_t store_n;

static void make_store(void) {
    sqlite3_int64 n = 0;
    struct sp_conn c = {.log = sp_log_none};
    sp_assert(sqlite3_open(":memory:", &c.db) == SQLITE_OK);
    sp_assert(sp_ok(sp_schema_migrate(&c)));
    uint8_t *bytes = sqlite3_serialize(c.db, "main", &n, 0);
    sp_assert(bytes != NULL && n > 0 && n <= IMAGE_MAX);
    memcpy(store, bytes, (size_t)n);
    store_n = (size_t)n;
    sqlite3_free(bytes);
    sqlite3_close(c.db);
}

static uint32_t u32_at(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static sp_status check(const uint8_t *image, size_t n) {
    sqlite3 *db = NULL;
    uint8_t *bytes = sqlite3_malloc64(n + 1);
    sp_assert(bytes != NULL && sqlite3_open(":memory:", &db) == SQLITE_OK);
    if (n != 0) memcpy(bytes, image, n);
    sp_assert(sqlite3_deserialize(db, "main", bytes, (sqlite3_int64)n, (sqlite3_int64)n, 0) == SQLITE_OK);
    sp_status s = sp_sqlite_check_backup(db);
    sp_assert(memcmp(bytes, image, n) == 0);
    sqlite3_close(db);
    sqlite3_free(bytes);
    return s;
}

/* Whether any byte is another one. */
static bool patch(uint8_t *image, size_t n, const uint8_t *data, size_t size) {
    for (size_t i = 0; i + 3 <= size; i += 3) image[((size_t)data[i] << 8 | data[i + 1]) % n] = data[i + 2];
    return memcmp(image, store, n) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t image[IMAGE_MAX];
    if (store_n == 0) make_store();
    if (size == 0 || size > INPUT_MAX || (data[0] != 'r' && data[0] != 'p')) return 0;
    size_t n = data[0] == 'r' ? size - 1 : store_n;
    memcpy(image, data[0] == 'r' ? data + 1 : store, n);
    bool other = data[0] == 'r' || patch(image, n, data + 1, size - 1);
    bool accepted = sp_ok(check(image, n));
    sp_assert(accepted || other);
    if (!accepted) return 0;
    sp_assert(n >= 512 && memcmp(image + APPLICATION_AT, "SALY", 4) == 0);
    sp_assert(u32_at(image + VERSION_AT) >= 1 && u32_at(image + VERSION_AT) <= u32_at(store + VERSION_AT));
    return 0;
}
