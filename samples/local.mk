# Programs that people copy from: they see only the installed headers, link the real libraries, and
# are built by plain "make". A new sample is one name in noinst_PROGRAMS and its _SOURCES,
# _CPPFLAGS and _LDADD lines:
#
#   noinst_PROGRAMS += samples/NAME
#   samples_NAME_SOURCES = samples/NAME.c
#   samples_NAME_CPPFLAGS = $(sample_cppflags)
#   samples_NAME_LDADD = $(sample_ldadd)          ($(sample_extra_ldadd) where evhttp or evdns is used)

sample_cppflags = $(AM_CPPFLAGS) -D_DEFAULT_SOURCE $(LIBEVENT_CORE_CFLAGS)
sample_ldadd = libevtls.la $(LIBEVENT_CORE_LIBS)
sample_extra_ldadd = libevtls_extra.la libevtls.la $(LIBEVENT_EXTRA_LIBS) $(LIBEVENT_CORE_LIBS)
