# Read by the scripts beside it, which run in the build folder: certificates, servers that are ended
# whatever happens, and rows counted as TAP. tests/interop/README.md explains it.
#
# A script sets `program` (what the rows are called after), calls need for what it runs, and says how
# its program is run: rows_client.sh and rows_server.sh have the rows.
set -u
export LC_ALL=C
srcdir=${srcdir:-.}
interop=$srcdir/tests/interop
peer=$PWD/tests/interop/peer
work=$(mktemp -d "${TMPDIR:-/tmp}/evtls-interop.XXXXXX") || exit 1
pki=$work/pki
processes=
cases=0
failed=0

# The number of a process that has ended may be another's by now: the shell knows its own.
still_runs() {
    jobs -l >"$work/jobs" 2>/dev/null
    grep -q " $1 *Running" "$work/jobs"
}
none_runs() {
    jobs -l >"$work/jobs" 2>/dev/null
    ! grep -q Running "$work/jobs"
}

finish_all() {
    for signal in TERM KILL; do
        for pid in $processes; do
            ! still_runs "$pid" || kill -"$signal" "$pid"
        done
        ! wait_until none_runs || break
    done
    rm -rf "$work"
}
trap finish_all EXIT
trap 'exit 1' HUP INT PIPE TERM

# ---- Programs

# need PROGRAM...: where the run must be whole, a program that is missing is a failure.
need() {
    # Debian has some of them where only root looks.
    PATH=$PATH:/usr/sbin:/sbin
    for needed; do
        command -v "$needed" >/dev/null 2>&1 && continue
        echo "# no $needed on this machine"
        [ -z "${EVTLS_INTEROP_REQUIRED-}" ] || exit 1
        exit 77
    done
}

# version_is TEXT: what the table shows.
version_is() {
    echo "# version: $*"
}

limited() {
    timeout -k 5 40 "$@"
}

# ---- Waiting

# wait_until COMMAND...: for at most twenty seconds.
wait_until() {
    turns=0
    until "$@"; do
        turns=$((turns + 1))
        [ "$turns" -lt 800 ] || return 1
        sleep 0.025
    done
}

has_line() {
    grep -q -- "$2" "$1" 2>/dev/null
}

bail_out() {
    echo "# $*"
    for file in "$work"/*.out "$work"/*.err; do
        [ ! -s "$file" ] || tail -n 5 "$file" | sed "s|^|# ${file##*/}: |"
    done
    echo "Bail out! $*"
    exit 1
}

# background NAME COMMAND...: NAME.out and NAME.err have what it prints; sets pid.
background() {
    background_name=$1
    shift
    "$@" >"$work/$background_name.out" 2>"$work/$background_name.err" </dev/null &
    pid=$!
    processes="$processes $pid"
}

# ready NAME PID LINE: until NAME.out or NAME.err has the line; false where the process ended.
is_ready_or_gone() {
    has_line "$work/$1.out" "$3" || has_line "$work/$1.err" "$3" || has_ended "$2"
}
ready() {
    wait_until is_ready_or_gone "$@" && ! has_ended "$2"
}

# ready_port PID PORT: until someone listens there, for programs that do not say when they do.
is_listening_or_gone() {
    has_ended "$1" || "$peer" probe --connect "$2"
}
ready_port() {
    wait_until is_listening_or_gone "$@" && ! has_ended "$1"
}

# end PID [SIGNAL]: by SIGTERM, and waits.
end() {
    if still_runs "$1"; then
        kill -"${2-TERM}" "$1"
        wait_until has_ended "$1" || kill -KILL "$1"
    fi
    wait "$1" 2>/dev/null
}
has_ended() {
    ! still_runs "$1"
}

# A port nobody listens on, for programs that cannot be told to take any. Between the answer and its
# use another may take it, so such a program is started again with the next one.
free_port() {
    "$peer" free-port
}

# ---- Certificates and what is sent

mkdir "$pki"
"${interop_pki:-$PWD/tests/interop/pki}" "$pki" || bail_out "no certificates"
# Lines that are the same backwards: one of the servers sends lines back reversed.
echo otto >"$work/line"
echo cut >"$work/cut"
awk 'BEGIN { for (i = 10000000; i < 10080000; i++) {
    n = i ""; back = ""
    for (j = length(n); j > 0; j--) back = back substr(n, j, 1)
    print n back } }' >"$work/large"

# our_server NAME OPTION...: starts interop/peer as a server; sets port_NAME. It says what it saw in
# NAME.out.
our_server() {
    server_name=$1
    shift
    background "$server_name" "$peer" server "$@"
    ready "$server_name" "$pid" '^listening' || bail_out "interop/peer did not start"
    eval "port_$server_name=\$(sed -n 's/^listening //p' \"\$work/\$server_name.out\")"
    our_servers="${our_servers-} $server_name:$pid"
}

# Ends our servers and looks how: under sanitizers they report then what they leaked.
end_our_servers() {
    row_bad=
    for item in ${our_servers-}; do
        kill "${item#*:}" 2>/dev/null
        wait "${item#*:}" || row_bad="$row_bad, ${item%:*} ended with $?"
        [ ! -s "$work/${item%:*}.err" ] || row_bad="$row_bad, ${item%:*} complained"
    done
    row_end our_servers_end_well
}

# ---- Rows

row_end() {
    cases=$((cases + 1))
    if [ -z "$row_bad" ]; then
        echo "ok $cases - ${program}__$1"
        return
    fi
    failed=1
    echo "not ok $cases - ${program}__$1"
    echo "#   ${row_bad#, }"
    for file in "$work/out" "$work/err" "${log:-/dev/null}"; do
        [ ! -s "$file" ] || tail -n 8 "$file" | cut -c1-300 | sed "s|^|#   ${file##*/}: |"
    done
}

# What a log has after the mark set before the connection.
news() {
    tail -n +$((mark + 1)) "$log"
}
news_has() {
    news | grep -Eq -- "$1"
}

# row NAME TEST...: judges the connection that was just made. Tests of one word, and of two:
#   ok          exit status 0, and what came back is what was sent
#   refused     another exit status, and nothing came back
#   fails       another exit status
#   text RE     the foreign client said so
#   log RE      our server said so within twenty seconds; not-log RE: it did not
row() {
    row_name=$1
    row_bad=
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        ok)
            [ "$status" -eq 0 ] || row_bad="$row_bad, exit status $status"
            cmp -s "$work/got" "$send" || row_bad="$row_bad, what came back is not what was sent"
            shift
            continue
            ;;
        fails)
            [ "$status" -ne 0 ] || row_bad="$row_bad, exit status 0"
            shift
            continue
            ;;
        refused)
            [ "$status" -ne 0 ] || row_bad="$row_bad, exit status 0"
            [ ! -s "$work/got" ] || row_bad="$row_bad, data came back"
            shift
            continue
            ;;
        text)
            [ -z "$2" ] || cat "$work/out" "$work/err" | grep -Eq -- "$2" ||
                row_bad="$row_bad, it did not say \"$2\""
            ;;
        log) [ -z "$2" ] || wait_until news_has "$2" || row_bad="$row_bad, our side did not say \"$2\"" ;;
        not-log) ! news_has "$2" || row_bad="$row_bad, our side said \"$2\"" ;;
        *) row_bad="$row_bad, unknown test $1" ;;
        esac
        shift 2
    done
    row_end "$row_name"
}

finish() {
    end_our_servers
    echo "1..$cases"
    exit "$failed"
}
