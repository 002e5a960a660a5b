/* A session as two byte strings, for backends that keep it as such.
 *
 *   login  what is said once, at its birth: client, scope, device, ...; length as needed
 *   hot    what later events change: state, generation, secret, times; always the same length, so that SQLite
 *          overwrites the cell in place (a rotation moves no byte of its page but these)
 *
 * Version 2 of `login` adds to version 1 a byte of flags and, if they say so, the parent. Version 1 is what
 * a session without either of them is still written as: the same bytes as ever, so that those who log in
 * without a browser's sign-in pay nothing for it. A row has one encoding.
 *
 * Key and user id stay columns of their own. Both strings begin with a version. Decoding checks every field:
 * the disk is another author. Turned down: a column a field, which is easier to look at, but makes SQLite
 * parse and rebuild thirty columns a rotation. */
#ifndef SP_STORE_SESSION_CODEC_H
#define SP_STORE_SESSION_CODEC_H

#include "core/store.h"

enum {
    SP_SESSION_HOT_BYTES =
        3 + 1 + 4 + 4 + SP_ROW_SECRET_BYTES + SP_ROW_ATTEMPT_BYTES + 8 * (SP_ROW_ROTATIONS_KEPT + 5),
    /* fixed fields, ten lengths of two bytes, the texts at their longest, flags, and the parent */
    SP_SESSION_LOGIN_BYTES_MAX =
        3 + 4 + 3 * 8 + 10 * 2 + 3 * 256 + 512 + 2 * 128 + 4 * 64 + 1 + SP_ROW_SID_BYTES,
};

void sp_session_hot_encode(const struct sp_session_row *row, uint8_t ret[SP_SESSION_HOT_BYTES]);
/* Bytes written. */
size_t sp_session_login_encode(const struct sp_session_row *row, uint8_t ret[SP_SESSION_LOGIN_BYTES_MAX]);
/* SP_E_MALFORMED; *row may then be half filled. */
sp_status sp_session_hot_decode(sp_slice hot, struct sp_session_row *row);
sp_status sp_session_login_decode(sp_slice login, struct sp_session_row *row);

#endif
