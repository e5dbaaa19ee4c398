# A test program for src/NAME.c is tests/test_NAME.c; its main calls suite_run (tests/support/suite.h).
# To add one:
#
#   check_tests += tests/test_NAME
#   tests_test_NAME_CPPFLAGS = $(test_cppflags)
#   tests_test_NAME_LDADD = $(test_ldadd)           ($(test_extra_ldadd) with evhttp or evdns)
#
# and a _SOURCES line where it is more than that one file. Headers: "x.h" of src/, "support/x.h".
#
# A script is one line in script_tests. It passes with exit status 0, skips with 77, and counts as
# one case, unless it prints TAP ("1..N", "ok 1 - name", "not ok 2 - name", "ok 3 - name # SKIP why").
# Scripts find the sources in $srcdir and run in the build folder.

check_tests =
script_tests = \
	tests/check-driver \
	tests/check-headers \
	tests/check-includes \
	tests/check-readme \
	tests/check-style \
	tests/check-symbols

test_cppflags = $(AM_CPPFLAGS) -D_GNU_SOURCE -iquote $(top_srcdir)/src -I$(top_srcdir)/tests \
	$(LIBEVENT_EXTRA_CFLAGS) $(LIBEVENT_PTHREADS_CFLAGS) $(OPENSSL_CFLAGS) $(CHECK_CFLAGS)
test_libs = $(LIBEVENT_PTHREADS_LIBS) $(LIBEVENT_CORE_LIBS) $(OPENSSL_LIBS) $(CHECK_LIBS) \
	$(PTHREAD_LIBS)
test_ldadd = libevtls_testsupport.la libevtls_core.la $(test_libs)
test_extra_ldadd = libevtls_testsupport.la libevtls_extra_core.la libevtls_core.la \
	$(LIBEVENT_EXTRA_LIBS) $(test_libs)

# What several test programs share: one line a file.
check_LTLIBRARIES += libevtls_testsupport.la
libevtls_testsupport_la_CPPFLAGS = $(test_cppflags)
libevtls_testsupport_la_SOURCES = \
	tests/support/alloc_faults.c \
	tests/support/alloc_faults.h \
	tests/support/alloc_guard.c \
	tests/support/alloc_guard.h \
	tests/support/alloc_wrap.c \
	tests/support/bev_pair.c \
	tests/support/bev_pair.h \
	tests/support/connects.c \
	tests/support/connects.h \
	tests/support/dns.c \
	tests/support/dns.h \
	tests/support/engine_pair.c \
	tests/support/engine_pair.h \
	tests/support/engines.c \
	tests/support/engines.h \
	tests/support/faults.c \
	tests/support/faults.h \
	tests/support/faults_calls.c \
	tests/support/faults_calls.h \
	tests/support/forked_peer.c \
	tests/support/forked_peer.h \
	tests/support/hello.c \
	tests/support/hello.h \
	tests/support/hostile.c \
	tests/support/hostile.h \
	tests/support/hostile_data.c \
	tests/support/hosts.c \
	tests/support/hosts.h \
	tests/support/loop.c \
	tests/support/loop.h \
	tests/support/net.c \
	tests/support/net.h \
	tests/support/peer.c \
	tests/support/peer.h \
	tests/support/pki.c \
	tests/support/pki.h \
	tests/support/pki_key.c \
	tests/support/pki_key.h \
	tests/support/require.c \
	tests/support/require.h \
	tests/support/rng.c \
	tests/support/rng.h \
	tests/support/script.c \
	tests/support/script.h \
	tests/support/script_transport.c \
	tests/support/script_transport.h \
	tests/support/seal.c \
	tests/support/seal.h \
	tests/support/suite.c \
	tests/support/suite.h \
	tests/support/tmpdir.c \
	tests/support/tmpdir.h \
	tests/support/trust_verify.c \
	tests/support/trust_verify.h \
	tests/support/vclock.c \
	tests/support/vclock.h \
	tests/support/wire.c \
	tests/support/wire.h

# A program whose allocations fail (support/alloc_faults.h) has _LDFLAGS = $(alloc_faults_ldflags).
alloc_faults_ldflags = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup \
	-Wl,--wrap=asprintf,--wrap=vasprintf,--wrap=__asprintf_chk,--wrap=__vasprintf_chk

