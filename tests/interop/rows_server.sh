# The rows of a foreign server against our client, interop/peer. The script defines
#
#   serve NAME    starts a server as these variables say, and sets port and pid; by background,
#                 so that NAME.out and NAME.err have what it prints. A false return: try again
#       cert            its identity, $pki/$cert.pem and .key
#       client_ca       a CA file: it asks for a certificate of that CA; may be empty
#       alpn            protocols to agree on, separated by blanks; may be empty
#       names           hosts with a certificate of their own, $pki/one.pem for one.test ...
#
# It sends back what it gets. In variables: sees_missing, sees_expired, sees_self, sees_unknown and
# sees_incomplete, how it refuses a certificate of ours: the pattern of the "ended" line of our client;
# and tells_expired ... tells_incomplete, what it prints (mutual.err has it). can_... variables are empty
# where it cannot. ask_options are options of our client for all rows.

can_alpn=yes can_resume=yes can_certificate=yes
host_names='one two three'
alpn_name=echo/1
sees_missing='status=ERR_ALERT alert=certificate_required|status=ERR_ALERT alert=handshake_failure'
sees_expired='status=ERR_ALERT alert=certificate_expired'
sees_self='status=ERR_ALERT alert=unknown_ca'
sees_unknown='status=ERR_ALERT alert=unknown_ca'
sees_incomplete='status=ERR_ALERT alert=unknown_ca'
tells_missing= tells_expired= tells_self= tells_unknown= tells_incomplete=
ask_options=
no_alpn='connected .* alpn=- '
ends_well='ended status=CLOSED'
log=

# start_server NAME [VARIABLE=VALUE]...: sets port_NAME and pid_NAME.
start_server() {
    foreign=$1
    shift
    cert=server client_ca='' alpn='' names=''
    for setting; do
        eval "${setting%%=*}=\${setting#*=}"
    done
    : >"$work/$foreign.err"
    for attempt in 1 2 3 4 5; do
        if serve "$foreign"; then
            eval "port_$foreign=\$port pid_$foreign=\$pid"
            return 0
        fi
        end "$pid"
    done
    bail_out "$program did not start $attempt times"
}

# The same as arguments, for servers that are programs of ours in another language.
server_settings() {
    echo "pki=$pki cert=$cert ${client_ca:+ca=$client_ca} ${alpn:+alpn=$alpn}" \
        "${names:+names=$(echo "$names" | tr ' ' ,)}"
}

start_servers() {
    start_server good ${can_alpn:+"alpn=$alpn_name"} "names=$host_names"
    start_server mutual client_ca="$pki/ca.pem"
    for kind in expired self unknown incomplete; do
        start_server "$kind" cert="$kind"
    done
}

# ask SERVER OPTION...: our client; a repeated option counts the last time.
ask() {
    eval "port=\$port_$1"
    shift
    log=$work/mutual.err
    mark=$(wc -l <"$log")
    rm -f "$work/got"
    : >"$work/got"
    # shellcheck disable=SC2086
    limited "$peer" client --connect "$port" --ca "$pki/ca.pem" --tls "$tls" --send "$send" \
        --save "$work/got" $ask_options "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

identity() {
    echo "--cert $pki/$1.pem --key $pki/$1.key"
}

server_rows_agreeing() {
    ask good
    row "$t" ok text "connected version=TLSv$tls .* reused=0 auth=2 peer=\"CN=localhost\"" \
        text "$ends_well"
    send=$work/large
    ask good
    row "${t}_large_body" ok text "$ends_well"
    send=$work/line
    [ -z "$can_alpn" ] || {
        ask good --alpn other/1 --alpn "$alpn_name"
        row "${t}_alpn_agreed" ok text "connected .* alpn=$alpn_name "
        ask good --alpn other/1
        row "${t}_alpn_not_agreed" text "$no_alpn"
    }
    [ -z "$can_resume" ] || {
        ask good --times 2
        # What was sent comes back twice.
        cat "$send" "$send" >"$work/twice"
        send=$work/twice
        row "${t}_resumption" ok text 'connected .* reused=0 ' text 'connected .* reused=1 '
        send=$work/line
    }
}

server_rows_names() {
    for name in $host_names; do
        ask good --host $name.test
        row "${t}_sni_$name" ok text " sni=$name.test .* auth=2 peer=\"CN=$name.test\""
    done
    ask good --host 127.0.0.1
    row "${t}_sni_none" ok text ' sni=- .* auth=2 peer="CN=localhost"'
}

server_rows_refusing() {
    bad='ended status=ERR_CERTIFICATE'
    local_issuer='unable to get local issuer certificate'
    ask good --host elsewhere.test
    row "${t}_wrong_host" refused text "$bad alert=bad_certificate verify=62 .*elsewhere.test"
    ask expired
    row "${t}_expired" refused text "$bad alert=certificate_expired verify=10 .*has expired"
    ask self
    row "${t}_self_signed" refused text "$bad alert=unknown_ca verify=18 .*self-signed certificate"
    ask unknown
    row "${t}_unknown_ca" refused text "$bad alert=unknown_ca verify=20 .*$local_issuer"
    ask incomplete
    row "${t}_incomplete_chain" refused text "$bad alert=unknown_ca verify=20 .*$local_issuer.*only its own certificate; missing issuer CN=Test Intermediate"
}

# shellcheck disable=SC2046
server_rows_refused() {
    # Nothing is sent: a server that closes with data unread resets the connection, and the alert may
    # be lost.
    set -- --send /dev/null --wait-end
    ask mutual "$@"
    row "${t}_client_certificate_missing" refused text "($sees_missing)" log "$tells_missing"
    ask mutual "$@" $(identity expired)
    row "${t}_client_expired" refused text "($sees_expired)" log "$tells_expired"
    ask mutual "$@" $(identity self)
    row "${t}_client_self_signed" refused text "($sees_self)" log "$tells_self"
    ask mutual "$@" $(identity unknown)
    row "${t}_client_unknown_ca" refused text "($sees_unknown)" log "$tells_unknown"
    ask mutual "$@" $(identity incomplete)
    row "${t}_client_incomplete_chain" refused text "($sees_incomplete)" log "$tells_incomplete"
}

# The last row, since it ends a server: one that dies is no clean end.
server_row_truncation() {
    # shellcheck disable=SC2086
    background cut "$peer" client --connect "$port_good" --ca "$pki/ca.pem" --tls 1.3 \
        --send "$work/line" --save "$work/got" --wait-end $ask_options
    cut=$pid
    wait_until cmp -s "$work/got" "$work/line"
    kill -KILL "$pid_good"
    wait "$cut"
    status=$?
    cp "$work/cut.out" "$work/out"
    row_bad=
    [ "$status" -eq 1 ] || row_bad=", exit status $status"
    has_line "$work/out" 'ended status=ERR_TRUNCATED' || row_bad="$row_bad, not told"
    row_end truncation
}

server_rows() {
    send=$work/line
    for tls in 1.2 1.3; do
        t=tls$(echo "$tls" | tr -d .)
        server_rows_agreeing
        server_rows_refusing
        server_rows_names
        [ -z "$can_certificate" ] || {
            # shellcheck disable=SC2046
            ask mutual $(identity client)
            row "${t}_client_certificate" ok text "connected version=TLSv$tls "
            server_rows_refused
        }
    done
    server_row_truncation
}
