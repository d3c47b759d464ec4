package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/server"
	"github.com/wirebird/wirebird/packet"
)

func TestAddressesAreLoggedInOrderAndThenReady(t *testing.T) {
	cfg := loopback()
	cfg.Listen = []config.Listener{{URL: "ws://127.0.0.1:0/mqtt"}, {URL: "tcp://127.0.0.1:0"}, {URL: "tcp://[::1]:0"}}
	if !hasIPv6() {
		cfg.Listen = cfg.Listen[:2]
	}
	cfg.Admin = "127.0.0.1:0"
	n := start(t, cfg)
	lines := n.log.entries(t, "listening")
	if len(lines) != len(cfg.Listen) || len(n.Listeners) != len(cfg.Listen) {
		t.Fatalf("%d lines and %d listeners; want %d", len(lines), len(n.Listeners), len(cfg.Listen))
	}
	for i, line := range lines {
		scheme, _, _ := strings.Cut(cfg.Listen[i].URL, "://")
		u, _ := line["url"].(string)
		if u != n.Listeners[i].URL || !strings.HasPrefix(u, scheme+"://") || strings.Contains(u, ":0") {
			t.Errorf("line %d names %q; the summary %q, the configuration %q", i, u, n.Listeners[i].URL, cfg.Listen[i].URL)
		}
		if n.Listeners[i].Clients != "anonymous clients of this machine only" {
			t.Errorf("listener %d is for %q", i, n.Listeners[i].Clients)
		}
	}
	ready := n.log.entries(t, "ready")
	if len(ready) != 1 {
		t.Fatalf("%d ready lines", len(ready))
	}
	for key, want := range map[string]any{"version": "v0.0.1", "data": "none", "admin": n.Admin, "shards": 2.0} {
		if ready[0][key] != want {
			t.Errorf("ready line has %s=%v; want %v", key, ready[0][key], want)
		}
	}
	if ready[0]["driver"] == "" || n.Admin == "" {
		t.Errorf("driver %v, admin %q", ready[0]["driver"], n.Admin)
	}
	if !strings.HasSuffix(strings.TrimSpace(n.log.String()), "}") || len(n.log.entries(t, "other machines can reach the admin address, which asks nobody for a password")) != 0 {
		t.Errorf("unexpected log:\n%s", n.log)
	}
}

func hasIPv6() bool {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		ln.Close()
	}
	return err == nil
}

func TestSummarySaysWhoMayConnect(t *testing.T) {
	passwords := writeFile(t, userU)
	for name, tt := range map[string]struct {
		change func(c *config.Config)
		want   string
	}{
		"loopback": {func(c *config.Config) {}, "anonymous clients of this machine only"},
		"open": {func(c *config.Config) { c.Listen[0].URL, c.AllowAnonymous = "tcp://0.0.0.0:0", true },
			"anonymous clients of any machine"},
		"passwords": {func(c *config.Config) { c.Listen[0].URL, c.PasswordFile = "tcp://0.0.0.0:0", passwords },
			"clients of any machine, with a password"},
		"local passwords": {func(c *config.Config) { c.PasswordFile = passwords }, "clients of this machine only, with a password"},
		"SCRAM":           {func(c *config.Config) { c.ScramFile = writeFile(t, "") }, "clients of this machine only, with a password by SCRAM-SHA-256"},
		"proxy":           {func(c *config.Config) { c.Listen[0].URL += "?proxy=true"; c.AllowAnonymous = true }, "anonymous clients that the proxy lets in"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := loopback()
			tt.change(&cfg)
			if got := start(t, cfg).Listeners[0].Clients; got != tt.want {
				t.Errorf("%q; want %q", got, tt.want)
			}
		})
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	n := start(t, loopback())
	p := n.dial(0, packet.V5)
	if ack := p.connect(nil, nil); ack.Code != packet.Success {
		t.Fatal(ack)
	}
	n.stop()
	if d := expect[*packet.Disconnect](p); d.Code != packet.ServerShuttingDown {
		t.Errorf("%v; want %v", d, packet.ServerShuttingDown)
	}
	n.wait()
	if len(n.log.entries(t, "stopped")) != 1 {
		t.Errorf("the end is not logged:\n%s", n.log)
	}
}

