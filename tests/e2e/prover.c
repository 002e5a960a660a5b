/* A service that is asked by lines: SCHEME METHOD URL TOKEN PROOF PERMISSION (PROOF "-": none), and answers
 * each with the verdict, what is wrong with the proof, and whether the permission is granted. usage: prover
 * SERVER ISSUER CREDENTIAL_FILE NEED_NONCE */
#include <sallyport/verify.h>

#include <stdio.h>
#include <string.h>

static int answer(struct sallyport *sp, char *line) {
    static struct sp_token claims;
    struct sp_request request = SP_REQUEST_INIT;
    char *words[6], nonce[SP_DPOP_NONCE_BYTES];
    for (int i = 0; i < 6; i++) {
        words[i] = strtok_r(i == 0 ? line : NULL, " \n", &line);
        if (words[i] == NULL) return 1;
    }
    request.scheme = strcmp(words[0], "DPoP") == 0 ? SP_SCHEME_DPOP : SP_SCHEME_BEARER;
    request.method = words[1];
    request.url = words[2];
    request.token = words[3];
    request.token_bytes = strlen(words[3]);
    request.proof = strcmp(words[4], "-") == 0 ? NULL : words[4];
    enum sp_verdict verdict = sp_verify(sp, &request, &claims);
    const char *permits = verdict != SP_ACCEPTED          ? "-"
                          : sp_permits(&claims, words[5]) ? "permits"
                                                          : "forbids";
    const char *who = verdict != SP_ACCEPTED ? "-" : claims.is_client ? "client" : "user";
    printf("%s %s %s %s %s\n", sp_verdict_code(verdict), sp_proof_fault(), permits, who,
           sp_dpop_nonce(sp, nonce));
    return fflush(stdout);
}

int main(int argc, char **argv) {
    static char line[32768];
    struct sp_options options = SP_OPTIONS_INIT;
    struct sallyport *sp;
    if (argc != 5) return 2;
    options.feed_url = argv[1];
    options.issuer = options.audience = argv[2];
    options.credential_file = argv[3];
    options.dpop_require_nonce = strcmp(argv[4], "1") == 0;
    if (sp_open(&options, &sp) != SP_OPEN_OK || !sp_wait_fresh(sp, 20000)) {
        fprintf(stderr, "%s\n", sp_open_error());
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL && answer(sp, line) == 0) continue;
    sp_close(sp);
    return 0;
}
