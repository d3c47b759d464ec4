// Package powercut is a file system in memory that loses its power.
//
// A cut leaves what was synced, and of the rest, block by block and name by name, what a
// seed decides. Two runs that change a Disk in the same way and cut it with the same seed
// find the same on it; the order in which another goroutine removes files does not count.
// Syncs can be made to take effect later than they are asked for, and a cut can be made
// in the middle of what a single call does.
//
// It knows nothing of what is stored in it.
package powercut

import (
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a vfs.FS. It is safe for concurrent use.
type Disk struct {
	mu      sync.Mutex
	root    *node
	locked  map[string]bool
	late    func(name string) bool
	asked   []asked
	settled int // syncs that were late and have taken effect
	plan    *plan
}

// node is a file or a directory.
type node struct {
	dir      bool
	data     []byte
	synced   []byte
	children map[string]*node
	durable  map[string]*node // children at the last sync
	removed  map[string]*node // that were durable; a cut may bring them back
}

// asked is a sync that has not taken effect.
type asked struct {
	n    *node // nil when a later one has taken effect
	data []byte
}

// plan is a cut that is to come.
type plan struct {
	left int // changes until then
	cut  Cut
	disk *Disk // that was left
}

// New makes an empty Disk.
func New() *Disk { return &Disk{root: newDir(), locked: map[string]bool{}} }

func newDir() *node {
	return &node{dir: true, children: map[string]*node{}, durable: map[string]*node{}, removed: map[string]*node{}}
}

// Late makes the syncs of files for whose names it reports true take effect when Settle
// says so; their callers are not kept waiting. nil is none.
func (d *Disk) Late(late func(name string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.late = late
}

// Asked counts the syncs that were late since the beginning.
func (d *Disk) Asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settled + len(d.asked)
}

// Settled counts those of them that have taken effect.
func (d *Disk) Settled() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settled
}

// Settle makes the n oldest late syncs take effect.
func (d *Disk) Settle(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ; n > 0 && len(d.asked) > 0; n-- {
		a := d.asked[0]
		d.asked = d.asked[1:]
		d.settled++
		if a.n != nil {
			a.n.synced = a.data
		}
	}
}

// overtake makes the late syncs of n worth nothing. mu must be held.
func (d *Disk) overtake(n *node) {
	for i := range d.asked {
		if d.asked[i].n == n {
			d.asked[i].n = nil
		}
	}
}

// change notes that something is about to change, and makes the cut that is due before.
// mu must be held.
func (d *Disk) change() {
	p := d.plan
	if p == nil || p.disk != nil {
		return
	}
	if p.left == 0 {
		p.disk = d.cut(p.cut, true)
		return
	}
	p.left--
}

// find returns the directory that holds name, and the last part of name. mu must be held.
func (d *Disk) find(name string) (dir *node, last string, err error) {
	dir = d.root
	parts := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	for _, part := range parts[:len(parts)-1] {
		if dir = dir.children[part]; dir == nil || !dir.dir {
			return nil, "", notExist("open", name)
		}
	}
	return dir, parts[len(parts)-1], nil
}

// get returns the file or directory of that name. mu must be held.
func (d *Disk) get(name string) (*node, error) {
	dir, last, err := d.find(name)
	if err != nil || last == "" {
		return d.root, err
	}
	if n := dir.children[last]; n != nil {
		return n, nil
	}
	return nil, notExist("open", name)
}

func (n *node) put(name string, child *node) {
	delete(n.removed, name)
	n.children[name] = child
}

// Create is that of vfs.FS.
func (d *Disk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, last, err := d.find(name)
	if err != nil {
		return nil, err
	}
	d.change()
	n := &node{}
	dir.put(last, n)
	return &file{d: d, n: n, name: name}, nil
}

// Link is that of vfs.FS.
func (d *Disk) Link(oldName, newName string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.get(oldName)
	if err != nil {
		return err
	}
	dir, last, err := d.find(newName)
	if err != nil {
		return err
	}
	if dir.children[last] != nil {
		return exist("link", newName)
	}
	d.change()
	dir.put(last, n)
	return nil
}

