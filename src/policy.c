/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "alpn.h"
#include "policy.h"

void evtls_policy_init(struct evtls_policy *policy, enum evtls_protocol protocol)
{
    *policy = (struct evtls_policy){
        .protocol = protocol,
        .verify_mode =
            protocol == EVTLS_PROTOCOL_TLS_CLIENT ? EVTLS_VERIFY_REQUIRED : EVTLS_VERIFY_NONE,
        .verify_flags = X509_V_FLAG_TRUSTED_FIRST,
        .security_level = -1,
        .num_tickets = 2,
    };
}

void evtls_policy_cleanup(struct evtls_policy *policy)
{
    free(policy->ciphers);
    free(policy->suites);
    free(policy->groups);
    free(policy->alpn);
    policy->ciphers = policy->suites = policy->groups = NULL;
    policy->alpn = NULL;
    policy->alpn_len = 0;
}

static int copy_string(char **dst, const char *src)
{
    *dst = src != NULL ? strdup(src) : NULL;
    return *dst != NULL || src == NULL ? 0 : -1;
}

static int copy_bytes(unsigned char **dst, const unsigned char *src, size_t len)
{
    *dst = NULL;
    if (src == NULL)
        return 0;
    *dst = malloc(len);
    if (*dst == NULL)
        return -1;
    memcpy(*dst, src, len);
    return 0;
}

int evtls_policy_copy(struct evtls_policy *dst, const struct evtls_policy *src)
{
    *dst = *src;
    dst->ciphers = dst->suites = dst->groups = NULL;
    dst->alpn = NULL;
    if (copy_string(&dst->ciphers, src->ciphers) == 0 &&
        copy_string(&dst->suites, src->suites) == 0 &&
        copy_string(&dst->groups, src->groups) == 0 &&
        copy_bytes(&dst->alpn, src->alpn, src->alpn_len) == 0)
        return 0;
    evtls_policy_cleanup(dst);
    return EVTLS_ERR_NOMEM;
}

/* ---- Roles and verification ------------------------------------------------------------- */

bool evtls_policy_can_play(const struct evtls_policy *policy, enum evtls_role role)
{
    return policy->protocol == EVTLS_PROTOCOL_TLS ||
           policy->protocol ==
               (role == EVTLS_CLIENT ? EVTLS_PROTOCOL_TLS_CLIENT : EVTLS_PROTOCOL_TLS_SERVER);
}

bool evtls_policy_verifies(const struct evtls_policy *policy, enum evtls_role role)
{
    return policy->verify_mode != EVTLS_VERIFY_NONE && !(role == EVTLS_CLIENT && policy->no_verify);
}

bool evtls_policy_checks_hostname(const struct evtls_policy *policy)
{
    return evtls_policy_verifies(policy, EVTLS_CLIENT) && !policy->no_hostname;
}

int evtls_policy_set_verify_mode(struct evtls_policy *policy, enum evtls_verify_mode mode,
                                 struct evtls_error *err)
{
    switch (mode) {
    case EVTLS_VERIFY_NONE:
        if (policy->protocol != EVTLS_PROTOCOL_TLS_SERVER)
            return evtls_error_set(err, EVTLS_ERR_USAGE,
                                   "a client that verifies nothing is made with "
                                   "evtls_context_set_insecure_no_verify");
        break;
    case EVTLS_VERIFY_OPTIONAL:
    case EVTLS_VERIFY_REQUIRED:
        break;
    default:
        return evtls_error_set(err, EVTLS_ERR_USAGE, "unknown verify mode %d", (int)mode);
    }
    policy->verify_mode = mode;
    policy->no_verify = false;
    return 0;
}

/* ---- Versions --------------------------------------------------------------------------- */

static const char *version_name(int version)
{
    switch (version) {
    case EVTLS_TLS_1_0:
        return "TLS 1.0";
    case EVTLS_TLS_1_1:
        return "TLS 1.1";
    case EVTLS_TLS_1_2:
        return "TLS 1.2";
    default:
        return "TLS 1.3";
    }
}

static bool is_version(int version)
{
    return version >= EVTLS_TLS_1_0 && version <= EVTLS_TLS_1_3;
}

