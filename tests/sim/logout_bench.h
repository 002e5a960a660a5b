/* Clients that are told of logouts, on the bench: a port that keeps what is to be delivered until the test
 * says what became of it. */
#ifndef SP_TESTS_SIM_LOGOUT_BENCH_H
#define SP_TESTS_SIM_LOGOUT_BENCH_H

#include "app_bench.h"

enum { LOGOUT_SENT_MAX = 64 };

struct sent {
    struct sp_delivery *job; /* NULL: its end was told */
    char url[513], body[4097];
};
struct logout_bench {
    struct bench b;
    struct sent sent[LOGOUT_SENT_MAX]; /* all since sent_clear; then they begin anew */
    size_t n;
    bool is_stopped;
    uint64_t submissions;
    uint32_t sids;
};

int logout_setup(void **state);
int logout_setup_hs256(void **state);
int logout_teardown(void **state);
#define LOGOUT_TEST(f) cmocka_unit_test_setup_teardown(f, logout_setup, logout_teardown)
#define LOGOUTS                                                                                              \
    struct logout_bench *l = *state;                                                                         \
    struct bench *b = &l->b

/* As if the machine had been switched off: nothing that was under way comes to an end. */
void logout_restart(struct logout_bench *l);

/* A client; its address is https://ID.example/logout. */
void logout_client(struct logout_bench *l, const char *id);
void logout_client_without_uri(struct logout_bench *l, const char *id);
void logout_client_delete(struct logout_bench *l, const char *id);

/* A session of ada's with the client, that then ends. */
void logout_begin(struct logout_bench *l, const char *client_id, uint8_t ret_sid[SP_ROW_SID_BYTES]);
void logout_end(struct logout_bench *l, const uint8_t *sid);
void logout_one(struct logout_bench *l, const char *client_id); /* both */

/* The clock goes on, and the tick comes. */
void logout_after(struct logout_bench *l, int64_t ms);

/* Of what is under way to this client: the first, or NULL; how many. */
struct sent *logout_to(struct logout_bench *l, const char *client_id);
size_t logout_open(struct logout_bench *l);
void logout_answer(struct logout_bench *l, struct sent *s, int status);
void logout_tell(struct logout_bench *l, struct sent *s, enum sp_delivery_result result);

uint32_t logout_rows(struct logout_bench *l); /* in the outbox */
struct sp_measures logout_measures(struct logout_bench *l);
/* Records of logout_notified with this outcome. */
uint32_t logout_records(struct logout_bench *l, const char *outcome);
/* The newest has this in its body. */
bool logout_record_says(struct logout_bench *l, const char *text);

#endif
