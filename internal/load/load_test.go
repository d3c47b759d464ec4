package load

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/nodetest"
	"github.com/wirebird/wirebird/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// certificate is for 127.0.0.1, signed by itself.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

// serve runs a broker until the test ends and returns a target for each URL.
func serve(t testing.TB, o broker.Options, urls ...string) []*Target {
	t.Helper()
	b := nodetest.Broker(t, o)
	server, client := certificate(t)
	var targets []*Target
	for _, url := range urls {
		g, err := NewTarget(nodetest.Listen(t, b, broker.ListenOptions{URL: url, TLS: server}), "", "", client)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, g)
	}
	return targets
}

func short(w Work) Work {
	w.Version = max(w.Version, packet.V311)
	w.Payload, w.Window, w.Batch = max(w.Payload, 32), max(w.Window, 16), max(w.Batch, 4)
	w.Warmup, w.Duration = 5*time.Millisecond, 30*time.Millisecond
	w.PIDs = []int{os.Getpid()}
	return w
}

func check(t *testing.T, r *Result, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if r.Messages == 0 || r.Sent == 0 || r.Lost+r.Repeated+r.Disordered+r.Misrouted+r.Refused > 0 || r.Stalls > 0 {
		t.Errorf("%+v: want messages and no faults", r)
	}
	if r.Latency.TotalCount() == 0 || r.Latency.Max() <= 0 || r.PerSecond() <= 0 {
		t.Errorf("no latency or rate in %+v", r)
	}
	if runtime.GOOS == "linux" && !(r.PerMessage(r.Broker.CPU) > 0 && r.Broker.PSS > 0 && r.Generator > 0) {
		t.Errorf("nothing used in %+v", r)
	}
}

func TestEveryPatternAndQoSIsCountedInFull(t *testing.T) {
	target := serve(t, broker.Options{Shards: 2}, "tcp://127.0.0.1:0")[0]
	for _, version := range []packet.Version{packet.V311, packet.V5} {
		for qos := range byte(3) {
			for name, w := range map[string]Work{
				"pairs":   {Pattern: Pairs, Publishers: 4, Subscribers: 4},
				"fan-in":  {Pattern: All, Publishers: 5, Subscribers: 1},
				"fan-out": {Pattern: All, Publishers: 1, Subscribers: 7},
				"scatter": {Pattern: Scatter, Publishers: 2, Subscribers: 3},
				"publish": {Pattern: None, Publishers: 3},
				"paced":   {Pattern: Pairs, Publishers: 3, Subscribers: 3, Rate: 3000},
			} {
				t.Run(fmt.Sprintf("%s, %v, QoS %d", name, version, qos), func(t *testing.T) {
					w.Version, w.QoS = version, qos
					r, err := Run(t.Context(), target, short(w))
					check(t, r, err)
					if copies := w.Subscribers; w.Pattern == All && r.Received != r.Sent*uint64(copies) {
						t.Errorf("received %d of %d messages for %d", r.Received, r.Sent, copies)
					}
					if _, ok := r.Extra["bytes_per_subscription"]; ok != (w.Pattern == Scatter) {
						t.Errorf("extra figures %v", r.Extra)
					}
				})
			}
		}
	}
}

func TestTransportsSideBySide(t *testing.T) {
	urls := []string{"tcp://127.0.0.1:0", "ws://127.0.0.1:0/mqtt", "tls://127.0.0.1:0", "wss://127.0.0.1:0/mqtt"}
	if runtime.GOOS != "windows" {
		urls = append(urls, "unix://"+filepath.Join(t.TempDir(), "s"))
	}
	targets := serve(t, broker.Options{}, urls...)
	for i, target := range targets {
		for _, portable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, portable %v", target.Transport(), portable), func(t *testing.T) {
				if want, _, _ := strings.Cut(urls[i], ":"); target.Transport() != want {
					t.Errorf("%s for %s", target.Transport(), urls[i])
				}
				// Payloads around the lengths where WebSocket and TLS change their framing.
				for _, payload := range []int{16, 100, 20_000, 70_000} {
					w := short(Work{Pattern: Pairs, Publishers: 2, Subscribers: 2, QoS: 1, Payload: payload, Portable: portable})
					w.Window = 4
					r, err := Run(t.Context(), target, w)
					check(t, r, err)
				}
				r, err := RunConnect(t.Context(), target, Connect{Version: packet.V311, Count: 20, AtOnce: 4})
				if err != nil || r.Latency.TotalCount() != 20 {
					t.Errorf("%+v, %v: want 20 connections", r, err)
				}
			})
		}
	}
}

