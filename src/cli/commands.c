/* Every command, once. */
#include "cli/command.h"
#include "cli/receipt.h"

#define END                                                                                                  \
    { 0 }

static const struct sp_option serve_options[] = {
    {"listen", "HOST:PORT", false, "where to listen (server.listen)"},
    {"config", "FILE", false,
     "configuration file; without it, sallyport.conf in the working directory is read if it is there"},
    {"set", "SECTION.KEY=VALUE", true, "sets one configuration key; wins over file and environment"},
    END,
};
static const struct sp_option config_options[] = {
    {"config", "FILE", false, "configuration file"},
    {"set", "SECTION.KEY=VALUE", true, "sets one configuration key"},
    END,
};
static const struct sp_option user_add_options[] = {
    {"role", "ROLE", true, "gives the user this role"},
    {"password-stdin", NULL, false,
     "reads the password from standard input (one line) instead of asking for it"},
    {"no-password", NULL, false, "the user cannot log in with a password"},
    END,
};
static const struct sp_option passwd_options[] = {
    {"password-stdin", NULL, false,
     "reads the password from standard input (one line) instead of asking for it"},
    END,
};
static const struct sp_option session_add_options[] = {
    {"role", "ROLE", true, "the subject's roles from now on; without it they stay as they are"},
    {"scope", "SCOPE", false, "permissions that the session is limited to: words separated by spaces"},
    {"device", "TEXT", false, "what the session's device is called in lists"},
    END,
};
#define CLIENT_OPTIONS                                                                                       \
    {"grant", "GRANT", true, "authorization_code, refresh_token or client_credentials"},                     \
        {"scope", "SCOPE", true, "the client may ask for it"},                                               \
        {"audience", "URI", true,                                                                            \
         "its tokens may be for it, the first one unless asked otherwise; not given: the server's own"},     \
        {"redirect-uri", "URI", true,                                                                        \
         "where people come back to: https, http on loopback, or (public) com.example.app:/path"},           \
        {"name", "TEXT", false, "what people see when they are asked for consent"},                          \
        {"public", NULL, false, "the client cannot keep a secret: an app, a page in a browser"},             \
        {"auth-method", "METHOD", false,                                                                     \
         "client_secret_basic (or in the body, too), client_secret_post, private_key_jwt or none "           \
         "(client_secret_basic)"},                                                                           \
        {"jwks-file", "FILE", false, "the client's public keys, for private_key_jwt"},                       \
        {"backchannel-logout-uri", "URI", false, "is told there when a session of the client ends"},         \
        {"post-logout-redirect-uri", "URI", true, "where people may be sent after a logout"},                \
        {"feed", NULL, false, "the client may follow the feed of revocations"},                              \
        {"no-rotate", NULL, false, "its refresh tokens stay the same (not with --public)"},                  \
        {"trusted", NULL, false, "people are not asked for consent: your own applications"},                 \
        {"require-par", NULL, false, "takes pushed authorization requests only"}, {                          \
        "require-dpop", NULL, false, "gives tokens that are bound to a key of the client only"               \
    }
