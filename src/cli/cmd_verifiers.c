/* Who follows the feed of revocations. */
#include "base/mem.h"
#include "cli/admin_call.h"

static const struct sp_column columns[] = {
    {"CLIENT", "client_id"},    {"VERIFIER", "verifier"}, {"LIVE", "live"},
    {"CONNECTED", "connected"}, {"BEHIND", "behind"},     {"ROLES", "has_roles"},
    {"KEYS", "has_keys"},       {"ADDRESS", "address"},   {"CONFIRMED", "acknowledged_at"},
    {"SINCE", "since"}};

int sp_cmd_verifiers(const struct sp_invocation *in) {
    return sp_admin_list(in, "/admin/v1/verifiers", "verifiers", columns, SP_ARRAY_LEN(columns));
}
