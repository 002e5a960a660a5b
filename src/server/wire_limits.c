/* What stands between strangers and passwords: how often one may try, who may register, and which passwords
 * nobody may choose. */
#include "core/directory.h"
#include "server/hashpool.h"
#include "server/wire_internal.h"

/* ---- how often ---- */

static struct sp_throttle_rate rate(const struct server *s, enum sp_config_key burst,
                                    enum sp_config_key refill) {
    return (struct sp_throttle_rate){.burst = (uint32_t)number(s, burst), .refill_ms = number(s, refill)};
}

sp_status sp_wire_limits(const struct server *s, struct sp_app_config *c) {
    const struct sp_throttle_rate account =
        rate(s, SP_CFG_throttle_account_burst, SP_CFG_throttle_account_refill);
    c->throttle[SP_THROTTLE_ACCOUNT] = c->throttle[SP_THROTTLE_DEVICE] = c->throttle[SP_THROTTLE_PASSWORD] =
        account;
    c->throttle[SP_THROTTLE_ADDRESS] = rate(s, SP_CFG_throttle_address_burst, SP_CFG_throttle_address_refill);
    c->throttle[SP_THROTTLE_REGISTER] =
        rate(s, SP_CFG_throttle_register_burst, SP_CFG_throttle_register_refill);
    c->registration_enabled = number(s, SP_CFG_registration_enabled) != 0;
    return sp_wire_say(
        sp_user_roles_accept(slice(s, SP_CFG_registration_default_roles), &c->registration_roles),
        "registration.default_roles", "A list of role names.");
}

/* ---- which passwords ---- */

/* A server without it still serves; but somebody has to know, so it is said at every start and in its status.
 */
void sp_wire_dictionary_open(struct server *s) {
    const char *path = text(s, SP_CFG_passwords_dictionary);
    sp_status status = path[0] == 0 ? sp_err(SP_E_NOT_FOUND) : sp_dictionary_open(path, &s->dictionary);
    if (!sp_ok(status)) {
        SP_LOG(&s->log, SP_LOG_WARN, "password_dictionary_missing", SP_LOGF_TEXT("file", sp_slice_cstr(path)),
               SP_LOGF_TEXT("reason", sp_slice_cstr(sp_code_name(status.code))));
        return;
    }
    const struct sp_word_list words = sp_dictionary_port(s->dictionary);
    sp_hashpool_set_words(s->hashpool, &words);
}
