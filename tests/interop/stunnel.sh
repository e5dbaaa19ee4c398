# Read by the stunnel scripts.
need stunnel
version_is "$(stunnel -version 2>&1 | grep -m 1 -o 'stunnel [0-9][^ ]* .*')"

# stunnel_run NAME PORT: one process with the sections on standard input.
stunnel_run() {
    cat >"$work/$1.conf" <<END
foreground = yes
pid =
debug = info
$(cat)
END
    background "$1" stunnel "$work/$1.conf"
    ready_port "$pid" "$2"
}