// stuff makes a subscriber that has more to read than fits on the way.
func stuff(t *testing.T, n *node) *peer {
	t.Helper()
	p := n.dial(0, packet.V5)
	p.connect(nil, nil)
	p.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("big")}}})
	expect[*packet.Suback](p)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Connect(ctx, client.Options{URL: n.Listeners[0].URL})
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, 256<<10)
	for range 80 { // 20 MiB
		if err := c.Publish(ctx, client.Message{Topic: "big", Payload: payload, QoS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestShutdownWaitsForWhatWasWritten(t *testing.T) {
	cfg := loopback()
	cfg.Admin = "127.0.0.1:0"
	cfg.ShutdownTimeout = 2 * patience
	n := start(t, cfg)
	if status, body := n.get("/readyz"); status != 200 || body != "ok\n" {
		t.Errorf("/readyz: %d %q before", status, body)
	}
	p := stuff(t, n)
	n.stop()
	eventually(t, "/readyz says 503", func() bool {
		status, body := n.get("/readyz")
		return status == 503 && strings.HasPrefix(body, "shutting down: waiting for ")
	})
	if status, body := n.get("/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q while shutting down", status, body)
	}
	if status, _ := n.get("/metrics"); status != 200 {
		t.Errorf("/metrics: %d while shutting down", status)
	}
	for {
		if d, ok := p.next().(*packet.Disconnect); ok {
			if d.Code != packet.ServerShuttingDown {
				t.Errorf("%v; want %v", d, packet.ServerShuttingDown)
			}
			break
		}
	}
	p.nc.Close()
	n.wait()
}

func TestShutdownCutsWhoDoesNotRead(t *testing.T) {
	cfg := loopback()
	cfg.ShutdownTimeout = 50 * time.Millisecond
	n := start(t, cfg)
	stuff(t, n)
	n.stop()
	n.wait()
	if len(n.log.entries(t, "clients did not take all that was written to them in time; their connections were cut")) != 1 {
		t.Errorf("nobody is told:\n%s", n.log)
	}
}

func TestDataDirectoryHasOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "wirebird")
	cfg := loopback()
	cfg.InMemory, cfg.Data = false, dir
	n := start(t, cfg)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if perm := info.Mode().Perm(); perm != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("the directory has mode %v; want 0700", perm)
	}
	if n.Data != dir || n.log.entries(t, "ready")[0]["data"] != dir {
		t.Errorf("data is %q, in the log %v", n.Data, n.log.entries(t, "ready")[0]["data"])
	}
	want := fmt.Sprintf("data directory %s is in use by another wirebird (pid %d); stop that one or choose another with --data", dir, os.Getpid())
	if got := failure(t, cfg); got != want {
		t.Errorf("a second server says %q; want %q", got, want)
	}
	n.stop()
	n.wait()

	// Who cannot start gives it back, and so does who ends.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	broken := cfg
	broken.Listen = []config.Listener{{URL: "tcp://" + taken.Addr().String()}}
	failure(t, broken)
	start(t, cfg)
}

func TestDataDirectoryThatCannotBe(t *testing.T) {
	file := writeFile(t, "")
	cfg := loopback()
	cfg.InMemory, cfg.Data = false, filepath.Join(file, "data")
	got := failure(t, cfg)
	if !strings.HasPrefix(got, "data directory "+cfg.Data+": ") || !strings.HasSuffix(got, "; choose another with --data, or pass --in-memory") {
		t.Errorf("the error is %q", got)
	}
}

