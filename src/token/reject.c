#include "token/reject.h"

static const struct {
    const char *code;
    const char *doc;
} rejects[SP_REJECT_COUNT] = {
#define ROW(name, code_, doc_) [SP_REJECT_##name] = {.code = code_, .doc = doc_},
    SP_REJECT_TABLE(ROW)
#undef ROW
};

const char *sp_reject_code(enum sp_reject r) {
    return (unsigned)r < SP_REJECT_COUNT ? rejects[r].code : "unset";
}

const char *sp_reject_doc(enum sp_reject r) {
    return (unsigned)r < SP_REJECT_COUNT ? rejects[r].doc : rejects[SP_REJECT_UNSET].doc;
}