// Open is that of vfs.FS.
func (d *Disk) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.get(name)
	if err != nil {
		return nil, err
	}
	return &file{d: d, n: n, name: name}, nil
}

// OpenReadWrite is that of vfs.FS.
func (d *Disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	if f, err := d.Open(name); err == nil {
		return f, nil
	}
	return d.Create(name, c)
}

// OpenDir is that of vfs.FS.
func (d *Disk) OpenDir(name string) (vfs.File, error) { return d.Open(name) }

// Remove is that of vfs.FS. It does not count as a change, and a cut may bring the file
// back: for certain when it comes amidst other changes. Files are removed in the
// background, and it would not be known what came first.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, last, err := d.find(name)
	if err != nil {
		return err
	}
	n := dir.children[last]
	switch {
	case n == nil:
		return notExist("remove", name)
	case len(n.children) > 0:
		return exist("remove", name)
	}
	dir.remove(last)
	return nil
}

func (n *node) remove(name string) {
	if n.durable[name] == n.children[name] {
		n.removed[name] = n.children[name]
	}
	delete(n.children, name)
}

// RemoveAll is that of vfs.FS.
func (d *Disk) RemoveAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir, last, err := d.find(name); err == nil && dir.children[last] != nil {
		dir.remove(last)
	}
	return nil
}

// Rename is that of vfs.FS.
func (d *Disk) Rename(oldName, newName string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rename(oldName, newName)
}

func (d *Disk) rename(oldName, newName string) error {
	n, err := d.get(oldName)
	if err != nil {
		return err
	}
	from, last, _ := d.find(oldName)
	to, first, err := d.find(newName)
	if err != nil {
		return err
	}
	d.change()
	delete(from.children, last)
	to.put(first, n)
	return nil
}

// ReuseForWrite is that of vfs.FS.
func (d *Disk) ReuseForWrite(oldName, newName string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.rename(oldName, newName); err != nil {
		return nil, err
	}
	n, err := d.get(newName)
	return &file{d: d, n: n, name: newName}, err
}

// MkdirAll is that of vfs.FS. The perm is not kept.
func (d *Disk) MkdirAll(name string, _ os.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+name), "/"), "/") {
		if part == "" {
			continue
		}
		next := dir.children[part]
		if next == nil {
			d.change()
			next = newDir()
			dir.put(part, next)
		}
		if !next.dir {
			return exist("mkdir", name)
		}
		dir = next
	}
	return nil
}

// Lock is that of vfs.FS.
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	taken := d.locked[name]
	d.locked[name] = true
	d.mu.Unlock()
	if taken {
		return nil, exist("lock", name)
	}
	f, err := d.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		d.unlock(name)
		return nil, err
	}
	return &lock{f, d, name}, nil
}

func (d *Disk) unlock(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.locked, name)
}

// lock is a held lock.
type lock struct {
	io.Closer
	d    *Disk
	name string
}

func (l *lock) Close() error {
	l.d.unlock(l.name)
	return l.Closer.Close()
}

// List is that of vfs.FS. It is sorted.
func (d *Disk) List(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.get(name)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(n.children)), nil
}

// Stat is that of vfs.FS.
func (d *Disk) Stat(name string) (vfs.FileInfo, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// PathBase is that of vfs.FS.
func (d *Disk) PathBase(name string) string { return path.Base(name) }

// PathJoin is that of vfs.FS.
func (d *Disk) PathJoin(parts ...string) string { return path.Join(parts...) }

// PathDir is that of vfs.FS.
func (d *Disk) PathDir(name string) string { return path.Dir(name) }

// GetDiskUsage fails: there is no end of room.
func (d *Disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{}, vfs.ErrUnsupported
}

// Unwrap returns nil: nothing is below.
func (d *Disk) Unwrap() vfs.FS { return nil }
