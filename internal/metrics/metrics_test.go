package metrics_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/metrics"
	"github.com/wirebird/wirebird/packet"
)

var update = flag.Bool("update", false, "rewrite the reference page")

// gather returns what a scrape of s would show, by name.
func gather(t *testing.T, s broker.Stats) map[string]*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	err := metrics.Register(r, "v1.2.3", func(context.Context) (broker.Stats, error) { return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	return families(t, r)
}

// families gathers r by name.
func families(t *testing.T, r *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	list, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range list {
		byName[f.GetName()] = f
	}
	return byName
}

func value(m *dto.Metric) float64 {
	if m.Counter != nil {
		return m.Counter.GetValue()
	}
	return m.Gauge.GetValue()
}

// Every number of Stats gets a value of its own and must come out once. A field added
// to Stats and forgotten here fails the test.
func TestEveryFigureIsShown(t *testing.T) {
	var s broker.Stats
	want := map[float64]string{}
	next := 1000.0
	fresh := func(name string) float64 {
		next++
		want[next] = name
		return next
	}
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		switch x := f.Addr().Interface().(type) {
		case *time.Duration:
			*x = time.Duration(fresh(name)) * time.Second
		case *uint64:
			*x = uint64(fresh(name))
		case *int64:
			*x = int64(fresh(name))
		case *map[packet.Type]uint64:
			*x = map[packet.Type]uint64{packet.PUBLISH: uint64(fresh(name))}
		case *map[packet.ReasonCode]uint64:
			*x = map[packet.ReasonCode]uint64{packet.NotAuthorized: uint64(fresh(name))}
		default:
			if f.Kind() != reflect.Array {
				t.Fatalf("Stats.%s is a %v, which this test does not know", name, f.Type())
			}
			for j := range f.Len() {
				f.Index(j).SetUint(uint64(fresh(name)))
			}
		}
	}
	seen := map[float64]int{}
	for name, family := range gather(t, s) {
		if !strings.HasPrefix(name, "wirebird_") {
			continue
		}
		for _, m := range family.Metric {
			seen[value(m)]++
		}
	}
	for n, name := range want {
		if seen[n] != 1 {
			t.Errorf("a value of Stats.%s is shown %d times; want once", name, seen[n])
		}
	}
}

func TestMetricsHaveUnitsKindsAndLabels(t *testing.T) {
	s := broker.Stats{Routed: 5, Delivered: 3, Queued: 1, Uptime: 90 * time.Second,
		Refused: map[packet.ReasonCode]uint64{packet.BadUserNameOrPassword: 2}}
	s.Dropped[broker.DropQueueFull] = 4
	all := gather(t, s)
	for name, tt := range map[string]struct {
		labels string
		kind   dto.MetricType
		want   float64
	}{
		"wirebird_uptime_seconds":          {"", dto.MetricType_GAUGE, 90},
		"wirebird_messages_routed_total":   {"", dto.MetricType_COUNTER, 5},
		"wirebird_messages_queued":         {"", dto.MetricType_GAUGE, 1},
		"wirebird_messages_unbalanced":     {"", dto.MetricType_GAUGE, -3},
		"wirebird_messages_dropped_total":  {"reason=queue_full", dto.MetricType_COUNTER, 4},
		"wirebird_connects_refused_total":  {"reason=bad user name or password", dto.MetricType_COUNTER, 2},
		"wirebird_packets_received_total":  {"type=PUBLISH", dto.MetricType_COUNTER, 0},
		"wirebird_messages_received_total": {"qos=2", dto.MetricType_COUNTER, 0},
		"wirebird_build_info":              {"go=" + runtime.Version() + ",version=v1.2.3", dto.MetricType_GAUGE, 1},
	} {
		family := all[name]
		if family == nil || family.GetType() != tt.kind {
			t.Errorf("%s is a %v; want a %v", name, family.GetType(), tt.kind)
			continue
		}
		found := false
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			if strings.Join(labels, ",") == tt.labels {
				found = true
				if value(m) != tt.want {
					t.Errorf("%s{%s} is %v; want %v", name, tt.labels, value(m), tt.want)
				}
			}
		}
		if !found {
			t.Errorf("%s has no series {%s}", name, tt.labels)
		}
	}
	if all["go_goroutines"] == nil {
		t.Error("the figures of the Go runtime are missing")
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	for name, family := range gather(t, broker.Stats{}) {
		if !strings.HasPrefix(name, "wirebird_") {
			continue
		}
		if counter := family.GetType() == dto.MetricType_COUNTER; counter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %v", name, family.GetType())
		}
		if help := family.GetHelp(); !strings.HasSuffix(help, ".") || strings.Contains(help, "\n") {
			t.Errorf("%s: the help %q is no sentence", name, help)
		}
	}
}

func TestScrapeFailsWhenTheBrokerDoesNotAnswer(t *testing.T) {
	r := prometheus.NewRegistry()
	stuck := errors.New("shard 1 does not answer")
	if err := metrics.Register(r, "v1", func(context.Context) (broker.Stats, error) { return broker.Stats{}, stuck }); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Gather(); err == nil || !strings.Contains(err.Error(), stuck.Error()) {
		t.Errorf("Gather: %v; want %v", err, stuck)
	}
}

func TestRegisteringTwiceFails(t *testing.T) {
	r := prometheus.NewRegistry()
	source := func(context.Context) (broker.Stats, error) { return broker.Stats{}, nil }
	if err := metrics.Register(r, "v1", source); err != nil {
		t.Fatal(err)
	}
	if err := metrics.Register(r, "v1", source); err == nil {
		t.Error("a second set of the same names was registered")
	}
}

func TestReferencePageIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "metrics.md")
	if *update {
		if err := os.WriteFile(path, []byte(metrics.Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(have), "\r\n", "\n") != metrics.Reference() {
		t.Errorf("%s is stale; run go test ./internal/metrics -update", path)
	}
}

func TestReferenceDescribesEverything(t *testing.T) {
	page := metrics.Reference()
	for name := range gather(t, broker.Stats{}) {
		if strings.HasPrefix(name, "wirebird_") && !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not name %s", name)
		}
	}
	for _, d := range broker.Drops() {
		if !strings.Contains(page, "| `"+d.String()+"` |") || strings.Contains(page, "|  |\n") {
			t.Errorf("the page does not explain the reason %v", d)
		}
	}
}

// A scrape is not a hot path, but it must not grow with the number of clients.
func BenchmarkGather(b *testing.B) {
	r := prometheus.NewRegistry()
	if err := metrics.Register(r, "v1", func(context.Context) (broker.Stats, error) { return broker.Stats{}, nil }); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