static const struct sp_option client_add_options[] = {
    CLIENT_OPTIONS,
    {"secret-stdin", NULL, false,
     "reads the secret from standard input (one line) instead of making one: 32 random characters at least"},
    {"out", "FILE", false,
     "writes the credential there, 0600, instead of printing it; the file must not exist"},
    END,
};
static const struct sp_option client_set_options[] = {
    CLIENT_OPTIONS,
    {"no-feed", NULL, false, "the client may not follow the feed"},
    {"rotate", NULL, false, "its refresh tokens are replaced at each use"},
    {"no-trusted", NULL, false, "people are asked for consent"},
    {"no-require-par", NULL, false, "takes authorization requests that were not pushed"},
    {"no-require-dpop", NULL, false, "gives tokens that are bound to no key"},
    END,
};
static const struct sp_option client_rotate_options[] = {
    {"overlap", "TIME", false,
     "how long the secret before goes on working: 90s, 15m, 24h, 7d (24h); 0: it ends now"},
    {"secret-stdin", NULL, false,
     "reads the secret from standard input (one line) instead of making one: 32 random characters at least"},
    {"out", "FILE", false, "writes the credential there, 0600, instead of printing it; replaces the file"},
    END,
};
static const struct sp_option session_list_options[] = {
    {"user", "NAME", false, "only this user's sessions"},
    {"ended", NULL, false, "ended sessions too, with the cause"},
    END,
};
static const struct sp_option revoke_options[] = {
    {"jti", "JTI", false, "one access token"},
    {"session", "SID", false, "one session and its tokens"},
    {"user", "NAME", false, "every session and token of a user"},
    {"everyone", NULL, false, "every session and token of everyone"},
    SP_OPTION_WAIT,
    END,
};
static const struct sp_option wait_options[] = {SP_OPTION_WAIT, END};
static const struct sp_option key_rotate_options[] = {
    {"use", "USE", false, "which keys: access (the default), refresh or feed"},
    {"immediately", NULL, false,
     "the new key signs at once instead of after keys.announce; not for feed keys"},
    END,
};

static const struct sp_option audit_show_options[] = {
    {"user", "NAME", false, "records about or by this user (name or id), and about the user's sessions"},
    {"action", "ACTION", false, "only this action"},
    {"since", "TIME", false, "not before: RFC 3339, or how long ago (90s, 15m, 24h, 7d)"},
    {"until", "TIME", false, "before"},
    {"limit", "N", false, "the first N of them"},
    END,
};
static const struct sp_option audit_tail_options[] = {
    {"n", "N", false, "so many records (10)"},
    {"follow", NULL, false, "goes on with new ones as they are written"},
    END,
};
static const struct sp_option audit_verify_options[] = {
    {"checkpoint", "FILE", false,
     "what `audit checkpoint` wrote: the log must still hold what it covers, or tell of its pruning"},
    END,
};
static const struct sp_option audit_prune_options[] = {
    {"checkpoint", "FILE", false, "what `audit checkpoint` wrote, or the server's log: up to there; needed"},
    {"yes", NULL, false, "does not ask for confirmation"},
    END,
};
static const struct sp_option erase_options[] = {
    {"yes", NULL, false, "does not ask for confirmation"},
    END,
};
static const struct sp_option restore_options[] = {
    {"keep-sessions", NULL, false,
     "sessions go on; also those that were revoked after the backup was made (docs/backup.md)"},
    {"config", "FILE", false, "configuration file"},
    {"set", "SECTION.KEY=VALUE", true, "sets one configuration key"},
    END,
};
static const struct sp_option verify_options[] = {
    {"jwks", "FILE", false,
     "keys: a JWK Set or one JWK (EC P-256, RSA, Ed25519; oct for HS256); this or --feed is needed"},
    {"feed", "URL", false, "follows this server's feed: its keys, and `reject revoked` and `reject stale`"},
    {"credential-file", "FILE", false, "credential for --feed, as `client add --feed --out` writes it"},
    {"feed-key", "T", false, "thumbprint of the feed's key; not given: the server is asked, over TLS"},
    {"ca-file", "FILE", false, "certificates that --feed trusts, instead of the system's"},
    {"iss", "I", false, "iss must be exactly I; not given: iss is not checked, with --feed it is URL"},
    {"aud", "A", false, "aud must name exactly A; not given: aud is not checked, with --feed it is iss"},
    {"typ", "T", false, "header typ must be T; not given: absent, JWT or at+jwt"},
    {"alg", "A", true,
     "only this algorithm: ES256 HS256 RS256 PS256 EdDSA; not given: all, each only with a key of its type "
     "and alg"},
    {"leeway", "S", false, "seconds of tolerance for exp, nbf and iat, 0 to 60 (0)"},
    {"raw", NULL, false,
     "the signature alone: any payload, no kid needed if one key alone fits; the answer is `ok`"},
    {"b64", NULL, false, "each line is the standard base64 of the token's bytes"},
    END,
};
static const struct sp_option help_options[] = {
    {"markdown", NULL, false, "all commands, as docs/cli.md"},
    END,
};

