package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/packet"
)

func TestEveryBrokerIsMeasuredInEveryRun(t *testing.T) {
	dir := t.TempDir()
	var order []string
	stopped := 0
	broker := func(name string) Broker {
		return Broker{Name: name, Baseline: name == "b", Start: func(_ context.Context, own string) (*Instance, error) {
			order = append(order, name)
			if entries, err := os.ReadDir(own); err != nil || len(entries) > 0 {
				t.Errorf("%s starts with %v in its directory, %v", name, entries, err)
			}
			f := new(fakeBroker)
			in := f.start(t)
			metrics := httptest.NewServer(f)
			t.Cleanup(metrics.Close)
			in.Metrics = metrics.URL
			in.Stop = func() error { stopped++; return nil }
			return in, nil
		}}
	}
	lines := 0
	rows, err := Durable(t.Context(), Options{
		Brokers: []Broker{broker("a"), broker("b")}, Publishers: []int{3, 1}, Window: 4, Payload: 20,
		Duration: 50 * time.Millisecond, Runs: 2, Dir: dir,
		Progress: func(string) { lines++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Fields("a b a b b a b a"); !slices.Equal(order, want) {
		t.Errorf("started %v, want %v", order, want)
	}
	if stopped != 8 || lines != 8 {
		t.Errorf("%d brokers stopped and %d lines of progress, want 8 and 8", stopped, lines)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
	var got []cell
	for _, r := range rows {
		got = append(got, cell{int(r.Broker[0] - 'a'), r.Publishers})
		checkRow(t, r)
	}
	if want := []cell{{0, 3}, {1, 3}, {0, 1}, {1, 1}}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
}

func checkRow(t *testing.T, r Row) {
	t.Helper()
	if r.Runs != 2 || r.Acked == 0 || r.Lost != 0 || r.Disordered != 0 {
		t.Errorf("%+v: want 2 runs and no losses", r)
	}
	if !(r.RateLow > 0 && r.RateLow <= r.Rate && r.Rate <= r.RateHigh && r.P50 > 0 && r.P50 <= r.P99) {
		t.Errorf("%+v: figures out of order", r)
	}
	if math.Abs(float64(r.Syncs)-0.5) > 0.1 {
		t.Errorf("%v syncs per message, want about 0.5", r.Syncs)
	}
	if known := !math.IsNaN(float64(r.CPU)); known != (runtime.GOOS == "linux") {
		t.Errorf("CPU %v on %s", r.CPU, runtime.GOOS)
	}
	if len(r.Ratios) != 1 || r.Ratios[0].To != "b" || r.Broker == "b" && r.Ratios[0].Rate != 1 {
		t.Errorf("%s: ratios %+v, want one to b", r.Broker, r.Ratios)
	}
}

// shortLoad is a load for brokers that do something wrong.
func shortLoad() durableLoad {
	return durableLoad{
		publishers: 2, window: 8, payload: 64,
		warmup: time.Millisecond, duration: 20 * time.Millisecond, patience: 200 * time.Millisecond,
	}
}

func number(p *packet.Publish) uint64 { return binary.BigEndian.Uint64(p.Payload[4:]) }

func TestLossesAndRepetitionsAreCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		deliver          func(*packet.Publish) int
		lost, disordered bool
	}{
		"all delivered": {func(*packet.Publish) int { return 1 }, false, false},
		"some lost": {func(p *packet.Publish) int {
			if number(p)%3 == 1 {
				return 0
			}
			return 1
		}, true, false},
		"some twice": {func(p *packet.Publish) int { return 1 + int(number(p)%2) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := shortLoad().run(t.Context(), (&fakeBroker{deliver: tt.deliver}).start(t))
			if err != nil {
				t.Fatal(err)
			}
			if s.acked == 0 || (s.lost > 0) != tt.lost || (s.disordered > 0) != tt.disordered {
				t.Errorf("%d acknowledged, %d lost, %d disordered", s.acked, s.lost, s.disordered)
			}
		})
	}
}

func TestBrokersThatBreakTheRulesAreNotMeasured(t *testing.T) {
	for name, tt := range map[string]struct {
		broker *fakeBroker
		want   string
	}{
		"refuses the connection": {&fakeBroker{refuse: packet.NotAuthorized}, "connect: mqtt: not authorized"},
		"refuses to subscribe":   {&fakeBroker{granted: packet.UnspecifiedError}, "subscribe: the broker grants"},
		"acknowledges another":   {&fakeBroker{ack: func(id uint16) packet.Packet { return &packet.Puback{ID: id + 8} }}, "which is not under way"},
		"another packet":         {&fakeBroker{ack: func(id uint16) packet.Packet { return &packet.Pubrec{ID: id} }}, "sends PUBREC to a publisher"},
		"hangs up":               {&fakeBroker{ack: func(uint16) packet.Packet { return nil }}, "publisher"},
		"delivers at QoS 2":      {&fakeBroker{qos: 2}, "delivers at QoS 2"},
		"answers a PINGREQ":      {&fakeBroker{ack: func(uint16) packet.Packet { return &packet.Pingresp{} }}, "sends PINGRESP to a publisher"},
		"delivers another text":  {&fakeBroker{deliver: func(p *packet.Publish) int { p.Payload = p.Payload[:3]; return 1 }}, "that nobody sent"},
		"delivers of a stranger": {&fakeBroker{deliver: func(p *packet.Publish) int {
			p.Payload[0] = 0xFF
			return 1
		}}, "who does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shortLoad().run(t.Context(), tt.broker.start(t))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want ...%s...", err, tt.want)
			}
		})
	}
}

