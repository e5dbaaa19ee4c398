/*
 * The peer of the java rows: javax.net.ssl as client and server. It starts slowly, so one process
 * does them all: it reads lines "client NAME=VALUE..." and "server NAME=VALUE...", and answers each
 * with one line.
 */
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.ExtendedSSLSession;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SNIServerName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;

public class Peer {
    /** Identities by the host they are for; "" is the one for all others. */
    static class Identities extends X509ExtendedKeyManager {
        final Map<String, X509Certificate[]> chains = new HashMap<>();
        final Map<String, PrivateKey> keys = new HashMap<>();

        void add(String host, String certificates, String key) throws Exception {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            try (InputStream in = Files.newInputStream(Path.of(certificates))) {
                chains.put(host, factory.generateCertificates(in).toArray(new X509Certificate[0]));
            }
            String base64 = Files.readString(Path.of(key)).replaceAll("-----[^-]*-----|\\s", "");
            keys.put(host, KeyFactory.getInstance("EC").generatePrivate(
                    new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64))));
        }

        String only() {
            return chains.containsKey("") ? "" : null;
        }

        @Override
        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            if (!type.startsWith("EC")) {
                return null;
            }
            ExtendedSSLSession session =
                    (ExtendedSSLSession) ((SSLSocket) socket).getHandshakeSession();
            for (SNIServerName name : session.getRequestedServerNames()) {
                String host = new String(name.getEncoded());
                if (chains.containsKey(host)) {
                    return host;
                }
            }
            return only();
        }

        @Override
        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return only();
        }

        @Override
        public X509Certificate[] getCertificateChain(String alias) {
            return chains.get(alias);
        }

        @Override
        public PrivateKey getPrivateKey(String alias) {
            return keys.get(alias);
        }

        @Override
        public String[] getClientAliases(String type, Principal[] issuers) {
            return null;
        }

        @Override
        public String[] getServerAliases(String type, Principal[] issuers) {
            return null;
        }
    }

    static SSLContext context(Identities identities, String ca) throws Exception {
        TrustManager[] trust = null;
        if (ca != null) {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            try (InputStream in = Files.newInputStream(Path.of(ca))) {
                store.setCertificateEntry("ca",
                        CertificateFactory.getInstance("X.509").generateCertificate(in));
            }
            TrustManagerFactory factory =
                    TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            factory.init(store);
            trust = factory.getTrustManagers();
        }
        SSLContext ctx = SSLContext.getInstance("TLS");
        ctx.init(new KeyManager[] {identities}, trust, null);
        return ctx;
    }

    /** Over a connected socket, so that the host and port are what sessions are kept by. */
    static byte[] exchange(SSLContext ctx, Map<String, String> options, byte[] data)
            throws Exception {
        Socket raw = new Socket(InetAddress.getByName("127.0.0.1"),
                Integer.parseInt(options.get("port")));
        raw.setSoTimeout(30000);
        try (SSLSocket socket = (SSLSocket) ctx.getSocketFactory().createSocket(
                     raw, options.get("host"), raw.getPort(), true)) {
            socket.setEnabledProtocols(new String[] {"TLSv" + options.get("tls")});
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            if (options.containsKey("alpn")) {
                parameters.setApplicationProtocols(new String[] {options.get("alpn")});
            }
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            Thread sender = new Thread(() -> {
                try {
                    socket.getOutputStream().write(data);
                } catch (IOException error) {
                    // The reader gets one as well.
                }
            });
            sender.start();
            byte[] back = socket.getInputStream().readNBytes(data.length);
            sender.join();
            if (back.length < data.length) {
                throw new IOException("the server closed");
            }
            return back;
        }
    }

    static String client(Map<String, String> options) throws Exception {
        Identities identities = new Identities();
        if (options.containsKey("cert")) {
            identities.add("", options.get("cert"), options.get("key"));
        }
        SSLContext ctx = context(identities, options.get("ca"));
        byte[] data = Files.readAllBytes(Path.of(options.get("send")));
        byte[] back = null;
        for (int i = 0; i < Integer.parseInt(options.get("times")); i++) {
            back = exchange(ctx, options, data);
        }
        Files.write(Path.of(options.get("got")), back);
        return "done";
    }

    static void echo(SSLSocket socket) {
        try (socket) {
            InputStream in = socket.getInputStream();
            OutputStream out = socket.getOutputStream();
            byte[] data = new byte[65536];
            for (int n; (n = in.read(data)) >= 0; ) {
                out.write(data, 0, n);
            }
        } catch (IOException error) {
            System.err.println("failed: " + error.getMessage());
        }
    }

    static String server(Map<String, String> options) throws Exception {
        Identities identities = new Identities();
        String pki = options.get("pki") + "/";
        String cert = options.get("cert");
        identities.add("", pki + cert + ".pem", pki + cert + ".key");
        for (String name : options.getOrDefault("names", "").split(",")) {
            if (!name.isEmpty()) {
                identities.add(name + ".test", pki + name + ".pem", pki + name + ".key");
            }
        }
        SSLServerSocket listener = (SSLServerSocket) context(identities, options.get("ca"))
                .getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        listener.setNeedClientAuth(options.containsKey("ca"));
        if (options.containsKey("alpn")) {
            SSLParameters parameters = listener.getSSLParameters();
            parameters.setApplicationProtocols(options.get("alpn").split(","));
            listener.setSSLParameters(parameters);
        }
        Thread thread = new Thread(() -> {
            try {
                while (true) {
                    SSLSocket socket = (SSLSocket) listener.accept();
                    new Thread(() -> echo(socket)).start();
                }
            } catch (IOException error) {
                System.err.println("failed: " + error.getMessage());
            }
        });
        thread.setDaemon(true);
        thread.start();
        return "listening " + listener.getLocalPort();
    }

    static String answer(String line) {
        List<String> words = Arrays.asList(line.trim().split("\\s+"));
        Map<String, String> options = new HashMap<>();
        for (String word : words.subList(1, words.size())) {
            String[] parts = word.split("=", 2);
            options.put(parts[0], parts[1]);
        }
        try {
            return words.get(0).equals("server") ? server(options) : client(options);
        } catch (Exception error) {
            String text = "failed:";
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                text += " " + cause.getMessage();
            }
            return text.replace('\n', ' ');
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        for (String line; (line = lines.readLine()) != null; ) {
            System.out.println(answer(line));
        }
    }
}
