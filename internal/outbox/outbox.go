// Package outbox keeps a client's messages on disk until they are done: an
// append-only log in segments, with checksums.
//
// It knows numbers and bytes, no MQTT: what is in an entry is its owner's
// affair. Entries come back in the order they were added. One goroutine writes;
// whatever is added while it syncs goes into the next sync together.
//
// A directory belongs to one Outbox at a time. Entries that Open returns are the
// caller's to keep.
package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Errors that callers branch on.
var (
	// ErrFull says that the limits leave no room for another entry.
	ErrFull = errors.New("outbox is full")
	// ErrClosed is for calls after Close.
	ErrClosed = errors.New("outbox is closed")
)

// Options bound an Outbox.
type Options struct {
	MaxEntries  int   // 0 is no limit
	MaxBytes    int64 // of the data of all entries; 0 is no limit
	SegmentSize int64 // bytes after which a new file begins; 0 means 4 MiB
	// Create makes a file that must not exist. nil means one of the system; tests have
	// files that fail.
	Create func(path string) (File, error)
}

// File is a file that is written from its beginning to its end.
type File interface {
	Write([]byte) (int, error)
	Sync() error
	Close() error
}

func create(path string) (File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

const defaultSegmentSize = 4 << 20

// Entry is one message.
type Entry struct {
	Seq  uint64 // ascending
	Time time.Time
	Data []byte
}

// Recovered tells what Open found.
type Recovered struct {
	Entries []Entry // not done, in order
	// Torn is how many bytes at the end of the newest file were not complete:
	// what was being written when the process ended, accepted by nobody.
	Torn int64
	// Damaged is how many bytes could not be read elsewhere. Entries in them are
	// lost.
	Damaged int64
}

// Outbox is a log of entries. Its methods may be called from any goroutine.
type Outbox struct {
	dir  string
	opts Options
	lock *os.File

	mu      sync.Mutex
	work    sync.Cond // for the writer
	synced  sync.Cond // for Sync
	pending []byte    // records not yet written
	first   uint64    // Seq of the first entry in pending, 0 is none
	added   int       // entries in pending
	next    uint64    // Seq of the next entry
	durable uint64    // entries up to here are on disk
	want    uint64    // somebody waits for this one
	live    map[uint64]int
	bytes   int64
	closed  bool
	err     error // of the disk; final

	segments []segment // the last is being written; owned by the writer once it runs
	file     File
	size     int64
	done     chan struct{}
}

// segment is one file.
type segment struct {
	path  string
	first uint64 // no entry in it has a lower Seq
	live  int    // entries that are not done
}

// Open makes or opens the outbox in dir.
func Open(dir string, o Options) (*Outbox, Recovered, error) {
	if o.SegmentSize <= 0 {
		o.SegmentSize = defaultSegmentSize
	}
	if o.Create == nil {
		o.Create = create
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Recovered{}, fmt.Errorf("outbox: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, Recovered{}, fmt.Errorf("outbox: %w", err)
	}
	b := &Outbox{dir: dir, opts: o, lock: lock, live: make(map[uint64]int), done: make(chan struct{})}
	b.work.L, b.synced.L = &b.mu, &b.mu
	r, err := b.recover()
	if err == nil {
		err = b.rotate()
	}
	if err != nil {
		lock.Close()
		return nil, Recovered{}, fmt.Errorf("outbox: %w", err)
	}
	go b.write()
	return b, r, nil
}

// Add appends an entry, which is durable once Sync of its number has returned
// nil.
func (b *Outbox) Add(at time.Time, data []byte) (seq uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case b.closed:
		return 0, ErrClosed
	case b.opts.MaxEntries > 0 && len(b.live) >= b.opts.MaxEntries,
		b.opts.MaxBytes > 0 && b.bytes+int64(len(data)) > b.opts.MaxBytes:
		return 0, ErrFull
	}
	seq = b.next
	b.next++
	b.pending = appendEntry(b.pending, seq, at, data)
	if b.first == 0 {
		b.first = seq
	}
	b.added++
	b.live[seq] = len(data)
	b.bytes += int64(len(data))
	return seq, nil
}

// Sync returns when the entries up to seq are durable.
func (b *Outbox) Sync(seq uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.want = max(b.want, seq)
	b.work.Signal()
	for b.durable < seq && b.err == nil {
		b.synced.Wait()
	}
	if b.durable >= seq {
		return nil
	}
	return b.err
}

// Done forgets an entry. It does not wait for the disk: after a crash an entry
// that was done just before may come back.
func (b *Outbox) Done(seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size, ok := b.live[seq]
	if !ok || b.err != nil {
		return
	}
	delete(b.live, seq)
	b.bytes -= int64(size)
	b.pending = appendDone(b.pending, seq)
	if b.first != 0 && seq >= b.first { // no file has it yet
		b.added--
	} else {
		b.forgetLocked(seq)
	}
	b.work.Signal()
}

// forgetLocked counts an entry out of its file.
func (b *Outbox) forgetLocked(seq uint64) {
	for i := len(b.segments) - 1; i >= 0; i-- {
		if b.segments[i].first <= seq {
			b.segments[i].live--
			return
		}
	}
}

// Len returns how many entries are not done, and the bytes of their data.
func (b *Outbox) Len() (entries int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.live), b.bytes
}

