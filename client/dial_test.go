package client_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// answer serves one client: CONNECT, one PUBLISH of QoS 1, DISCONNECT. It
// returns what it saw.
func answer(nc net.Conn) (connect *packet.Connect, publish *packet.Publish, err error) {
	defer nc.Close()
	r := packet.NewReader(nc, packet.V5, 0)
	for {
		p, err := r.ReadPacket()
		if err != nil {
			return connect, publish, err
		}
		var reply packet.Packet
		switch p := packet.Clone(p).(type) {
		case *packet.Connect:
			connect, reply = p, &packet.Connack{}
		case *packet.Publish:
			publish, reply = p, &packet.Puback{ID: p.ID}
		default:
			return connect, publish, nil
		}
		if _, err := nc.Write(reply.Append(nil, packet.V5)); err != nil {
			return connect, publish, err
		}
	}
}

func TestEveryTransportCarriesMessages(t *testing.T) {
	seen := make(chan *packet.Connect, 1)
	serve := func(nc net.Conn) {
		connect, publish, err := answer(nc)
		if err != nil || publish == nil || string(publish.Topic) != "t" {
			t.Errorf("server saw %v, %v", publish, err)
		}
		seen <- connect
	}
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	accept := func(l net.Listener) {
		nc, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		serve(nc)
	}
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mqtt" || r.Header.Get("X-Test") != "yes" {
			t.Errorf("handshake for %s with %v", r.URL.Path, r.Header)
		}
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"mqtt"}})
		if err != nil {
			t.Error(err)
			return
		}
		serve(websocket.NetConn(context.Background(), ws, websocket.MessageBinary))
	})
	plain, secure := httptest.NewServer(upgrade), httptest.NewTLSServer(upgrade)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	trust := secure.Client().Transport.(*http.Transport).TLSClientConfig

	tcp := listen("tcp", "127.0.0.1:0")
	over := tls.NewListener(listen("tcp", "127.0.0.1:0"), secure.TLS)
	path := filepath.Join(t.TempDir(), "s")
	unix := listen("unix", path)
	for name, tt := range map[string]struct {
		url    string
		accept net.Listener // nil: the HTTP server does
	}{
		"tcp":  {"mqtt://user:p%40ss@" + tcp.Addr().String(), tcp},
		"tls":  {"mqtts://user:p%40ss@" + over.Addr().String(), over},
		"ws":   {strings.Replace(plain.URL, "http://", "ws://user:p%40ss@", 1), nil},
		"wss":  {strings.Replace(secure.URL, "https://", "wss://user:p%40ss@", 1), nil},
		"unix": {"unix://" + filepath.ToSlash(path), unix},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.accept != nil {
				go accept(tt.accept)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			o := client.Options{URL: tt.url, TLS: trust, Header: http.Header{"X-Test": {"yes"}}}
			if err := client.PublishOnce(ctx, o, client.Message{Topic: "t", QoS: 1, Payload: make([]byte, 100_000)}); err != nil {
				t.Fatal(err)
			}
			if c := <-seen; name != "unix" && (string(c.Username) != "user" || string(c.Password) != "p@ss") {
				t.Errorf("user %q, password %q", c.Username, c.Password)
			}
		})
	}
}

func TestAWebSocketServerMustSpeakMQTT(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := websocket.Accept(w, r, nil); err == nil {
			ws.CloseNow()
		}
	}))
	defer s.Close()
	_, err := client.Connect(t.Context(), client.Options{URL: strings.Replace(s.URL, "http", "ws", 1)})
	if err == nil || !strings.Contains(err.Error(), "subprotocol") {
		t.Errorf("got %v", err)
	}
}

func TestOptionsThatMakeNoSenseAreNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		o    client.Options
		want string
	}{
		"scheme":      {client.Options{URL: "http://h"}, "scheme"},
		"no scheme":   {client.Options{URL: "localhost"}, "URL"},
		"no host":     {client.Options{URL: "mqtt://:1883"}, "host"},
		"no path":     {client.Options{URL: "unix://"}, "path"},
		"version":     {client.Options{Version: 6}, "Version"},
		"keep alive":  {client.Options{KeepAlive: 24 * time.Hour}, "KeepAlive"},
		"password":    {client.Options{Version: packet.V311, Password: []byte("x")}, "Username"},
		"auth":        {client.Options{Version: packet.V311, Auth: &letters{}}, "Auth"},
		"will":        {client.Options{Will: &client.Message{Topic: "a/#"}}, "Will"},
		"will QoS":    {client.Options{Will: &client.Message{Topic: "a", QoS: 3}}, "QoS"},
		"max queued":  {client.Options{MaxQueued: -1}, "MaxQueued"},
		"reconnect":   {client.Options{Reconnect: client.ReconnectOptions{Min: 2, Max: 1}}, "Reconnect"},
		"no password": {client.Options{URL: "mqtt://u:secret@"}, "host"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.o.Dial = func(context.Context) (net.Conn, error) {
				t.Error("dialed")
				return nil, net.ErrClosed
			}
			_, err := client.Connect(t.Context(), tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want a word of %s", err, tt.want)
			}
		})
	}
}

func TestDialStopsWhereMQTTBegins(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	open := func(context.Context) (net.Conn, error) { return near, nil }
	nc, err := client.Dial(t.Context(), client.Options{URL: "mqtt://localhost", Dial: open})
	if err != nil || nc != near {
		t.Fatalf("got %v, %v; want the connection itself", nc, err)
	}
	nc.Close()
	if n, err := far.Read(make([]byte, 1)); n != 0 {
		t.Errorf("read %d bytes, %v; want none", n, err)
	}
	if _, err := client.Dial(t.Context(), client.Options{URL: "http://localhost"}); err == nil {
		t.Error("an unknown scheme is accepted")
	}
}
