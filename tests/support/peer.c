/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "alloc_faults.h"
#include "require.h"

struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in;  /* owned by ssl */
    BIO *out; /* owned by ssl */
    unsigned char *received;
    size_t received_len;
    size_t received_room;
    SSL_SESSION *session;
    unsigned tickets;
    unsigned key_updates;
    int alert_received;
    int alert_sent;
    int reason;
    char alpn[256];
    unsigned char secret[EVP_MAX_MD_SIZE];
    size_t secret_len;
};

/* An ALPN list as TLS writes it, kept in the SSL_CTX for the server's choice. */
struct alpn_list {
    unsigned len;
    unsigned char wire[1024];
};

static void alpn_list_free(void *parent, void *list, CRYPTO_EX_DATA *ad, int index, long arg_long,
                           void *arg)
{
    (void)parent;
    (void)ad;
    (void)index;
    (void)arg_long;
    (void)arg;
    free(list);
}

static int alpn_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, alpn_list_free);
    return index;
}

static struct alpn_list *alpn_parse(const char *names)
{
    struct alpn_list *list = calloc(1, sizeof *list);
    const char *p = names;

    support_require(list != NULL);
    while (*p != '\0') {
        size_t len = strcspn(p, ",");

        support_require(len > 0 && len < 256 && list->len + len < sizeof list->wire);
        list->wire[list->len++] = (unsigned char)len;
        memcpy(list->wire + list->len, p, len);
        list->len += (unsigned)len;
        p += len + (p[len] == ',');
    }
    return list;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    const struct alpn_list *list = arg;

    (void)ssl;
    if (SSL_select_next_proto((unsigned char **)out, out_len, list->wire, list->len, in, in_len) ==
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* What the connection tells on its way. */

static void on_info(const SSL *ssl, int where, int value)
{
    struct peer *peer = SSL_get_app_data(ssl);

    if (where == SSL_CB_READ_ALERT)
        peer->alert_received = value & 0xff;
    if (where == SSL_CB_WRITE_ALERT)
        peer->alert_sent = value & 0xff;
}

static void on_message(int writing, int version, int type, const void *data, size_t len, SSL *ssl,
                       void *arg)
{
    struct peer *peer = SSL_get_app_data(ssl);
    const unsigned char *message = data;

    (void)version;
    (void)arg;
    if (!writing && type == SSL3_RT_HANDSHAKE && len > 0 && message[0] == SSL3_MT_KEY_UPDATE)
        peer->key_updates++;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct peer *peer = SSL_get_app_data(ssl);

    SSL_SESSION_free(peer->session);
    peer->session = session;
    peer->tickets++;
    return 1; /* the reference is ours now */
}

static void on_keylog(const SSL *ssl, const char *line)
{
    struct peer *peer = SSL_get_app_data(ssl);
    const char *label =
        SSL_is_server(ssl) ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_TRAFFIC_SECRET_0 ";

    if (strncmp(line, label, strlen(label)) == 0)
        support_require(OPENSSL_hexstr2buf_ex(peer->secret, sizeof peer->secret, &peer->secret_len,
                                              strrchr(line, ' ') + 1, '\0') == 1);
}

/* Setting up. */

static void use_identity(SSL_CTX *ctx, const struct pki_ident *ident)
{
    support_require(
        SSL_CTX_use_cert_and_key(ctx, pki_cert(ident), pki_key(ident), pki_chain(ident), 1) == 1);
}

static void set_verification(SSL_CTX *ctx, const struct peer_options *options)
{
    int mode = SSL_VERIFY_NONE;

    if (options->trust != NULL) {
        X509_STORE *store = SSL_CTX_get_cert_store(ctx);

        support_require(X509_STORE_add_cert(store, pki_cert(options->trust)) == 1);
        support_require(X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1);
        if (options->server)
            support_require(SSL_CTX_add_client_CA(ctx, pki_cert(options->trust)) == 1);
        else
            mode = SSL_VERIFY_PEER;
    }
    if (options->server && (options->request_certificate || options->require_certificate))
        mode = SSL_VERIFY_PEER;
    if (options->server && options->require_certificate)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, NULL);
}

static void set_lists(SSL_CTX *ctx, const struct peer_options *options)
{
    if (options->ciphers != NULL)
        support_require(SSL_CTX_set_cipher_list(ctx, options->ciphers) == 1);
    if (options->suites != NULL)
        support_require(SSL_CTX_set_ciphersuites(ctx, options->suites) == 1);
    if (options->groups != NULL)
        support_require(SSL_CTX_set1_groups_list(ctx, options->groups) == 1);
    if (options->sigalgs != NULL)
        support_require(SSL_CTX_set1_sigalgs_list(ctx, options->sigalgs) == 1);
}

static void make_sealable(SSL_CTX *ctx)
{
    support_require(SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM") == 1);
    support_require(
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384") == 1);
    SSL_CTX_set_keylog_callback(ctx, on_keylog);
}

static void set_alpn(SSL_CTX *ctx, const struct peer_options *options)
{
    struct alpn_list *list;

    if (options->alpn == NULL)
        return;
    list = alpn_parse(options->alpn);
    support_require(SSL_CTX_set_ex_data(ctx, alpn_index(), list) == 1);
    if (options->server)
        SSL_CTX_set_alpn_select_cb(ctx, select_alpn, list);
    else
        support_require(SSL_CTX_set_alpn_protos(ctx, list->wire, list->len) == 0);
}

static SSL_CTX *make_ctx(const struct peer_options *options)
{
    SSL_CTX *ctx = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());

    support_require(ctx != NULL);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_options(ctx, options->ssl_options);
    support_require(SSL_CTX_set_min_proto_version(ctx, options->min_version) == 1);
    support_require(SSL_CTX_set_max_proto_version(ctx, options->max_version) == 1);
    if (options->ident != NULL)
        use_identity(ctx, options->ident);
    if (options->ident2 != NULL)
        use_identity(ctx, options->ident2);
    set_verification(ctx, options);
    if (options->sealable)
        make_sealable(ctx);
    set_lists(ctx, options);
    set_alpn(ctx, options);
    if (options->num_tickets != 0 || options->no_tickets)
        support_require(SSL_CTX_set_num_tickets(ctx, options->num_tickets) == 1);
    if (options->no_tickets)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    if (options->max_fragment != 0)
        support_require(SSL_CTX_set_max_send_fragment(ctx, (long)options->max_fragment) == 1);
    if (options->server) {
        support_require(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"peer", 4) == 1);
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    }
    return ctx;
}

static void set_client(SSL *ssl, const struct peer_options *options)
{
    const char *sni = options->sni;

    SSL_set_connect_state(ssl);
    if (options->host != NULL) {
        /* Only one that is no address can be sent. */
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), options->host) != 1) {
            support_require(SSL_set1_host(ssl, options->host) == 1);
            sni = sni != NULL ? sni : options->host;
        }
        ERR_clear_error();
    }
    if (sni != NULL && sni[0] != '\0')
        support_require(SSL_set_tlsext_host_name(ssl, sni) == 1);
    if (options->session != NULL)
        support_require(SSL_set_session(ssl, options->session) == 1);
}

