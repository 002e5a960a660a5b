/* How a backend of whole rows keeps them: find, put, remove, walk. No meaning here; that is apply.h's.
 *
 * Reads see the writes of the same transaction. Statuses: SP_E_NOT_FOUND where it says so; anything else but
 * SP_OK is trouble of the backend (SP_E_UNAVAILABLE, SP_E_NOMEM), and what the change set wrote so far must
 * be undone. One thread: the one that writes. */
#ifndef SP_STORE_TABLES_H
#define SP_STORE_TABLES_H

#include "core/store.h"

struct sp_tables {
    const struct sp_tables_ops *ops;
};

struct sp_session_key {
    uint32_t tenant;
    uint8_t sid[SP_ROW_SID_BYTES];
};

struct sp_tables_ops {
    /* Nested undo, one level: mark, then either release or undo. */
    sp_status (*mark)(struct sp_tables *);
    sp_status (*release)(struct sp_tables *);
    sp_status (*undo)(struct sp_tables *);

    sp_status (*user_get)(struct sp_tables *, uint32_t tenant, const uint8_t *id, struct sp_user_row *ret);
    sp_status (*user_find)(struct sp_tables *, uint32_t tenant, sp_slice name,
                           uint8_t ret_id[SP_ROW_ID_BYTES]);
    sp_status (*user_insert)(struct sp_tables *, const struct sp_user_row *row);
    sp_status (*user_update)(struct sp_tables *, const struct sp_user_row *row);
    sp_status (*user_remove)(struct sp_tables *, uint32_t tenant, const uint8_t *id);

    sp_status (*role_get)(struct sp_tables *, uint32_t tenant, sp_slice name, struct sp_role_row *ret);
    sp_status (*role_put)(struct sp_tables *, const struct sp_role_row *row);
    sp_status (*role_remove)(struct sp_tables *, uint32_t tenant, sp_slice name);

    sp_status (*key_get)(struct sp_tables *, uint32_t tenant, sp_slice kid, struct sp_key_row *ret);
    sp_status (*key_put)(struct sp_tables *, const struct sp_key_row *row);

    sp_status (*client_get)(struct sp_tables *, uint32_t tenant, sp_slice id, struct sp_client_row *ret);
    sp_status (*client_put)(struct sp_tables *, const struct sp_client_row *row);
    sp_status (*client_remove)(struct sp_tables *, uint32_t tenant, sp_slice id);

    sp_status (*consent_get)(struct sp_tables *, uint32_t tenant, const uint8_t *user_id, sp_slice client_id,
                             struct sp_consent_row *ret);
    sp_status (*consent_put)(struct sp_tables *, const struct sp_consent_row *row);
    /* client_id empty: all of the user's. */
    sp_status (*consents_remove)(struct sp_tables *, uint32_t tenant, const uint8_t *user_id,
                                 sp_slice client_id, uint32_t *ret_n);

    sp_status (*logout_get)(struct sp_tables *, uint64_t seq, struct sp_logout_row *ret);
    sp_status (*logout_put)(struct sp_tables *, const struct sp_logout_row *row);
    sp_status (*logout_remove)(struct sp_tables *, uint64_t seq);
    sp_status (*logout_remove_oldest)(struct sp_tables *);
    sp_status (*logouts_count)(struct sp_tables *, uint32_t *ret); /* walks them all */

    sp_status (*session_get)(struct sp_tables *, uint32_t tenant, const uint8_t *sid,
                             struct sp_session_row *ret);
    /* The first at or after `from`, across tenants. SP_E_NOT_FOUND: the end. */
    sp_status (*session_from)(struct sp_tables *, const struct sp_session_key *from,
                              struct sp_session_row *ret);
    sp_status (*session_insert)(struct sp_tables *, const struct sp_session_row *row);
    /* Only what a session does after its birth changes: store/session_codec.h says which fields. */
    sp_status (*session_update)(struct sp_tables *, const struct sp_session_row *row);
    sp_status (*session_remove)(struct sp_tables *, uint32_t tenant, const uint8_t *sid);

    sp_status (*revocation_put)(struct sp_tables *, const struct sp_revocation_row *row);
    sp_status (*revocation_exists)(struct sp_tables *, uint64_t seq); /* SP_E_NOT_FOUND */
    /* Of those with expires_s < now_s and seq <= up_to, at most `most`, by (expires_s, seq). */
    sp_status (*revocations_purge)(struct sp_tables *, int64_t now_s, uint64_t up_to, uint32_t most,
                                   uint32_t *ret_n);

    sp_status (*audit_put)(struct sp_tables *, uint64_t seq, const struct sp_audit_append *in,
                           const uint8_t *hash);
    sp_status (*audit_hash)(struct sp_tables *, uint64_t seq, uint8_t ret[SP_ROW_HASH_BYTES]);
    /* The records of that range, with their personal values. */
    sp_status (*audit_remove)(struct sp_tables *, uint64_t first, uint64_t last, uint64_t *ret_n);
    /* Whether or not the record has any. */
    sp_status (*personal_remove)(struct sp_tables *, uint64_t seq, bool *ret_had);
    sp_status (*meta_put)(struct sp_tables *, const struct sp_meta_row *row);
};

#endif