const struct sp_command sp_commands[] = {
    {"serve", "", 0, 0, "Runs the server in the foreground", serve_options, sp_cmd_serve},
    {"status", "", 0, 0, "Shows what the running server says of itself", NULL, sp_cmd_status},
    {"user add", "NAME", 1, 1, "Makes a user", user_add_options, sp_cmd_user_add},
    {"user list", "", 0, 0, "Lists the users", NULL, sp_cmd_user_list},
    {"user show", "NAME", 1, 1, "Shows a user", NULL, sp_cmd_user_show},
    {"user disable", "NAME", 1, 1, "Ends the user's sessions and lets no new one begin", wait_options,
     sp_cmd_user_disable},
    {"user enable", "NAME", 1, 1, "Lets a disabled user log in again", NULL, sp_cmd_user_enable},
    {"user delete", "NAME", 1, 1, "Ends the user's sessions and forgets the user", NULL, sp_cmd_user_delete},
    {"user erase", "NAME", 1, 1,
     "Deletes a user and erases the personal values of all records about the user", erase_options,
     sp_cmd_user_erase},
    {"user passwd", "NAME", 1, 1, "Sets a user's password and ends the user's sessions", passwd_options,
     sp_cmd_user_passwd},
    {"user roles", "NAME [ROLE...]", 1, SP_ARGS_MAX, "Sets the roles of a user; none takes all away", NULL,
     sp_cmd_user_roles},
    {"role set", "NAME PERMISSION...", 2, SP_ARGS_MAX, "Makes a role, or replaces its permissions", NULL,
     sp_cmd_role_set},
    {"role list", "", 0, 0, "Lists the roles and their permissions", NULL, sp_cmd_role_list},
    {"role delete", "NAME", 1, 1,
     "Deletes a role; who has it keeps its name, and is granted what a later role of that name grants", NULL,
     sp_cmd_role_delete},
    {"session list", "", 0, 0, "Lists sessions", session_list_options, sp_cmd_session_list},
    {"session add", "SUBJECT", 1, 1, "Makes a session without a password, for ext:SUBJECT; prints its tokens",
     session_add_options, sp_cmd_session_add},
    {"session revoke", "SID", 1, 1, "Ends a session", wait_options, sp_cmd_session_revoke},
    {"revoke", "", 0, 0, "Revokes a token, a session, a user or everyone; exactly one option", revoke_options,
     sp_cmd_revoke},
    {"verifiers", "", 0, 0, "Lists the services that follow the feed of revocations", NULL, sp_cmd_verifiers,
     "A verifier is live while its last acknowledgement is not older than the staleness that it allows "
     "itself, and a third more. BEHIND counts revocations that it has not confirmed; ROLES and KEYS say "
     "whether it has the documents of now. Who was silent for a day leaves the list."},
    {"client add", "NAME", 1, 1, "Makes a client and prints its credential, this once", client_add_options,
     sp_cmd_client_add,
     "The credential is one line, NAME:SECRET, as HTTP Basic takes it: curl -u \"$(cat FILE)\". Names have 1 "
     "to 64 letters, digits, dots, hyphens and underscores. Only a hash of the secret is kept. What the "
     "options mean together is told in docs/oauth.md."},
    {"client set", "NAME", 1, 1, "Changes the options of a client; those that are not given stay",
     client_set_options, sp_cmd_client_set,
     "A list that is given takes the place of the whole list before; one empty value empties it. With less "
     "to "
     "grant, the client's own access tokens are refused from then on."},
    {"client list", "", 0, 0, "Lists the clients", NULL, sp_cmd_client_list},
    {"client show", "NAME", 1, 1, "Shows a client", NULL, sp_cmd_client_show},
    {"client rotate-secret", "NAME", 1, 1, "Gives a client another secret and prints the credential",
     client_rotate_options, sp_cmd_client_rotate},
    {"client disable", "NAME", 1, 1,
     "Refuses a client's credentials and tokens until it is enabled again, and ends its sessions", NULL,
     sp_cmd_client_disable},
    {"client enable", "NAME", 1, 1, "Takes a disabled client's credentials again", NULL,
     sp_cmd_client_enable},
    {"client delete", "NAME", 1, 1, "Forgets a client, and ends its sessions and tokens", NULL,
     sp_cmd_client_delete},
    {"key list", "", 0, 0, "Lists the keys and their states", NULL, sp_cmd_key_list},
    {"key rotate", "", 0, 0, "Makes a new key that takes over", key_rotate_options, sp_cmd_key_rotate},
    {"key revoke", "KID", 1, 1, "Refuses everything that a key has signed, at once", NULL, sp_cmd_key_revoke},
    {"audit show", "", 0, 0, "Shows the audit log, oldest first; --json for everything in a record",
     audit_show_options, sp_cmd_audit_show},
    {"audit tail", "", 0, 0, "Shows the end of the audit log", audit_tail_options, sp_cmd_audit_tail},
    {"audit export", "", 0, 0, "Writes the audit log as JSON, one record a line", NULL, sp_cmd_audit_export},
    {"audit verify", "", 0, 0, "Proves that the audit log is whole and unchanged", audit_verify_options,
     sp_cmd_audit_verify},
    {"audit checkpoint", "", 0, 0, "Prints a sealed checkpoint of the audit log, to be kept elsewhere", NULL,
     sp_cmd_audit_checkpoint},
    {"audit prune", "", 0, 0, "Proves, and then drops, the audit records that a checkpoint covers",
     audit_prune_options, sp_cmd_audit_prune,
     "The newest record always stays, and each step is on record itself. Nothing goes when the records are "
     "not "
     "those that the checkpoint was taken of. `sallyport audit export` before, if they are to be kept "
     "elsewhere."},
    {"backup", "FILE", 1, 1, "Has the running server write a consistent copy of its store", NULL,
     sp_cmd_backup},
    {"restore", "FILE", 1, 1, "Puts a backup in the place of a stopped server's store", restore_options,
     sp_cmd_restore},
    {"doctor", "", 0, 0, "Looks for what is wrong or unsafe in a deployment, and says how to mend it",
     config_options, sp_cmd_doctor},
    {"config show", "", 0, 0, "Shows the configuration in force and where each value comes from",
     config_options, sp_cmd_config_show},
    {"config check", "", 0, 0, "Says whether the server would accept its configuration and certificate",
     config_options, sp_cmd_config_check},
    {"config doc", "", 0, 0, "Prints the configuration reference", NULL, sp_cmd_config_doc},
    {"verify", "", 0, 0, "Verifies the tokens on standard input, one a line", verify_options, sp_cmd_verify,
     "Each line is answered with one line: `ok` and the claims as JSON, or `reject` and the reason. Only the "
     "newline ends a token: a carriage return is part of it. Without --raw a token needs kid and exp. "
     "Status 0 means that every line was answered, whatever the answers are."},
    {"token inspect", "", 0, 0, "Shows what is in a token, without verifying it", NULL, sp_cmd_token_inspect,
     "The token is read from standard input. Anyone can write such a token: to know whether it is good, use "
     "`sallyport verify`."},
    {"help", "[COMMAND]", 0, 2, "Lists the commands, or tells more of one", help_options, sp_cmd_help},
    {"completion", "bash", 1, 1, "Prints the completion for bash: source <(sallyport completion bash)", NULL,
     sp_cmd_completion},
    {"man", "", 0, 0, "Prints the manual page, sallyport(1)", NULL, sp_cmd_man},
    {"version", "", 0, 0, "Prints the version", NULL, sp_cmd_version},
    END,
};
