package bench

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wirebird/wirebird/internal/load"
)

func subjects(t *testing.T, names ...string) (all []Subject) {
	t.Helper()
	for i, name := range names {
		target, err := load.NewTarget("127.0.0.1:1", "", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Subject{Name: name, Target: target, Baseline: i == len(names)-1})
	}
	return all
}

// result is of n messages in a second, each with a latency of us microseconds.
func result(n uint64, cpu float64, us int64) *load.Result {
	h := hdrhistogram.New(1, 120_000_000, 3)
	_ = h.RecordValues(us, int64(n))
	return &load.Result{
		Messages: n, Elapsed: time.Second, Broker: load.Usage{CPU: cpu, System: math.NaN(), Calls: math.NaN()},
		Latency: h, Series: []float64{float64(n), float64(n) / 2}, Sent: n, Received: n,
	}
}

func TestOneBadRunDecidesNothing(t *testing.T) {
	m := measurement([]*load.Result{result(100, 1, 20), result(900, 9, 5000), result(100, 1, 10)})
	if m.P99Median != 20 || m.CPU != 10_000 || m.P99 < 4900 {
		t.Errorf("p99 of the runs %v, want 20; CPU %v, want 10000; p99 of all %v, want 5000", m.P99Median, m.CPU, m.P99)
	}
}

// A machine that was slow for some rounds was so for both.
func TestRatiosAreOfRounds(t *testing.T) {
	m := measurement([]*load.Result{result(100, 1, 20), result(100, 4, 20), result(100, 4, 20), result(100, 9, 20)})
	b := measurement([]*load.Result{result(100, 2, 20), result(100, 2, 20), result(100, 8, 20)})
	if got := m.ratioTo(&b, cpuOf); got != 0.5 {
		t.Errorf("ratio %v, want 0.5", got)
	}
	l := cpu("x", "", 0, 0.6).line([]Measurement{m, b})
	if l.Ratio != 0.5 || l.Wirebird != 40_000 || l.Other != 20_000 || l.Verdict() != "met" {
		t.Errorf("%+v", l)
	}
	m.Experiment, b.Experiment = "pairs q0 v5", "pairs q0"
	m.Broker, b.Broker = "wirebird", "wirebird"
	if lines := crossLines([]Measurement{m, b}); len(lines) != 1 || lines[0].Ratio != 0.5 {
		t.Errorf("%+v", lines)
	}
	alone := cpu("x", "", 0, 0.6).line([]Measurement{m})
	if !math.IsNaN(float64(alone.Ratio)) || alone.Verdict() != "" {
		t.Errorf("%+v", alone)
	}
}

func TestComparisonsTakeTurnsAndTellRatios(t *testing.T) {
	var order []string
	x := Experiment{Name: "x", Unit: "delivery", Measure: func(_ context.Context, s Subject, _ func(load.Progress)) ([]Part, error) {
		order = append(order, s.Name)
		if s.Name == "a" {
			return []Part{{Result: result(200, 0.001, 50)}}, nil
		}
		r := result(100, 0.002, 100)
		r.Lost = 1
		return []Part{{Result: r}}, nil
	}}
	rows, err := Compare(t.Context(), Comparison{Subjects: subjects(t, "a", "b"), Experiments: []Experiment{x}, Runs: 2})
	if err != nil || fmt.Sprint(order) != "[a b b a]" || len(rows) != 2 {
		t.Fatalf("%v, %v, %v", rows, order, err)
	}
	a, b := rows[0], rows[1]
	if a.Rate != 200 || a.CPU != 5 || a.P99 != 50 || a.Sent != 400 || a.Faulty() || a.To != "b" ||
		a.Ratios.Rate != 2 || a.Ratios.CPU != 0.25 || a.Ratios.P99 != 0.5 {
		t.Errorf("%+v", a)
	}
	if !b.Faulty() || b.Lost != 2 || b.To != "" {
		t.Errorf("%+v", b)
	}
	var table, lines, values, plot bytes.Buffer
	for _, err := range []error{
		WriteMeasurements(&table, rows), WriteMeasurementsJSON(&lines, rows), WriteMeasurementsCSV(&values, rows), WritePlots(&plot, rows),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if s := table.String(); !strings.Contains(s, "2.00x, CPU 0.25x, p99 0.50x") || !strings.Contains(s, "x, b: of 200 sent and 200 received: 2 lost") {
		t.Error(s)
	}
	if s := lines.String(); !strings.Contains(s, `"broker_system_us":null`) || strings.Count(s, "\n") != 2 {
		t.Error(s)
	}
	if all, err := csv.NewReader(&values).ReadAll(); err != nil || len(all) != 3 {
		t.Errorf("%v, %v", all, err)
	}
	if s := plot.String(); !strings.Contains(s, "line: a  *: b") {
		t.Error(s)
	}
}

func TestRowsThatAreComparedTakeTurns(t *testing.T) {
	two := make([]Broker, 2)
	rows := []suiteRow{
		{brokers: two, turns: 2, others: 2},
		{brokers: two, turns: 3, others: 2, kin: "k"},
		{brokers: two[:1], turns: 1, others: 1, kin: "k"},
		{brokers: two, turns: 1, others: 1},
	}
	var got []string
	for len(rows) > 0 {
		kin := together(rows)
		got = append(got, fmt.Sprint(turns(kin)))
		rows = rows[len(kin):]
	}
	want := []string{
		"[{0 0} {0 1} {0 1} {0 0}]",
		"[{0 0} {0 1} {1 0} {0 1} {0 0} {0 0}]",
		"[{0 0} {0 1}]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("turns (row, broker) %q, want %q", got, want)
	}
}

// What a pause decides is measured oftener; what says the same each time, less often. In
// rows that are compared Wirebird has the turns that Mosquitto does not need.
func TestTurnsOfTheTable(t *testing.T) {
	o := SuiteOptions{Duration: time.Second, Runs: 3, Scale: 1, Mosquitto: "mosquitto"}
	rows, err := o.rows()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][2]int{}
	for _, r := range rows {
		got[r.x.Name] = [2]int{r.turns, r.others}
	}
	for name, want := range map[string][2]int{
		"fanin q0": {3, 3}, "pairs q1 v5": {5, 3}, "pairs q0 tls": {5, 3}, "paced 20000/s q1": {7, 7},
		"retained": {5, 5}, "offline queue": {5, 5}, "idle connection, tcp": {2, 2}, "idle connection, tls": {2, 2},
	} {
		if got[name] != want {
			t.Errorf("%s: %d turns, Mosquitto %d; want %d", name, got[name][0], got[name][1], want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	nan := unknown()
	for want, lines := range map[string][]Line{
		"met":    {{Wirebird: 1, Bar: 1, Ratio: nan}, {Wirebird: 9, Bar: 1, Ratio: 0.1, RatioBar: 0.2}, {Ratio: 2, RatioBar: 1, AtLeast: true}},
		"missed": {{Wirebird: 2, Bar: 1, Ratio: nan}, {Ratio: 0.3, RatioBar: 0.2}, {Ratio: 0.5, RatioBar: 1, AtLeast: true}},
		"":       {{Wirebird: 2, Ratio: 1}, {Wirebird: nan, Bar: 1, Ratio: nan, RatioBar: 1}},
	} {
		for _, l := range lines {
			if got := l.Verdict(); got != want {
				t.Errorf("%+v: %q, want %q", l, got, want)
			}
		}
	}
}