struct peer *peer_new(const struct peer_options *options)
{
    struct peer *peer;

    alloc_faults_pause();
    peer = calloc(1, sizeof *peer);
    support_require(peer != NULL);
    peer->alert_received = -1;
    peer->alert_sent = -1;
    if (options->like != NULL) {
        peer->ctx = options->like->ctx;
        support_require(SSL_CTX_up_ref(peer->ctx) == 1);
    } else {
        peer->ctx = make_ctx(options);
    }
    peer->ssl = SSL_new(peer->ctx);
    peer->in = BIO_new(BIO_s_mem());
    peer->out = BIO_new(BIO_s_mem());
    support_require(peer->ssl != NULL && peer->in != NULL && peer->out != NULL);
    BIO_set_mem_eof_return(peer->in, -1);
    SSL_set_bio(peer->ssl, peer->in, peer->out);
    SSL_set_app_data(peer->ssl, peer);
    SSL_set_info_callback(peer->ssl, on_info);
    SSL_set_msg_callback(peer->ssl, on_message);
    if (options->server)
        SSL_set_accept_state(peer->ssl);
    else
        set_client(peer->ssl, options);
    alloc_faults_resume();
    return peer;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    SSL_free(peer->ssl);
    SSL_SESSION_free(peer->session);
    SSL_CTX_free(peer->ctx);
    free(peer->received);
    free(peer);
}

/* Ciphertext. */

void peer_feed(struct peer *peer, const void *data, size_t len)
{
    size_t written = 0;

    alloc_faults_pause();
    if (len > 0)
        support_require(BIO_write_ex(peer->in, data, len, &written) == 1 && written == len);
    alloc_faults_resume();
}

void peer_feed_eof(struct peer *peer)
{
    BIO_set_mem_eof_return(peer->in, 0);
}

size_t peer_pending(const struct peer *peer)
{
    return BIO_ctrl_pending(peer->out);
}

const unsigned char *peer_peek(const struct peer *peer, size_t *len)
{
    char *data;
    long n = BIO_get_mem_data(peer->out, &data);

    *len = n > 0 ? (size_t)n : 0;
    return (unsigned char *)data;
}

size_t peer_take(struct peer *peer, void *data, size_t size)
{
    size_t len = 0;

    if (size == 0 || BIO_read_ex(peer->out, data, size, &len) != 1)
        return 0;
    return len;
}

void peer_inject(struct peer *peer, const void *data, size_t len)
{
    size_t written;

    alloc_faults_pause();
    support_require(BIO_write_ex(peer->out, data, len, &written) == 1 && written == len);
    alloc_faults_resume();
}

void peer_discard(struct peer *peer)
{
    support_require(BIO_reset(peer->out) == 1);
}

size_t peer_transfer(struct peer *from, struct peer *to, size_t max)
{
    unsigned char chunk[4096];
    size_t total = 0;

    while (total < max) {
        size_t room = max - total < sizeof chunk ? max - total : sizeof chunk;
        size_t len = peer_take(from, chunk, room);

        if (len == 0)
            break;
        peer_feed(to, chunk, len);
        total += len;
    }
    return total;
}

