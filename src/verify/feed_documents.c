#include "verify/feed_documents.h"

#include "token/permission.h"

/* No more values than this are in the text: each but the first follows one of these characters. */
static uint32_t count_nodes(sp_slice json) {
    uint32_t n = 1;
    for (size_t i = 0; i < json.n && n < SP_FEED_ROLES_NODES_MAX; i++) {
        uint8_t c = json.p[i];
        n += c == ',' || c == ':' || c == '[';
    }
    return n;
}

/* Neither names nor permissions have a character that must be escaped. */
static sp_status append_permissions(const struct sp_json *doc, const struct sp_json_node *list,
                                    struct sp_buf *words) {
    const struct sp_json_node *each = NULL;
    bool first = true;
    if (list->type != SP_JSON_ARRAY) return sp_err(SP_E_MALFORMED);
    while ((each = sp_json_next(doc, list, each)) != NULL) {
        if (each->type != SP_JSON_STRING || each->escaped ||
            !sp_permission_valid(each->raw, SP_PERMISSION_GRANTED))
            return sp_err(SP_E_MALFORMED);
        if (!first) SP_TRY(sp_buf_append_u8(words, ' '));
        SP_TRY(sp_buf_append(words, each->raw));
        first = false;
    }
    return SP_SUCCESS;
}

/* The word lists first, since the buffer moves while it grows; then the rows that borrow from it. */
static sp_status make_roles(const struct sp_json *doc, const struct sp_json_node *table,
                            struct sp_roles_entry *rows, struct sp_buf *words, struct sp_roles **ret_roles) {
    const struct sp_json_node *each = NULL;
    size_t n = 0, at = 0;
    while ((each = sp_json_next(doc, table, each)) != NULL) {
        size_t from = words->n;
        if (each->key_escaped) return sp_err(SP_E_MALFORMED);
        SP_TRY(append_permissions(doc, each, words));
        rows[n++] = (struct sp_roles_entry){.name = each->key, .permissions = {NULL, words->n - from}};
    }
    for (size_t i = 0; i < n; i++) {
        if (rows[i].permissions.n != 0) rows[i].permissions.p = words->p + at;
        at += rows[i].permissions.n;
    }
    return sp_roles_new(rows, n, ret_roles);
}

static sp_status read_table(const struct sp_json *doc, struct sp_roles **ret_roles) {
    const struct sp_json_node *table = sp_json_get(doc, &doc->nodes[0], "roles");
    SP_AUTO(sp_buf) words = SP_BUF_INIT(SP_ROLES_BYTES_MAX);
    if (table == NULL || table->type != SP_JSON_OBJECT) return sp_err(SP_E_MALFORMED);
    if (table->count > SP_ROLES_MAX) return sp_err(SP_E_LIMIT);
    struct sp_roles_entry *rows = calloc((size_t)table->count + 1, sizeof *rows);
    if (rows == NULL) return sp_err(SP_E_NOMEM);
    sp_status s = make_roles(doc, table, rows, &words, ret_roles);
    free(rows);
    return s;
}

sp_status sp_feed_read_roles(sp_slice json, struct sp_roles **ret_roles) {
    uint32_t cap = count_nodes(json);
    struct sp_json_node *nodes = calloc(cap, sizeof *nodes);
    if (nodes == NULL) return sp_err(SP_E_NOMEM);
    struct sp_json doc = {.nodes = nodes, .cap = cap};
    sp_status s = sp_json_parse(json, &doc);
    if (sp_ok(s)) s = nodes[0].type == SP_JSON_OBJECT ? read_table(&doc, ret_roles) : sp_err(SP_E_MALFORMED);
    free(nodes);
    return s;
}