/* min and max: 0 is the default. */
static int check_range(int min, int max, struct evtls_error *err)
{
    int low = min != 0 ? min : EVTLS_TLS_1_2, high = max != 0 ? max : EVTLS_TLS_1_3;

    if (low <= high)
        return 0;
    return evtls_error_set(err, EVTLS_ERR_CONFIG, "minimum version %s is above maximum %s",
                           version_name(low), version_name(high));
}

int evtls_policy_set_min_version(struct evtls_policy *policy, int version, bool insecure,
                                 struct evtls_error *err)
{
    int min = version, status;

    if (version == EVTLS_TLS_MINIMUM_SUPPORTED)
        min = insecure ? EVTLS_TLS_1_0 : 0;
    else if (version == EVTLS_TLS_MAXIMUM_SUPPORTED)
        min = EVTLS_TLS_1_3;
    else if (!is_version(version))
        return evtls_error_set(err, EVTLS_ERR_USAGE, "unknown protocol version 0x%04x",
                               (unsigned)version);
    else if (version < EVTLS_TLS_1_2 && !insecure)
        return evtls_error_set(err, EVTLS_ERR_USAGE,
                               "%s is insecure: evtls_context_set_insecure_min_version takes it",
                               version_name(version));
    status = check_range(min, policy->max_version, err);
    if (status == 0)
        policy->min_version = min;
    return status;
}

int evtls_policy_set_max_version(struct evtls_policy *policy, int version, struct evtls_error *err)
{
    int max = version, status;

    if (version == EVTLS_TLS_MINIMUM_SUPPORTED)
        max = EVTLS_TLS_1_2;
    else if (version == EVTLS_TLS_MAXIMUM_SUPPORTED)
        max = 0;
    else if (!is_version(version))
        return evtls_error_set(err, EVTLS_ERR_USAGE, "unknown protocol version 0x%04x",
                               (unsigned)version);
    status = check_range(policy->min_version, max, err);
    if (status == 0)
        policy->max_version = max;
    return status;
}

/* ---- Lists that OpenSSL judges ---------------------------------------------------------- */

int evtls_policy_security_level(const struct evtls_policy *policy, const SSL_CTX *fresh)
{
    int system = SSL_CTX_get_security_level(fresh);

    if (policy->security_level >= 0)
        return policy->security_level;
    return system > EVTLS_POLICY_SECURITY_LEVEL ? system : EVTLS_POLICY_SECURITY_LEVEL;
}

int evtls_policy_explain(struct evtls_error *err, const char *what)
{
    if (ERR_peek_error() == 0)
        return evtls_error_set_nomem(err);
    return evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "%s", what);
}

/* Puts a copy of text into *member. */
static int keep_string(char **member, const char *text, struct evtls_error *err)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return evtls_error_set_nomem(err);
    free(*member);
    *member = copy;
    return 0;
}

static SSL_CTX *new_trial(int *status, struct evtls_error *err)
{
    SSL_CTX *trial = SSL_CTX_new(TLS_method());

    if (trial == NULL)
        *status = evtls_policy_explain(err, "OpenSSL makes no SSL_CTX");
    return trial;
}

/*
 * Calls try with each name of a colon-separated list; the first that it refuses is put into
 * culprit. True when there is one. An empty name counts as refused.
 */
static bool find_culprit(const char *list, SSL_CTX *trial, bool (*try)(SSL_CTX *, const char *),
                         char *culprit, size_t size)
{
    for (;;) {
        size_t len, n;

        list += strspn(list, " \t");
        len = strcspn(list, ":");
        n = len < size ? len : size - 1;
        memcpy(culprit, list, n);
        culprit[n] = '\0';
        while (n > 0 && (culprit[n - 1] == ' ' || culprit[n - 1] == '\t'))
            culprit[--n] = '\0';
        /* Twice: it may have failed for lack of memory, which OpenSSL does not always say. */
        if (n == 0 || len >= size || (!try(trial, culprit) && !try(trial, culprit)))
            return true;
        if (list[len] == '\0')
            return false;
        list += len + 1;
    }
}

static int check_list(const char *list, const char *what, struct evtls_error *err)
{
    if (list == NULL || list[0] == '\0')
        return evtls_error_set(err, EVTLS_ERR_USAGE, "no list of %s", what);
    return 0;
}

