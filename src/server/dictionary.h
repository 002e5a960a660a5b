/* cracklib's dictionary of common passwords and words, as Debian builds it in /var/cache/cracklib.
 *
 * Only looked up, through the functions of its packer.h. FascistCheck, libcrack's own judgement, adds rules
 * of composition (it wants digits and signs, and refuses what looks like a date), which NIST SP 800-63B
 * section 5.1.1.2 advises against; what we derive from a password is in core/password_rules.h.
 *
 * A lookup reads a few blocks of the packed file: 30 us, so it happens in the hash pool and not on a loop.
 * Nothing is held in memory but a buffer. Turned down: the plain word list as a set of hashes (half a
 * megabyte and a parser of our own, for a list that administrators could no longer extend with
 * update-cracklib).
 *
 * libcrack has one open dictionary in a process and keeps state in it, so there is one of these at a time,
 * with a lock around it. Any thread may look up. */
#ifndef SP_SERVER_DICTIONARY_H
#define SP_SERVER_DICTIONARY_H

#include "core/password_rules.h"

#include "base/status.h"

struct sp_dictionary;
/* `path`: without .pwd, .pwi, .hwm. SP_E_NOT_FOUND: it is not there or cannot be read; SP_E_MALFORMED: it has
 * no words; SP_E_LIMIT: one is open; SP_E_NOMEM. */
sp_status sp_dictionary_open(const char *path, struct sp_dictionary **ret);
/* Nobody looks up any more. Accepts NULL. */
void sp_dictionary_free(struct sp_dictionary *d);
SP_DEFINE_FREE(sp_dictionary);
struct sp_word_list sp_dictionary_port(struct sp_dictionary *d);

#endif
