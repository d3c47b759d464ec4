package interop

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// mosquittoCommand prepares a Mosquitto broker. It cannot pick ports itself, so
// it is given ones that were free a moment ago.
func mosquittoCommand(b *broker, o brokerOptions) *exec.Cmd {
	b.t.Helper()
	var conf strings.Builder
	fmt.Fprintf(&conf, "user root\nallow_anonymous %t\n", o.passwordFile == "")
	if o.passwordFile != "" {
		fmt.Fprintf(&conf, "password_file %s\n", o.passwordFile)
	}
	for _, scheme := range o.listeners {
		if scheme == "unix" {
			path := filepath.Join(b.dir, "mqtt.sock")
			b.urls[scheme] = &url.URL{Scheme: "unix", Path: path}
			fmt.Fprintf(&conf, "listener 0 %s\n", path)
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		b.urls[scheme] = &url.URL{Scheme: scheme, Host: l.Addr().String()}
		fmt.Fprintf(&conf, "listener %d 127.0.0.1\n", l.Addr().(*net.TCPAddr).Port)
		l.Close()
		if scheme == "ws" || scheme == "wss" {
			b.urls[scheme].Path = "/mqtt"
			conf.WriteString("protocol websockets\n")
		}
		if scheme == "tls" || scheme == "wss" {
			fmt.Fprintf(&conf, "certfile %s\nkeyfile %s\n", o.pair.certFile, o.pair.keyFile)
		}
	}
	path := filepath.Join(b.dir, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return exec.Command(b.binary, "-v", "-c", path)
}

// awaitPorts returns when all listeners accept: Mosquitto's log does not say.
func (b *broker) awaitPorts() {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for scheme, u := range b.urls {
		network, address := "tcp", u.Host
		if scheme == "unix" {
			network, address = "unix", u.Path
		}
		for {
			nc, err := net.Dial(network, address)
			if err == nil {
				nc.Close()
				break
			}
			if time.Now().After(deadline) {
				b.t.Fatalf("mosquitto does not accept on %s: %v", u, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