static bool try_suite(SSL_CTX *trial, const char *name)
{
    return SSL_CTX_set_ciphersuites(trial, name) > 0;
}

static bool try_group(SSL_CTX *trial, const char *name)
{
    return SSL_CTX_set1_groups_list(trial, name) > 0;
}

int evtls_policy_set_ciphers(struct evtls_policy *policy, const char *list, struct evtls_error *err)
{
    int status = check_list(list, "ciphers", err), level;
    SSL_CTX *trial = status == 0 ? new_trial(&status, err) : NULL;

    if (trial == NULL)
        return status;
    level = evtls_policy_security_level(policy, trial);
    SSL_CTX_set_security_level(trial, level);
    if (SSL_CTX_set_cipher_list(trial, list) <= 0) {
        status = evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "No cipher can be selected. (\"%s\")",
                                      list);
        goto out;
    }
    status = keep_string(&policy->ciphers, list, err);
    /* @SECLEVEL=n in a list outlives the list. */
    if (status == 0 && SSL_CTX_get_security_level(trial) != level)
        policy->security_level = SSL_CTX_get_security_level(trial);
out:
    SSL_CTX_free(trial);
    evtls_ossl_clear_queue();
    return status;
}

int evtls_policy_set_suites(struct evtls_policy *policy, const char *suites,
                            struct evtls_error *err)
{
    int status = check_list(suites, "TLS 1.3 cipher suites", err);
    SSL_CTX *trial = status == 0 ? new_trial(&status, err) : NULL;
    char culprit[81];

    if (trial == NULL)
        return status;
    /* OpenSSL takes a list with unknown names in it as long as one is known. */
    if (find_culprit(suites, trial, try_suite, culprit, sizeof(culprit)))
        status = evtls_error_set(err, EVTLS_ERR_CONFIG,
                                 "unknown TLS 1.3 cipher suite \"%s\" in \"%s\"", culprit, suites);
    else if (SSL_CTX_set_ciphersuites(trial, suites) <= 0)
        status =
            evtls_error_set_ossl(err, EVTLS_ERR_CONFIG, "TLS 1.3 cipher suites \"%s\"", suites);
    else
        status = keep_string(&policy->suites, suites, err);
    SSL_CTX_free(trial);
    evtls_ossl_clear_queue();
    return status;
}

int evtls_policy_set_groups(struct evtls_policy *policy, const char *groups,
                            struct evtls_error *err)
{
    int status = check_list(groups, "groups", err);
    SSL_CTX *trial = status == 0 ? new_trial(&status, err) : NULL;
    char culprit[81];

    if (trial == NULL)
        return status;
    if (SSL_CTX_set1_groups_list(trial, groups) > 0)
        status = keep_string(&policy->groups, groups, err);
    else if (find_culprit(groups, trial, try_group, culprit, sizeof(culprit)))
        status = evtls_error_set(err, EVTLS_ERR_CONFIG,
                                 "unknown key-exchange group \"%s\" in \"%s\"", culprit, groups);
    else if (try_group(trial, groups))
        status = evtls_error_set_nomem(err);
    else
        status = evtls_error_set(err, EVTLS_ERR_CONFIG,
                                 "OpenSSL refuses the list of groups \"%s\"; does one stand twice "
                                 "in it?",
                                 groups);
    SSL_CTX_free(trial);
    evtls_ossl_clear_queue();
    return status;
}

/* ---- The rest --------------------------------------------------------------------------- */

int evtls_policy_set_alpn(struct evtls_policy *policy, const char *const *protocols, size_t n)
{
    unsigned char *wire;
    size_t len;
    int status = evtls_alpn_encode(protocols, n, &wire, &len);

    if (status != 0)
        return status;
    free(policy->alpn);
    policy->alpn = wire;
    policy->alpn_len = len;
    return 0;
}

int evtls_policy_set_num_tickets(struct evtls_policy *policy, unsigned n, struct evtls_error *err)
{
    if (policy->protocol == EVTLS_PROTOCOL_TLS_CLIENT)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "a client context sends no tickets");
    if (n > EVTLS_POLICY_MAX_TICKETS)
        return evtls_error_set(err, EVTLS_ERR_USAGE, "%u tickets: at most %d are sent", n,
                               EVTLS_POLICY_MAX_TICKETS);
    policy->num_tickets = n;
    return 0;
}