check_tests += tests/support/test_support_alloc
tests_support_test_support_alloc_CPPFLAGS = $(test_cppflags)
tests_support_test_support_alloc_LDADD = $(test_ldadd)
tests_support_test_support_alloc_LDFLAGS = $(alloc_faults_ldflags)

check_tests += tests/support/test_support_faults
tests_support_test_support_faults_CPPFLAGS = $(test_cppflags)
tests_support_test_support_faults_LDADD = $(test_ldadd)

check_tests += tests/support/test_support_loop
tests_support_test_support_loop_CPPFLAGS = $(test_cppflags)
tests_support_test_support_loop_LDADD = $(test_ldadd)

check_tests += tests/support/test_support_vclock
tests_support_test_support_vclock_CPPFLAGS = $(test_cppflags)
tests_support_test_support_vclock_LDADD = $(test_ldadd)

check_tests += tests/support/test_support_script
tests_support_test_support_script_CPPFLAGS = $(test_cppflags)
tests_support_test_support_script_LDADD = $(test_ldadd)

check_tests += tests/support/test_support_wire
tests_support_test_support_wire_CPPFLAGS = $(test_cppflags)
tests_support_test_support_wire_LDADD = $(test_ldadd)

check_tests += tests/support/test_support_raw
tests_support_test_support_raw_CPPFLAGS = $(test_cppflags)
tests_support_test_support_raw_LDADD = $(test_ldadd)

check_tests += tests/support/test_support_peer
tests_support_test_support_peer_CPPFLAGS = $(test_cppflags)
tests_support_test_support_peer_LDADD = $(test_ldadd)

check_tests += tests/support/test_support_pki
tests_support_test_support_pki_CPPFLAGS = $(test_cppflags)
tests_support_test_support_pki_LDADD = $(test_ldadd)

check_tests += tests/test_alpn
tests_test_alpn_CPPFLAGS = $(test_cppflags)
tests_test_alpn_LDADD = $(test_ldadd)

check_tests += tests/test_bev
tests_test_bev_CPPFLAGS = $(test_cppflags)
tests_test_bev_LDADD = $(test_ldadd)

check_tests += tests/test_bev_connect
tests_test_bev_connect_CPPFLAGS = $(test_cppflags)
tests_test_bev_connect_LDADD = $(test_ldadd)

check_tests += tests/test_bev_end
tests_test_bev_end_CPPFLAGS = $(test_cppflags)
tests_test_bev_end_LDADD = $(test_ldadd)

check_tests += tests/test_bev_fail
tests_test_bev_fail_CPPFLAGS = $(test_cppflags)
tests_test_bev_fail_LDADD = $(test_ldadd)

check_tests += tests/test_bio
tests_test_bio_CPPFLAGS = $(test_cppflags)
tests_test_bio_LDADD = $(test_ldadd)

check_tests += tests/test_callbacks
tests_test_callbacks_CPPFLAGS = $(test_cppflags)
tests_test_callbacks_LDADD = $(test_ldadd)

check_tests += tests/test_certificate
tests_test_certificate_CPPFLAGS = $(test_cppflags)
tests_test_certificate_LDADD = $(test_ldadd)

check_tests += tests/test_config_memory
tests_test_config_memory_CPPFLAGS = $(test_cppflags)
tests_test_config_memory_LDADD = $(test_ldadd)
tests_test_config_memory_LDFLAGS = $(alloc_faults_ldflags)

check_tests += tests/test_addresses
tests_test_addresses_CPPFLAGS = $(test_cppflags)
tests_test_addresses_LDADD = $(test_extra_ldadd)

check_tests += tests/test_connect_hostname
tests_test_connect_hostname_CPPFLAGS = $(test_cppflags)
tests_test_connect_hostname_LDADD = $(test_extra_ldadd)
tests_test_connect_hostname_SOURCES = \
	tests/connect_world.c \
	tests/connect_world.h \
	tests/test_connect_hostname.c

check_tests += tests/test_connect_cancel
tests_test_connect_cancel_CPPFLAGS = $(test_cppflags)
tests_test_connect_cancel_LDADD = $(test_extra_ldadd)
tests_test_connect_cancel_SOURCES = \
	tests/connect_world.c \
	tests/connect_world.h \
	tests/test_connect_cancel.c

check_tests += tests/test_context
tests_test_context_CPPFLAGS = $(test_cppflags)
tests_test_context_LDADD = $(test_ldadd)

check_tests += tests/test_context_default
tests_test_context_default_CPPFLAGS = $(test_cppflags)
tests_test_context_default_LDADD = $(test_ldadd)

