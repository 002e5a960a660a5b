/* What the bare signatures cost on this machine: the part of an issued or a verified token that no server can
 * avoid. CPU time of one thread, as one JSON object, in microseconds.
 *
 *   bench_sign [rounds]     default 5,000 */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "crypto/sig.h"

enum { MESSAGE_BYTES = 400 }; /* header and payload of an access token with a few claims */

static double cpu_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(sp_status s, const char *what) {
    if (sp_ok(s)) return;
    fprintf(stderr, "%s: %s\n", what, sp_code_name(s.code));
    exit(1);
}

static double sign_us(const struct sp_sig_key *key, enum sp_alg alg, sp_slice message, unsigned rounds) {
    uint8_t sig[SP_SIG_BYTES_MAX];
    size_t n;
    double begin = cpu_us();
    for (unsigned i = 0; i < rounds; i++) must(sp_sig_sign(key, alg, message, sig, sizeof(sig), &n), "sign");
    return (cpu_us() - begin) / rounds;
}

static double verify_us(const struct sp_sig_key *key, enum sp_alg alg, sp_slice message, unsigned rounds) {
    uint8_t sig[SP_SIG_BYTES_MAX];
    size_t n;
    must(sp_sig_sign(key, alg, message, sig, sizeof(sig), &n), "sign");
    double begin = cpu_us();
    for (unsigned i = 0; i < rounds; i++)
        must(sp_sig_verify(key, alg, message, sp_slice_of(sig, n)), "verify");
    return (cpu_us() - begin) / rounds;
}

int main(int argc, char **argv) {
    static const enum sp_alg algs[] = {SP_ALG_ES256, SP_ALG_EDDSA, SP_ALG_HS256};
    uint8_t message[MESSAGE_BYTES];
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5000;
    if (rounds == 0) return 2;
    memset(message, 'm', sizeof(message));
    printf("{");
    for (size_t i = 0; i < SP_ARRAY_LEN(algs); i++) {
        struct sp_sig_key *key;
        must(sp_sig_key_generate(algs[i], &sp_random_system, &key), "key");
        printf("%s\"%s\":{\"sign_us\":%.2f,\"verify_us\":%.2f}", i == 0 ? "" : ",", sp_alg_name(algs[i]),
               sign_us(key, algs[i], SP_SLICE_ARRAY(message), rounds),
               verify_us(key, algs[i], SP_SLICE_ARRAY(message), rounds));
        sp_sig_key_free(key);
    }
    printf("}\n");
    return 0;
}