func TestAnOpenScheduleKeepsItsRate(t *testing.T) {
	target := serve(t, broker.Options{}, "tcp://127.0.0.1:0")[0]
	w := short(Work{Pattern: None, Publishers: 2, QoS: 1, Rate: 2000})
	w.Duration = 300 * time.Millisecond
	r, err := Run(t.Context(), target, w)
	check(t, r, err)
	// What was due was sent, however long it took: 305 ms of 2,000/s, and what the end adds.
	if want := uint64(610); r.Sent < want {
		t.Errorf("sent %d messages, want the %d that were due", r.Sent, want)
	}
}

// A broker that sleeps makes everything due in its sleep late, not only what was sent.
func TestLatencyCountsFromTheScheduledInstant(t *testing.T) {
	const nap = 200 * time.Millisecond
	naps := make(chan struct{}, 1)
	naps <- struct{}{}
	o := broker.Options{Hooks: broker.Hooks{Publish: func(*broker.PublishRequest) broker.Verdict {
		select {
		case <-naps:
			<-time.After(nap)
		default:
		}
		return broker.Verdict{}
	}}}
	target := serve(t, o, "tcp://127.0.0.1:0")[0]
	w := short(Work{Pattern: Pairs, Publishers: 1, Subscribers: 1, QoS: 1, Rate: 1000})
	w.Warmup, w.Duration, w.Window = 0, 400*time.Millisecond, 4 // no room after 4
	r, err := Run(t.Context(), target, w)
	check(t, r, err)
	slow := 0
	for _, b := range r.Latency.Distribution() {
		if b.From > int64(nap/4/time.Microsecond) {
			slow += int(b.Count)
		}
	}
	if slow < 100 || r.Late < 100 {
		t.Errorf("%d messages were slow and %d late, want at least the 100 that were due early in the nap", slow, r.Late)
	}
}

func TestStoredMessagesComeBack(t *testing.T) {
	target := serve(t, broker.Options{}, "tcp://127.0.0.1:0")[0]
	for _, version := range []packet.Version{packet.V311, packet.V5} {
		for _, retained := range []bool{true, false} {
			for qos := range byte(3) {
				if !retained && qos != 1 {
					continue
				}
				s := Stored{Version: version, Count: 2000, Publishers: 4, Payload: 32, Window: 16, Retained: retained, QoS: qos,
					PIDs: []int{os.Getpid()}}
				store, deliver, err := RunStored(t.Context(), target, s)
				if err != nil {
					t.Fatal(err)
				}
				if store.Messages != 2000 || deliver.Messages != 2000 || deliver.Lost+deliver.Repeated+deliver.Disordered > 0 {
					t.Errorf("%+v:\nstored %+v\ndelivered %+v", s, store, deliver)
				}
			}
		}
	}
}

func TestIdleConnections(t *testing.T) {
	target := serve(t, broker.Options{}, "tcp://127.0.0.1:0")[0]
	r, err := RunIdle(t.Context(), target, Idle{Version: packet.V311, Count: 50, Settle: 10 * time.Millisecond, PIDs: []int{os.Getpid()}})
	if err != nil || r.Messages != 50 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, ok := r.Extra["bytes_per_connection"]; !ok {
		t.Errorf("no bytes in %v", r.Extra)
	}
}

