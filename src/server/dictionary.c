#include "server/dictionary.h"

#include <packer.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"

enum { PATH_BYTES = 300 };

struct sp_dictionary {
    pthread_mutex_t mutex; /* guards words: FindPW seeks, reads and caches in it */
    PWDICT *words;
    unsigned int not_found; /* what FindPW says of a word that is not there: how many there are */
};

static pthread_mutex_t one_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool one_is_open; /* under one_mutex */

/* PWOpen would complain on stderr, in its own words. */
static bool is_readable(const char *path) {
    static const char *const suffixes[] = {".pwd", ".pwi"};
    char file[PATH_BYTES];
    for (size_t i = 0; i < SP_ARRAY_LEN(suffixes); i++) {
        int n = snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
        if (n < 0 || (size_t)n >= sizeof(file) || access(file, R_OK) != 0) return false;
    }
    return true;
}

static sp_status open_words(const char *path, struct sp_dictionary *d) {
    char mode[] = "r", nobody_has_it[] = "\x7f";
    if (!is_readable(path)) return sp_err(SP_E_NOT_FOUND);
    d->words = PWOpen(path, mode);
    if (d->words == NULL) return sp_err(SP_E_NOT_FOUND);
    d->not_found = FindPW(d->words, nobody_has_it);
    return d->not_found != 0 ? SP_SUCCESS : sp_err(SP_E_MALFORMED);
}

static bool take_the_one(void) {
    pthread_mutex_lock(&one_mutex);
    bool is_free = !one_is_open;
    one_is_open = true;
    pthread_mutex_unlock(&one_mutex);
    return is_free;
}

static void give_the_one_back(void) {
    pthread_mutex_lock(&one_mutex);
    one_is_open = false;
    pthread_mutex_unlock(&one_mutex);
}

sp_status sp_dictionary_open(const char *path, struct sp_dictionary **ret) {
    if (!take_the_one()) return sp_err(SP_E_LIMIT);
    struct sp_dictionary *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        give_the_one_back();
        return sp_err(SP_E_NOMEM);
    }
    sp_assert(pthread_mutex_init(&d->mutex, NULL) == 0);
    sp_status s = open_words(path, d);
    if (!sp_ok(s)) {
        sp_dictionary_free(d);
        return s;
    }
    *ret = d;
    return SP_SUCCESS;
}

void sp_dictionary_free(struct sp_dictionary *d) {
    if (d == NULL) return;
    if (d->words != NULL) PWClose(d->words);
    pthread_mutex_destroy(&d->mutex);
    free(d);
    give_the_one_back();
}

static bool has(void *arg, const char *word) {
    struct sp_dictionary *d = arg;
    char copy[SP_LISTED_WORD_CHARS_MAX + 1];
    int n = snprintf(copy, sizeof(copy), "%s", word);
    if (n < 0 || (size_t)n >= sizeof(copy)) return false;
    pthread_mutex_lock(&d->mutex);
    bool found = FindPW(d->words, copy) != d->not_found;
    pthread_mutex_unlock(&d->mutex);
    sp_wipe(copy, sizeof(copy));
    return found;
}

struct sp_word_list sp_dictionary_port(struct sp_dictionary *d) {
    return (struct sp_word_list){.has = has, .arg = d};
}
