package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wirebird/wirebird/internal/session"
)

// CheckStats counts what Check has read.
type CheckStats struct {
	RecoverStats
	Problems int64 // records that cannot be read; orphans do not count
	LastMID  uint64
}

// Check reads everything in o.Dir without changing it, and reports each record that
// cannot be read, that belongs to nothing or that refers to what is not there. The
// error is why nothing could be read, or one that wraps ErrDamaged if there was a
// problem. Orphans are none: a late operation leaves them, and Recover deletes them.
func Check(o Options, report func(string)) (CheckStats, error) {
	d, err := openReadOnly(o)
	if err != nil {
		return CheckStats{}, err
	}
	var s CheckStats
	c := &collector{v: blind{}, from: reading{d.db}, enc: d.enc, progress: d.logProgress()}
	c.report = func(err error) {
		s.Problems++
		report(err.Error())
	}
	err = c.collect() // reports its errors
	for _, key := range c.orphans {
		report(fmt.Sprintf("record %q belongs to nothing, or lacks its message", key))
	}
	s.RecoverStats, s.LastMID = c.stats, d.enc.lastMID
	err = errors.Join(err, d.closeDB(), d.lock.Close())
	if err == nil && s.Problems > 0 {
		err = fmt.Errorf("%w: %d problems in %s", ErrDamaged, s.Problems, o.Dir)
	}
	return s, err
}

// openReadOnly opens a directory that must be there, without goroutines.
func openReadOnly(o Options) (*Disk, error) {
	d := &Disk{o: o, log: o.Logger, broken: make(chan struct{})}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.work.L, d.synced.L, d.readable.L = &d.mu, &d.mu, &d.mu
	if o.FS == nil {
		o.FS = vfs.Default
	}
	d.fs = newGuardFS(o.FS, o.Dir, false, d.fail)
	d.fs.hurry()
	desc, err := pebble.Peek(o.Dir, o.FS)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, openError(o.Dir, err)
	}
	if err != nil || !desc.Exists {
		return nil, fmt.Errorf("there is no data in %s", o.Dir)
	}
	if d.lock, err = pebble.LockDirectory(o.Dir, o.FS); err != nil {
		return nil, lockError(o.Dir, err)
	}
	db, err := openPebble(o.Dir, d.pebbleOptions(true))
	if err != nil {
		return nil, errors.Join(openError(o.Dir, err), d.lock.Close())
	}
	d.db, d.enc = db, newEncoder(reading{db})
	if _, err = checkFormat(reading{db}); err == nil {
		d.enc.lastMID, err = lastMID(reading{db})
	}
	if err != nil {
		return nil, errors.Join(readError(o.Dir, err), db.Close(), d.lock.Close())
	}
	return d, nil
}

// blind is a Visitor that looks at nothing.
type blind struct{}

func (blind) Session(uint64, string, uint32, int64)      {}
func (blind) Subscription(uint64, string, uint8, uint32) {}
func (blind) Accepted(uint64, uint16)                    {}
func (blind) Will(uint64, Will)                          {}
func (blind) Retained(*session.Message)                  {}
func (blind) Waiting(uint64, Waiting)                    {}
