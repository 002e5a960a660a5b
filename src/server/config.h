/* Configuration: built-in defaults, then sallyport.conf (INI), then SALLYPORT_* of the environment, then
 * --set. A later source wins. An unknown key or a bad value stops the start and says where it stood, what it
 * was and what was expected.
 *
 * Values are plain: integers in the key's unit, texts with a NUL after them. Single-threaded. */
#ifndef SP_SERVER_CONFIG_H
#define SP_SERVER_CONFIG_H

#include <stdio.h>

#include "base/buf.h"

enum sp_config_key {
#define KEY(section, name, type, def, min, max, reload, doc) SP_CFG_##section##_##name,
#include "server/config.def"
#undef KEY
    SP_CFG_COUNT
};

enum {
    SP_CONFIG_VALUE_BYTES = 1024,
    SP_CONFIG_ERROR_BYTES = 512,
    SP_CONFIG_NAME_BYTES = 64,
    SP_CONFIG_HOST_BYTES = 256, /* the longest DNS name, and NUL */
};

struct sp_config {
    struct {
        char text[SP_CONFIG_VALUE_BYTES]; /* as written; LIST: words separated by one space */
        int64_t number;  /* COUNT, SECONDS, MILLIS; BOOL 0/1; CHOICE: index of the choice in config.def */
        char source[64]; /* "default", "FILE:LINE", "environment", "--set" */
    } values[SP_CFG_COUNT];
};

void sp_config_defaults(struct sp_config *c);
/* Each: SP_E_MALFORMED with a sentence for people in error[], nothing of the failing value taken. */
sp_status sp_config_load_file(struct sp_config *c, const char *path, char error[SP_CONFIG_ERROR_BYTES]);
/* What such a file says; `name` stands for it in messages. */
sp_status sp_config_load_text(struct sp_config *c, sp_slice text, const char *name,
                              char error[SP_CONFIG_ERROR_BYTES]);
sp_status sp_config_load_environment(struct sp_config *c, char **environment,
                                     char error[SP_CONFIG_ERROR_BYTES]);
/* "section.key=value" */
sp_status sp_config_set(struct sp_config *c, const char *assignment, const char *source,
                        char error[SP_CONFIG_ERROR_BYTES]);
/* What no single value shows: issuer is a URL, idle <= absolute, ... Fills in values that derive from others.
 */
sp_status sp_config_finish(struct sp_config *c, char error[SP_CONFIG_ERROR_BYTES]);

static inline const char *sp_config_text(const struct sp_config *c, enum sp_config_key key) {
    return c->values[key].text;
}
static inline int64_t sp_config_number(const struct sp_config *c, enum sp_config_key key) {
    return c->values[key].number;
}
/* "HOST:PORT"; an IPv6 host stands in brackets, which are taken off. SP_E_MALFORMED: also for no host, and
 * for a port above 65535. */
sp_status sp_config_split_listen(const char *listen, char ret_host[SP_CONFIG_HOST_BYTES], uint16_t *ret_port);
/* May change while the server runs (SIGHUP). */
bool sp_config_is_hot(enum sp_config_key key);
/* "section.key" */
void sp_config_key_name(enum sp_config_key key, char name[SP_CONFIG_NAME_BYTES]);
/* In meaning: 15m and 900s do not differ. */
bool sp_config_differs(const struct sp_config *a, const struct sp_config *b, enum sp_config_key key);
/* "section.key = value   # source" for every key. */
void sp_config_show(const struct sp_config *c, FILE *out);
/* The reference, in Markdown. */
void sp_config_doc(FILE *out);

#endif
