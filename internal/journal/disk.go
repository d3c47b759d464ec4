package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Durability is what a completion promises.
type Durability uint8

const (
	// Fsync survives the loss of power.
	Fsync Durability = iota
	// OS survives the end of the process, but not of the machine.
	OS
	// None survives an orderly Close only.
	None
)

func (d Durability) String() string {
	switch d {
	case Fsync:
		return "fsync"
	case OS:
		return "os"
	case None:
		return "none"
	}
	return fmt.Sprintf("Durability(%d)", uint8(d))
}

// Options are those of a Disk.
type Options struct {
	// Dir holds the database and nothing else. It is made if it is not there.
	Dir        string
	Durability Durability
	// FS is the file system. nil is that of the operating system.
	FS vfs.FS
	// Logger gets progress, and the database's own messages at level debug. nil is none.
	Logger *slog.Logger
	// MemTableSize is how many bytes of changes are kept in memory and written as one
	// table. 0 is 16 MiB. Log files take up to five times as much on disk.
	MemTableSize int64
	// CacheSize is the bytes of tables kept in memory. 0 is 32 MiB.
	CacheSize int64
	// OnFail is called once, on a goroutine of the journal, when it can store no more.
	// It must not call Close.
	OnFail func(error)
}

// maxCommit is about how many bytes of operations go into one commit.
const maxCommit = 4 << 20

// loaders is how many goroutines read messages.
const loaders = 2

// Disk is the Journal that stores everything in a directory.
//
// One goroutine encodes and applies what was submitted, a second waits for the fsync
// and completes, so that a commit is prepared while the disk works on the one before.
type Disk struct {
	o    Options
	log  *slog.Logger
	db   *pebble.DB
	lock *pebble.Lock
	fs   *guardFS
	enc  *encoder // of the committer; of Recover before anything is submitted
	wg   sync.WaitGroup
	// memTable is Options.MemTableSize or its default.
	memTable uint64
	manual   bool // it is a Manual's

	mu        sync.Mutex
	work      sync.Cond // for the committer
	synced    sync.Cond // for the completer
	readable  sync.Cond // for the loaders
	pending   []submission
	loads     []load        // wait until what was submitted before them is applied
	ready     []load        // can be read
	commits   []*commit     // taken by the committer, in their order, until they are complete
	submitted uint64        // submissions ever
	applied   uint64        // ... that can be read
	failed    error         // sticky
	broken    chan struct{} // closed when failed is set
	told      bool          // OnFail was called, or is about to be
	wedged    bool          // the database has panicked, perhaps with locks held
	closed    bool          // nothing is accepted any more
	drained   bool          // the committer has ended
	crowded   bool          // the database has to write tables before it takes more
	rotated   atomic.Bool   // a log was begun since the committer looked
	manifest  atomic.Bool   // a manifest was written since the start
	stats     counters
	lastMID   atomic.Uint64
	queued    atomic.Int64

	pressure atomic.Int64 // bytes of operations submitted and not complete
}

// submission is one call of Submit.
type submission struct {
	ops  []Op
	done func(error)
	size int64
}

// commit is the submissions that become durable together.
type commit struct {
	subs    []submission
	batch   *pebble.Batch
	size    int64
	begun   time.Time
	applied bool
	waits   bool // for the log to be synced
}

// Open opens the directory, or makes an empty one.
func Open(o Options) (*Disk, error) {
	d, err := openDisk(o, false)
	if err == nil {
		d.start()
	}
	return d, err
}

