# Shared by the tests of the samples: TAP, servers in the background, a folder of their own.
srcdir=${srcdir:-.}
work=$(mktemp -d "${TMPDIR:-/tmp}/evtls-samples.XXXXXX") || exit 1
servers=
n=0

cleanup() {
    for pid in $servers; do
        kill -9 "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# is WHAT EXPECTED GOT
is() {
    n=$((n + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $n - $1"
    else
        echo "# expected: $2"
        echo "# got:      $3"
        echo "not ok $n - $1"
    fi
}

# has WHAT FILE TEXT: the file has a line with the text, a basic regular expression.
has() {
    n=$((n + 1))
    if grep -q -e "$3" "$2"; then
        echo "ok $n - $1"
    else
        echo "# no \"$3\" in:"
        sed 's/^/#   /' "$2"
        echo "not ok $n - $1"
    fi
}

# start NAME COMMAND...: runs it in the background until it says its port: $pid, $port,
# $work/NAME.out and .err.
start() {
    name=$1
    shift
    "$@" >"$work/$name.out" 2>"$work/$name.err" &
    pid=$!
    servers="$servers $pid"
    tries=0
    until grep -q '[0-9]' "$work/$name.out" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then
            echo "# $name did not start:"
            sed 's/^/#   /' "$work/$name.err"
            echo "Bail out! $name did not start"
            exit 1
        fi
        sleep 0.1
    done
    port=$(sed -n '1s/^\(.*[: ]\)\{0,1\}\([0-9][0-9]*\)[^0-9]*$/\2/p' "$work/$name.out")
}

# certificate FILE NAME: a self-signed certificate and its key for NAME in FILE.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -batch \
        -keyout "$1.key" -out "$1.crt" -subj "/CN=$2" -addext "subjectAltName=DNS:$2" \
        >/dev/null 2>&1 && cat "$1.crt" "$1.key" >"$1"
}

done_testing() {
    echo "1..$n"
}
