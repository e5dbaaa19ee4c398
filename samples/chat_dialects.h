/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * chat_dialects.h - the line protocols of starttls-chat, as its server speaks them: a small one of
 * its own, and as much of SMTP (RFC 5321, RFC 3207) and IMAP (RFC 9051) as it takes to upgrade.
 *
 * A dialect knows neither sockets nor TLS. It takes a line, adds its answer to a buffer, and says
 * what must happen then.
 */
#ifndef CHAT_DIALECTS_H
#define CHAT_DIALECTS_H

#include <stddef.h>

struct evbuffer;

enum chat_action {
    CHAT_GO_ON,
    CHAT_START_TLS, /* the answer is the last thing in clear */
    CHAT_STOP_TLS,  /* the answer is the last thing under TLS */
    CHAT_QUIT       /* the answer is the last thing */
};

/* What was said before counts for nothing once TLS is up or down: the state starts anew then. */
struct chat_state {
    int is_tls;
    int in_message; /* SMTP: between DATA and the line with only a dot */
    int has_sender, has_recipient;
    size_t message_bytes;
};

struct chat_dialect {
    void (*greet)(struct evbuffer *out);
    enum chat_action (*take)(struct chat_state *state, const char *line, struct evbuffer *out);
    /* The answer to a client that sends more behind its STARTTLS without waiting, and to a line
     * that is too long; the connection ends after either. */
    const char *impatient;
    const char *too_long;
};

extern const struct chat_dialect chat_own, chat_smtp, chat_imap;

#endif
