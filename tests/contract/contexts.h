/* The two contexts of evtls, which its transports share. */
#ifndef CONTRACT_CONTEXTS_H
#define CONTRACT_CONTEXTS_H

#include "transport.h"

#include <evtls/bufferevent.h>

/* Makes them: a server's with a certificate made at run time, and a client's that trusts it. Once a
 * process; 0 or -1. */
int contract_contexts_make(void);

struct evtls_context *contract_context(enum contract_role role);
enum evtls_role contract_evtls_role(enum contract_role role);

/* What a constructor gave: says why where that is nothing, and gives a client its server's name. */
struct bufferevent *contract_made(struct bufferevent *bev, enum contract_role role,
                                  const struct evtls_error *err);

#endif