func TestASilentBrokerIsGivenUp(t *testing.T) {
	hold := make(chan struct{})
	b := &fakeBroker{ack: func(uint16) packet.Packet { <-hold; return nil }}
	in := b.start(t)
	t.Cleanup(func() { close(hold) })
	_, err := shortLoad().run(t.Context(), in)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want a timeout", err)
	}
}

func TestCancelStopsTheBroker(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stopped := false
	f := &fakeBroker{deliver: func(*packet.Publish) int { cancel(); return 1 }}
	rows, err := Durable(ctx, Options{
		Brokers: []Broker{{Name: "a", Start: func(context.Context, string) (*Instance, error) {
			in := f.start(t)
			in.Stop = func() error { stopped = true; return nil }
			return in, nil
		}}},
		Publishers: []int{1}, Window: 1, Payload: 16, Duration: time.Minute, Runs: 1, Dir: t.TempDir(),
	})
	if !errors.Is(err, context.Canceled) || len(rows) > 0 || !stopped {
		t.Errorf("%v, %v, stopped %v", rows, err, stopped)
	}
}

func TestOptionsNameWhatCannotBe(t *testing.T) {
	good := Options{
		Brokers: []Broker{{Name: "a", Start: startNever}}, Publishers: []int{1, 16}, Window: 16, Payload: 256,
		Duration: time.Second, Runs: 3,
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	if d := good.Expected(); d != 6*1200*time.Millisecond {
		t.Errorf("expected to take %v, want 7.2s", d)
	}
	for want, change := range map[string]func(*Options){
		"brokers: none":                func(o *Options) { o.Brokers = nil },
		"publishers: want 1 to 16":     func(o *Options) { o.Publishers = nil },
		"publishers: want 1 to 4096":   func(o *Options) { o.Publishers = []int{4097} },
		"publishers: 2 is there twice": func(o *Options) { o.Publishers = []int{2, 2} },
		"window: want":                 func(o *Options) { o.Window = 65536 },
		"payload: want 12":             func(o *Options) { o.Payload = 11 },
		"under way":                    func(o *Options) { o.Payload, o.Window = maxPayload, 65 },
		"duration: want":               func(o *Options) { o.Duration = 0 },
		"runs: want":                   func(o *Options) { o.Runs = 101 },
	} {
		o := good
		change(&o)
		if _, err := Durable(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Durable(t.Context(), good); err == nil || !strings.Contains(err.Error(), "a, 1 publishers: start: ") {
		t.Errorf("%v, want the broker's name and what it was doing", err)
	}
}