func openDisk(o Options, manual bool) (*Disk, error) {
	d := &Disk{o: o, log: o.Logger, manual: manual, broken: make(chan struct{})}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.work.L, d.synced.L, d.readable.L = &d.mu, &d.mu, &d.mu
	if o.FS == nil {
		o.FS = vfs.Default
	}
	d.fs = newGuardFS(o.FS, o.Dir, o.Durability != Fsync, d.fail)
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	var err error
	if d.lock, err = pebble.LockDirectory(o.Dir, o.FS); err != nil {
		return nil, lockError(o.Dir, err)
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	return d, nil
}

func (d *Disk) open() error {
	db, err := openPebble(d.o.Dir, d.pebbleOptions(false))
	if err != nil {
		return openError(d.o.Dir, err)
	}
	d.db = db
	d.enc = newEncoder(reading{db})
	err = d.prepare()
	if err == nil {
		err = d.failure()
	}
	if err != nil {
		return errors.Join(openError(d.o.Dir, err), d.db.Close())
	}
	return nil
}

// prepare checks the format, and finishes what the last process had begun.
func (d *Disk) prepare() error {
	found, err := checkFormat(reading{d.db})
	if err != nil {
		return err
	}
	if !found {
		if err := d.db.Set(textKey(nil, tableMeta, metaVersion), []byte{recordVersion, formatVersion}, pebble.Sync); err != nil {
			return err
		}
	}
	if d.enc.lastMID, err = lastMID(reading{d.db}); err != nil {
		return err
	}
	d.lastMID.Store(d.enc.lastMID)
	return d.resumeRename()
}

// checkFormat tells whether there is data at all, and refuses that of a later format.
func checkFormat(from stored) (found bool, err error) {
	key := textKey(nil, tableMeta, metaVersion)
	found, err = from.get(key, func(v []byte) error {
		r := newReader(v)
		if version := r.byte(); r.err == nil && version > formatVersion {
			r.fail(fmt.Errorf("format %d was %w", version, ErrNewer))
		}
		return wrapRecord(key, r.end())
	})
	if err != nil || found {
		return found, err
	}
	err = from.scan([]byte{0}, []byte{0xFF}, func(_, _ []byte) (bool, error) {
		return false, errForeign
	})
	return false, err
}

func lastMID(from stored) (mid uint64, err error) {
	key := textKey(nil, tableMeta, metaMID)
	_, err = from.get(key, func(v []byte) error {
		mid, err = decodeNumber(v)
		return wrapRecord(key, err)
	})
	return mid, err
}

func (d *Disk) start() {
	d.wg.Go(d.commitLoop)
	d.wg.Go(d.completeLoop)
	for range loaders {
		d.wg.Go(d.loadLoop)
	}
}

// Volatile is false.
func (d *Disk) Volatile() bool { return false }

// LastMID is the highest number of a message ever stored.
func (d *Disk) LastMID() uint64 { return d.lastMID.Load() }

// Pressure is the number of bytes submitted and not durable.
func (d *Disk) Pressure() int64 { return d.pressure.Load() }

// Submit is that of Journal. What comes after a failed write or fsync is completed with
// its error, and what comes after Close with ErrClosed at once.
func (d *Disk) Submit(_ int, ops []Op, done func(error)) {
	sub := submission{ops, done, sizeOf(ops)}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		done(ErrClosed)
		return
	}
	d.pending = append(d.pending, sub)
	d.submitted++
	d.pressure.Add(sub.size)
	d.stats.ops += int64(len(ops))
	// Also what is refused goes through the completer, which keeps the order.
	if d.failed != nil {
		d.synced.Signal()
	} else {
		d.work.Signal()
	}
	d.mu.Unlock()
}

// sizeOf estimates the bytes of ops in memory and in the log.
func sizeOf(ops []Op) int64 {
	n := 48
	for i := range ops {
		op := &ops[i]
		n += 32 + len(op.Name) + 32*len(op.Targets)
		if op.Msg != nil {
			n += op.Msg.Size()
		}
	}
	return int64(n)
}

// Close completes what was submitted, ends all goroutines and closes the directory.
// What is submitted from now on gets ErrClosed. It returns the error that has kept
// changes from being stored, if there was one.
func (d *Disk) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return ErrClosed
	}
	d.closed = true
	d.work.Signal()
	d.synced.Signal()
	d.readable.Broadcast()
	d.mu.Unlock()
	d.fs.hurry()
	d.wg.Wait()
	if d.wedged {
		return d.failure() // closing would wait for ever; the process is to end
	}
	err := d.closeDB()
	if failed := d.failure(); failed != nil {
		err = failed // closing has nothing to add
	}
	return errors.Join(err, d.lock.Close())
}

// closeDB closes the database, which panics on a broken invariant.
func (d *Disk) closeDB() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("close the database: %v", r)
		}
	}()
	return d.db.Close()
}

func (d *Disk) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// fail makes err the answer to everything that is not complete, for good: after a
// failed write or fsync nobody knows what the disk holds. It may be called under locks
// of the database.
func (d *Disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return
	}
	d.failed = fmt.Errorf("store: %w", err)
	close(d.broken)
	d.readyLoads()
	d.work.Broadcast()
	d.synced.Broadcast()
	d.readable.Broadcast()
}

// logger is that of the database.
type logger struct {
	log  *slog.Logger
	fail func(error)
}

func (l logger) Infof(format string, args ...any)  { l.print(format, args) }
func (l logger) Errorf(format string, args ...any) { l.print(format, args) }

// Fatalf returns, which the database does not expect: but from now on nothing is
// written, and its callers return an error.
func (l logger) Fatalf(format string, args ...any) {
	err := &databaseError{text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			err.cause = cause
		}
	}
	l.fail(err)
}

// databaseError is what the database says, and why if it knows.
type databaseError struct {
	text  string
	cause error
}

func (e *databaseError) Error() string { return e.text }
func (e *databaseError) Unwrap() error { return e.cause }

func (l logger) print(format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("database", "text", fmt.Sprintf(format, args...))
	}
}
