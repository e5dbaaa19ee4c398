# Read by the go scripts: compiles peer.go, once a build folder. No network, no modules.
need go
version_is "$(go version)"
go_peer=$PWD/tests/interop/peer-go
export GO111MODULE=off GOFLAGS= GOTOOLCHAIN=local CGO_ENABLED=0 GOCACHE="$work/go-cache" \
    GOPATH="$work/go-path" HOME="$work"
if [ ! -x "$go_peer" ] || [ -n "$(find "$interop/peer.go" -newer "$go_peer")" ]; then
    go build -o "$work/peer-go" "$interop/peer.go" >"$work/go.out" 2>&1 || bail_out "go build failed"
    mv "$work/peer-go" "$go_peer.$$" && mv "$go_peer.$$" "$go_peer"
fi