check_tests += tests/test_context_memory
tests_test_context_memory_CPPFLAGS = $(test_cppflags)
tests_test_context_memory_LDADD = $(test_ldadd)
tests_test_context_memory_LDFLAGS = $(alloc_faults_ldflags)

check_tests += tests/test_context_verify
tests_test_context_verify_CPPFLAGS = $(test_cppflags)
tests_test_context_verify_LDADD = $(test_ldadd)

check_tests += tests/test_engine
tests_test_engine_CPPFLAGS = $(test_cppflags)
tests_test_engine_LDADD = $(test_ldadd)

check_tests += tests/test_engine_callback
tests_test_engine_callback_CPPFLAGS = $(test_cppflags)
tests_test_engine_callback_LDADD = $(test_ldadd)

check_tests += tests/test_engine_data
tests_test_engine_data_CPPFLAGS = $(test_cppflags)
tests_test_engine_data_LDADD = $(test_ldadd)

check_tests += tests/test_engine_end
tests_test_engine_end_CPPFLAGS = $(test_cppflags)
tests_test_engine_end_LDADD = $(test_ldadd)

check_tests += tests/test_engine_flood
tests_test_engine_flood_CPPFLAGS = $(test_cppflags)
tests_test_engine_flood_LDADD = $(test_ldadd)

check_tests += tests/test_engine_handshake
tests_test_engine_handshake_CPPFLAGS = $(test_cppflags)
tests_test_engine_handshake_LDADD = $(test_ldadd)

check_tests += tests/test_engine_memory
tests_test_engine_memory_CPPFLAGS = $(test_cppflags)
tests_test_engine_memory_LDADD = $(test_ldadd)
tests_test_engine_memory_LDFLAGS = $(alloc_faults_ldflags)

check_tests += tests/test_engine_result
tests_test_engine_result_CPPFLAGS = $(test_cppflags)
tests_test_engine_result_LDADD = $(test_ldadd)

check_tests += tests/test_engine_session
tests_test_engine_session_CPPFLAGS = $(test_cppflags)
tests_test_engine_session_LDADD = $(test_ldadd)

check_tests += tests/test_engine_state
tests_test_engine_state_CPPFLAGS = $(test_cppflags)
tests_test_engine_state_LDADD = $(test_ldadd)

check_tests += tests/test_error
tests_test_error_CPPFLAGS = $(test_cppflags)
tests_test_error_LDADD = $(test_ldadd)

check_tests += tests/test_evhttp
tests_test_evhttp_CPPFLAGS = $(test_cppflags)
tests_test_evhttp_LDADD = $(test_extra_ldadd)

check_tests += tests/test_evhttp_client
tests_test_evhttp_client_CPPFLAGS = $(test_cppflags)
tests_test_evhttp_client_LDADD = $(test_extra_ldadd)
tests_test_evhttp_client_SOURCES = \
	tests/evhttp_world.c \
	tests/evhttp_world.h \
	tests/test_evhttp_client.c

check_tests += tests/test_evhttp_client_fail
tests_test_evhttp_client_fail_CPPFLAGS = $(test_cppflags)
tests_test_evhttp_client_fail_LDADD = $(test_extra_ldadd)
tests_test_evhttp_client_fail_SOURCES = \
	tests/evhttp_world.c \
	tests/evhttp_world.h \
	tests/test_evhttp_client_fail.c

check_tests += tests/test_faults_alloc
tests_test_faults_alloc_CPPFLAGS = $(test_cppflags)
tests_test_faults_alloc_LDADD = $(test_ldadd)
tests_test_faults_alloc_LDFLAGS = $(alloc_faults_ldflags)

check_tests += tests/test_faults_bytes
tests_test_faults_bytes_CPPFLAGS = $(test_cppflags)
tests_test_faults_bytes_LDADD = $(test_ldadd)

check_tests += tests/test_faults_connect
tests_test_faults_connect_CPPFLAGS = $(test_cppflags)
tests_test_faults_connect_LDADD = $(test_extra_ldadd)
tests_test_faults_connect_LDFLAGS = $(alloc_faults_ldflags)
tests_test_faults_connect_SOURCES = \
	tests/connect_world.c \
	tests/connect_world.h \
	tests/test_faults_connect.c

check_tests += tests/test_faults_ends
tests_test_faults_ends_CPPFLAGS = $(test_cppflags)
tests_test_faults_ends_LDADD = $(test_ldadd)