// Close writes what is pending and lets go of the directory.
func (b *Outbox) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		<-b.done
		return nil
	}
	b.closed = true
	b.want = max(b.want, b.next-1)
	b.work.Signal()
	b.mu.Unlock()
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(b.err, b.lock.Close())
}

// write is the goroutine of the writer.
func (b *Outbox) write() {
	defer close(b.done)
	var spare []byte
	for {
		b.mu.Lock()
		for len(b.pending) == 0 && b.want <= b.durable && !b.closed && b.err == nil {
			b.work.Wait()
		}
		if b.err != nil || len(b.pending) == 0 && b.want <= b.durable && b.closed {
			if e := b.file.Close(); b.err == nil {
				b.err = e
			}
			b.synced.Broadcast()
			b.mu.Unlock()
			return
		}
		if b.size >= b.opts.SegmentSize {
			if b.rotateLocked(); b.err != nil {
				b.mu.Unlock()
				continue // to the end; a later sync could not vouch for what this one lost
			}
		}
		out, upTo := b.pending, b.next-1
		sync := b.want > b.durable || b.closed
		last := &b.segments[len(b.segments)-1]
		last.live += b.added
		b.pending, b.first, b.added = spare[:0], 0, 0
		b.mu.Unlock()

		_, err := b.file.Write(out)
		if sync && err == nil {
			err = b.file.Sync()
		}
		spare = out
		b.mu.Lock()
		b.size += int64(len(out))
		if err != nil {
			b.err = fmt.Errorf("outbox: %w", err)
		} else if sync {
			b.durable = upTo
		}
		b.synced.Broadcast()
		gone := b.emptyLocked()
		b.mu.Unlock()
		for _, s := range gone {
			os.Remove(s.path) // one that stays is read, and removed, by the next Open
		}
	}
}

// emptyLocked takes the oldest segments that hold no entry out of the list. The
// others wait for those before them, whose entries they may say are done.
func (b *Outbox) emptyLocked() []segment {
	n := 0
	for n < len(b.segments)-1 && b.segments[n].live <= 0 {
		n++
	}
	gone := slices.Clone(b.segments[:n])
	b.segments = slices.Delete(b.segments, 0, n)
	return gone
}

// rotateLocked begins a new file. b.mu is held: it is rare, and the log must not
// change meanwhile.
func (b *Outbox) rotateLocked() {
	if err := b.file.Sync(); err != nil {
		b.err = fmt.Errorf("outbox: %w", err)
		return
	}
	b.file.Close()
	if err := b.rotate(); err != nil {
		b.err = fmt.Errorf("outbox: %w", err)
	}
}

// rotate makes the next file the one to write.
func (b *Outbox) rotate() error {
	first := b.next
	if b.first != 0 {
		first = b.first
	}
	path := filepath.Join(b.dir, segmentName(first, len(b.segments)))
	f, err := b.opts.Create(path)
	for n := len(b.segments) + 1; errors.Is(err, os.ErrExist); n++ {
		path = filepath.Join(b.dir, segmentName(first, n))
		f, err = b.opts.Create(path)
	}
	if err != nil {
		return err
	}
	if _, err = f.Write([]byte(magic)); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(b.dir)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	b.file, b.size = f, int64(len(magic))
	b.segments = append(b.segments, segment{path: path, first: first})
	return nil
}
