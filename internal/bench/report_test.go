package bench

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the reports in testdata")

func reportRows() []Row {
	o := Options{
		Brokers:    []Broker{{Name: "fsync"}, {Name: "memory", Baseline: true}, {Name: "other", Baseline: true}},
		Publishers: []int{1, 16}, Window: 16, Payload: 256, Duration: 3 * time.Second, Runs: 2,
	}
	nan := math.NaN()
	return o.rows(map[cell][]sample{
		{0, 1}: {
			{rate: 1000, p50: 900, p99: 12345, cpu: 20, generator: 5, syncs: 0.0625, acked: 3600},
			{rate: 2000, p50: 800, p99: 2345, cpu: 10, generator: 4, syncs: 0.0725, acked: 7200},
		},
		{1, 1}: {{rate: 150000, p50: 66.71, p99: 242.4, cpu: 2.929, generator: 2.5, syncs: nan, acked: 540000}},
		{2, 1}: {
			{rate: 30000, p50: 400, p99: 800, cpu: nan, generator: 20, syncs: nan, acked: 108000, lost: 7, disordered: 2},
			{rate: 31000, p50: 410, p99: 700, cpu: 25, generator: 22, syncs: nan, acked: 108000},
			{rate: 90000, p50: 420, p99: 900, cpu: 26, generator: 24, syncs: nan, acked: 108000},
		},
		{0, 16}: {{rate: 12345.6, p50: 1, p99: 2, cpu: 3, generator: 4, syncs: 0.001, acked: 5}},
	})
}

func TestReports(t *testing.T) {
	var table, lines strings.Builder
	if err := WriteTable(&table, reportRows()); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(&lines, reportRows()); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"report.txt": table.String(), "report.jsonl": lines.String()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("%s differs, -update rewrites it:\n%s", path, got)
		}
	}
}

func TestFiguresInJSON(t *testing.T) {
	for f, want := range map[Figure]string{
		0: "0", 123456.7: "123457", 12.34567: "12.35", 0.000123456: "0.0001235", Figure(math.Inf(1)): "null", -3.14159: "-3.142",
	} {
		if got, err := f.MarshalJSON(); err != nil || string(got) != want {
			t.Errorf("%v: %s, %v; want %s", float64(f), got, err, want)
		}
	}
}
