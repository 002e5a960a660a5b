#include "cli/receipt.h"

#include "cli/client.h"
#include "cli/duration.h"

int sp_receipt_option(const struct sp_invocation *in, int64_t *ret_wait_s) {
    const char *text = sp_invocation_option(in, "wait");
    uint64_t wait_s;
    *ret_wait_s = SP_CLIENT_NO_WAIT;
    if (text == NULL) return SP_EXIT_OK;
    if (!sp_duration_parse(text, SP_CLI_WAIT_MAX_S, &wait_s))
        return sp_usage_error(in->command, "%s is not a time up to %ds (2s)", text, SP_CLI_WAIT_MAX_S);
    *ret_wait_s = (int64_t)wait_s;
    return SP_EXIT_OK;
}

static long long count_of(const json_t *answer, const char *name) {
    return (long long)json_integer_value(json_object_get(answer, name));
}

void sp_receipt_print(const json_t *answer) {
    const long long verifiers = count_of(answer, "verifiers"), confirmed = count_of(answer, "confirmed");
    if (json_object_get(answer, "verifiers") == NULL) return;
    if (verifiers == 0) {
        printf("no live verifier follows the feed\n");
        return;
    }
    printf("confirmed by %lld of %lld live verifiers after %lld ms\n", confirmed, verifiers,
           count_of(answer, "after_ms"));
    if (confirmed < verifiers) printf("the others are in `sallyport verifiers`\n");
}
