/* Secrets that everyone knows. Long enough for HS256, and worth nothing: a forger tries these first (hashcat
 * and jwt_tool ship such lists). Length alone does not tell a secret from an example, so three rules look at
 * what it says:
 *
 *   exact    keys printed in RFCs, as bytes and as the base64url text that people paste
 *   telltale text that contains a word which belongs to examples, whatever stands around it
 *   pattern  bytes in arithmetic progression (00 00 .., 00 01 02 ..), or one piece of up to 16 bytes repeated
 *
 * A random secret is caught with a probability under 2^-20 (a telltale in 64 random base64 characters,
 * ignoring case), and the operator then makes another. */
#include "base/base64url.h"
#include "base/mem.h"
#include "crypto/sig.h"

struct exact {
    const char *base64url;
    const char *why;
};

static const struct exact exacts[] = {
    {"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
     "RFC 7515 A.1, RFC 7519 3.1, RFC 7797 4; the example of most libraries"},
    {"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg", "RFC 7520 3.5"},
    {"GawgguFyGrWKav7AX4VKUg", "RFC 7517 A.3, key wrapping; too short, but pasted as text"},
};

/* Lower case, at least six letters: shorter ones would turn up in random text. "secret" covers
 * your-256-bit-secret and a-string-secret-at-least-256-bits-long of jwt.io, "insecure" Django's
 * django-insecure-..., "keyboard cat" express-session. The last two are key files taken for a secret, perhaps
 * public ones: that is RS256 confused with HS256, by configuration. */
// clang-format off
static const char *const telltales[] = {
    "secret", "passwor", "passphrase", "private-key", "signing-key", "signingkey", "jwt_key", "jwt-key",
    "changeme", "change-me", "change_me", "change_this", "change-this", "replace",
    "example", "default", "insecure", "letmein", "keyboard cat",
    "qwerty", "qwertz", "0123456789", "1234567890", "abcdefgh",
    "-----begin", "ssh-rsa",
};
// clang-format on

static bool is_printable(sp_slice s) {
    for (size_t i = 0; i < s.n; i++) {
        bool space = s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t';
        if ((s.p[i] < 0x20 && !space) || s.p[i] > 0x7e) return false;
    }
    return true;
}

static bool contains_nocase(sp_slice s, sp_slice word) {
    for (size_t i = 0; i + word.n <= s.n; i++) {
        if (sp_slice_eq_nocase(sp_slice_of(s.p + i, word.n), word)) return true;
    }
    return false;
}

static bool is_telltale(sp_slice s) {
    if (!is_printable(s)) return false;
    for (size_t i = 0; i < SP_ARRAY_LEN(telltales); i++) {
        if (contains_nocase(s, sp_slice_cstr(telltales[i]))) return true;
    }
    return false;
}

static bool is_progression(sp_slice s) {
    for (size_t i = 2; i < s.n; i++) {
        if ((uint8_t)(s.p[i] - s.p[i - 1]) != (uint8_t)(s.p[1] - s.p[0])) return false;
    }
    return true;
}

static bool is_repeated(sp_slice s) {
    enum { PIECE_BYTES_MAX = 16 };
    for (size_t period = 1; period <= PIECE_BYTES_MAX && period < s.n; period++) {
        if (memcmp(s.p, s.p + period, s.n - period) == 0) return true;
    }
    return false;
}

static bool is_exact(sp_slice s) {
    for (size_t i = 0; i < SP_ARRAY_LEN(exacts); i++) {
        sp_slice text = sp_slice_cstr(exacts[i].base64url);
        uint8_t bytes[128];
        size_t n = 0;
        SP_IGNORE(sp_base64url_decode(text, bytes, sizeof bytes, &n)); /* n stays 0 and matches nothing */
        if (sp_slice_eq(s, text) || (n != 0 && sp_slice_eq(s, sp_slice_of(bytes, n)))) return true;
    }
    return false;
}

static sp_slice without_line_end(sp_slice s) {
    while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r')) s.n--;
    return s;
}

/* Its time depends on the secret: it runs once, when the operator configures it. */
bool sp_hs256_secret_is_well_known(sp_slice secret) {
    sp_slice s = without_line_end(secret);
    return is_exact(s) || is_telltale(s) || is_progression(s) || is_repeated(s);
}
