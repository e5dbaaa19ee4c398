# EVTLS_CHECK_OPENSSL: OpenSSL 3.0 or later, and not one of its relatives, each refused by name.
AC_DEFUN([EVTLS_CHECK_OPENSSL], [
  save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $OPENSSL_CFLAGS"
  AC_MSG_CHECKING([which TLS library the headers belong to])
  evtls_tls=none
  m4_foreach([row], [[[LibreSSL], [LIBRESSL_VERSION_NUMBER]],
                     [[BoringSSL], [OPENSSL_IS_BORINGSSL]],
                     [[AWS-LC], [OPENSSL_IS_AWSLC]]], [
    AS_IF([test "$evtls_tls" = none], [
      AC_PREPROC_IFELSE([AC_LANG_SOURCE([[
#include <openssl/opensslv.h>
#include <openssl/crypto.h>
#ifndef ]m4_argn(2, row)[
#error no
#endif
        ]])], [evtls_tls=m4_argn(1, row)])])])
  AS_IF([test "$evtls_tls" = none], [
    AC_PREPROC_IFELSE([AC_LANG_SOURCE([[
#include <openssl/opensslv.h>
#if !defined(OPENSSL_VERSION_MAJOR) || OPENSSL_VERSION_MAJOR < 3
#error too old
#endif
      ]])], [evtls_tls="OpenSSL 3.0 or later"], [evtls_tls="OpenSSL before 3.0"])])
  AC_MSG_RESULT([$evtls_tls])
  AS_IF([test "$evtls_tls" != "OpenSSL 3.0 or later"],
    [AC_MSG_ERROR([evtls needs OpenSSL 3.0 or later; what was found is $evtls_tls])])
  # On 3.x no deprecated declaration is even visible; 4.0's headers do not build that way.
  AC_PREPROC_IFELSE([AC_LANG_SOURCE([[
#include <openssl/opensslv.h>
#if OPENSSL_VERSION_MAJOR >= 4
#error not there
#endif
    ]])], [OPENSSL_CFLAGS="$OPENSSL_CFLAGS -DOPENSSL_API_COMPAT=30000 -DOPENSSL_NO_DEPRECATED"])
  CPPFLAGS=$save_CPPFLAGS])
