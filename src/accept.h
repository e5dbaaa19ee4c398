/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accepting when descriptors run out. A listener whose accept fails stays readable, and libevent
 * would try again at once, for ever.
 */
#ifndef EVTLS_SRC_ACCEPT_H
#define EVTLS_SRC_ACCEPT_H

struct evconnlistener;

/*
 * For evconnlistener_set_error_cb: disables the listener for a tenth of a second. The listener
 * must own its descriptor (LEV_OPT_CLOSE_ON_FREE), and may be freed meanwhile.
 */
void evtls_accept_rest(struct evconnlistener *listener, void *arg);

#endif