/* Steps: between enter and leave, which classify does, no failure injected elsewhere counts. */

static void enter(void)
{
    alloc_faults_pause();
    ERR_clear_error();
}

static void leave(void)
{
    ERR_clear_error();
    alloc_faults_resume();
}

static enum peer_result classify(struct peer *peer, int ret)
{
    enum peer_result result = PEER_FAILED;

    switch (SSL_get_error(peer->ssl, ret)) {
    case SSL_ERROR_NONE:
        result = PEER_OK;
        break;
    case SSL_ERROR_WANT_READ:
        result = PEER_WANT_INPUT;
        break;
    case SSL_ERROR_ZERO_RETURN:
        result = PEER_CLOSED;
        break;
    default:
        /* A call after the failure has nothing to say: the first reason stays. */
        if (peer->reason == 0)
            peer->reason = ERR_GET_REASON(ERR_peek_error());
        if (peer->reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            result = PEER_EOF;
        break;
    }
    leave();
    return result;
}

enum peer_result peer_handshake(struct peer *peer)
{
    enter();
    return classify(peer, SSL_do_handshake(peer->ssl));
}

enum peer_result peer_write(struct peer *peer, const void *data, size_t len)
{
    size_t written;

    enter();
    return classify(peer, SSL_write_ex(peer->ssl, data, len, &written));
}

enum peer_result peer_read(struct peer *peer, void *data, size_t size, size_t *len)
{
    *len = 0;
    enter();
    return classify(peer, SSL_read_ex(peer->ssl, data, size, len));
}

enum peer_result peer_shutdown(struct peer *peer)
{
    int ret;

    enter();
    ret = SSL_shutdown(peer->ssl);
    if (ret < 0)
        return classify(peer, ret);
    leave();
    return ret == 1 ? PEER_CLOSED : PEER_OK;
}

enum peer_result peer_key_update(struct peer *peer, bool request)
{
    int type = request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;

    enter();
    if (SSL_key_update(peer->ssl, type) != 1)
        return classify(peer, -1);
    return classify(peer, SSL_do_handshake(peer->ssl));
}

enum peer_result peer_renegotiate(struct peer *peer)
{
    enter();
    if (SSL_renegotiate(peer->ssl) != 1)
        return classify(peer, -1);
    return classify(peer, SSL_do_handshake(peer->ssl));
}

enum peer_result peer_send_ticket(struct peer *peer)
{
    enter();
    if (SSL_new_session_ticket(peer->ssl) != 1)
        return classify(peer, -1);
    return classify(peer, SSL_do_handshake(peer->ssl));
}

static void keep_received(struct peer *peer, const unsigned char *data, size_t len)
{
    if (peer->received_len + len > peer->received_room) {
        size_t room = (peer->received_len + len) * 2;
        unsigned char *bigger;

        alloc_faults_pause();
        bigger = realloc(peer->received, room);
        alloc_faults_resume();
        support_require(bigger != NULL);
        peer->received = bigger;
        peer->received_room = room;
    }
    if (len > 0)
        memcpy(peer->received + peer->received_len, data, len);
    peer->received_len += len;
}

enum peer_result peer_step(struct peer *peer)
{
    unsigned char chunk[16384];
    enum peer_result result = PEER_OK;

    if (!SSL_is_init_finished(peer->ssl))
        result = peer_handshake(peer);
    while (result == PEER_OK) {
        size_t len;

        result = peer_read(peer, chunk, sizeof chunk, &len);
        keep_received(peer, chunk, len);
    }
    return result;
}

const unsigned char *peer_received(const struct peer *peer, size_t *len)
{
    *len = peer->received_len;
    return peer->received;
}

/* What is known. */

bool peer_is_open(const struct peer *peer)
{
    return SSL_is_init_finished(peer->ssl);
}

int peer_alert_received(const struct peer *peer)
{
    return peer->alert_received;
}

int peer_alert_sent(const struct peer *peer)
{
    return peer->alert_sent;
}

int peer_reason(const struct peer *peer)
{
    return peer->reason;
}

long peer_verify_code(const struct peer *peer)
{
    return SSL_get_verify_result(peer->ssl);
}

const char *peer_alpn(struct peer *peer)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(peer->ssl, &name, &len);
    if (len > 0)
        memcpy(peer->alpn, name, len);
    peer->alpn[len] = '\0';
    return peer->alpn;
}

bool peer_session_reused(const struct peer *peer)
{
    return SSL_session_reused(peer->ssl) == 1;
}

unsigned peer_tickets(const struct peer *peer)
{
    return peer->tickets;
}

SSL_SESSION *peer_session(const struct peer *peer)
{
    return peer->session;
}

unsigned peer_key_updates_received(const struct peer *peer)
{
    return peer->key_updates;
}

size_t peer_traffic_secret(const struct peer *peer, unsigned char *secret, size_t size)
{
    support_require(peer->secret_len <= size);
    memcpy(secret, peer->secret, peer->secret_len);
    return peer->secret_len;
}

SSL *peer_ssl(const struct peer *peer)
{
    return peer->ssl;
}
