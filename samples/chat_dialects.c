/* SPDX-License-Identifier: BSD-3-Clause */
#include "chat_dialects.h"

#include <string.h>
#include <strings.h>

#include <event2/buffer.h>

/* What follows a command, or NULL where the line is another one. */
static const char *after(const char *line, const char *command)
{
    size_t len = strlen(command);

    if (strncasecmp(line, command, len) != 0 || (line[len] != '\0' && line[len] != ' '))
        return NULL;
    return line + len + strspn(line + len, " ");
}

static enum chat_action answer(struct evbuffer *out, const char *text, enum chat_action action)
{
    evbuffer_add_printf(out, "%s\r\n", text);
    return action;
}

/* ---- The one of its own ----------------------------------------------------------------- */

static void greet(struct evbuffer *out)
{
    answer(out, "+ starttls-chat: say TEXT, starttls, stoptls, quit", CHAT_GO_ON);
}

static enum chat_action take(struct chat_state *state, const char *line, struct evbuffer *out)
{
    const char *text = after(line, "say");

    if (text) {
        evbuffer_add_printf(out, "+ %s\r\n", text);
        return CHAT_GO_ON;
    }
    if (after(line, "starttls")) {
        if (state->is_tls)
            return answer(out, "- TLS is on", CHAT_GO_ON);
        return answer(out, "+ go ahead", CHAT_START_TLS);
    }
    if (after(line, "stoptls")) {
        if (!state->is_tls)
            return answer(out, "- TLS is off", CHAT_GO_ON);
        return answer(out, "+ in clear from here on", CHAT_STOP_TLS);
    }
    if (after(line, "quit"))
        return answer(out, "+ bye", CHAT_QUIT);
    return answer(out, "- say TEXT, starttls, stoptls, quit", CHAT_GO_ON);
}

const struct chat_dialect chat_own = {
    .greet = greet,
    .take = take,
    .impatient = "- nothing may follow starttls",
    .too_long = "- the line is too long",
};

/* ---- SMTP ------------------------------------------------------------------------------- */

static void smtp_greet(struct evbuffer *out)
{
    answer(out, "220 localhost ESMTP starttls-chat", CHAT_GO_ON);
}

static enum chat_action smtp_take_message(struct chat_state *state, const char *line,
                                          struct evbuffer *out)
{
    if (strcmp(line, ".") != 0) {
        state->message_bytes += strlen(line) - (line[0] == '.') + 2; /* RFC 5321, 4.5.2 */
        return CHAT_GO_ON;
    }
    evbuffer_add_printf(out, "250 %zu bytes read and forgotten\r\n", state->message_bytes);
    *state = (struct chat_state){.is_tls = state->is_tls};
    return CHAT_GO_ON;
}

/* A mail, which is taken under TLS only (RFC 3207, section 4). */
static enum chat_action smtp_take_mail(struct chat_state *state, const char *line,
                                       struct evbuffer *out)
{
    if (!state->is_tls)
        return answer(out, "530 Must issue a STARTTLS command first", CHAT_GO_ON);
    if (after(line, "DATA")) {
        if (!state->has_recipient)
            return answer(out, "503 a sender and a recipient come first", CHAT_GO_ON);
        state->in_message = 1;
        return answer(out, "354 end with a line that is a dot", CHAT_GO_ON);
    }
    if (after(line, "RCPT") && !state->has_sender)
        return answer(out, "503 a sender comes first", CHAT_GO_ON);
    if (after(line, "RCPT"))
        state->has_recipient = 1;
    else
        state->has_sender = 1;
    return answer(out, "250 OK", CHAT_GO_ON);
}

