/* Files that the operator names: read whole, with a maximum. */
#ifndef SP_VERIFY_SMALL_FILE_H
#define SP_VERIFY_SMALL_FILE_H

#include "base/buf.h"

/* Appends at most out's room. SP_E_IO (errno), SP_E_LIMIT, SP_E_NOMEM. */
sp_status sp_small_file_read(const char *path, struct sp_buf *out);
/* "NAME:SECRET" and perhaps a newline; `out` is empty before. SP_E_MALFORMED as well. */
sp_status sp_credential_file_read(const char *path, struct sp_buf *out);
/* Printable, without white space, with a name and a secret. */
bool sp_credential_valid(sp_slice credential);

#endif