check_tests += tests/test_faults_filter
tests_test_faults_filter_CPPFLAGS = $(test_cppflags)
tests_test_faults_filter_LDADD = $(test_ldadd)
tests_test_faults_filter_LDFLAGS = $(alloc_faults_ldflags)

check_tests += tests/test_filter
tests_test_filter_CPPFLAGS = $(test_cppflags)
tests_test_filter_LDADD = $(test_ldadd)

check_tests += tests/test_filter_life
tests_test_filter_life_CPPFLAGS = $(test_cppflags)
tests_test_filter_life_LDADD = $(test_ldadd)

check_tests += tests/test_filter_threads
tests_test_filter_threads_CPPFLAGS = $(test_cppflags)
tests_test_filter_threads_LDADD = $(test_ldadd)

check_tests += tests/test_hostile_bytes
tests_test_hostile_bytes_CPPFLAGS = $(test_cppflags)
tests_test_hostile_bytes_LDADD = $(test_ldadd)

check_tests += tests/test_hostile_end
tests_test_hostile_end_CPPFLAGS = $(test_cppflags)
tests_test_hostile_end_LDADD = $(test_ldadd)

check_tests += tests/test_hostile_flow
tests_test_hostile_flow_CPPFLAGS = $(test_cppflags)
tests_test_hostile_flow_LDADD = $(test_ldadd)

check_tests += tests/test_hostile_peer
tests_test_hostile_peer_CPPFLAGS = $(test_cppflags)
tests_test_hostile_peer_LDADD = $(test_ldadd)

check_tests += tests/test_hostname
tests_test_hostname_CPPFLAGS = $(test_cppflags)
tests_test_hostname_LDADD = $(test_ldadd)

check_tests += tests/test_identity
tests_test_identity_CPPFLAGS = $(test_cppflags)
tests_test_identity_LDADD = $(test_ldadd)

check_tests += tests/test_identity_kinds
tests_test_identity_kinds_CPPFLAGS = $(test_cppflags)
tests_test_identity_kinds_LDADD = $(test_ldadd)

check_tests += tests/test_input
tests_test_input_CPPFLAGS = $(test_cppflags)
tests_test_input_LDADD = $(test_ldadd)

check_tests += tests/test_keylog
tests_test_keylog_CPPFLAGS = $(test_cppflags)
tests_test_keylog_LDADD = $(test_ldadd)

check_tests += tests/test_library
tests_test_library_CPPFLAGS = $(test_cppflags)
tests_test_library_LDADD = $(test_ldadd)

check_tests += tests/test_pem
tests_test_pem_CPPFLAGS = $(test_cppflags)
tests_test_pem_LDADD = $(test_ldadd)

check_tests += tests/test_policy
tests_test_policy_CPPFLAGS = $(test_cppflags)
tests_test_policy_LDADD = $(test_ldadd)

check_tests += tests/test_plaintext
tests_test_plaintext_CPPFLAGS = $(test_cppflags)
tests_test_plaintext_LDADD = $(test_extra_ldadd)
tests_test_plaintext_LDFLAGS = $(alloc_faults_ldflags)

check_tests += tests/test_session
tests_test_session_CPPFLAGS = $(test_cppflags)
tests_test_session_LDADD = $(test_ldadd)

check_tests += tests/test_session_cache
tests_test_session_cache_CPPFLAGS = $(test_cppflags)
tests_test_session_cache_LDADD = $(test_ldadd)

check_tests += tests/test_session_hosts
tests_test_session_hosts_CPPFLAGS = $(test_cppflags)
tests_test_session_hosts_LDADD = $(test_ldadd)

check_tests += tests/test_session_life
tests_test_session_life_CPPFLAGS = $(test_cppflags)
tests_test_session_life_LDADD = $(test_ldadd)

check_tests += tests/test_sni
tests_test_sni_CPPFLAGS = $(test_cppflags)
tests_test_sni_LDADD = $(test_ldadd)

check_tests += tests/test_sni_switch
tests_test_sni_switch_CPPFLAGS = $(test_cppflags)
tests_test_sni_switch_LDADD = $(test_ldadd)

check_tests += tests/test_start_tls
tests_test_start_tls_CPPFLAGS = $(test_cppflags)
tests_test_start_tls_LDADD = $(test_ldadd)

