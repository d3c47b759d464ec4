package client_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// turns are what a SOCKS proxy reads and answers, in hexadecimal.
func turns(hex ...string) func(*testing.T, net.Conn) {
	return func(t *testing.T, nc net.Conn) {
		for i := 0; i < len(hex); i += 2 {
			var want, answer []byte
			fmt.Sscanf(hex[i], "%x", &want)
			fmt.Sscanf(hex[i+1], "%x", &answer)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("turn %d: got %x (%v), want %x", i/2, got, err, want)
			}
			if _, err := nc.Write(answer); err != nil {
				t.Error(err)
			}
		}
	}
}

// httpProxy answers CONNECT with status.
func httpProxy(status, authorization string) func(*testing.T, net.Conn) {
	return func(t *testing.T, nc net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(nc))
		if err != nil {
			t.Error(err)
			return
		}
		if r.Method != http.MethodConnect || r.RequestURI != "broker:1883" || r.Header.Get("Proxy-Authorization") != authorization {
			t.Errorf("got %s %s with %v", r.Method, r.RequestURI, r.Header)
		}
		if _, err := io.WriteString(nc, "HTTP/1.1 "+status+"\r\n\r\n"); err != nil {
			t.Error(err)
		}
	}
}

func TestProxies(t *testing.T) {
	const named = "05010003" + "06" + "62726f6b6572" + "075b" // broker, 1883
	const ok = "05000001" + "7f000001" + "1234"
	for name, tt := range map[string]struct {
		proxy, address string // URL, and where it is
		host           string // "" means broker
		play           func(*testing.T, net.Conn)
		fails          string // part of the error, "" if it succeeds
	}{
		"SOCKS5 with a name":      {"socks5h://p", "p:1080", "", turns("050100", "0500", named, ok), ""},
		"SOCKS5 with IPv4":        {"socks5://p:99", "p:99", "127.0.0.1", turns("050100", "0500", "05010001"+"7f000001"+"075b", ok), ""},
		"SOCKS5 with IPv6":        {"socks5://p", "p:1080", "[::1]", turns("050100", "0500", "05010004"+strings.Repeat("00", 15)+"01"+"075b", "05000004"+strings.Repeat("00", 18)), ""},
		"SOCKS5 that names":       {"socks5h://p", "p:1080", "", turns("050100", "0500", named, "05000003"+"02"+"6162"+"1234"), ""},
		"SOCKS5 with a login":     {"socks5h://u:pw@p", "p:1080", "", turns("05020002", "0502", "01"+"0175"+"027077", "0100", named, ok), ""},
		"SOCKS5 login refused":    {"socks5h://u:pw@p", "p:1080", "", turns("05020002", "0502", "01"+"0175"+"027077", "0101"), "wrong"},
		"SOCKS5 wants a login":    {"socks5h://p", "p:1080", "", turns("050100", "05ff"), "asks for a login"},
		"SOCKS5 cannot connect":   {"socks5h://p", "p:1080", "", turns("050100", "0500", named, "0505000100"), "connection refused"},
		"SOCKS4":                  {"socks5h://p", "p:1080", "", turns("050100", "0400"), "not SOCKS5"},
		"HTTP":                    {"http://p", "p:80", "", httpProxy("200 Fine", ""), ""},
		"HTTP with a login":       {"http://u:pw@p:3128", "p:3128", "", httpProxy("200 Fine", "Basic dTpwdw=="), ""},
		"HTTP that wants a login": {"http://p", "p:80", "", httpProxy("407 Proxy Authentication Required", ""), "407"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := tt.host
				if host == "" {
					host = "broker"
				}
				s := newServer(t, packet.V5)
				o := client.Options{Version: packet.V5, ClientID: "test", URL: "mqtt://" + host, Proxy: tt.proxy,
					DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
						if network != "tcp" || address != tt.address {
							t.Errorf("dialed %s %s, want %s", network, address, tt.address)
						}
						near, far := net.Pipe()
						go func() {
							tt.play(t, far)
							if tt.fails != "" {
								far.Close()
								return
							}
							s.serve(far)
						}()
						return near, nil
					}}
				var c *client.Client
				connected := async(func() (err error) { c, err = client.Connect(context.Background(), o); return err })
				if tt.fails != "" {
					if err := <-connected; err == nil || !strings.Contains(err.Error(), tt.fails) {
						t.Errorf("got %v, want %q", err, tt.fails)
					}
					return
				}
				s.accept(&packet.Connack{})
				if err := <-connected; err != nil {
					t.Fatal(err)
				}
				c.Close()
			})
		})
	}
	for _, bad := range []string{"p:1080", "ftp://p", "socks5://", "socks5://" + strings.Repeat("u", 256) + ":p@p"} {
		if c, err := client.Start(client.Options{Dial: unreachable, Proxy: bad}); err == nil {
			c.Close()
			t.Errorf("proxy %q was taken", bad)
		}
	}
}

