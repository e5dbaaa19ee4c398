/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interop/pki DIR: writes the certificates of the interop rows into DIR, NAME.pem with its chain
 * and NAME.key. All but the CAs and the named hosts are for localhost, 127.0.0.1 and ::1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/pki.h"

static const struct {
    const char *name;
    struct pki_spec spec;
    bool leaf_only; /* without the intermediate, which nobody else has */
} identities[] = {
    {"server", {.eku = PKI_EKU_SERVER}, false},
    {"expired", {.not_before = -3 * PKI_DAY, .not_after = -2 * PKI_DAY}, false},
    {"self", {.by = PKI_BY_SELF}, false},
    {"incomplete", {.org = "Leaf alone"}, true},
    {"otherhost", {.cn = "elsewhere.test", .san = "DNS:elsewhere.test"}, false},
    {"one", {.cn = "one.test", .san = "DNS:one.test"}, false},
    {"two", {.cn = "two.test", .san = "DNS:two.test"}, false},
    {"three", {.cn = "three.test", .san = "DNS:three.test"}, false},
    {"client", {.cn = "client", .san = "DNS:client.test", .eku = PKI_EKU_CLIENT}, false},
};

static void write_file(const char *dir, const char *name, const char *ending, const char *text)
{
    char path[1024];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.%s", dir, name, ending);
    file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void write_identity(const char *dir, const char *name, struct pki_ident *ident,
                           bool leaf_only)
{
    write_file(dir, name, "pem", leaf_only ? pki_cert_pem(ident) : pki_chain_pem(ident));
    write_file(dir, name, "key", pki_key_pem(ident));
    /* For programs that want the issuers apart. */
    write_file(dir, name, "chain",
               leaf_only ? "" : pki_chain_pem(ident) + strlen(pki_cert_pem(ident)));
}

/* A whole chain to a root that nobody trusts: nothing is missing in it but the trust. */
static void write_unknown(struct pki *pki, const char *dir)
{
    struct pki_spec issuer = {.by = PKI_BY_OTHER, .ca = true, .cn = "Unknown Intermediate CA"};
    struct pki_spec leaf = {.issuer = pki_issue(pki, &issuer)};

    write_identity(dir, "unknown", pki_issue(pki, &leaf), false);
}

int main(int argc, char **argv)
{
    struct pki *pki;

    if (argc != 2) {
        fprintf(stderr, "usage: pki DIR\n");
        return 2;
    }
    pki = pki_new();
    write_file(argv[1], "ca", "pem", pki_cert_pem(pki_root(pki)));
    write_file(argv[1], "other-ca", "pem", pki_cert_pem(pki_other_root(pki)));
    write_unknown(pki, argv[1]);
    for (size_t i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
        struct pki_ident *ident = pki_issue(pki, &identities[i].spec);

        write_identity(argv[1], identities[i].name, ident, identities[i].leaf_only);
    }
    pki_free(pki);
    return 0;
}
