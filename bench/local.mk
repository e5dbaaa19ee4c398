# Measurements: "make bench" runs a short selection, bench/run --help says what else there is.
# Nothing here is built by plain "make" or "make check". bench/run needs Python 3.

bench_cppflags = $(AM_CPPFLAGS) -D_GNU_SOURCE $(LIBEVENT_CORE_CFLAGS) $(LIBEVENT_OPENSSL_CFLAGS) \
	$(OPENSSL_CFLAGS)

.PHONY: bench

if HAVE_LIBEVENT_OPENSSL
EXTRA_PROGRAMS = bench/server bench/client

bench_server_CPPFLAGS = $(bench_cppflags)
bench_server_LDADD = libevtls.la $(LIBEVENT_OPENSSL_LIBS) \
	$(LIBEVENT_CORE_LIBS) $(OPENSSL_LIBS)
bench_server_SOURCES = \
	bench/common.c \
	bench/common.h \
	bench/raw.c \
	bench/raw.h \
	bench/server.c \
	bench/server.h \
	bench/server_bev.c \
	bench/server_evtls.c \
	bench/server_openssl.c \
	bench/server_raw.c

bench_client_CPPFLAGS = $(bench_cppflags)
bench_client_LDADD = $(OPENSSL_LIBS)
bench_client_SOURCES = \
	bench/client.c \
	bench/common.c \
	bench/common.h \
	bench/raw.c \
	bench/raw.h

CLEANFILES += $(EXTRA_PROGRAMS) bench-results.json bench-results.svg

bench: $(EXTRA_PROGRAMS)
	$(top_srcdir)/bench/run --programs bench --short
else
bench:
	@echo "make bench: configure found no libevent_openssl, which evtls is measured against" >&2
	@exit 1
endif

EXTRA_DIST += bench/run
