#include "http/pages.h"

#include "base/text.h"
#include "http/page.h"

static void put_number(struct sp_exchange *x, uint32_t n) {
    if (!sp_ok(sp_buf_printf(&x->out, "%u", n))) x->failed = true;
}

static void put_name(struct sp_exchange *x, sp_slice name) {
    sp_page_html(x, "<strong><bdi>");
    sp_page_text(x, name);
    sp_page_html(x, "</bdi></strong>");
}

/* A client chose its name, and its administrator its id: both are shown, so that one cannot pass for
 * another. */
static void put_client(struct sp_exchange *x, const struct sp_authz_result *r) {
    if (r->client_name.n == 0) {
        put_name(x, r->client_id);
        return;
    }
    put_name(x, r->client_name);
    sp_page_html(x, " (<bdi>");
    sp_page_text(x, r->client_id);
    sp_page_html(x, "</bdi>)");
}

/* ---- login ---- */

static void put_wait(struct sp_exchange *x, uint32_t seconds) {
    const uint32_t minutes = (seconds + 59) / 60;
    if (seconds == 0) {
        sp_page_html(x, "Wait a little and try again.");
        return;
    }
    sp_page_html(x, "Try again in ");
    put_number(x, minutes <= 1 ? seconds : minutes);
    sp_page_html(x, minutes <= 1 ? seconds == 1 ? " second." : " seconds." : " minutes.");
}

static void put_failure(struct sp_exchange *x, const struct sp_authz_result *r) {
    sp_page_html(x, "<div class=\"problem\" id=\"problem\" role=\"alert\">\n<p>");
    if (r->lost_cookie) {
        sp_page_html(x, "Your browser did not keep the sign-in. Allow cookies for this site and try again.");
    } else if (r->failed == SP_OUTCOME_INVALID_CREDENTIALS) {
        sp_page_html(x, "The user name or the password is wrong. Check both and try again.");
    } else if (r->failed == SP_OUTCOME_TOO_MANY_ATTEMPTS) {
        sp_page_html(x, "There were too many attempts. ");
        put_wait(x, r->trouble.retry_after_s);
    } else {
        sp_page_html(x, "The server cannot sign you in at this moment. Try again in a few seconds.");
    }
    sp_page_html(x, "</p>\n</div>\n");
}

/* The focus is where writing goes on. */
static void put_fields(struct sp_exchange *x, sp_slice username, bool wrong) {
    const char *described = wrong ? " aria-invalid=\"true\" aria-describedby=\"problem\"" : "";
    sp_page_html(x, "<label for=\"username\">User name</label>\n<input id=\"username\" name=\"username\" "
                    "type=\"text\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" "
                    "maxlength=\"256\" required");
    sp_page_html(x, described);
    if (username.n == 0) sp_page_html(x, " autofocus");
    sp_page_html(x, " value=\"");
    sp_page_text(x, username);
    sp_page_html(x, "\">\n<label for=\"password\">Password</label>\n<input id=\"password\" name=\"password\" "
                    "type=\"password\" autocomplete=\"current-password\" maxlength=\"1024\" required");
    sp_page_html(x, described);
    if (username.n != 0) sp_page_html(x, " autofocus");
    sp_page_html(x, ">\n");
}

void sp_page_login(struct sp_exchange *x, const struct sp_authz_result *r) {
    const bool failed = r->failed != SP_OUTCOME_OK || r->lost_cookie;
    sp_page_begin(x, failed ? "Error: Sign in" : "Sign in");
    sp_page_html(x, "<h1>Sign in</h1>\n");
    if (failed) put_failure(x, r);
    sp_page_html(x, "<p>To go on to ");
    put_client(x, r);
    sp_page_html(x, ".</p>\n<form method=\"post\" action=\"login\">\n");
    sp_page_hidden(x, "request", r->request);
    put_fields(x, r->username, r->failed == SP_OUTCOME_INVALID_CREDENTIALS);
    sp_page_html(x, "<button type=\"submit\">Sign in</button>\n</form>\n");
    sp_page_end(x);
    sp_page_headers(x, r->goes_to);
}

/* ---- consent ---- */

