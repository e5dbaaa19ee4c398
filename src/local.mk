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
	src/certificate.c \
	src/certificate.h \
	src/compat.h \
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
	src/ossl_names.c \
	src/pem.c \
	src/pem.h \
	src/pem_key.c \
	src/pem_key.h \
	src/private.h \
	src/self_signed.c \
	src/trust.c \
	src/trust.h \
	src/trust_batch.c \
	src/trust_batch.h \
	src/trust_system.c \
	src/utf8.c \
	src/utf8.h \
	src/version.c

libevtls_extra_core_la_SOURCES = \
	src/evhttp.c

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
