# Flags that this project chooses. They are collected in EVTLS_CFLAGS and EVTLS_LDFLAGS, so that the
# user's CFLAGS and LDFLAGS stay as given and come last on each command line.

# EVTLS_TRY_CFLAG(VARIABLE, FLAG): append FLAG where the compiler takes it without a warning.
AC_DEFUN([EVTLS_TRY_CFLAG], [
  AS_VAR_PUSHDEF([cache], [evtls_cv_cflag_$2])
  AC_CACHE_CHECK([whether $CC accepts $2], [cache], [
    save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $2"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$save_CFLAGS])
  AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cache])])

# EVTLS_TRY_LDFLAG(VARIABLE, FLAG): append FLAG where the linker takes it.
AC_DEFUN([EVTLS_TRY_LDFLAG], [
  AS_VAR_PUSHDEF([cache], [evtls_cv_ldflag_$2])
  AC_CACHE_CHECK([whether the linker accepts $2], [cache], [
    save_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS -Wl,--fatal-warnings $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    LDFLAGS=$save_LDFLAGS])
  AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cache])])

# Messages of a fixed size are cut on purpose, which -Wformat-truncation cannot know.
AC_DEFUN([EVTLS_WARNINGS], [
  AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
    [], [enable_werror=no])
  EVTLS_CFLAGS="-std=c11"
  m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2
    -Wimplicit-fallthrough -Wno-unused-parameter -Wno-format-truncation],
    [EVTLS_TRY_CFLAG([EVTLS_CFLAGS], flag)])
  AS_IF([test "$enable_werror" != no], [AS_VAR_APPEND([EVTLS_CFLAGS], [" -Werror"])])
  EVTLS_TRY_CFLAG([EVTLS_VISIBILITY_CFLAGS], [-fvisibility=hidden])
  AC_SUBST([EVTLS_CFLAGS])
  AC_SUBST([EVTLS_VISIBILITY_CFLAGS])])

AC_DEFUN([EVTLS_SANITIZERS], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers=LIST],
      [build with sanitizers, for example address,undefined or thread])],
    [], [enable_sanitizers=no])
  AS_CASE([$enable_sanitizers],
    [no], [],
    [AS_IF([test "$enable_sanitizers" = yes], [enable_sanitizers=address,undefined])
     evtls_sanitize="-fsanitize=$enable_sanitizers"
     AC_MSG_CHECKING([whether $CC links with $evtls_sanitize])
     save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS $evtls_sanitize"
     AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
       [AC_MSG_RESULT([no])
        AC_MSG_ERROR([the compiler cannot build with $evtls_sanitize])])
     CFLAGS=$save_CFLAGS
     AS_VAR_APPEND([EVTLS_CFLAGS],
       [" $evtls_sanitize -fno-omit-frame-pointer -fno-sanitize-recover=all"])
     AS_VAR_APPEND([EVTLS_LDFLAGS], [" $evtls_sanitize"])])
  AC_SUBST([EVTLS_LDFLAGS])])

# Fortify needs optimisation and gets in the way of the sanitizers; a distribution may set it already.
AC_DEFUN([EVTLS_HARDENING], [
  AC_ARG_ENABLE([hardening],
    [AS_HELP_STRING([--disable-hardening], [leave out the hardening flags])],
    [], [enable_hardening=yes])
  AS_IF([test "$enable_hardening" != no], [
    m4_foreach_w([flag], [-fstack-protector-strong -fstack-clash-protection -fcf-protection],
      [EVTLS_TRY_CFLAG([EVTLS_CFLAGS], flag)])
    m4_foreach([flag], [[-Wl,-z,relro], [-Wl,-z,now], [-Wl,-z,noexecstack]],
      [EVTLS_TRY_LDFLAG([EVTLS_LDFLAGS], [flag])])
    AS_IF([test "$enable_sanitizers" = no], [
      AC_MSG_CHECKING([whether to define _FORTIFY_SOURCE])
      AC_PREPROC_IFELSE([AC_LANG_SOURCE([[
#if !defined(__OPTIMIZE__) || defined(_FORTIFY_SOURCE)
#error not here
#endif
        ]])], [AC_MSG_RESULT([yes])
          AS_VAR_APPEND([EVTLS_CPPFLAGS], [" -D_FORTIFY_SOURCE=2"])], [AC_MSG_RESULT([no])])])])
  AC_SUBST([EVTLS_CPPFLAGS])])

AC_DEFUN([EVTLS_VERSION_SCRIPT], [
  AC_CACHE_CHECK([whether the linker takes a version script], [evtls_cv_version_script], [
    echo "EVTLS_TEST { global: evtls_*; main; local: *; };" > conftest.map
    save_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS -shared -fPIC -Wl,--version-script=conftest.map"
    AC_LINK_IFELSE([AC_LANG_SOURCE([[int evtls_test(void); int evtls_test(void) { return 0; }]])],
      [evtls_cv_version_script=yes], [evtls_cv_version_script=no])
    LDFLAGS=$save_LDFLAGS
    rm -f conftest.map])
  AM_CONDITIONAL([HAVE_VERSION_SCRIPT], [test "$evtls_cv_version_script" = yes])])
