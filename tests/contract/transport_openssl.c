/*
 * libevent's own bufferevent_openssl_socket_new, set up as programs set it up: a close without
 * close_notify counts as an end, since bufferevent_free sends none. Its known failures are listed
 * with their reason.
 */
#include "transport.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

static SSL_CTX *contexts[2]; /* by enum contract_role */

/* Without BEV_OPT_CLOSE_ON_FREE the SSL stays the caller's: kept here until the row is over. */
static SSL *kept[64];
static size_t n_kept;

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

static int set_up(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key != NULL ? self_signed(key) : NULL;
    contexts[CONTRACT_CLIENT] = SSL_CTX_new(TLS_client_method());
    contexts[CONTRACT_SERVER] = SSL_CTX_new(TLS_server_method());
    int ok = cert != NULL && contexts[CONTRACT_CLIENT] != NULL &&
             contexts[CONTRACT_SERVER] != NULL &&
             SSL_CTX_use_certificate(contexts[CONTRACT_SERVER], cert) == 1 &&
             SSL_CTX_use_PrivateKey(contexts[CONTRACT_SERVER], key) == 1;
    X509_free(cert);
    EVP_PKEY_free(key);
    /* OpenSSL 3 reports an end without close_notify in a way that allow_dirty_shutdown of 2.1.12
     * doesn't know. */
    if (ok)
        SSL_CTX_set_options(contexts[CONTRACT_CLIENT], SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (ok)
        SSL_CTX_set_options(contexts[CONTRACT_SERVER], SSL_OP_IGNORE_UNEXPECTED_EOF);
    return ok ? 0 : -1;
}

static struct bufferevent *make(struct event_base *base, evutil_socket_t fd,
                                enum contract_role role, int bev_options)
{
    SSL *ssl = SSL_new(contexts[role]);
    if (ssl == NULL)
        return NULL;
    if (!(bev_options & BEV_OPT_CLOSE_ON_FREE) && n_kept < sizeof(kept) / sizeof(kept[0]))
        kept[n_kept++] = ssl;
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        base, fd, ssl,
        role == CONTRACT_SERVER ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING,
        bev_options);
    if (bev != NULL)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

static void sweep(void)
{
    while (n_kept > 0)
        SSL_free(kept[--n_kept]);
}

#define EARLY_END "the end is reported before the last bytes are in the input (A4)"
#define STUCK "bytes that stay inside TLS at a high watermark don't wake the reader"

static const struct contract_known known[] = {
    {"write__free_when_empty_slow_reader_odd_bytes", EARLY_END, 0},
    {"end__after_every_byte", EARLY_END, 0},
    {"connect__write_when_connected", EARLY_END, 0},
    {"write__asked_for_data_when_enabled",
     "enabling writing with an empty output asks nobody for data", 0},
    {"buffers__front_of_output_is_frozen", "its buffers are not frozen", 0},
    {"buffers__end_of_input_is_frozen", "its buffers are not frozen", 0},
    {"pressure__reader_at_its_watermark", "it reads past the high watermark", 0},
    {"read__high_watermark_bounds_the_input", "it reads past the high watermark", 0},
    {"read__high_watermark_raised_and_removed", "it reads past the high watermark", 0},
    {"read__high_watermark_lowered", "it reads past the high watermark", 0},
    {"read__high_watermark_and_pause", "it reads past the high watermark", 0},
    {"end__behind_a_full_input", "it reads past the high watermark", 0},
    {"read__high_watermark_drained_outside_a_callback", STUCK, 0},
    {"read__called_again_while_at_the_high_watermark", STUCK, 0},
    {"end__free_is_an_end_for_the_peer", "reading stays enabled after the end", 0},
    {"end__reset_is_one_error", "with dirty shutdown allowed a reset looks like an end (A1)", 0},
    {"free__itself_at_an_error", "with dirty shutdown allowed a reset looks like an end (A1)", 0},
    {"end__cut_is_not_an_end", "with dirty shutdown allowed a reset looks like an end (A1)", 0},
    {"end__write_error", "a failed write is reported as an end with dirty shutdown allowed (A1)",
     0},
    {"free__itself_when_refused",
     "a failed connect still starts a handshake, and its errno is lost (A11, A18)", 0},
    {"connect__refused",
     "a failed connect still starts a handshake, and its errno is lost (A11, A18)", 0},
    {"connect__refused_deferred",
     "a failed connect still starts a handshake, and its errno is lost (A11, A18)", 0},
    {"connect__refused_with_output",
     "a failed connect still starts a handshake, and its errno is lost (A11, A18)", 0},
    {"connect__errno_of_a_refusal",
     "a failed connect still starts a handshake, and its errno is lost (A11, A18)", 0},
    {"connect__errno_of_a_refusal_deferred",
     "a failed connect still starts a handshake, and its errno is lost (A11, A18)", 0},
    {"names__refused_after_lookup",
     "a failed connect still starts a handshake, and its errno is lost (A11, A18)", 0},
    {"timers__read_fires_once", "a timeout doesn't disable its direction and fires again and again",
     0},
    {"timers__read_fires_once_deferred",
     "a timeout doesn't disable its direction and fires again and again", 0},
    {"timers__read_is_not_the_end",
     "a timeout doesn't disable its direction and fires again and again", 0},
    {"timers__read_enabled_again_in_the_callback",
     "a timeout doesn't disable its direction and fires again and again", 0},
    {"timers__write_fires_once",
     "a timeout doesn't disable its direction and fires again and again", 0},
    {"timers__both_run_on_their_own",
     "a timeout doesn't disable its direction and fires again and again", 0},
    {"names__setfd_during_lookup",
     "after a cancelled lookup the handshake is done and no byte moves", 0},
    {"limits__rate_and_end", EARLY_END, 0},
    {"limits__max_single_read", "limits of a single read or write are overrun (A6)", 0},
    {"limits__max_single_write", "limits of a single read or write are overrun (A6)", 0},
    {"limits__priority_stays", "the priority is lost at the end of the handshake", 0},
    {"threads__unlocked_needs_deferred", "a refused constructor crashes (A13)", 0},
    {"threads__idioms_locked", EARLY_END, 0},
    {"threads__idioms_unlocked", EARLY_END, 0},
    /* Depending on how the bytes fall, these pass or not. */
    {"timers__write_not_while_it_moves", STUCK, 1},
    {"write__free_when_empty_slow_reader", STUCK, 1},
    {"write__free_when_empty_deferred", STUCK, 1},
    {"pressure__proxy_to_a_slow_reader", STUCK, 1},
    {"pressure__proxy_to_a_slow_reader_deferred", STUCK, 1},
    {"http__close_slow_reader", STUCK, 1},
    {"http__close_slow_reader_chunked", STUCK, 1},
    {"http__close_slow_reader_http_1_0", STUCK, 1},
    {"write__free_when_empty_large", EARLY_END, 1},
    {"write__free_when_empty_paused_reader", EARLY_END, 1},
    {"write__free_when_empty_answer_to_a_request", EARLY_END, 1},
    {"http__body_until_the_end", EARLY_END, 1},
    {0},
};

const struct contract_transport contract_transport_openssl = {
    .name = "openssl",
    .what = "libevent's bufferevent_openssl_socket_new",
    .traits = CONTRACT_TLS | CONTRACT_FD | CONTRACT_PRIORITY | CONTRACT_RATE | CONTRACT_HTTP |
              CONTRACT_LONE,
    .set_up = set_up,
    .make = make,
    .sweep = sweep,
    .known = known,
};
