package metrics

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wirebird/wirebird/internal/journal"
)

// JournalSource gives the figures of now, as [journal.Disk.Stats] does.
type JournalSource func(context.Context) (journal.DiskStats, error)

// RegisterJournal adds to r the figures of the journal, for a broker that has one.
func RegisterJournal(r prometheus.Registerer, source JournalSource) error {
	if err := r.Register(newCollector("the journal's", source, journalMetrics())); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

func journalMetrics() []metric[journal.DiskStats] {
	return []metric[journal.DiskStats]{
		one("wirebird_journal_syncs_total", func(s *journal.DiskStats) int64 { return s.Syncs },
			"Times that the log was made durable. Operations divided by syncs is how many share one."),
		one("wirebird_journal_commits_total", func(s *journal.DiskStats) int64 { return s.Commits },
			"Batches that are complete."),
		one("wirebird_journal_operations_total", func(s *journal.DiskStats) int64 { return s.Ops },
			"Changes of state handed to the journal: messages, acknowledgements, subscriptions, sessions."),
		one("wirebird_journal_bytes_total", func(s *journal.DiskStats) int64 { return s.Bytes },
			"Bytes of the batches that are complete. Compare the rate with what the disk can write."),
		{
			name: "wirebird_journal_commit_seconds", label: "quantile",
			help: "Time of the last 512 commits, from taken to durable: what an acknowledgement waits for. A rise is a slow or busy disk.",
			read: func(s *journal.DiskStats, emit func(float64, string)) {
				emit(s.CommitP50.Seconds(), "0.5")
				emit(s.CommitP99.Seconds(), "0.99")
			},
		},
		one("wirebird_journal_pressure_bytes", func(s *journal.DiskStats) int64 { return s.PressureBytes },
			"Bytes handed over and not durable yet, now. A value that stays high is a disk that cannot keep up; publishers are slowed."),
		one("wirebird_journal_disk_bytes", func(s *journal.DiskStats) int64 { return s.DiskBytes },
			"Bytes of the journal on disk, now. Alert on it before the disk is full: a full disk fails the journal."),
		{
			name: "wirebird_journal_failed",
			help: "1 once the journal can store no more, else 0. Alert on 1: QoS 1 and 2 messages are not acknowledged until the broker starts again.",
			read: func(s *journal.DiskStats, emit func(float64, string)) {
				if s.Failed != nil {
					emit(1, "")
				} else {
					emit(0, "")
				}
			},
		},
	}
}
