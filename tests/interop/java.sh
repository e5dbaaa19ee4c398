# Read by the java scripts: starts Peer.java, which does all rows of a script.
need java javac
version_is "$(java -version 2>&1 | head -n 1)"

# java_says LINE: its answer is one line, printed.
java_says() {
    before=$(wc -l <"$work/java.out")
    echo "$*" >&3
    wait_until java_answered || return 1
    tail -n 1 "$work/java.out"
}
java_answered() {
    [ "$(wc -l <"$work/java.out")" -gt "$before" ]
}

mkfifo "$work/java.in"
# One small heap and the quick compiler alone: it lives for a few seconds.
java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m -Xshare:auto \
    "$interop/Peer.java" <"$work/java.in" >"$work/java.out" 2>"$work/java.err" &
java_pid=$!
processes="$processes $java_pid"
exec 3>"$work/java.in"
ready java "$java_pid" ready || bail_out "java did not start"
