#include "config.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "require.h"
#include "trust_verify.h"

int trust_verify(const struct evtls_trust *trust, struct pki_ident *ident, unsigned long flags)
{
    SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_method());
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int code;

    support_require(ssl_ctx != NULL && ctx != NULL);
    support_require(evtls_trust_use(trust, ssl_ctx, NULL) == 0);
    support_require(X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(ssl_ctx), pki_cert(ident),
                                        pki_chain(ident)) == 1);
    X509_STORE_CTX_set_default(ctx, "ssl_server");
    X509_STORE_CTX_set_flags(ctx, flags | X509_V_FLAG_PARTIAL_CHAIN);
    code = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    SSL_CTX_free(ssl_ctx);
    ERR_clear_error();
    return code;
}
