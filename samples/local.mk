# Programs that people copy from: they see only the installed headers, link the real libraries, and
# are built by plain "make". What several of them share is compiled once, into samples/libsample.la. A
# new sample is one name in noinst_PROGRAMS and its _SOURCES, _CPPFLAGS and _LDADD lines:
#
#   noinst_PROGRAMS += samples/NAME
#   samples_NAME_SOURCES = samples/NAME.c
#   samples_NAME_CPPFLAGS = $(sample_cppflags)
#   samples_NAME_LDADD = $(sample_ldadd)          ($(sample_extra_ldadd) where evhttp or evdns is used)

sample_cppflags = $(AM_CPPFLAGS) -D_DEFAULT_SOURCE $(LIBEVENT_CORE_CFLAGS)
sample_ldadd = samples/libsample.la libevtls.la $(LIBEVENT_CORE_LIBS)
sample_extra_ldadd = samples/libsample.la libevtls_extra.la libevtls.la $(LIBEVENT_EXTRA_LIBS) \
	$(LIBEVENT_CORE_LIBS)

noinst_LTLIBRARIES += samples/libsample.la
samples_libsample_la_SOURCES = \
	samples/sample_address.c \
	samples/sample_address.h \
	samples/sample_server.c \
	samples/sample_server.h \
	samples/sample_util.c \
	samples/sample_util.h
samples_libsample_la_CPPFLAGS = $(sample_cppflags)

noinst_PROGRAMS += samples/tls-echo-server
samples_tls_echo_server_SOURCES = samples/tls-echo-server.c
samples_tls_echo_server_CPPFLAGS = $(sample_cppflags)
samples_tls_echo_server_LDADD = $(sample_ldadd)

noinst_PROGRAMS += samples/tls-echo-client
samples_tls_echo_client_SOURCES = samples/tls-echo-client.c
samples_tls_echo_client_CPPFLAGS = $(sample_cppflags)
samples_tls_echo_client_LDADD = $(sample_extra_ldadd)

noinst_PROGRAMS += samples/https-server
samples_https_server_SOURCES = \
	samples/file_reply.c \
	samples/file_reply.h \
	samples/http_files.c \
	samples/http_files.h \
	samples/https-server.c \
	samples/static_files.c \
	samples/static_files.h \
	samples/vhosts.c \
	samples/vhosts.h
samples_https_server_CPPFLAGS = $(sample_cppflags)
samples_https_server_LDADD = $(sample_extra_ldadd)

noinst_PROGRAMS += samples/https-get
samples_https_get_SOURCES = \
	samples/http_response.c \
	samples/http_response.h \
	samples/https-get.c \
	samples/https_client.c \
	samples/https_client.h \
	samples/https_sessions.c \
	samples/https_sessions.h \
	samples/https_url.c \
	samples/https_url.h \
	samples/https_verbose.c \
	samples/https_verbose.h \
	samples/progress.c \
	samples/progress.h
samples_https_get_CPPFLAGS = $(sample_cppflags)
samples_https_get_LDADD = $(sample_extra_ldadd)

# The main job, shown: "make demo". Needs curl and the openssl command.
.PHONY: demo
demo: all
	@srcdir='$(srcdir)' $(SHELL) $(top_srcdir)/samples/demo.sh

EXTRA_DIST += \
	samples/demo.sh \
	samples/www/index.html \
	samples/www/style.css

noinst_PROGRAMS += samples/tls-proxy
samples_tls_proxy_SOURCES = samples/tls-proxy.c
samples_tls_proxy_CPPFLAGS = $(sample_cppflags)
samples_tls_proxy_LDADD = $(sample_ldadd)

noinst_PROGRAMS += samples/greeter
samples_greeter_SOURCES = samples/greeter.c
samples_greeter_CPPFLAGS = $(sample_cppflags)
samples_greeter_LDADD = $(sample_ldadd)

noinst_PROGRAMS += samples/memory-tls
samples_memory_tls_SOURCES = samples/memory-tls.c
samples_memory_tls_CPPFLAGS = $(sample_cppflags)
samples_memory_tls_LDADD = $(sample_ldadd)

noinst_PROGRAMS += samples/starttls-chat
samples_starttls_chat_SOURCES = \
	samples/chat_client.c \
	samples/chat_client.h \
	samples/chat_dialects.c \
	samples/chat_dialects.h \
	samples/starttls-chat.c
samples_starttls_chat_CPPFLAGS = $(sample_cppflags)
samples_starttls_chat_LDADD = $(sample_extra_ldadd)
