package shard

import "math/bits"

// classes are the sizes of pooled buffers, and how many of each a Loop keeps: 10 MiB in
// all at most. Larger ones are made when needed and left to the collector; those above
// 64 KiB are for the few connections that get a large part of all messages, with each turn.
var classes = [...]struct{ size, keep int }{
	{512, 4096}, {4 << 10, 512}, {64 << 10, 32}, {128 << 10, 8}, {256 << 10, 4}, {512 << 10, 2}, {1 << 20, 1},
}

const keepPairs = 4096

// pool keeps a Loop's idle buffers, so that a connection holds none while it is idle.
type pool struct {
	free  [len(classes)][][]byte
	pairs []*buffers
}

// pair returns an empty pair of buffers.
func (p *pool) pair() *buffers {
	if n := len(p.pairs); n > 0 {
		b := p.pairs[n-1]
		p.pairs[n-1] = nil
		p.pairs = p.pairs[:n-1]
		return b
	}
	return new(buffers)
}

// putPair takes a pair back whose buffers are gone.
func (p *pool) putPair(b *buffers) {
	if len(p.pairs) < keepPairs {
		p.pairs = append(p.pairs, b)
	}
}

// get returns an empty buffer with room for n bytes.
func (p *pool) get(n int) []byte {
	for i := range classes {
		if n > classes[i].size {
			continue
		}
		list := &p.free[i]
		last := len(*list) - 1
		if last < 0 {
			return make([]byte, 0, classes[i].size)
		}
		b := (*list)[last]
		(*list)[last] = nil
		*list = (*list)[:last]
		return b
	}
	return make([]byte, 0, 1<<bits.Len(uint(n-1)))
}

// put takes a buffer back; nil and odd sizes are left to the collector.
func (p *pool) put(b []byte) {
	for i := range classes {
		if cap(b) == classes[i].size {
			if len(p.free[i]) < classes[i].keep {
				p.free[i] = append(p.free[i], b[:0])
			}
			return
		}
	}
}

// grow returns b's bytes in a buffer with room for n more.
func (p *pool) grow(b []byte, n int) []byte {
	bigger := append(p.get(max(len(b)+n, 2*len(b))), b...)
	p.put(b)
	return bigger
}

// trim lets go of half of the idle buffers; called now and then.
func (p *pool) trim() {
	for i, list := range p.free {
		half := len(list) / 2
		clear(list[half:])
		p.free[i] = list[:half]
	}
	half := len(p.pairs) / 2
	clear(p.pairs[half:])
	p.pairs = p.pairs[:half]
}
