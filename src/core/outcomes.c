#include "base/assert.h"
#include "core/app.h"

/* One table from outcomes.def, so that status, code and title cannot drift apart. */
struct outcome {
    int http_status;
    const char *code;
    const char *title;
};

static const struct outcome outcomes[SP_OUTCOME_COUNT] = {
#define X(NAME, status, code_, title_) [SP_OUTCOME_##NAME] = {status, code_, title_},
#include "core/outcomes.def"
#undef X
};

static const struct outcome *outcome_of(enum sp_outcome o) {
    sp_assert((unsigned)o < SP_OUTCOME_COUNT);
    return &outcomes[o];
}

int sp_outcome_http_status(enum sp_outcome o) {
    return outcome_of(o)->http_status;
}

const char *sp_outcome_code(enum sp_outcome o) {
    return outcome_of(o)->code;
}

const char *sp_outcome_title(enum sp_outcome o) {
    return outcome_of(o)->title;
}
