#!/bin/sh
# The main job, shown: an HTTPS server and an HTTPS client of evtls exchange a page. Runs in the
# build folder ("make demo"). Exit status 0 only if all of it happened.
set -u
srcdir=${srcdir:-.}
server=./samples/https-server
get=./samples/https-get
work=$(mktemp -d "${TMPDIR:-/tmp}/evtls-demo.XXXXXX") || exit 1
pid=

cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

die() {
    echo "demo: $*" >&2
    [ ! -s "$work/server.log" ] || sed 's/^/  server: /' "$work/server.log" >&2
    exit 1
}

step() {
    number=$((${number:-0} + 1))
    printf '\n%d. %s\n' "$number" "$1"
}

# certificate NAME: NAME.pem and NAME.key, self-signed, for the host NAME.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -batch \
        -keyout "$work/$1.key" -out "$work/$1.pem" -subj "/CN=$1" \
        -addext "subjectAltName=DNS:$1" >/dev/null 2>&1 || die "openssl req failed"
}

# must TEXT FILE: the file has the text.
must() {
    grep -q -- "$1" "$2" || die "\"$1\" is missing in what was printed"
}

step "Start an HTTPS server on a free port, with a certificate made in memory and two hosts by SNI"
certificate one.example
certificate two.example
"$server" --listen 127.0.0.1:0 --write-cert "$work/ca.pem" \
    --sni "one.example=$work/one.example.pem:$work/one.example.key" \
    --sni "two.example=$work/two.example.pem:$work/two.example.key" \
    "$srcdir/samples/www" >"$work/server.out" 2>"$work/server.log" &
pid=$!
tries=0
until grep -q '^listening on ' "$work/server.out" 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || die "the server did not start"
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || die "the server did not start within ten seconds"
    sleep 0.1
done
sed -n '1,2s/^/   /p' "$work/server.out"
port=$(sed -n '1s/.*:\([0-9]*\)\/$/\1/p' "$work/server.out")

step "Fetch a page and verify the server: handshake, ALPN and close_notify as they are called back"
"$get" --verbose --cafile "$work/ca.pem" --alpn http/1.1 "https://localhost:$port/" \
    >"$work/page" 2>"$work/get.log" || die "https-get failed: $(cat "$work/get.log")"
sed 's/^/   /' "$work/get.log"
must '^\* alpn: http/1.1' "$work/get.log"
must '^\* handshake: TLSv1.3' "$work/get.log"
must '^\*   verified: yes' "$work/get.log"
must '^\* close_notify' "$work/get.log"
cmp -s "$work/page" "$srcdir/samples/www/index.html" || die "the page is not the file"
echo "   the page is the file, byte by byte"

step "Two names, two certificates: the server chooses by SNI"
for name in one.example two.example; do
    "$get" --verbose --cafile "$work/$name.pem" --connect-to "127.0.0.1:$port" \
        "https://$name/" >/dev/null 2>"$work/sni.log" ||
        die "https-get $name failed: $(cat "$work/sni.log")"
    must "peer: CN=$name" "$work/sni.log"
    grep 'peer: ' "$work/sni.log" | sed "s/^\\*   /   $name -> /"
done
"$get" --cafile "$work/one.example.pem" --connect-to "127.0.0.1:$port" https://two.example/ \
    >/dev/null 2>"$work/wrong.log"
[ $? -eq 60 ] || die "a certificate that is not trusted was not refused"
sed 's/^/   refused as it should be: /' "$work/wrong.log"

step "Fetch the same page with curl"
curl --silent --show-error --max-time 20 --cacert "$work/ca.pem" \
    --resolve "localhost:$port:127.0.0.1" "https://localhost:$port/" >"$work/curl" ||
    die "curl failed"
cmp -s "$work/page" "$work/curl" || die "curl got another page"
echo "   the same bytes"

step "Stop the server"
kill -TERM "$pid"
wait "$pid" || die "the server ended with status $?"
pid=
sed 's/^/   log: /' "$work/server.out" | sed -n '3,$p'
printf '\nAll of it worked. Next: "./samples/https-server --help" here, or "./bootstrap check" in the source folder.\n'