func TestErrorsSayHowToMendThem(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	missing := filepath.Join(t.TempDir(), "missing")
	for name, tt := range map[string]struct {
		change func(c *config.Config)
		want   string
	}{
		"port in use": {func(c *config.Config) { c.Listen = append(c.Listen, config.Listener{URL: "tcp://" + address}) },
			"listen tcp " + address + ": address already in use; stop the other program or choose another port with --listen"},
		"admin port in use": {func(c *config.Config) { c.Admin = address },
			"listen tcp " + address + ": address already in use; stop the other program or choose another port with --admin"},
		"address of another machine": {func(c *config.Config) { c.Listen[0].URL, c.AllowAnonymous = "tcp://192.0.2.1:1883", true },
			"listen tcp 192.0.2.1:1883: this machine has no such address; choose one that it has with --listen"},
		"no directory for a socket": {func(c *config.Config) { c.Listen[0].URL = "unix:///missing/s" },
			"listen unix /missing/s: its directory does not exist; create it or choose another path with --listen"},
		"configuration": {func(c *config.Config) { c.Listen[0].URL = "tcp://0.0.0.0:0" }, "--allow-anonymous"},
		"password file": {func(c *config.Config) { c.PasswordFile = missing }, "password_file: open " + missing},
		"scram file":    {func(c *config.Config) { c.ScramFile = missing }, "scram_file: open " + missing},
		"certificate": {func(c *config.Config) { c.TLSCert, c.TLSKey = missing, missing },
			"check --tls-cert and --tls-key"},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(name, "socket") {
				t.Skip("the words are those of Unix")
			}
			cfg := loopback()
			tt.change(&cfg)
			if got := failure(t, cfg); !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("the error is %q; want %q", got, tt.want)
			}
		})
	}
}

func TestNewOpensNothing(t *testing.T) {
	cfg := loopback()
	cfg.InMemory, cfg.Data = false, filepath.Join(t.TempDir(), "data")
	if _, err := server.New(cfg, server.NewLogger(&logbook{}, "json", cfg.LogLevel), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cfg.Data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("New has made the data directory: %v", err)
	}
}

// What the configuration writes as 0 means 0, also where the broker has a default.
func TestZeroIsZero(t *testing.T) {
	cfg := loopback()
	cfg.Limits.MaxQoS = 0
	cfg.Limits.TopicAliasMaximum = 0
	cfg.Limits.MaxRetainedMessages = 0
	cfg.Limits.MaxPacketSize = 4 * config.KiB
	cfg.Limits.ReceiveMaximum = 7
	cfg.ResponseInformation = "answers"
	p := start(t, cfg).dial(0, packet.V5)
	c := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: []byte("c")}
	c.Properties.RequestResponse = 1
	c.Properties.Mark(packet.PropRequestResponse)
	p.send(c)
	ack := expect[*packet.Connack](p)
	got := ack.Properties
	if !got.Has(packet.PropMaxQoS) || got.MaxQoS != 0 || got.Has(packet.PropTopicAliasMax) ||
		!got.Has(packet.PropRetainAvailable) || got.RetainAvailable != 0 ||
		got.MaxPacketSize != 4096 || got.ReceiveMax != 7 || string(got.ResponseInfo) != "answers" {
		t.Errorf("%v; want maximum QoS 0, no aliases, no retain, packets of 4 KiB, receive maximum 7 and the response information", ack)
	}
}

func TestMoreConnectionsThanAllowedAreClosed(t *testing.T) {
	cfg := loopback()
	cfg.Admin = "127.0.0.1:0"
	cfg.Limits.MaxConnections = 1
	n := start(t, cfg)
	if ack := n.dial(0, packet.V311).connect(nil, nil); ack.Code != packet.Success {
		t.Fatal(ack)
	}
	if _, err := n.dial(0, packet.V311).r.ReadPacket(); err == nil {
		t.Error("a second connection stays open")
	}
	if _, body := n.get("/metrics"); !strings.Contains(body, "\nwirebird_connections_over_limit_total 1\n") {
		t.Error("it is not counted")
	}
}
