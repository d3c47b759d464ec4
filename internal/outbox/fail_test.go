package outbox

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

var errDisk = errors.New("the disk has failed")

// brokenDisk makes files whose operations fail from a certain one on, or once. What was
// not synced by then is lost, as pages are that could not be written.
type brokenDisk struct {
	left int  // operations that succeed
	once bool // later ones succeed again
	ops  int
}

func (d *brokenDisk) fails() bool {
	d.ops++
	d.left--
	return d.left == -1 || d.left < 0 && !d.once
}

func (d *brokenDisk) create(path string) (File, error) {
	if d.fails() {
		return nil, errDisk
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return &brokenFile{File: f, disk: d}, err
}

type brokenFile struct {
	*os.File
	disk          *brokenDisk
	written, safe int64
}

func (f *brokenFile) Write(b []byte) (int, error) {
	if f.disk.fails() {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, errDisk
	}
	n, err := f.File.Write(b)
	f.written += int64(n)
	return n, err
}

func (f *brokenFile) Sync() error {
	if f.disk.fails() {
		if err := f.Truncate(f.safe); err != nil {
			return err
		}
		if _, err := f.Seek(f.safe, 0); err != nil {
			return err
		}
		return errDisk
	}
	f.safe = f.written
	return f.File.Sync()
}

// TestADiskThatFailsLosesNothingThatWasDurable fails each operation in turn.
func TestADiskThatFailsLosesNothingThatWasDurable(t *testing.T) {
	const entries = 20
	for _, once := range []bool{true, false} {
		for left := 0; ; left++ {
			disk := &brokenDisk{left: left, once: once}
			dir := t.TempDir()
			durable, failed := fill(t, dir, disk, entries)
			if !failed && durable < entries {
				t.Fatalf("operation %d: %d entries are durable, and nobody was told", left, durable)
			}
			b, r := open(t, dir, Options{})
			if len(r.Entries) < durable || r.Damaged > 0 {
				t.Errorf("operation %d (once: %v): %d entries came back of %d durable ones, %d bytes damaged", left, once, len(r.Entries), durable, r.Damaged)
			}
			for i, e := range r.Entries {
				if string(e.Data) != fmt.Sprintf("entry %02d", i) {
					t.Errorf("operation %d: entry %d is %q", left, i, e.Data)
				}
			}
			closed(t, b)
			if disk.ops <= left { // it has met every operation
				break
			}
		}
	}
}

// fill adds entries until the disk fails, and returns how many are durable.
func fill(t *testing.T, dir string, disk *brokenDisk, entries int) (durable int, failed bool) {
	t.Helper()
	b, _, err := Open(dir, Options{SegmentSize: 200, Create: disk.create})
	if err != nil {
		return 0, true
	}
	for i := range entries {
		seq, err := b.Add(time.Unix(1, 2), fmt.Appendf(nil, "entry %02d", i))
		waits := i%3 != 1 || i == entries-1 // the others are durable with their successor
		if err == nil && waits {
			err = b.Sync(seq)
		}
		if err != nil {
			if !errors.Is(err, errDisk) {
				t.Errorf("entry %d: %v, want the disk's error", i, err)
			}
			failed = true
			break
		}
		if waits {
			durable = i + 1
		}
	}
	if failed {
		if _, err := b.Add(time.Unix(1, 2), nil); !errors.Is(err, errDisk) {
			t.Errorf("Add after the failure: %v", err)
		}
	}
	if err := b.Close(); failed != (err != nil) && durable < entries {
		t.Errorf("Close: %v after failure: %v", err, failed)
	}
	return durable, failed
}
