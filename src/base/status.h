/* The one way in which functions here say how it went.
 *
 * sp_status is a struct, so that it can never be read as a truth value, and must be used. It speaks of
 * *our* trouble only: out of memory, a limit, a store that is down, input of the wrong shape. Whether a
 * token is good is a value of its own (enum sp_reject), never a status.
 *
 * Failing functions leave their outputs (ret_...) untouched. Thread-safe: values only. */
#ifndef SP_BASE_STATUS_H
#define SP_BASE_STATUS_H

enum sp_code {
    SP_OK = 0,
    SP_E_NOMEM,       /* an allocation failed */
    SP_E_MALFORMED,   /* input is not of the required form */
    SP_E_LIMIT,       /* a named maximum would be exceeded */
    SP_E_NOT_FOUND,   /* what was asked for does not exist */
    SP_E_CONFLICT,    /* exists already, or a precondition no longer holds */
    SP_E_REFUSED,     /* not allowed by policy (weak key, closed port, ...) */
    SP_E_BUSY,        /* a bounded queue is full; try again later */
    SP_E_UNAVAILABLE, /* a component that we need is down; nothing was changed */
    SP_E_UNKNOWN,     /* the outcome is unknown (a failed COMMIT) */
    SP_E_CRYPTO,      /* a cryptographic primitive failed or did not authenticate */
    SP_E_IO,          /* the operating system refused; errno was the cause */
    SP_E_UNSUPPORTED, /* well-formed, but not something that we offer */
    SP_CODE_COUNT
};

#if defined(__clang__)
#define SP_MUST_USE_TYPE __attribute__((warn_unused_result))
#else
#define SP_MUST_USE_TYPE /* gcc knows it for functions only; the clang build catches all */
#endif

typedef struct SP_MUST_USE_TYPE sp_status {
    enum sp_code code;
} sp_status;

#define SP_SUCCESS ((sp_status){SP_OK})

static inline sp_status sp_err(enum sp_code code) {
    return (sp_status){code};
}
static inline int sp_ok(sp_status s) {
    return s.code == SP_OK;
}
static inline int sp_is(sp_status s, enum sp_code code) {
    return s.code == code;
}
/* A stable lower-case name ("unavailable"), for logs. Static storage. */
const char *sp_code_name(enum sp_code code);

/* Hands a failure upward, unchanged. */
#define SP_TRY(expr)                                                                                         \
    do {                                                                                                     \
        sp_status sp_try_ = (expr);                                                                          \
        if (!sp_ok(sp_try_)) return sp_try_;                                                                 \
    } while (0)

/* For the rare place where a failure truly changes nothing; say why beside it. */
#define SP_IGNORE(expr)                                                                                      \
    do {                                                                                                     \
        sp_status sp_ignored_ = (expr);                                                                      \
        (void)sp_ignored_;                                                                                   \
    } while (0)

#endif