static const struct {
    const char *word, *meaning;
} protocol_words[] = {
    {"openid", "Know that it is you who signs in here"},
    {"profile", "See your user name"},
    {"offline_access", "Stay connected when you have signed out here"},
};

/* Words that are neither the protocol's nor permissions are shown as they are: nothing that would be granted
 * is left out. */
static void put_word(struct sp_exchange *x, sp_slice word, sp_slice permissions) {
    for (size_t i = 0; i < SP_ARRAY_LEN(protocol_words); i++) {
        if (!sp_slice_eq_cstr(word, protocol_words[i].word)) continue;
        sp_page_html(x, protocol_words[i].meaning);
        return;
    }
    if (sp_words_contain(permissions, word)) sp_page_html(x, "Use your permission ");
    sp_page_html(x, "<code>");
    sp_page_text(x, word);
    sp_page_html(x, "</code>");
}

static void put_words(struct sp_exchange *x, const struct sp_authz_result *r) {
    sp_slice words = r->scope, word;
    if (words.n == 0) {
        sp_page_html(x, "<p>It asks for no permissions.</p>\n");
        return;
    }
    sp_page_html(x, "<p>It would be able to:</p>\n<ul>\n");
    while (sp_words_next(&words, &word)) {
        sp_page_html(x, "<li>");
        put_word(x, word, r->permissions);
        sp_page_html(x, "</li>\n");
    }
    sp_page_html(x, "</ul>\n");
}

/* "https://app.example", or "com.example.app:". */
static void put_destination(struct sp_exchange *x, sp_slice address) {
    enum { BYTES_MAX = 512 };
    SP_AUTO(sp_buf) b = SP_BUF_INIT(BYTES_MAX);
    if (!sp_ok(sp_page_form_source(address, &b))) x->failed = true;
    if (b.n == 0) return;
    sp_page_html(x, "<p><small>Afterwards you go to <bdi>");
    sp_page_text(x, sp_buf_slice(&b));
    sp_page_html(x, "</bdi>.</small></p>\n");
}

void sp_page_consent(struct sp_exchange *x, const struct sp_authz_result *r) {
    sp_page_begin(x, "Allow access?");
    sp_page_html(x, "<h1>Allow access?</h1>\n<p>");
    put_client(x, r);
    sp_page_html(x, " asks for access to your account ");
    put_name(x, r->username);
    sp_page_html(x, ".</p>\n");
    put_words(x, r);
    sp_page_html(x, "<form method=\"post\" action=\"consent\">\n");
    sp_page_hidden(x, "request", r->request);
    sp_page_hidden(x, "csrf", r->csrf);
    sp_page_html(x, "<button type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\n"
                    "<button type=\"submit\" name=\"decision\" value=\"deny\" class=\"other\">Do not "
                    "allow</button>\n</form>\n");
    put_destination(x, r->goes_to);
    sp_page_html(x, "<p><small>Not you? <a href=\"logout\">Sign out</a></small></p>\n");
    sp_page_end(x);
    sp_page_headers(x, r->goes_to);
}

/* ---- logout ---- */

void sp_page_logout(struct sp_exchange *x, const struct sp_authz_result *r) {
    sp_page_begin(x, "Sign out?");
    sp_page_html(x, "<h1>Sign out?</h1>\n<p>You are signed in as ");
    put_name(x, r->username);
    sp_page_html(x, ".");
    if (r->client_id.n != 0) {
        sp_page_html(x, " ");
        put_client(x, r);
        sp_page_html(x, " asks to sign you out.");
    }
    sp_page_html(x, "</p>\n<form method=\"post\" action=\"logout\">\n");
    sp_page_hidden(x, "request", r->request);
    sp_page_hidden(x, "csrf", r->csrf);
    sp_page_html(x, "<button type=\"submit\">Sign out</button>\n</form>\n"
                    "<p>To stay signed in, close this page or go back.</p>\n");
    sp_page_end(x);
    sp_page_headers(x, r->goes_to);
}

void sp_page_goodbye(struct sp_exchange *x) {
    sp_page_begin(x, "You are signed out");
    sp_page_html(x, "<h1>You are signed out</h1>\n<p>You can close this page.</p>\n");
    sp_page_end(x);
    sp_page_headers(x, SP_SLICE_EMPTY);
}
