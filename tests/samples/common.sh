# Read by the scripts beside it, which run in the build folder: a temporary folder, servers that are
# ended whatever happens, certificates, and cases counted as TAP.
#
# A case is: run COMMAND...; then "check NAME TEST...", each TEST one of
#   status N        what the command exited with
#   out TEXT        a line of its standard output is TEXT (a basic regular expression)
#   err TEXT        a line of its standard error is TEXT; errors of one line are "err-lines 1"
# or "ok NAME CONDITION-COMMAND..." for anything else.
set -u
srcdir=${srcdir:-.}
samples=$PWD/samples
work=$(mktemp -d "${TMPDIR:-/tmp}/evtls-samples.XXXXXX") || exit 1
servers=
cases=0
failed=0

# The number of a server that has ended may be another process's by now: the shell knows its own.
finish_all() {
    jobs -l >"$work/jobs" 2>/dev/null
    for pid in $servers; do
        ! grep -q " $pid *Running" "$work/jobs" || kill "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap finish_all EXIT
trap 'exit 1' HUP INT TERM

skip_all() {
    echo "# $*"
    exit 77
}
[ -x "$samples/https-server" ] || skip_all "the samples are not built"
command -v openssl >/dev/null 2>&1 || skip_all "no openssl command"

has_curl() {
    command -v curl >/dev/null 2>&1
}

# certificate NAME SAN [OPENSSL-OPTION...]: NAME.pem and NAME.key, self-signed.
certificate() {
    name=$1
    san=$2
    shift 2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -batch \
        -keyout "$work/$name.key" -out "$work/$name.pem" -subj "/CN=$name" \
        -addext "subjectAltName=$san" "$@" >/dev/null 2>&1 || {
        echo "Bail out! openssl req failed"
        exit 1
    }
}

# wait_for FILE TEXT: until the file has a line like TEXT, for at most twenty seconds.
wait_for() {
    tries=0
    until grep -q -- "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 400 ] || return 1
        sleep 0.05
    done
}

# start NAME PROGRAM ARGUMENT...: in the background; NAME.out, NAME.err; sets pid and port.
start() {
    start_name=$1
    shift
    rm -f "$work/$start_name.out" # the one of a server before would be taken for this one's
    "$@" >"$work/$start_name.out" 2>"$work/$start_name.err" &
    pid=$!
    servers="$servers $pid"
    if ! wait_for "$work/$start_name.out" '[0-9]'; then
        sed 's/^/# /' "$work/$start_name.err"
        echo "Bail out! $start_name did not start"
        exit 1
    fi
    port=$(sed -n '1s/[^0-9]*$//; 1s/.*[^0-9]//p' "$work/$start_name.out")
}

# stop PID [SIGNAL]: by SIGTERM; sets stopped to its exit status, 99 if it does not end.
stop() {
    kill -"${2:-TERM}" "$1" 2>/dev/null
    tries=0
    while kill -0 "$1" 2>/dev/null && [ "$tries" -lt 400 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    if kill -0 "$1" 2>/dev/null; then
        kill -KILL "$1"
        stopped=99
    else
        wait "$1"
        stopped=$?
    fi
}

run() {
    timeout 60 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

result() {
    cases=$((cases + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $cases - $2"
        return
    fi
    failed=1
    echo "not ok $cases - $2"
}

ok() {
    ok_name=$1
    shift
    if "$@"; then result 0 "$ok_name"; else result 1 "$ok_name"; fi
}

skip() {
    cases=$((cases + 1))
    echo "ok $cases - $1 # SKIP $2"
}

check() {
    check_name=$1
    shift
    bad=
    while [ $# -gt 0 ]; do
        case $1 in
        status) [ "$status" -eq "$2" ] || bad="$bad, status $status in place of $2" ;;
        out) grep -q -- "$2" "$work/out" || bad="$bad, no \"$2\" in the output" ;;
        err) grep -q -- "$2" "$work/err" || bad="$bad, no \"$2\" in the errors" ;;
        err-lines) [ "$(wc -l <"$work/err")" -eq "$2" ] || bad="$bad, not $2 lines of errors" ;;
        body) [ "$(cat "$work/out")" = "$2" ] || bad="$bad, another body" ;;
        same) cmp -s "$work/out" "$2" || bad="$bad, not the bytes of $2" ;;
        *) bad="$bad, unknown test $1" ;;
        esac
        shift 2
    done
    if [ -n "$bad" ]; then
        echo "# ${bad#, }"
        head -c 2000 "$work/err" | LC_ALL=C awk '{ print "#   stderr: " $0 }'
        head -c 500 "$work/out" | LC_ALL=C tr -cd '[:print:]\n' |
            awk '{ print "#   stdout: " $0 }'
        result 1 "$check_name"
    else
        result 0 "$check_name"
    fi
}

end_of_cases() {
    echo "1..$cases"
    exit "$failed"
}
