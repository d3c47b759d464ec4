package powercut

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
)

// Cut decides what is left when the power fails.
type Cut struct {
	Seed uint64
	// Keep is how many of a hundred blocks and names that were not synced are left.
	Keep int
	// Block is the size in bytes of what a disk writes at once. 0 is 512.
	Block int
}

// Cut returns the Disk that is found when the power fails now. The Disk itself goes on.
func (d *Disk) Cut(c Cut) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cut(c, false)
}

// CutAfter makes a cut when n more changes were made: before the next one, whichever
// goroutine makes it. An earlier plan is forgotten.
func (d *Disk) CutAfter(n int, c Cut) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan = &plan{left: n, cut: c}
}

// Left is what the planned cut has left; nil when it has not come. The plan ends.
func (d *Disk) Left() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.plan
	d.plan = nil
	if p == nil {
		return nil
	}
	return p.disk
}

func (d *Disk) cut(c Cut, amidst bool) *Disk {
	if c.Block == 0 {
		c.Block = 512
	}
	x := &cutter{Cut: c, amidst: amidst, seen: map[*node]*node{}}
	left := New()
	left.root = x.copyDir("", d.root)
	return left
}

// cutter makes one cut. Its decisions depend on the seed and on what they are about, and
// on no other decision.
type cutter struct {
	Cut
	amidst bool // other goroutines may be about to remove files
	seen   map[*node]*node
}

func (x *cutter) decide(name string, block int) bool {
	h := fnv.New64a()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], x.Seed)
	binary.BigEndian.PutUint64(b[8:], uint64(block))
	_, _ = h.Write(b[:])
	_, _ = h.Write([]byte(name))
	n := h.Sum64()
	n ^= n >> 32
	n *= 0xd6e8feb86659fd93
	n ^= n >> 32
	return int(n%100) < x.Keep
}

const ofName = -1 // in place of a block

func (x *cutter) copy(name string, n *node) *node {
	if c := x.seen[n]; c != nil {
		return c
	}
	if n.dir {
		return x.copyDir(name, n)
	}
	c := x.copyFile(name, n)
	x.seen[n] = c
	return c
}

func (x *cutter) copyFile(name string, n *node) *node {
	c := &node{data: slices.Clone(n.synced)}
	for at := 0; at < len(n.data); at += x.Block {
		end := min(at+x.Block, len(n.data))
		if end <= len(n.synced) && bytes.Equal(n.data[at:end], n.synced[at:end]) || !x.decide(name, at) {
			continue
		}
		if grow := end - len(c.data); grow > 0 { // what lies between was never written
			c.data = append(c.data, make([]byte, grow)...)
		}
		copy(c.data[at:], n.data[at:end])
	}
	c.synced = slices.Clone(c.data)
	return c
}

// copyDir decides about the names of a directory. A name that was given to another file
// is the one or the other; what was renamed has its old name, its new one, or both.
func (x *cutter) copyDir(name string, n *node) *node {
	c := newDir()
	left := map[string]*node{}
	maps.Copy(left, n.removed)
	for child, old := range n.durable {
		if n.removed[child] == nil {
			left[child] = old
		}
	}
	for child := range n.removed {
		if !x.amidst && x.decide(name+"/"+child, ofName) {
			delete(left, child)
		}
	}
	for child, now := range n.children {
		if n.durable[child] != now && x.decide(name+"/"+child, ofName) {
			left[child] = now
		}
	}
	for _, child := range slices.Sorted(maps.Keys(left)) {
		c.children[child] = x.copy(name+"/"+child, left[child])
	}
	c.durable = maps.Clone(c.children)
	return c
}
