package journal

import (
	"errors"
	"math"
	"slices"
)

// Manual is a Disk without goroutines of its own: nothing happens before its owner says
// so, on the goroutine of that call. It is for simulations that decide what comes first,
// and does all that a Disk does with the same code. A table is written by Flush only, and
// tables are never merged.
//
// It is not safe for concurrent use.
type Manual struct {
	*Disk
	unflushed int // bytes that the log has and no table, about
}

// mostUnflushed keeps the changes within the database's first memtable of 256 KiB, so that
// the database writes no table by itself.
const mostUnflushed = 64 << 10

// OpenManual is Open for a Manual.
func OpenManual(o Options) (*Manual, error) {
	d, err := openDisk(o, true)
	if err != nil {
		return nil, err
	}
	d.db.TestOnlyWaitForCleaning() // nothing is removed behind the owner's back
	return &Manual{Disk: d}, nil
}

// Write writes up to n submissions as one commit, and asks for its sync as Options.
// Durability says. It reports whether there was something to write, and the journal had
// room: two commits may be on their way.
func (m *Manual) Write(n int) bool {
	d := m.Disk
	d.mu.Lock()
	if n <= 0 || len(d.pending) == 0 || len(d.commits) >= maxUnfinished || d.failed != nil {
		d.mu.Unlock()
		return false
	}
	c := d.gather(n)
	d.mu.Unlock()
	if d.write(c) {
		m.unflushed += c.batch.Len() + 100*int(c.batch.Count())
	}
	return true
}

// Synced waits until the disk has acknowledged the syncs of all commits, which a disk in
// memory does at once.
func (m *Manual) Synced() {
	for _, c := range m.commits {
		if c.waits {
			_ = c.batch.SyncWait()
			c.waits = false
		}
	}
}

// Commits is how many commits are written and not complete.
func (m *Manual) Commits() int { return len(m.commits) }

// Complete tells the submitters of the oldest commit that it is safe, or why it is not. It
// waits until the disk says so, and reports whether there was such a commit.
func (m *Manual) Complete() bool {
	d := m.Disk
	switch failed := d.failure(); {
	case len(d.commits) > 0 && d.commits[0].applied:
		d.complete(d.commits[0])
	case failed != nil && len(d.commits)+len(d.pending) > 0:
		d.completeAll(failed)
	default:
		return false
	}
	return true
}

// Read answers up to n loads that need not wait for a Write.
func (m *Manual) Read(n int) bool {
	d := m.Disk
	d.mu.Lock()
	n = min(n, len(d.ready))
	loads := slices.Clone(d.ready[:n])
	d.ready = slices.Delete(d.ready, 0, n)
	d.mu.Unlock()
	for _, l := range loads {
		d.read(l)
	}
	return n > 0
}

// Flush writes a table and begins a new log when one is due, or at once. Old logs and
// tables are removed when it returns.
func (m *Manual) Flush(atOnce bool) error {
	if !atOnce && m.unflushed < mostUnflushed {
		return nil
	}
	m.Synced()
	m.unflushed = 0
	err := m.db.Flush()
	m.db.TestOnlyWaitForCleaning()
	return errors.Join(err, m.failure())
}

// Close completes everything, as that of a Disk.
func (m *Manual) Close() error {
	for m.Write(math.MaxInt) || m.Complete() || m.Read(math.MaxInt) {
	}
	return m.Disk.Close()
}

// Abandon ends the Manual, and completes nothing.
func (m *Manual) Abandon() error {
	m.Synced()
	for _, c := range m.commits {
		_ = c.batch.Close()
	}
	m.commits, m.pending, m.loads, m.ready = nil, nil, nil, nil
	return m.Disk.Close()
}
