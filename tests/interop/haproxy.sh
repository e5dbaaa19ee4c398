# Read by the haproxy scripts.
need haproxy
version_is "$(haproxy -v | head -n 1)"

# haproxy_run NAME PORT: one process with the sections on standard input.
haproxy_run() {
    cat >"$work/$1.cfg" <<END
global
    log stderr format raw local0 debug
    nbthread 1 # each thread has sessions of its own
defaults
    mode tcp
    log global
    retries 0
    timeout connect 20s
    timeout client 20s
    timeout server 20s
$(cat)
END
    background "$1" haproxy -db -f "$work/$1.cfg"
    ready_port "$pid" "$2"
}

# Certificate, chain and key in one file.
haproxy_pem() {
    [ -e "$pki/$1.all" ] || cat "$pki/$1.pem" "$pki/$1.key" >"$pki/$1.all"
    echo "$pki/$1.all"
}
