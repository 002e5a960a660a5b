/* A certificate with its key, as listeners use it: loaded, checked, then immutable and shared by every loop.
 *
 * What is spoken is decided here and not configurable, after Mozilla's "intermediate" profile: TLS 1.2 and
 * 1.3; ECDHE with AES-GCM or ChaCha20-Poly1305; X25519, P-256, P-384; ALPN `http/1.1` and nothing else (a
 * client that insists on another protocol is refused, RFC 7301 3.2); no renegotiation, no compression, no
 * early data, and no resumption: see server_tls.c. */
#ifndef SP_HTTP_TLS_H
#define SP_HTTP_TLS_H

#include "base/mem.h"
#include "base/status.h"

enum { SP_TLS_ERROR_BYTES = 512 };

struct sp_tls;
/* PEM files: the certificate with the chain after it, and its unencrypted private key, which must be a
 * regular file that only its owner may write and that nobody but owner and group may read. Failure says in
 * error[] what is wrong with which file: SP_E_IO (cannot be read), SP_E_REFUSED (the key's mode; expired or
 * not yet valid at wall_ms), SP_E_MALFORMED (no PEM of that kind), SP_E_CONFLICT (they do not belong
 * together), SP_E_NOMEM. */
sp_status sp_tls_load(const char *certificate_path, const char *key_path, int64_t wall_ms,
                      char error[SP_TLS_ERROR_BYTES], struct sp_tls **ret_tls);
/* Thread-safe. Each ref is undone by one unref, which accepts NULL; the last one wipes and frees. */
struct sp_tls *sp_tls_ref(struct sp_tls *tls);
void sp_tls_unref(struct sp_tls *tls);
int64_t sp_tls_not_after_s(const struct sp_tls *tls); /* Unix time */

#endif
