"""The peer of the python rows: Python's ssl module as client and server.

peer.py client|server NAME=VALUE...
"""
import socket
import ssl
import sys
import threading

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def tell_truncation(ctx):
    """An end without close_notify is an error, also in versions that pass over it unless told."""
    ctx.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def client_context(options):
    ctx = ssl.create_default_context(cafile=options["ca"])
    tell_truncation(ctx)
    ctx.minimum_version = ctx.maximum_version = VERSIONS[options["tls"]]
    if "cert" in options:
        ctx.load_cert_chain(options["cert"], options["key"])
    if "alpn" in options:
        ctx.set_alpn_protocols([options["alpn"]])
    return ctx


def exchange(ctx, options, data, session):
    raw = socket.create_connection(("127.0.0.1", int(options["port"])), timeout=30)
    with ctx.wrap_socket(raw, server_hostname=options["host"], session=session,
                         suppress_ragged_eofs=False) as conn:
        # One after the other: a connection may not be used by two threads, and the server waits
        # with its answer for nobody.
        conn.sendall(data)
        back = b""
        while len(back) < len(data):
            part = conn.recv(65536)
            if not part:
                raise EOFError("the server closed")
            back += part
        print(conn.version(), conn.cipher()[0], conn.selected_alpn_protocol(),
              "reused" if conn.session_reused else "new")
        session = conn.session
        conn.unwrap()
        return back, session


def run_client(options):
    ctx = client_context(options)
    with open(options["send"], "rb") as file:
        data = file.read()
    session = None
    for _ in range(int(options["times"])):
        back, session = exchange(ctx, options, data, session)
    with open(options["got"], "wb") as file:
        file.write(back)


def server_context(options, name):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(f"{options['pki']}/{name}.pem", f"{options['pki']}/{name}.key")
    if "ca" in options:
        ctx.load_verify_locations(options["ca"])
        ctx.verify_mode = ssl.CERT_REQUIRED
    if "alpn" in options:
        ctx.set_alpn_protocols(options["alpn"].split(","))
    return ctx


def serve(ctx, raw):
    try:
        with ctx.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False) as conn:
            print("client", conn.getpeercert() or "none", flush=True)
            while data := conn.recv(65536):
                conn.sendall(data)
            conn.unwrap()
    except OSError as error:
        print("failed", error, flush=True)


def run_server(options):
    ctx = server_context(options, options["cert"])
    others = {f"{name}.test": server_context(options, name)
              for name in options.get("names", "").split(",") if name}

    def choose(conn, name, _):
        conn.context = others.get(name, ctx)

    if others:
        ctx.sni_callback = choose
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        raw, _ = listener.accept()
        threading.Thread(target=serve, args=(ctx, raw), daemon=True).start()


def main():
    options = dict(word.split("=", 1) for word in sys.argv[2:])
    if sys.argv[1] == "server":
        run_server(options)
        return
    try:
        run_client(options)
    except (OSError, EOFError) as error:
        sys.exit(f"failed: {error}")


main()
