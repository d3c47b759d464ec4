package metrics_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/metrics"
)

// gatherJournal returns what a scrape of s would show, by name.
func gatherJournal(t *testing.T, s journal.DiskStats) map[string]*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	err := metrics.RegisterJournal(r, func(context.Context) (journal.DiskStats, error) { return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	return families(t, r)
}

func TestJournalIsShown(t *testing.T) {
	all := gatherJournal(t, journal.DiskStats{
		Commits: 1, Syncs: 2, Ops: 3, Bytes: 4, CommitP50: 5 * time.Millisecond, CommitP99: 60 * time.Millisecond,
		DiskBytes: 7, PressureBytes: 8, Failed: errors.New("no space left on device"),
	})
	page := metrics.Reference()
	for name, want := range map[string][]float64{
		"wirebird_journal_commits_total":    {1},
		"wirebird_journal_syncs_total":      {2},
		"wirebird_journal_operations_total": {3},
		"wirebird_journal_bytes_total":      {4},
		"wirebird_journal_commit_seconds":   {0.005, 0.06},
		"wirebird_journal_disk_bytes":       {7},
		"wirebird_journal_pressure_bytes":   {8},
		"wirebird_journal_failed":           {1},
	} {
		family := all[name]
		if len(family.GetMetric()) != len(want) {
			t.Errorf("%s has %d series; want %d", name, len(family.GetMetric()), len(want))
			continue
		}
		for i, m := range family.Metric {
			if value(m) != want[i] {
				t.Errorf("%s is %v; want %v", name, value(m), want[i])
			}
		}
		if counter := family.GetType() == dto.MetricType_COUNTER; counter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %v", name, family.GetType())
		}
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not name %s", name)
		}
	}
	if len(all) != 8 {
		t.Errorf("%d metrics; the test knows 8", len(all))
	}
	if q := all["wirebird_journal_commit_seconds"].Metric[1].Label[0]; q.GetName() != "quantile" || q.GetValue() != "0.99" {
		t.Errorf("the second commit time is of %v; want the quantile 0.99", q)
	}
	if well := gatherJournal(t, journal.DiskStats{})["wirebird_journal_failed"].Metric[0]; value(well) != 0 {
		t.Errorf("a journal that is well has failed: %v", value(well))
	}
}

func TestScrapeFailsWhenTheJournalIsClosed(t *testing.T) {
	r := prometheus.NewRegistry()
	closed := errors.New("it is closed")
	err := metrics.RegisterJournal(r, func(context.Context) (journal.DiskStats, error) { return journal.DiskStats{}, closed })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Gather(); err == nil || !strings.Contains(err.Error(), "the journal's figures: it is closed") {
		t.Errorf("Gather: %v; want %v", err, closed)
	}
}
