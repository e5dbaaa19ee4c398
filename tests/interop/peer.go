// The peer of the go rows: crypto/tls as client and server.
//
// peer client|server NAME=VALUE...
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

var options = map[string]string{}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
}

func identity(cert, key string) tls.Certificate {
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(err)
	return pair
}

func pool(path string) *x509.CertPool {
	pem, err := os.ReadFile(path)
	check(err)
	certs := x509.NewCertPool()
	if !certs.AppendCertsFromPEM(pem) {
		check(errors.New("no certificate in " + path))
	}
	return certs
}

func clientConfig() *tls.Config {
	version := uint16(tls.VersionTLS13)
	if options["tls"] == "1.2" {
		version = tls.VersionTLS12
	}
	config := &tls.Config{
		RootCAs:            pool(options["ca"]),
		ServerName:         options["host"],
		MinVersion:         version,
		MaxVersion:         version,
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	if options["cert"] != "" {
		// As it is, also where the server's list of CAs does not have its issuer.
		pair := identity(options["cert"], options["key"])
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &pair, nil
		}
	}
	if options["alpn"] != "" {
		config.NextProtos = []string{options["alpn"]}
	}
	return config
}

func exchange(config *tls.Config, data []byte) []byte {
	conn, err := tls.Dial("tcp", "127.0.0.1:"+options["port"], config)
	check(err)
	go conn.Write(data)
	back := make([]byte, len(data))
	_, err = io.ReadFull(conn, back)
	check(err)
	state := conn.ConnectionState()
	fmt.Printf("%x %s %v\n", state.Version, state.NegotiatedProtocol, state.DidResume)
	check(conn.CloseWrite())
	if _, err = conn.Read(make([]byte, 1)); err != io.EOF {
		check(fmt.Errorf("no clean end: %v", err))
	}
	conn.Close()
	return back
}

func runClient() {
	data, err := os.ReadFile(options["send"])
	check(err)
	times, err := strconv.Atoi(options["times"])
	check(err)
	config := clientConfig()
	var back []byte
	for i := 0; i < times; i++ {
		back = exchange(config, data)
	}
	check(os.WriteFile(options["got"], back, 0o600))
}

func serve(conn *tls.Conn) {
	defer conn.Close()
	if _, err := io.Copy(conn, conn); err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
	}
}

func serverConfig() *tls.Config {
	config := &tls.Config{}
	add := func(name string) {
		pair := identity(options["pki"]+"/"+name+".pem", options["pki"]+"/"+name+".key")
		config.Certificates = append(config.Certificates, pair)
	}
	add(options["cert"])
	for _, name := range strings.FieldsFunc(options["names"], func(r rune) bool { return r == ',' }) {
		add(name)
	}
	if options["ca"] != "" {
		config.ClientCAs = pool(options["ca"])
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if options["alpn"] != "" {
		config.NextProtos = strings.Split(options["alpn"], ",")
	}
	return config
}

func runServer() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	config := serverConfig()
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		check(err)
		go serve(tls.Server(conn, config))
	}
}

func main() {
	for _, word := range os.Args[2:] {
		at := strings.Index(word, "=")
		options[word[:at]] = word[at+1:]
	}
	if os.Args[1] == "server" {
		runServer()
	} else {
		runClient()
	}
}