func TestAConnectionScheduleCountsFromWhenItWasDue(t *testing.T) {
	target := serve(t, broker.Options{}, "tcp://127.0.0.1:0")[0]
	r, err := RunConnect(t.Context(), target, Connect{Version: packet.V5, Count: 30, AtOnce: 4, Rate: 300})
	if err != nil || r.Elapsed < 90*time.Millisecond {
		t.Errorf("%+v, %v: 30 connections at 300/s take about 100 ms", r, err)
	}
}

func TestListenerIsFoundThroughProc(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	for _, target := range serve(t, broker.Options{}, "tcp://127.0.0.1:0", "unix://"+filepath.Join(t.TempDir(), "s")) {
		if pid := target.Listening(); pid != os.Getpid() {
			t.Errorf("%s: process %d listens, want this one, %d", target.URL, pid, os.Getpid())
		}
	}
	nobody, err := NewTarget("unix:///nowhere/at/all", "", "", nil)
	if err != nil || nobody.Listening() != 0 {
		t.Errorf("process %d listens nowhere, %v", nobody.Listening(), err)
	}
	if u := readUsage([]int{1 << 27}); !math.IsNaN(u.CPU) || !math.IsNaN(u.PSS) {
		t.Errorf("%+v of nobody", u)
	}
}

func TestTargets(t *testing.T) {
	for in, want := range map[string]string{
		"localhost:1":               "tcp tcp localhost:1  ",
		"127.0.0.1":                 "tcp tcp 127.0.0.1:1883  ",
		"mqtt://u:p@h":              "tcp tcp h:1883 u p",
		"mqtts://[::1]":             "tls tcp [::1]:8883  ",
		"ws://h:8/x":                "ws tcp h:8  ",
		"wss://h":                   "wss tcp h:443  ",
		"unix:///run/mosquitto.sck": "unix unix /run/mosquitto.sck  ",
	} {
		g, err := NewTarget(in, "", "", nil)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := fmt.Sprint(g.Transport(), " ", g.network, " ", g.address, " ", g.Username, " ", g.Password); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
		if strings.Contains(g.URL, ":p@") {
			t.Errorf("%s shows its password", g.URL)
		}
	}
	for _, in := range []string{"ftp://h", "mqtt://", "unix://", "mqtt://%zz"} {
		if _, err := NewTarget(in, "", "", nil); err == nil {
			t.Errorf("%s is taken", in)
		}
	}
	for in, want := range map[string]bool{"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, "192.0.2.1:1": false, "unix:///x": true} {
		if g, err := NewTarget(in, "", "", nil); err != nil || g.Loopback(t.Context()) != want {
			t.Errorf("%s: %v, loopback must be %v", in, err, want)
		}
	}
}

func TestTrackers(t *testing.T) {
	var tr tracker
	var got []verdict
	for _, n := range []uint32{0, 1, 4, 2, 2, 1, 4, 5} {
		got = append(got, tr.see(n))
	}
	if want := []verdict{fresh, fresh, fresh, late, repeated, repeated, repeated, fresh}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := tr.lost(8); n != 3 { // 3, 6 and 7
		t.Errorf("%d lost, want 3", n)
	}
}

func TestWorkNamesWhatCannotBe(t *testing.T) {
	good := short(Work{Publishers: 1, Subscribers: 1})
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Work){
		"version":     func(w *Work) { w.Version = packet.V31 },
		"QoS":         func(w *Work) { w.QoS = 3 },
		"publishers":  func(w *Work) { w.Publishers = 0 },
		"subscribers": func(w *Work) { w.Subscribers = 0 },
		"pairs":       func(w *Work) { w.Subscribers = 2 },
		"scatter":     func(w *Work) { w.Pattern, w.Publishers = Scatter, 2 },
		"payload":     func(w *Work) { w.Payload = 15 },
		"window":      func(w *Work) { w.Window = 65536 },
		"batch":       func(w *Work) { w.Batch = 17 },
		"rate":        func(w *Work) { w.Rate = -1 },
		"duration":    func(w *Work) { w.Duration = 0 },
	} {
		w := good
		change(&w)
		if _, err := Run(t.Context(), nil, w); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
