#include "base/status.h"

const char *sp_code_name(enum sp_code code) {
    switch (code) {
    case SP_OK: return "ok";
    case SP_E_NOMEM: return "out_of_memory";
    case SP_E_MALFORMED: return "malformed";
    case SP_E_LIMIT: return "limit_exceeded";
    case SP_E_NOT_FOUND: return "not_found";
    case SP_E_CONFLICT: return "conflict";
    case SP_E_REFUSED: return "refused";
    case SP_E_BUSY: return "busy";
    case SP_E_UNAVAILABLE: return "unavailable";
    case SP_E_UNKNOWN: return "unknown_outcome";
    case SP_E_CRYPTO: return "crypto_failed";
    case SP_E_IO: return "io_failed";
    case SP_E_UNSUPPORTED: return "unsupported";
    case SP_CODE_COUNT: break;
    }
    return "invalid_code";
}