static enum chat_action smtp_take(struct chat_state *state, const char *line, struct evbuffer *out)
{
    if (state->in_message)
        return smtp_take_message(state, line, out);
    if (after(line, "MAIL") || after(line, "RCPT") || after(line, "DATA"))
        return smtp_take_mail(state, line, out);
    if (after(line, "EHLO"))
        return answer(out, state->is_tls ? "250 localhost" : "250-localhost\r\n250 STARTTLS",
                      CHAT_GO_ON);
    if (after(line, "HELO"))
        return answer(out, "250 localhost", CHAT_GO_ON);
    if (after(line, "STARTTLS")) {
        if (state->is_tls)
            return answer(out, "503 TLS is on", CHAT_GO_ON);
        return answer(out, "220 go ahead", CHAT_START_TLS);
    }
    if (after(line, "RSET") || after(line, "NOOP")) {
        *state = (struct chat_state){.is_tls = state->is_tls};
        return answer(out, "250 OK", CHAT_GO_ON);
    }
    if (after(line, "HELP"))
        return answer(out, "214 EHLO, STARTTLS, MAIL, RCPT, DATA, RSET, NOOP, QUIT", CHAT_GO_ON);
    if (after(line, "QUIT"))
        return answer(out, "221 bye", CHAT_QUIT);
    return answer(out, "500 unknown command", CHAT_GO_ON);
}

const struct chat_dialect chat_smtp = {
    .greet = smtp_greet,
    .take = smtp_take,
    .impatient = "554 nothing may follow STARTTLS",
    .too_long = "500 the line is too long",
};

/* ---- IMAP ------------------------------------------------------------------------------- */

#define IMAP_CLEAR "IMAP4rev1 STARTTLS LOGINDISABLED"
#define IMAP_TLS "IMAP4rev1 AUTH=PLAIN SASL-IR"

static void imap_greet(struct evbuffer *out)
{
    answer(out, "* OK [CAPABILITY " IMAP_CLEAR "] starttls-chat", CHAT_GO_ON);
}

/* The command's own answer, with its tag. */
static enum chat_action imap_answer(struct evbuffer *out, const char *line, const char *text,
                                    enum chat_action action)
{
    evbuffer_add_printf(out, "%.*s %s\r\n", (int)strcspn(line, " "), line, text);
    return action;
}

/* What is taken under TLS only. Anyone may log in: there is nothing to be read here. */
static enum chat_action imap_take_private(struct chat_state *state, const char *line,
                                          const char *command, struct evbuffer *out)
{
    const char *sasl = after(command, "AUTHENTICATE");
    int logs_in = after(command, "LOGIN") != NULL;
    int lists = after(command, "LIST") != NULL;

    if (!sasl && !logs_in && !lists)
        return imap_answer(out, line, "BAD unknown command", CHAT_GO_ON);
    if (!state->is_tls)
        return imap_answer(out, line, "NO [PRIVACYREQUIRED] STARTTLS comes first", CHAT_GO_ON);
    if (sasl && (!after(sasl, "PLAIN") || *after(sasl, "PLAIN") == '\0'))
        return imap_answer(out, line, "NO PLAIN with its response (RFC 4959) alone", CHAT_GO_ON);
    if (lists)
        answer(out, "* LIST (\\HasNoChildren) \"/\" INBOX", CHAT_GO_ON);
    return imap_answer(out, line, "OK", CHAT_GO_ON);
}

static enum chat_action imap_take(struct chat_state *state, const char *line, struct evbuffer *out)
{
    const char *command = line + strcspn(line, " ");

    if (command == line || *command == '\0')
        return answer(out, "* BAD a tag and a command are needed", CHAT_GO_ON);
    command++;
    if (after(command, "CAPABILITY")) {
        answer(out, state->is_tls ? "* CAPABILITY " IMAP_TLS : "* CAPABILITY " IMAP_CLEAR,
               CHAT_GO_ON);
        return imap_answer(out, line, "OK", CHAT_GO_ON);
    }
    if (after(command, "STARTTLS")) {
        if (state->is_tls)
            return imap_answer(out, line, "BAD TLS is on", CHAT_GO_ON);
        return imap_answer(out, line, "OK begin TLS now", CHAT_START_TLS);
    }
    if (after(command, "NOOP"))
        return imap_answer(out, line, "OK", CHAT_GO_ON);
    if (after(command, "LOGOUT")) {
        answer(out, "* BYE", CHAT_GO_ON);
        return imap_answer(out, line, "OK", CHAT_QUIT);
    }
    return imap_take_private(state, line, command, out);
}

const struct chat_dialect chat_imap = {
    .greet = imap_greet,
    .take = imap_take,
    .impatient = "* BYE nothing may follow STARTTLS",
    .too_long = "* BYE the line is too long",
};