check_tests += tests/test_ticket_keys
tests_test_ticket_keys_CPPFLAGS = $(test_cppflags)
tests_test_ticket_keys_LDADD = $(test_ldadd)

check_tests += tests/test_trust
tests_test_trust_CPPFLAGS = $(test_cppflags)
tests_test_trust_LDADD = $(test_ldadd)

check_tests += tests/test_trust_system
tests_test_trust_system_CPPFLAGS = $(test_cppflags)
tests_test_trust_system_LDADD = $(test_ldadd)

check_tests += tests/test_unwrap
tests_test_unwrap_CPPFLAGS = $(test_cppflags)
tests_test_unwrap_LDADD = $(test_ldadd)

check_tests += tests/test_verify_names
tests_test_verify_names_CPPFLAGS = $(test_cppflags)
tests_test_verify_names_LDADD = $(test_ldadd)

check_tests += tests/test_verify_reason
tests_test_verify_reason_CPPFLAGS = $(test_cppflags)
tests_test_verify_reason_LDADD = $(test_ldadd)

check_tests += tests/test_version
tests_test_version_CPPFLAGS = $(test_cppflags)
tests_test_version_LDADD = $(test_ldadd)

# What programs written for libevent rely on, over each transport: tests/contract/contract --help.
# The scripts run it, one a transport, so that they run side by side.
contract_programs = tests/contract/contract
script_tests += \
	tests/contract/over-evtls \
	tests/contract/over-filter \
	tests/contract/over-filter-tls \
	tests/contract/over-openssl \
	tests/contract/over-plain \
	tests/contract/over-socket
tests_contract_contract_CPPFLAGS = $(test_cppflags)
tests_contract_contract_LDADD = $(test_extra_ldadd)
tests_contract_contract_SOURCES = \
	tests/contract/contexts.c \
	tests/contract/contexts.h \
	tests/contract/contract.c \
	tests/contract/end.c \
	tests/contract/http.c \
	tests/contract/http.h \
	tests/contract/rows.h \
	tests/contract/rows_buffers.c \
	tests/contract/rows_connect.c \
	tests/contract/rows_end.c \
	tests/contract/rows_evhttp.c \
	tests/contract/rows_free.c \
	tests/contract/rows_http_bodies.c \
	tests/contract/rows_http_ends.c \
	tests/contract/rows_life.c \
	tests/contract/rows_limits.c \
	tests/contract/rows_loop.c \
	tests/contract/rows_names.c \
	tests/contract/rows_pressure.c \
	tests/contract/rows_read.c \
	tests/contract/rows_setfd.c \
	tests/contract/rows_threads.c \
	tests/contract/rows_timers.c \
	tests/contract/rows_write.c \
	tests/contract/transport.h \
	tests/contract/transport_evtls.c \
	tests/contract/transport_filter.c \
	tests/contract/transport_plain.c \
	tests/contract/transport_socket.c \
	tests/contract/world.c \
	tests/contract/world.h
if HAVE_LIBEVENT_OPENSSL
tests_contract_contract_CPPFLAGS += -DCONTRACT_OPENSSL $(LIBEVENT_OPENSSL_CFLAGS)
tests_contract_contract_LDADD += $(LIBEVENT_OPENSSL_LIBS) $(OPENSSL_LIBS)
tests_contract_contract_SOURCES += tests/contract/transport_openssl.c
endif

# The samples, run for real; skipped where curl or the openssl command is missing.
script_tests += \
	tests/samples/deaf-peers \
	tests/samples/demo \
	tests/samples/https-get \
	tests/samples/https-get-progress \
	tests/samples/https-get-several \
	tests/samples/https-hosts \
	tests/samples/https-server \
	tests/samples/memory-tls \
	tests/samples/options \
	tests/samples/small-servers \
	tests/samples/starttls-chat
EXTRA_DIST += tests/samples/common.sh
check_PROGRAMS += tests/samples/bad_peer
tests_samples_bad_peer_CPPFLAGS = $(test_cppflags)
tests_samples_bad_peer_LDADD = $(OPENSSL_LIBS)
check_PROGRAMS += tests/samples/plain_peer
tests_samples_plain_peer_CPPFLAGS = $(test_cppflags)
check_PROGRAMS += tests/samples/terminal
tests_samples_terminal_CPPFLAGS = $(test_cppflags)
check_PROGRAMS += tests/samples/deaf_peer
tests_samples_deaf_peer_CPPFLAGS = $(test_cppflags)
tests_samples_deaf_peer_LDADD = $(OPENSSL_LIBS)

