/* What core may rely on, whatever the backend: `test_conformance memory`, `test_conformance sqlite`. */
#include "conformance.h"

static const char *backend;

int conformance_setup(void **state) {
    struct fixture *f = malloc(sizeof(*f));
    if (f == NULL) return -1;
    fixture_open(f, backend);
    *state = f;
    return 0;
}

int conformance_teardown(void **state) {
    fixture_close(*state);
    free(*state);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    backend = argv[1];
    return conformance_directory() + conformance_rotate() + conformance_ends() + conformance_sets() +
           conformance_prune() + conformance_feed() + conformance_clients() + conformance_consents() +
           conformance_families();
}
