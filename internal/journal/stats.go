package journal

import (
	"slices"
	"time"
)

// DiskStats tells what a Disk has done since Open, and what it holds.
type DiskStats struct {
	Commits       int64         // batches that are complete
	Syncs         int64         // of the log
	Ops           int64         // submitted
	Bytes         int64         // of batches that are complete
	CommitP50     time.Duration // of the last 512 commits, from taken to durable
	CommitP99     time.Duration
	DiskBytes     int64 // used by the directory
	QueueRecords  int64 // messages times the sessions they wait for, about
	PressureBytes int64 // submitted and not durable
	Failed        error // why nothing is stored any more; nil while all is well
}

// counters are guarded by Disk.mu.
type counters struct {
	commits, ops, bytes int64
	latency             latencies
}

// latencies are the last of many.
type latencies struct {
	last [512]time.Duration
	n    int
}

func (l *latencies) add(d time.Duration) {
	l.last[l.n%len(l.last)] = d
	l.n++
}

// Stats may be called at any time until Close.
func (d *Disk) Stats() DiskStats {
	d.mu.Lock()
	s := DiskStats{
		Commits: d.stats.commits, Ops: d.stats.ops, Bytes: d.stats.bytes,
		PressureBytes: d.pressure.Load(), Failed: d.failed,
	}
	last := slices.Clone(d.stats.latency.last[:min(d.stats.latency.n, len(d.stats.latency.last))])
	closed := d.closed
	d.mu.Unlock()
	s.Syncs = d.fs.syncs.Load()
	s.QueueRecords = max(0, d.queued.Load())
	if len(last) > 0 {
		slices.Sort(last)
		s.CommitP50, s.CommitP99 = last[len(last)/2], last[len(last)*99/100]
	}
	if !closed {
		s.DiskBytes = int64(d.db.Metrics().DiskSpaceUsage())
	}
	return s
}
