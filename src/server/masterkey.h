/* The master key: 32 bytes that seal private keys at rest. From SALLYPORT_MASTER_KEY (base64url, 43
 * characters), or from a file that is made at the first start, 0600, beside and not inside the data
 * directory, so that a copy of the data alone opens nothing. */
#ifndef SP_SERVER_MASTERKEY_H
#define SP_SERVER_MASTERKEY_H

#include "base/ports.h"
#include "core/keys.h" /* SP_MASTER_KEY_BYTES */

enum sp_master_key_origin { SP_MASTER_KEY_ENVIRONMENT, SP_MASTER_KEY_FILE, SP_MASTER_KEY_MADE };

/* 43 characters of canonical base64url. SP_E_MALFORMED leaves `ret` alone. */
sp_status sp_master_key_parse(sp_slice text, uint8_t ret[SP_MASTER_KEY_BYTES]);
/* The same in a file, where a newline may end it. */
sp_status sp_master_key_parse_file(sp_slice content, uint8_t ret[SP_MASTER_KEY_BYTES]);

/* `may_make`: make the file when it is missing; false when the store already holds sealed keys, which a new
 * key could not open. SP_E_NOT_FOUND: missing and may not be made; SP_E_MALFORMED: not 43 characters of
 * base64url; SP_E_REFUSED: readable by others than its owner (a credential of systemd's, in
 * $CREDENTIALS_DIRECTORY, may show its group's bit to read); SP_E_IO. Wipe `ret` after use. The variable is
 * removed from the environment. */
sp_status sp_master_key_load(const char *path, bool may_make, const struct sp_random *random,
                             uint8_t ret[SP_MASTER_KEY_BYTES], enum sp_master_key_origin *ret_origin);

#endif
