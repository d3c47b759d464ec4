package route

import (
	"hash/maphash"
	"iter"
	"slices"
)

// seed makes the hashes of texts different in each process, so that nobody can choose
// texts that collide. Nothing that a caller can see depends on it.
var seed = maphash.MakeSeed()

func hashOf(text string) uint64 { return maphash.String(seed, text) }

// index finds nodes by the hashes of their texts. It keeps hashes only, so that a search
// that finds nothing touches one or two lines of memory; what is found must be compared,
// because several nodes may have one hash.
//
// Up to fewNodes nodes are a list. More are a table with open addressing. Above manyNodes
// it is cut into parts by the highest bits of the hashes, so that no addition takes long;
// parts are cut by the bits that follow.
type index[N any] struct {
	slots []slot[N] // the list, or the table, whose length is a power of two
	parts *[partCount]index[N]
	n     int32
}

type slot[N any] struct {
	hash uint64
	node *N // nil if the slot is free
}

const (
	fewNodes  = 8
	manyNodes = 3072
	partBits  = 6
	partCount = 1 << partBits
	maxDepth  = 8 // of parts in parts
)

func (x *index[N]) len() int { return int(x.n) }

// isTable tells the table from the list.
func (x *index[N]) isTable() bool { return len(x.slots) > fewNodes }

// part is the one for hash h of an index that is depth parts below the whole.
func (x *index[N]) part(h uint64, depth int) *index[N] {
	return &x.parts[h<<(depth*partBits)>>(64-partBits)]
}

// find returns a node with hash h and where to go on for the next one; nil if there is
// none. from is 0 for the first.
func (x *index[N]) find(h uint64, from int) (n *N, next int) {
	for depth := 0; x.parts != nil; depth++ {
		x = x.part(h, depth)
	}
	if !x.isTable() {
		for i := from; i < len(x.slots); i++ {
			if x.slots[i].hash == h {
				return x.slots[i].node, i + 1
			}
		}
		return nil, 0
	}
	mask := uint64(len(x.slots) - 1)
	for i := uint64(from); ; i++ {
		s := &x.slots[(h+i)&mask]
		if s.node == nil {
			return nil, 0
		}
		if s.hash == h {
			return s.node, int(i) + 1
		}
	}
}

// add adds a node that is not in the index.
func (x *index[N]) add(h uint64, n *N) { x.addBelow(0, h, n) }

// addBelow is add for an index that is depth parts below the whole.
func (x *index[N]) addBelow(depth int, h uint64, n *N) {
	for ; x.parts != nil; depth++ {
		x.n++
		x = x.part(h, depth)
	}
	x.n++
	switch count := int(x.n); {
	case count <= fewNodes && !x.isTable():
		x.slots = append(x.slots, slot[N]{h, n})
		return
	case count > manyNodes && depth < maxDepth:
		x.split(depth)
		x.part(h, depth).addBelow(depth+1, h, n)
		return
	case count*4 > len(x.slots)*3:
		x.resize(max(2*fewNodes, 2*len(x.slots)))
	}
	place(x.slots, slot[N]{h, n})
}

// place puts s into a table that has room.
func place[N any](table []slot[N], s slot[N]) {
	mask := uint64(len(table) - 1)
	i := s.hash & mask
	for table[i].node != nil {
		i = (i + 1) & mask
	}
	table[i] = s
}

// resize makes the nodes a table of a length that is a power of two.
func (x *index[N]) resize(length int) {
	old := x.slots
	x.slots = make([]slot[N], length)
	for _, s := range old {
		if s.node != nil {
			place(x.slots, s)
		}
	}
}

// split cuts a table that is depth parts below the whole.
func (x *index[N]) split(depth int) {
	old := x.slots
	x.slots, x.parts = nil, new([partCount]index[N])
	for _, s := range old {
		if s.node != nil {
			x.part(s.hash, depth).addBelow(depth+1, s.hash, s.node)
		}
	}
}

// remove removes a node that is in the index.
func (x *index[N]) remove(h uint64, n *N) {
	for depth := 0; x.parts != nil; depth++ {
		if x.n--; x.n < manyNodes/4 {
			x.join()
			break
		}
		x = x.part(h, depth)
	}
	x.n--
	if !x.isTable() {
		x.slots = slices.DeleteFunc(x.slots, func(s slot[N]) bool { return s.node == n })
		if x.n == 0 {
			x.slots = nil
		}
		return
	}
	mask := uint64(len(x.slots) - 1)
	free := h & mask
	for x.slots[free].node != n {
		free = (free + 1) & mask
	}
	// What stands behind the gap moves into it if it could not be found otherwise.
	for i := (free + 1) & mask; x.slots[i].node != nil; i = (i + 1) & mask {
		if home := x.slots[i].hash & mask; (i-home)&mask >= (i-free)&mask {
			x.slots[free] = x.slots[i]
			free = i
		}
	}
	x.slots[free] = slot[N]{}
	x.shrink()
}

// shrink gives back most of a table that has become much too large.
func (x *index[N]) shrink() {
	switch n := int(x.n); {
	case n <= fewNodes/2:
		x.slots = slices.AppendSeq(make([]slot[N], 0, fewNodes), x.all())
	case len(x.slots) > 4*fewNodes && n*8 < len(x.slots):
		x.resize(len(x.slots) / 4)
	}
}

// join puts what is in the parts into one table. x.n is less by one than what that is,
// because a node is on its way out.
func (x *index[N]) join() {
	nodes := slices.AppendSeq(make([]slot[N], 0, x.n+1), x.all())
	length := 2 * fewNodes
	for length*3 < len(nodes)*4 {
		length *= 2
	}
	x.parts, x.n = nil, int32(len(nodes))
	x.slots = make([]slot[N], length)
	for _, s := range nodes {
		place(x.slots, s)
	}
}

// all ranges over the slots in use, in no order.
func (x *index[N]) all() iter.Seq[slot[N]] {
	return func(yield func(slot[N]) bool) { x.each(yield) }
}

func (x *index[N]) each(yield func(slot[N]) bool) bool {
	if x.parts != nil {
		for i := range x.parts {
			if !x.parts[i].each(yield) {
				return false
			}
		}
		return true
	}
	for _, s := range x.slots {
		if s.node != nil && !yield(s) {
			return false
		}
	}
	return true
}