# Real clients and servers against evtls, one script a program: tests/interop/README.md.
interop_scripts = \
	tests/interop/chromium \
	tests/interop/curl \
	tests/interop/gnutls-client \
	tests/interop/gnutls-server \
	tests/interop/go-client \
	tests/interop/go-server \
	tests/interop/haproxy-client \
	tests/interop/haproxy-server \
	tests/interop/java-client \
	tests/interop/java-server \
	tests/interop/nginx-client \
	tests/interop/nginx-server \
	tests/interop/node-client \
	tests/interop/node-server \
	tests/interop/openssl-client \
	tests/interop/openssl-server \
	tests/interop/python-client \
	tests/interop/python-server \
	tests/interop/starttls \
	tests/interop/stunnel-client \
	tests/interop/stunnel-server \
	tests/interop/wget
EXTRA_DIST += \
	tests/interop/Peer.java \
	tests/interop/README.md \
	tests/interop/common.sh \
	tests/interop/go.sh \
	tests/interop/haproxy.sh \
	tests/interop/java.sh \
	tests/interop/nginx.sh \
	tests/interop/peer.go \
	tests/interop/peer.js \
	tests/interop/peer.py \
	tests/interop/rows_client.sh \
	tests/interop/rows_server.sh \
	tests/interop/stunnel.sh \
	tests/interop/table
CLEANFILES += tests/interop/peer-go
script_tests += $(interop_scripts)
check_PROGRAMS += tests/interop/peer tests/interop/pki
tests_interop_peer_SOURCES = \
	tests/interop/peer.c \
	tests/interop/peer.h \
	tests/interop/peer_client.c \
	tests/interop/peer_server.c
tests_interop_peer_CPPFLAGS = $(sample_cppflags)
tests_interop_peer_LDADD = $(sample_extra_ldadd)
tests_interop_pki_CPPFLAGS = $(test_cppflags)
tests_interop_pki_LDADD = $(test_ldadd)

# Connections that seeds decide: tests/simulator/simulator --help.
check_PROGRAMS += tests/simulator/simulator
TESTS += tests/simulator/simulator
tests_simulator_simulator_CPPFLAGS = $(test_cppflags)
tests_simulator_simulator_LDADD = $(test_ldadd)
tests_simulator_simulator_SOURCES = \
	tests/simulator/sim.c \
	tests/simulator/sim.h \
	tests/simulator/sim_bev.c \
	tests/simulator/sim_bev.h \
	tests/simulator/sim_bev_calls.c \
	tests/simulator/sim_bev_plain.c \
	tests/simulator/sim_bev_told.c \
	tests/simulator/sim_engine.c \
	tests/simulator/simulator.c

# Everything below is machinery.

AM_TESTS_ENVIRONMENT = srcdir='$(srcdir)'; export srcdir; \
	top_srcdir='$(top_srcdir)'; export top_srcdir; \
	CC='$(CC)'; export CC; CXX='$(CXX)'; export CXX; NM='$(NM)'; export NM; \
	AWK='$(AWK)'; export AWK; PACKAGE_VERSION='$(PACKAGE_VERSION)'; export PACKAGE_VERSION; \
	LIBEVENT_CFLAGS='$(LIBEVENT_CORE_CFLAGS) $(LIBEVENT_EXTRA_CFLAGS)'; export LIBEVENT_CFLAGS; \
	OPENSSL_CFLAGS='$(OPENSSL_CFLAGS)'; export OPENSSL_CFLAGS;
LOG_DRIVER = $(SHELL) $(top_srcdir)/tests/driver

if HAVE_CHECK
check_PROGRAMS += $(check_tests) $(contract_programs)
TESTS += $(check_tests)
endif
TESTS += $(script_tests)
EXTRA_DIST += tests/README.md tests/contract/README.md tests/support/README.md tests/driver tests/summary \
	tests/fresh-root $(script_tests)

# Replaces Automake's summary: the logs of what failed, and one line at the end. It is the last thing
# that "make check" does, whether a test failed or not.
$(TEST_SUITE_LOG): $(TEST_LOGS)
	@$(SHELL) $(top_srcdir)/tests/summary --log $@ $(TEST_LOGS:.log=.trs)

# The numbers of the last run once more.
summary:
	@$(SHELL) $(top_srcdir)/tests/summary $(TEST_LOGS:.log=.trs) || :

.PHONY: summary
