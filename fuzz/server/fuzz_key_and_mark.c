/* The texts that the server keeps in small files. The first byte says which: 'm', the boot mark; 'k', the
 * master key of the environment; 'f', of a file. What is accepted is written the same way; what is refused
 * gives nothing. */
#include "base/assert.h"
#include "base/base64url.h"
#include "server/boot_mark.h"
#include "server/masterkey.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sp_slice without_newline(sp_slice s) {
    return s.n != 0 && s.p[s.n - 1] == '\n' ? sp_slice_of(s.p, s.n - 1) : s;
}

static void check_mark(sp_slice text) {
    struct sp_boot_mark mark = {7, 7}, again;
    char written[SP_BOOT_MARK_TEXT_BYTES];
    if (!sp_ok(sp_boot_mark_parse(text, &mark))) {
        sp_assert(mark.boots == 7 && mark.audit_count == 7);
        return;
    }
    const sp_slice canonical = sp_slice_of(written, sp_boot_mark_text(&mark, written));
    sp_assert(canonical.n < sizeof(written));
    sp_assert(sp_ok(sp_boot_mark_parse(canonical, &again)));
    sp_assert(again.boots == mark.boots && again.audit_count == mark.audit_count);
    const sp_slice line = without_newline(text);
    bool older = memchr(line.p, ' ', line.n) == NULL;
    sp_assert(older ? mark.audit_count == 0 && sp_slice_starts(canonical, line)
                    : sp_slice_eq(line, without_newline(canonical)));
}

static void check_key(sp_slice text, sp_status parsed, const uint8_t *key) {
    char again[SP_BASE64URL_CHARS(SP_MASTER_KEY_BYTES)];
    for (size_t i = 0; !sp_ok(parsed) && i < SP_MASTER_KEY_BYTES; i++) sp_assert(key[i] == 0xa5);
    if (!sp_ok(parsed)) return;
    sp_base64url_encode(sp_slice_of(key, SP_MASTER_KEY_BYTES), again);
    sp_assert(sp_slice_eq(text, SP_SLICE_ARRAY(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t key[SP_MASTER_KEY_BYTES];
    if (size == 0) return 0;
    const sp_slice text = sp_slice_of(data + 1, size - 1);
    memset(key, 0xa5, sizeof(key));
    if (data[0] == 'm') check_mark(text);
    if (data[0] == 'k') check_key(text, sp_master_key_parse(text, key), key);
    if (data[0] == 'f') check_key(without_newline(text), sp_master_key_parse_file(text, key), key);
    return 0;
}
