/* What handlers may ask of a request. */
#include "base/assert.h"
#include "http/server_llhttp.h"

enum sp_http_method sp_http_req_method(const struct sp_http_req *req) {
    return req->method;
}

sp_slice sp_http_req_method_text(const struct sp_http_req *req) {
    return req->method_text;
}

sp_slice sp_http_req_path(const struct sp_http_req *req) {
    return req->path;
}

sp_slice sp_http_req_query(const struct sp_http_req *req) {
    return req->query;
}

sp_slice sp_http_req_host(const struct sp_http_req *req) {
    return req->host;
}

sp_slice sp_http_req_body(const struct sp_http_req *req) {
    return sp_slice_of(req->buf + req->head_end, req->body_n);
}

size_t sp_http_req_header_count(const struct sp_http_req *req) {
    return req->n_headers;
}

const struct sp_http_header *sp_http_req_header_at(const struct sp_http_req *req, size_t i) {
    sp_assert(i < req->n_headers);
    return &req->headers[i];
}

enum sp_http_presence sp_http_req_header(const struct sp_http_req *req, const char *name,
                                         sp_slice *ret_value) {
    const sp_slice wanted = sp_slice_cstr(name);
    const struct sp_http_header *found = NULL;
    bool repeated = false;
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct sp_http_header *h = &req->headers[i];
        if (h->name.n != wanted.n || !sp_slice_eq_nocase(h->name, wanted)) continue;
        repeated = found != NULL;
        if (repeated) break;
        found = h;
    }
    if (found == NULL) return SP_HTTP_ABSENT;
    if (ret_value != NULL) *ret_value = found->value;
    return repeated ? SP_HTTP_REPEATED : SP_HTTP_SINGLE;
}

const struct sp_http_peer *sp_http_req_peer(const struct sp_http_req *req) {
    return &req->conn->peer;
}

bool sp_http_req_keep_alive(const struct sp_http_req *req) {
    /* After the end of the stream only what was read before it is still answered. */
    const bool last = req->conn->eof && req->end == req->parsed;
    return req->keep_alive && !last && !req->conn->server->draining;
}

bool sp_http_req_client_gone(const struct sp_http_req *req) {
    return req->conn->state == CONN_GONE;
}

int64_t sp_http_req_wall_ms(const struct sp_http_req *req) {
    return req->wall_ms;
}

int64_t sp_http_req_boot_ms(const struct sp_http_req *req) {
    return req->boot_ms;
}

void *sp_http_req_user(const struct sp_http_req *req) {
    return req->conn->user;
}

struct sp_loop *sp_http_req_loop(const struct sp_http_req *req) {
    return req->conn->server->loop;
}

void sp_http_req_set_context(struct sp_http_req *req, void *context) {
    req->context = context;
}

void *sp_http_req_context(const struct sp_http_req *req) {
    return req->context;
}
