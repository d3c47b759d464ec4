package transport_test

import (
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/transport"
)

func TestListenAddressesAreRead(t *testing.T) {
	type URL = transport.URL
	for in, want := range map[string]URL{
		"tcp://:1883":                        {Network: "tcp", Address: ":1883"},
		"tcp://localhost":                    {Network: "tcp", Address: "localhost:1883"},
		"tcp://0.0.0.0:0/":                   {Network: "tcp", Address: "0.0.0.0:0"},
		"MQTT://broker_1.example:01883":      {Network: "tcp", Address: "broker_1.example:1883"},
		"tcp://[::1]":                        {Network: "tcp", Address: "[::1]:1883"},
		"tcp://[fe80::1%25eth0]:1884":        {Network: "tcp", Address: "[fe80::1%eth0]:1884"},
		"tls://[::]:1":                       {Network: "tcp", Address: "[::]:1", TLS: true},
		"mqtts://h":                          {Network: "tcp", Address: "h:8883", TLS: true},
		"ssl://h?proxy=true":                 {Network: "tcp", Address: "h:8883", TLS: true, Proxy: true},
		"ws://h":                             {Network: "tcp", Address: "h:8083", WebSocket: true, Path: "/mqtt"},
		"ws://h/":                            {Network: "tcp", Address: "h:8083", WebSocket: true, Path: "/"},
		"ws://:80/a%20b?proxy=false":         {Network: "tcp", Address: ":80", WebSocket: true, Path: "/a b"},
		"wss://h":                            {Network: "tcp", Address: "h:8084", WebSocket: true, TLS: true, Path: "/mqtt"},
		"unix:///run/wirebird.sock":          {Network: "unix", Address: "/run/wirebird.sock"},
		"mqtt+unix:///a/b?proxy=true":        {Network: "unix", Address: "/a/b", Proxy: true},
		"unix:///run/a%3Fb%23c%25d.sock":     {Network: "unix", Address: "/run/a?b#c%d.sock"},
		"wss://10.0.0.1:443/ws?proxy=true":   {Network: "tcp", Address: "10.0.0.1:443", WebSocket: true, TLS: true, Proxy: true, Path: "/ws"},
		"tcp://[::ffff:127.0.0.1]:1883":      {Network: "tcp", Address: "[::ffff:127.0.0.1]:1883"},
		"unix:////double/slash/is/kept.sock": {Network: "unix", Address: "//double/slash/is/kept.sock"},
	} {
		t.Run(in, func(t *testing.T) {
			got, err := transport.ParseListen(in)
			if err != nil || got != want {
				t.Fatalf("ParseListen = %+v, %v; want %+v", got, err, want)
			}
			if again, err := transport.ParseListen(got.String()); err != nil || again != want {
				t.Errorf("%s reads back as %+v, %v", got, again, err)
			}
		})
	}
}

func TestBadListenAddressesAreExplained(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "no scheme",
		"1883":                          "no scheme",
		"localhost:1883":                "no scheme",
		"http://h":                      `unknown scheme "http"`,
		"://h":                          "unknown scheme",
		"tcp://":                        "no host and no port",
		"tcp://:":                       "no host and no port",
		"tcp://*:1883":                  "leave the host out",
		"tcp://::1:1883":                "needs brackets",
		"tcp://h:65536":                 "not between 0 and 65535",
		"tcp://h:x":                     "port",
		"tcp://h/path":                  "only ws and wss have a path",
		"tcp://me@h":                    "user name",
		"tcp://h#":                      "fragment",
		"tcp://h!:1":                    "neither an IP address nor a host name",
		"tcp://[zz]:1":                  "unable to parse IP",
		"tcp://h?proxy=yes":             `true or false, not "yes"`,
		"tcp://h?proxy=true&proxy=true": "more than once",
		"tcp://h?tls=true":              `unknown option "tls"`,
		"tcp://h?%zz":                   "in the query",
		"unix://run/wirebird.sock":      "three slashes",
		"unix://":                       "no file name",
		"unix:///run/":                  "no file name",
		"unix:///a%00b":                 "NUL",
		"ws://h/\x7f":                   "invalid control character",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := transport.ParseListen(in)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("ParseListen = %+v, %v; want an error with %q", got, err, want)
			}
		})
	}
}

func TestLoopbackKnowsWhatStaysOnTheMachine(t *testing.T) {
	for in, want := range map[string]bool{
		"tcp://:1883":                   false,
		"tcp://0.0.0.0":                 false,
		"tcp://[::]":                    false,
		"tcp://192.168.1.1":             false,
		"tcp://localhost.example.com":   false,
		"tcp://LocalHost":               true,
		"ws://127.0.0.1":                true,
		"tcp://127.1.2.3:0":             true,
		"tls://[::1]":                   true,
		"tcp://[::ffff:127.0.0.1]:1883": true,
		"unix:///run/wirebird.sock":     true,
	} {
		u, err := transport.ParseListen(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Loopback(); got != want {
			t.Errorf("%s: Loopback = %v, want %v", in, got, want)
		}
	}
}

func FuzzParseListen(f *testing.F) {
	for _, s := range []string{"tcp://:1883", "wss://[::1]:8084/mqtt?proxy=true", "unix:///run/a%20b", "tls://[fe80::1%25e]:1", "ws://h/%2f/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		u, err := transport.ParseListen(in)
		if err != nil {
			if u != (transport.URL{}) {
				t.Errorf("%q: an error and %+v", in, u)
			}
			return
		}
		if again, err := transport.ParseListen(u.String()); err != nil || again != u {
			t.Errorf("%q is %+v, printed as %q, read back as %+v, %v", in, u, u.String(), again, err)
		}
	})
}
