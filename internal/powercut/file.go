package powercut

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func notExist(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func exist(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist} }

// file is an open file or directory.
type file struct {
	d    *Disk
	n    *node
	name string
	at   int // where the next Read or Write is
}

var errIsDir = errors.New("is a directory")

func (f *file) Close() error { return nil }

// Read is io.Reader's.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, int64(f.at))
	f.at += n
	if n > 0 {
		err = nil
	}
	return n, err
}

// ReadAt is io.ReaderAt's.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.n.dir {
		return 0, errIsDir
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write is io.Writer's.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, int64(f.at))
	f.at += n
	return n, err
}

// WriteAt is io.WriterAt's.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.n.dir {
		return 0, errIsDir
	}
	f.d.change()
	n := f.n
	if grow := int(off) + len(p) - len(n.data); grow > 0 {
		n.data = append(n.data, make([]byte, grow)...)
	}
	return copy(n.data[off:], p), nil
}

// Sync makes what was written, or the names of a directory, survive a cut.
func (f *file) Sync() error {
	d, n := f.d, f.n
	d.mu.Lock()
	defer d.mu.Unlock()
	d.change()
	switch {
	case n.dir:
		n.durable = maps.Clone(n.children)
	case d.late != nil && d.late(f.name):
		d.asked = append(d.asked, asked{n, slices.Clone(n.data)})
	default:
		n.synced = slices.Clone(n.data)
		d.overtake(n)
	}
	return nil
}

// SyncData is Sync.
func (f *file) SyncData() error { return f.Sync() }

// SyncTo does nothing, which it says.
func (f *file) SyncTo(int64) (bool, error) { return false, nil }

func (f *file) Preallocate(_, _ int64) error { return nil }
func (f *file) Prefetch(_, _ int64) error    { return nil }
func (f *file) Fd() uintptr                  { return vfs.InvalidFd }

// Stat tells the size, and whether it is a directory.
func (f *file) Stat() (vfs.FileInfo, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return info{f.d.PathBase(f.name), int64(len(f.n.data)), f.n.dir}, nil
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) IsDir() bool            { return i.dir }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
