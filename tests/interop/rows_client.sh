# The rows of a foreign client against servers of ours. The script defines
#
#   client        makes one connection as these variables say, and sends what it prints to standard
#                 output and error; what came back from the server goes to $work/got
#       port host ca    the server's port on 127.0.0.1, the name to verify, the CA file
#       tls             1.2 or 1.3
#       cert            the client's identity, $pki/$cert.pem and .key; may be empty
#       alpn            protocols to offer, may be empty
#       send            a file to send; its bytes come back
#       times           the number of connections, each with the session of the one before
#
# and in variables what the client says: says_host, says_expired, says_self, says_unknown and
# says_incomplete where it refuses a server (a pattern for grep -E); hears_missing, hears_expired,
# hears_self, hears_unknown, hears_incomplete and hears_cut where our server refuses it or cuts; and
# sends_host ... sends_incomplete, how the refusal ends on our side: the pattern of an "ended" line.
# can_... variables are empty where the program cannot do it at all.

can_alpn=yes can_resume=yes can_sni=yes can_no_sni=yes can_see_cut=yes can_certificate=yes
can_force_certificate=yes
alpn_name=echo/1
server_options=
says_host= says_expired= says_self= says_unknown= says_incomplete=
hears_missing= hears_expired= hears_self= hears_unknown= hears_incomplete= hears_cut=
sends_host=. sends_expired='alert=certificate_expired' sends_self='alert=unknown_ca'
sends_unknown='alert=unknown_ca' sends_incomplete='alert=unknown_ca'
ends_well='ended status=CLOSED'

# The same as arguments, for clients that are programs of ours in another language.
settings() {
    echo "port=$port host=$host ca=$ca tls=$tls send=$send got=$work/got times=$times" \
        "${cert:+cert=$pki/$cert.pem} ${cert:+key=$pki/$cert.key} ${alpn:+alpn=$alpn}"
}

start_our_servers() {
    # shellcheck disable=SC2086
    {
        our_server good --cert "$pki/server.pem" --key "$pki/server.key" --alpn "$alpn_name" \
            --sni "one.test=$pki/one.pem=$pki/one.key" \
            --sni "two.test=$pki/two.pem=$pki/two.key" \
            --sni "three.test=$pki/three.pem=$pki/three.key" $server_options
        our_server mutual --cert "$pki/server.pem" --key "$pki/server.key" --ca "$pki/ca.pem" \
            $server_options
        for kind in otherhost expired self unknown incomplete; do
            our_server "$kind" --cert "$pki/$kind.pem" --key "$pki/$kind.key" $server_options
        done
    }
}

# dial SERVER [VARIABLE=VALUE]...
dial() {
    eval "port=\$port_$1"
    log=$work/$1.out
    shift
    host=localhost ca=$pki/ca.pem cert='' alpn='' send=$work/line times=1
    for setting; do
        eval "${setting%%=*}=\${setting#*=}"
    done
    mark=$(wc -l <"$log")
    rm -f "$work/got" "$work/done"
    : >"$work/got"
    client >"$work/out" 2>"$work/err"
    status=$?
}

# For clients that take what they send from a pipe and end with it: open until all came back.
all_came_back() {
    [ -e "$work/done" ] || [ "$(wc -c <"$work/got")" -ge "$(wc -c <"$send")" ]
}
feed() {
    cat "$send"
    wait_until all_came_back
}

client_row_names() {
    for name in one two three; do
        dial good host=$name.test
        row "${t}_sni_$name" ok log " sni=$name.test "
    done
    [ -z "$can_no_sni" ] || {
        dial good host=127.0.0.1
        row "${t}_sni_none" ok log ' sni=- '
    }
}

client_rows_refusing() {
    dial otherhost
    row "${t}_wrong_host" refused text "$says_host" log "$sends_host"
    dial expired
    row "${t}_expired" refused text "$says_expired" log "$sends_expired"
    dial self
    row "${t}_self_signed" refused text "$says_self" log "$sends_self"
    dial unknown
    row "${t}_unknown_ca" refused text "$says_unknown" log "$sends_unknown"
    dial incomplete
    row "${t}_incomplete_chain" refused text "$says_incomplete" log "$sends_incomplete"
}

client_rows_refused() {
    dial mutual
    row "${t}_client_certificate_missing" refused text "$hears_missing" not-log '^connected' \
        log 'ended status=ERR_CERTIFICATE alert=.*PEER_DID_NOT_RETURN_A_CERTIFICATE'
    dial mutual cert=expired
    row "${t}_client_expired" refused text "$hears_expired" not-log '^connected' \
        log 'ended status=ERR_CERTIFICATE alert=certificate_expired verify=10 .*has expired'
    [ -n "$can_force_certificate" ] || return 0
    dial mutual cert=self
    row "${t}_client_self_signed" refused text "$hears_self" not-log '^connected' \
        log 'ended status=ERR_CERTIFICATE alert=unknown_ca verify=18 .*self-signed'
    dial mutual cert=unknown
    row "${t}_client_unknown_ca" refused text "$hears_unknown" not-log '^connected' \
        log 'ended status=ERR_CERTIFICATE alert=unknown_ca verify=20 .*get local issuer'
    dial mutual cert=incomplete
    row "${t}_client_incomplete_chain" refused text "$hears_incomplete" not-log '^connected' \
        log 'ended status=ERR_CERTIFICATE alert=unknown_ca verify=20 .*get local issuer'
}

client_rows_agreeing() {
    dial good
    row "$t" ok log "connected version=TLSv$tls .* reused=0 auth=0 peer=\"\"" log "$ends_well"
    dial good send="$work/large"
    row "${t}_large_body" ok log "$ends_well"
    [ -z "$can_alpn" ] || {
        dial good alpn="$alpn_name"
        row "${t}_alpn_agreed" ok log " alpn=$alpn_name "
        dial good alpn=other/1
        row "${t}_alpn_not_agreed" ok log ' alpn=- '
    }
    [ -z "$can_resume" ] || {
        dial good times=2
        row "${t}_resumption" ok log ' reused=0 ' log ' reused=1 '
    }
    [ -z "$can_see_cut" ] || {
        dial good send="$work/cut"
        row "${t}_truncation" fails text "$hears_cut"
    }
}

client_rows() {
    for tls in 1.2 1.3; do
        t=tls$(echo "$tls" | tr -d .)
        client_rows_agreeing
        client_rows_refusing
        [ -z "$can_sni" ] || client_row_names
        [ -z "$can_certificate" ] || {
            dial mutual cert=client
            row "${t}_client_certificate" ok log "version=TLSv$tls .* auth=1 peer=\"CN=client\""
            client_rows_refused
        }
    done
}