// reach dials the addresses that are up, and notes all that were tried.
func reach(s *server, up ...string) (dial func(context.Context, string, string) (net.Conn, error), dialed *[]string) {
	dialed = new([]string)
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		*dialed = append(*dialed, address)
		for _, a := range up {
			if a == address {
				return s.dial(ctx)
			}
		}
		return nil, fmt.Errorf("%s is down", address)
	}, dialed
}

func TestServersAreFoundInDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, packet.V5)
		dial, dialed := reach(s, "two:2000")
		var c *client.Client
		connected := async(func() (err error) {
			c, err = client.Connect(context.Background(), client.Options{Version: packet.V5, ClientID: "test", URL: "mqtt+srv://example.org",
				DialContext: dial, LookupSRV: func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
					if service != "mqtt" || proto != "tcp" || name != "example.org" {
						t.Errorf("looked up %s %s %s", service, proto, name)
					}
					return "", []*net.SRV{{Target: "one.", Port: 1000}, {Target: "two.", Port: 2000}, {Target: "three.", Port: 3000}}, nil
				}})
			return err
		})
		s.accept(&packet.Connack{})
		if err := <-connected; err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := fmt.Sprint(*dialed); got != "[one:1000 two:2000]" {
			t.Errorf("dialed %s", got)
		}
	})
}

func TestServerReferencesAreFollowed(t *testing.T) {
	for _, tt := range []struct {
		code packet.ReasonCode
		off  bool
		want string
	}{
		{packet.UseAnotherServer, false, "[a:1883 b:1884]"},
		{packet.ServerMoved, false, "[a:1883 b:1884]"},
		{packet.UseAnotherServer, true, "[a:1883]"},
		{packet.ServerBusy, false, "[a:1883]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, packet.V5)
			dial, dialed := reach(s, "a:1883", "b:1884")
			var c *client.Client
			connected := async(func() (err error) {
				c, err = client.Connect(context.Background(), client.Options{Version: packet.V5, ClientID: "test", URL: "mqtt://a",
					DialContext: dial, NoServerReference: tt.off})
				return err
			})
			refuse := &packet.Connack{Code: tt.code}
			refuse.Properties.ServerReference = []byte("b:1884")
			refuse.Properties.Mark(packet.PropServerReference)
			s.accept(refuse)
			follows := strings.Contains(tt.want, "b:1884")
			if follows {
				s.accept(&packet.Connack{})
			}
			err := <-connected
			if follows != (err == nil) || !follows && packet.ReasonOf(err) != tt.code {
				t.Errorf("%v: %v", tt.code, err)
			}
			if c != nil {
				c.Close()
			}
			if got := fmt.Sprint(*dialed); got != tt.want {
				t.Errorf("%v: dialed %s, want %s", tt.code, got, tt.want)
			}
		})
	}
}
