package journal

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS freezes the directory at the first failed write or sync. Pebble expects its
// process to end there, and does one of two things that must not happen:
//
//   - When a log fails it ends the process, by a panic that nothing can recover
//     (rotateWAL unlocks a mutex that its caller unlocks again). So an error of a log,
//     or of syncing the directory, is told to fail and hidden.
//   - When a table or the manifest fails it tries again, and may write to the manifest
//     twice what happened once, which makes the directory unreadable. So nothing is
//     written or removed any more: what the next Open finds is what the failure left.
//
// Other directories, those of backups, are left alone.
type guardFS struct {
	vfs.FS
	dir    string
	fail   func(error)
	lazy   bool // logs are not synced until they are closed
	failed atomic.Bool
	syncs  atomic.Int64 // of logs
	mu     sync.Mutex
	closed chan struct{} // closed by hurry
}

func newGuardFS(under vfs.FS, dir string, lazy bool, fail func(error)) *guardFS {
	dir = under.PathDir(under.PathJoin(dir, "file")) // spelled as the database will
	return &guardFS{FS: under, dir: dir, lazy: lazy, fail: fail, closed: make(chan struct{})}
}

var errFrozen = errors.New("nothing is written after a failure")

func (g *guardFS) Unwrap() vfs.FS { return g.FS }

// stop records the first error. The failure is known before the first write is dropped,
// so that nothing dropped can be taken for stored.
func (g *guardFS) stop(err error) {
	if err != nil && !g.failed.Load() {
		g.fail(err)
		g.failed.Store(true)
	}
}

// hurry ends the waiting of throttle for good.
func (g *guardFS) hurry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.closed:
	default:
		close(g.closed)
	}
}

// throttle slows down what the database tries again and again without a pause once it
// has failed.
func (g *guardFS) throttle() {
	if !g.failed.Load() {
		return
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.closed:
	}
}

func (g *guardFS) ours(name string) bool { return g.FS.PathDir(name) == g.dir }

func (g *guardFS) isLog(name string) bool { return filepath.Ext(name) == ".log" && g.ours(name) }

// isMarker tells that name is that of an empty file whose name says which file counts from
// now on. The database syncs the directory once it is there, and not before: where the
// names of a directory do not become durable in their order, the loss of power could
// leave a marker that points to a file which is not there, and the data could not be
// read. So the directory is synced first.
func (g *guardFS) isMarker(name string) bool {
	return strings.HasPrefix(g.FS.PathBase(name), "marker.") && g.ours(name)
}

// Create is that of vfs.FS.
func (g *guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !g.isLog(name) {
		return g.createTable(name, category)
	}
	if g.failed.Load() {
		return &guardLog{fs: g}, nil
	}
	f, err := g.FS.Create(name, category)
	return g.guardLog(f, err), nil
}

// createTable is for a table, the manifest and small files.
func (g *guardFS) createTable(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !g.ours(name) {
		return g.FS.Create(name, category)
	}
	g.throttle()
	if g.failed.Load() {
		return nil, errFrozen
	}
	if g.isMarker(name) {
		if err := syncDir(g.FS, g.dir); err != nil {
			g.stop(err)
			return nil, err
		}
	}
	f, err := g.FS.Create(name, category)
	if err != nil {
		g.stop(err)
		return nil, err
	}
	return &guardFile{f, g}, nil
}

// ReuseForWrite is that of vfs.FS.
func (g *guardFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !g.isLog(name) {
		return g.FS.ReuseForWrite(old, name, category)
	}
	if g.failed.Load() {
		return &guardLog{fs: g}, nil
	}
	f, err := g.FS.ReuseForWrite(old, name, category)
	return g.guardLog(f, err), nil
}

func (g *guardFS) guardLog(f vfs.File, err error) vfs.File {
	if err != nil {
		g.stop(err)
		return &guardLog{fs: g}
	}
	return &guardLog{under: f, fs: g}
}

