/* Users and roles: what a name may be, what a password must be, what a role grants.
 *
 * A user name is kept twice: as the person wrote it (display), and normalized (NFKC and case-folded), which
 * is what is unique and what is looked up. So "Ada", "ADA" and full-width "Ａｄａ" are one user. Names that
 * merely look alike in different scripts (Latin a, Cyrillic а) stay different: a confusables table would
 * refuse honest names of whole languages, and who may choose names is the operator's matter.
 *
 * Pure and thread-safe, but for the live role table, which says so itself. */
#ifndef SP_CORE_DIRECTORY_H
#define SP_CORE_DIRECTORY_H

#include "base/buf.h"
#include "base/mem.h"
#include "core/rows.h"
#include "core/seats.h"
#include "token/roles.h"

/* ---- names ---- */

/* The normalized form. SP_E_MALFORMED: empty, not UTF-8, white space at either end, or a character that
 * nobody can see or that reorders its neighbours (controls, format characters such as ZWJ and RTL override,
 * line separators, unassigned, private use), or a name of the external namespace; SP_E_LIMIT: longer than
 * SP_NAME_BYTES_MAX before or after. Idempotent. */
sp_status sp_name_normalize(sp_slice name, sp_text256 *ret_name);
/* Both forms, for a new user. */
sp_status sp_name_accept(sp_slice name, sp_text256 *ret_name, sp_text256 *ret_display);

/* Users that stand for a subject of an application (app_session_add.c) are named "ext:" + subject, byte for
 * byte. sp_name_normalize refuses what would normalize to such a name. SP_E_MALFORMED: empty, or not
 * printable UTF-8; SP_E_LIMIT. */
bool sp_name_is_external(sp_slice name);
bool sp_name_external_subject(sp_slice name, sp_slice *ret_subject); /* what follows "ext:" */
sp_status sp_external_name(sp_slice subject, sp_text256 *ret_name);

/* ---- passwords ---- */

/* Passwords are normalized (NFC, and every space of Unicode is U+0020: RFC 8265 OpaqueString) before they are
 * hashed or checked, because keyboards differ in how they write the same letter. Login, change and
 * administration all do it. Appends to *ret, which is the caller's to wipe (sp_buf does). SP_E_MALFORMED: not
 * UTF-8, or a NUL; SP_E_LIMIT. */
sp_status sp_password_prepare(sp_slice password, struct sp_buf *ret);

enum sp_password_fault {
    SP_PASSWORD_ACCEPTED,
    SP_PASSWORD_TOO_SHORT, /* under SP_PASSWORD_CHARS_MIN code points */
    SP_PASSWORD_TOO_LONG,
    SP_PASSWORD_NOT_TEXT,   /* not UTF-8, or a NUL */
    SP_PASSWORD_IS_NAME,    /* the user's name, in whatever case */
    SP_PASSWORD_TOO_SIMPLE, /* a run, a row of keys, the same over and over */
    SP_PASSWORD_COMMON,     /* a word of the list, or nearly: found by the hasher, off the loop */
    SP_PASSWORD_NOT_JUDGED, /* no memory to judge with: not accepted either way */
};
/* Stable text, part of the API: "too_short"; empty for ACCEPTED. */
const char *sp_password_fault_name(enum sp_password_fault f);
/* For a new password; `name` is the normalized user name. Checks of existing ones only prepare. Never
 * COMMON. */
enum sp_password_fault sp_password_judge(sp_slice password, sp_slice name);

/* ---- word lists ---- */

/* Appends the words of `words` (sp_words_valid, or empty) sorted, each once. SP_E_MALFORMED, SP_E_LIMIT,
 * SP_E_NOMEM. */
sp_status sp_words_normalize(sp_slice words, size_t word_max, struct sp_buf *ret);
/* Is every word of `part` in `whole`? */
bool sp_words_within(sp_slice part, sp_slice whole);

/* Role names of a user, normalized; each must be a role name, whether or not the role exists. SP_E_MALFORMED,
 * SP_E_LIMIT. */
sp_status sp_user_roles_accept(sp_slice words, sp_text1024 *ret_roles);
/* A role as it will be stored: name checked, permissions granted ones, normalized. SP_E_MALFORMED,
 * SP_E_LIMIT. */
sp_status sp_role_accept(sp_slice name, sp_slice permissions, struct sp_role_row *ret_row);

/* ---- the live role table ---- */

/* Who reads enters (sp_seats_enter) and leaves; the table in between is immutable. One thread writes at a
 * time: the store's writer, through publish.c, or whoever opens. */
struct sp_live_roles;

sp_status sp_live_roles_new(struct sp_seats *seats, const struct sp_role_row *rows, size_t n,
                            struct sp_live_roles **ret);
void sp_live_roles_free(struct sp_live_roles *live);
SP_DEFINE_FREE(sp_live_roles);
/* Between sp_seats_enter and sp_seats_leave, and good only there. Never NULL. */
const struct sp_roles *sp_live_roles_get(const struct sp_live_roles *live);
/* Writers. SP_E_NOMEM, SP_E_LIMIT, SP_E_MALFORMED: nothing changed. */
sp_status sp_live_roles_put(struct sp_live_roles *live, const struct sp_role_row *row);
sp_status sp_live_roles_remove(struct sp_live_roles *live, sp_slice name);

#endif
