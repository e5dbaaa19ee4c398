# The library. A new source file is one line in the right list, in alphabetical order: its .c and .h
# in a _SOURCES list, a public header in evtlsinclude_HEADERS. A new public function is also one line
# in src/evtls.map (or src/evtls_extra.map).
#
# Sources are compiled once, into convenience libraries with every symbol visible to a static link:
# the tests link those; libevtls and libevtls_extra are the same objects behind a symbol map.

evtlsincludedir = $(includedir)/evtls
evtlsinclude_HEADERS = \
	include/evtls/bufferevent.h \
	include/evtls/certificate.h \
	include/evtls/connect.h \
	include/evtls/context.h \
	include/evtls/engine.h \
	include/evtls/error.h \
	include/evtls/evhttp.h \
	include/evtls/evtls.h \
	include/evtls/export.h \
	include/evtls/openssl.h \
	include/evtls/session.h \
	include/evtls/version.h

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = evtls.pc evtls_extra.pc

noinst_LTLIBRARIES += libevtls_core.la libevtls_extra_core.la

libevtls_core_la_SOURCES = \
	src/alpn.c \
	src/alpn.h \
	src/base.c \
	src/base.h \
	src/bev.c \
	src/bev.h \
	src/bev_connect.c \
	src/bev_connect.h \
	src/bev_dead.c \
	src/bev_dead.h \
	src/bev_enable.c \
	src/bev_end.c \
	src/bev_filter.c \
	src/bev_limit.c \
	src/bev_notify.c \
	src/bev_ops.c \
	src/bev_ops.h \
	src/bev_plain.c \
	src/bev_read.c \
	src/bev_socket.c \
	src/bev_under.c \
	src/bev_under.h \
	src/bev_write.c \
	src/bio.c \
	src/bio.h \
	src/callbacks.c \
	src/callbacks.h \
	src/certificate.c \
	src/certificate.h \
	src/compat.h \
	src/context.c \
	src/context.h \
	src/context_internal.h \
	src/context_set.c \
	src/context_ssl.c \
	src/dump.c \
	src/engine.c \
	src/engine.h \
	src/engine_info.c \
	src/engine_internal.h \
	src/engine_io.c \
	src/engine_result.c \
	src/engine_ssl.c \
	src/engine_ssl.h \
	src/engine_state.c \
	src/engine_state.h \
	src/error.c \
	src/error.h \
	src/hostname.c \
	src/hostname.h \
	src/identity.c \
	src/identity.h \
	src/identity_load.c \
	src/input.c \
	src/input.h \
	src/keylog.c \
	src/keylog.h \
	src/library.c \
	src/library.h \
	src/lineage.c \
	src/lineage.h \
	src/ossl_names.c \
	src/pem.c \
	src/pem.h \
	src/pem_key.c \
	src/pem_key.h \
	src/policy.c \
	src/policy.h \
	src/policy_apply.c \
	src/port.h \
	src/port_evbuffer.c \
	src/port_evbuffer.h \
	src/private.h \
	src/self_signed.c \
	src/session.c \
	src/session.h \
	src/session_cache.c \
	src/session_cache.h \
	src/sni.c \
	src/sni.h \
	src/ticket_keys.c \
	src/ticket_keys.h \
	src/trust.c \
	src/trust.h \
	src/trust_batch.c \
	src/trust_batch.h \
	src/trust_system.c \
	src/utf8.c \
	src/utf8.h \
	src/verify_names.c \
	src/verify_names.h \
	src/verify_reason.c \
	src/verify_reason.h \
	src/version.c

libevtls_extra_core_la_SOURCES = \
	src/accept.c \
	src/accept.h \
	src/addresses.c \
	src/addresses.h \
	src/connect_hostname.c \
	src/connect_hostname.h \
	src/evhttp.c \
	src/evhttp_client.c \
	src/race.c \
	src/race.h \
	src/resolve.c \
	src/resolve.h

evtls_cppflags = $(AM_CPPFLAGS) -D_GNU_SOURCE $(LIBEVENT_CORE_CFLAGS) $(OPENSSL_CFLAGS)

libevtls_core_la_CPPFLAGS = $(evtls_cppflags)
libevtls_core_la_CFLAGS = $(AM_CFLAGS) $(EVTLS_VISIBILITY_CFLAGS)
libevtls_core_la_LIBADD = $(LIBEVENT_CORE_LIBS) $(OPENSSL_LIBS) $(PTHREAD_LIBS)

libevtls_extra_core_la_CPPFLAGS = $(evtls_cppflags) $(LIBEVENT_EXTRA_CFLAGS)
libevtls_extra_core_la_CFLAGS = $(AM_CFLAGS) $(EVTLS_VISIBILITY_CFLAGS)

lib_LTLIBRARIES += libevtls.la libevtls_extra.la

# current:revision:age, raised at a release as libtool's manual says.
evtls_version_info = 0:0:0

libevtls_la_SOURCES =
libevtls_la_LIBADD = libevtls_core.la
libevtls_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined -version-info $(evtls_version_info)

libevtls_extra_la_SOURCES =
libevtls_extra_la_LIBADD = libevtls_extra_core.la libevtls.la $(LIBEVENT_EXTRA_LIBS)
libevtls_extra_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined -version-info $(evtls_version_info)

if HAVE_VERSION_SCRIPT
libevtls_la_LDFLAGS += -Wl,--version-script=$(top_srcdir)/src/evtls.map
EXTRA_libevtls_la_DEPENDENCIES = src/evtls.map
libevtls_extra_la_LDFLAGS += -Wl,--version-script=$(top_srcdir)/src/evtls_extra.map
EXTRA_libevtls_extra_la_DEPENDENCIES = src/evtls_extra.map
endif

EXTRA_DIST += src/evtls.map src/evtls_extra.map