// OpenDir is that of vfs.FS.
func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if g.FS.PathDir(g.FS.PathJoin(name, "file")) != g.dir {
		return f, nil
	}
	return &guardDir{f, g}, nil
}

// Remove is that of vfs.FS.
func (g *guardFS) Remove(name string) error {
	if g.failed.Load() && g.ours(name) {
		return errFrozen
	}
	return g.FS.Remove(name)
}

// Rename is that of vfs.FS.
func (g *guardFS) Rename(old, name string) error {
	if g.failed.Load() && g.ours(name) {
		return errFrozen
	}
	return g.FS.Rename(old, name)
}

type guardDir struct {
	vfs.File
	fs *guardFS
}

func (d *guardDir) Sync() error {
	d.fs.stop(d.File.Sync())
	return nil
}

// guardFile is a file other than a log.
type guardFile struct {
	vfs.File
	fs *guardFS
}

func (f *guardFile) Write(p []byte) (int, error) {
	if f.fs.failed.Load() {
		return 0, errFrozen
	}
	n, err := f.File.Write(p)
	f.fs.stop(err)
	return n, err
}

func (f *guardFile) Sync() error     { return f.sync(vfs.File.Sync) }
func (f *guardFile) SyncData() error { return f.sync(vfs.File.SyncData) }

func (f *guardFile) sync(how func(vfs.File) error) error {
	if f.fs.failed.Load() {
		return errFrozen
	}
	err := how(f.File)
	f.fs.stop(err)
	return err
}

// guardLog is a log file; under is nil when it could not be created.
type guardLog struct {
	under vfs.File
	fs    *guardFS
	dirty bool // written and not synced; the database uses a log from one goroutine
}

func (l *guardLog) alive() bool { return l.under != nil && !l.fs.failed.Load() }

func (l *guardLog) Write(p []byte) (int, error) {
	if l.alive() {
		l.dirty = true
		n, err := l.under.Write(p)
		if err == nil && n < len(p) {
			err = fs.ErrInvalid
		}
		l.fs.stop(err)
	}
	return len(p), nil
}

func (l *guardLog) Sync() error {
	if !l.fs.lazy {
		l.sync(vfs.File.Sync)
	}
	return nil
}

func (l *guardLog) SyncData() error {
	if !l.fs.lazy {
		l.sync(vfs.File.SyncData)
	}
	return nil
}

// SyncTo may do nothing: it gives no guarantee unless it says so.
func (l *guardLog) SyncTo(length int64) (bool, error) {
	if l.fs.lazy || !l.alive() {
		return false, nil
	}
	full, err := l.under.SyncTo(length)
	l.fs.stop(err)
	return full, nil
}

func (l *guardLog) sync(how func(vfs.File) error) {
	if l.alive() {
		l.fs.syncs.Add(1)
		l.fs.stop(how(l.under))
		l.dirty = false
	}
}

// Close syncs what was put off: a log that is followed by another must be whole.
func (l *guardLog) Close() error {
	if l.under == nil {
		return nil
	}
	if l.dirty && l.fs.lazy {
		l.sync(vfs.File.SyncData)
	}
	l.fs.stop(l.under.Close())
	return nil
}

// Preallocate only helps; a full disk shows when it is written.
func (l *guardLog) Preallocate(offset, length int64) error {
	if l.alive() {
		_ = l.under.Preallocate(offset, length)
	}
	return nil
}

func (l *guardLog) Fd() uintptr {
	if l.under == nil {
		return vfs.InvalidFd
	}
	return l.under.Fd()
}

func (l *guardLog) Stat() (vfs.FileInfo, error) {
	if l.under == nil {
		return nil, fs.ErrNotExist
	}
	return l.under.Stat()
}

func (l *guardLog) Prefetch(int64, int64) error            { return nil }
func (l *guardLog) Read([]byte) (int, error)               { return 0, fs.ErrInvalid }
func (l *guardLog) ReadAt([]byte, int64) (int, error)      { return 0, fs.ErrInvalid }
func (l *guardLog) WriteAt(p []byte, _ int64) (int, error) { return 0, fs.ErrInvalid }
