/* The token comes from standard input and not from an argument, which every user of the machine could read in
 * the list of processes. Nothing is verified, and the output's first line says so: people paste it. */
#include "base/base64url.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli/command.h"
#include "token/claims.h"
#include "token/json_line.h"
#include "token/jws.h"

static const char warning[] = "NOT VERIFIED: anyone can write this; use `sallyport verify` to check it\n";

static bool read_token(uint8_t *buf, size_t cap, sp_slice *ret) {
    size_t n = fread(buf, 1, cap, stdin);
    if (ferror(stdin)) return false;
    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r' || buf[n - 1] == ' ')) n--;
    *ret = sp_slice_of(buf, n);
    return true;
}

static sp_status print_bytes(const char *label, sp_slice bytes) {
    SP_AUTO(sp_buf) hex = SP_BUF_INIT(2 * SP_TOKEN_BYTES_MAX);
    SP_TRY(sp_buf_append_hex(&hex, bytes));
    printf("%s (not JSON, %zu bytes) %.*s\n", label, bytes.n, SP_SLICE_FMT(sp_buf_slice(&hex)));
    return SP_SUCCESS;
}

/* Anything that is not strict JSON is shown as hexadecimal: it could otherwise write to the terminal what it
 * likes. */
static sp_status print_segment(const char *label, sp_slice base64url) {
    static struct sp_json_node nodes[SP_PAYLOAD_NODES];
    static uint8_t bytes[SP_TOKEN_BYTES_MAX];
    struct sp_json doc = {.nodes = nodes, .cap = SP_PAYLOAD_NODES};
    SP_AUTO(sp_buf) line = SP_BUF_INIT(6 * SP_TOKEN_BYTES_MAX); /* every byte escaped */
    size_t n = 0;
    SP_TRY(sp_base64url_decode(base64url, bytes, sizeof bytes, &n));
    sp_slice content = sp_slice_of(bytes, n);
    if (!sp_ok(sp_json_parse(content, &doc))) return print_bytes(label, content);
    SP_TRY(sp_json_line(content, &line));
    printf("%s %.*s\n", label, SP_SLICE_FMT(sp_buf_slice(&line)));
    return SP_SUCCESS;
}

static int show(sp_slice token) {
    struct sp_jws jws;
    enum sp_reject r = sp_jws_split(token, &jws);
    if (!sp_reject_is_ok(r)) {
        fprintf(stderr, "sallyport token inspect: %s\n", sp_reject_doc(r));
        return SP_EXIT_FAILED;
    }
    printf("# %s", warning);
    bool shown =
        sp_ok(print_segment("header   ", jws.header)) && sp_ok(print_segment("payload  ", jws.payload));
    if (!shown) {
        fprintf(stderr, "sallyport token inspect: %s\n", sp_reject_doc(SP_REJECT_NOT_CANONICAL));
        return SP_EXIT_FAILED;
    }
    printf("signature (not looked at, %zu characters)\n", jws.signature.n);
    return SP_EXIT_OK;
}

int sp_cmd_token_inspect(const struct sp_invocation *in) {
    static uint8_t buf[SP_TOKEN_BYTES_MAX + 2]; /* one more than the largest, and its newline */
    sp_slice token;
    (void)in;
    if (!read_token(buf, sizeof buf, &token)) {
        fprintf(stderr, "sallyport token inspect: cannot read standard input\n");
        return SP_EXIT_FAILED;
    }
    return show(token);
}
