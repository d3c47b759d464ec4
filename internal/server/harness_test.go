package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/server"
	"github.com/wirebird/wirebird/internal/transport"
	"github.com/wirebird/wirebird/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// loopback is a configuration of one address, in memory, without admin.
func loopback() config.Config {
	c := config.Default()
	c.InMemory = true
	c.Admin = ""
	c.SysInterval = 0
	c.Shards = 2
	c.Listen = []config.Listener{{URL: "tcp://127.0.0.1:0"}}
	return c
}

// logbook collects log lines.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// entries returns the lines with this message.
func (l *logbook) entries(t *testing.T, msg string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if e["msg"] == msg {
			found = append(found, e)
		}
	}
	return found
}

// node is a running server.
type node struct {
	*server.Server
	server.Summary
	t    *testing.T
	log  *logbook
	stop context.CancelFunc
	done chan struct{} // closed when Run has returned
	err  error         // of Run, after done
}

// start runs a server until the test ends; Run must return nil then.
func start(t *testing.T, cfg config.Config) *node {
	t.Helper()
	n := &node{t: t, log: &logbook{}, done: make(chan struct{})}
	var err error
	if n.Server, err = server.New(cfg, server.NewLogger(n.log, "json", cfg.LogLevel), "v0.0.1"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	ready := make(chan server.Summary, 1)
	go func() {
		defer close(n.done)
		n.err = n.Run(ctx, func(s server.Summary) { ready <- s })
	}()
	t.Cleanup(func() {
		cancel()
		n.wait()
		if t.Failed() {
			t.Logf("log:\n%s", n.log)
		}
	})
	select {
	case n.Summary = <-ready:
	case <-n.done:
		t.Fatalf("Run: %v", n.err)
	case <-time.After(patience):
		t.Fatal("the server does not start")
	}
	return n
}

// wait waits for the end of Run.
func (n *node) wait() {
	n.t.Helper()
	select {
	case <-n.done:
		if n.err != nil {
			n.t.Errorf("Run: %v", n.err)
		}
	case <-time.After(patience):
		n.t.Fatal("the server does not stop")
	}
}

// failure returns why a server with cfg does not start.
func failure(t *testing.T, cfg config.Config) string {
	t.Helper()
	s, err := server.New(cfg, server.NewLogger(io.Discard, "json", cfg.LogLevel), "v0.0.1")
	if err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err = s.Run(ctx, func(server.Summary) { cancel() }); err == nil {
		t.Error("the server starts; want an error")
		return ""
	}
	cancel()
	return err.Error()
}

// get asks the admin server.
func (n *node) get(path string) (status int, body string) {
	n.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get(n.Admin + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// eventually waits until ok reports true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

// peer is a client that speaks packets.
type peer struct {
	t  *testing.T
	v  packet.Version
	nc net.Conn
	r  *packet.Reader
}

// dial opens a connection to the i-th listener.
func (n *node) dial(i int, v packet.Version) *peer {
	n.t.Helper()
	u := n.Listeners[i].Transport
	if host, port, err := net.SplitHostPort(u.Address); err == nil && !u.Loopback() && net.ParseIP(host).IsUnspecified() {
		u.Address = net.JoinHostPort("127.0.0.1", port)
	}
	nc, err := net.Dial(u.Network, u.Address)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	return &peer{t: n.t, v: v, nc: nc, r: packet.NewReader(nc, v, 0)}
}

func (p *peer) send(k packet.Packet) {
	p.t.Helper()
	if _, err := p.nc.Write(k.Append(nil, p.v)); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next packet, valid until the call after.
func (p *peer) next() packet.Packet {
	p.t.Helper()
	k, err := p.r.ReadPacket()
	if err != nil {
		p.t.Fatalf("waiting for a packet: %v", err)
	}
	return k
}

// expect is next, of a certain type.
func expect[T packet.Packet](p *peer) T {
	p.t.Helper()
	k := p.next()
	want, ok := k.(T)
	if !ok {
		p.t.Fatalf("%v comes; want a %T", k, want)
	}
	return want
}

// connect returns the CONNACK. User and password may be nil.
func (p *peer) connect(user, password []byte) *packet.Connack {
	p.t.Helper()
	p.send(&packet.Connect{Version: p.v, CleanStart: true, ClientID: []byte("peer"),
		HasUsername: user != nil, Username: user, HasPassword: password != nil, Password: password})
	return expect[*packet.Connack](p)
}

// writeFile writes a file and returns its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	rewrite(t, path, text)
	return path
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// unixURL is the address of a socket in a directory with a short name.
func unixURL(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return transport.URL{Network: "unix", Address: filepath.ToSlash(filepath.Join(dir, "s"))}.String()
}
