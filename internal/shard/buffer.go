package shard

import "math/bits"

// Sizes of pooled buffers. A larger one is made when needed and left to the collector.
const (
	smallBytes  = 512
	mediumBytes = 4 << 10
	largeBytes  = 64 << 10
)

// How many buffers of a size a Loop keeps: 2 MiB, 2 MiB and 2 MiB.
const (
	keepSmall  = 4096
	keepMedium = 512
	keepLarge  = 32
	keepPairs  = 4096
)

// pool keeps a Loop's idle buffers, so that a connection holds none while it is idle.
type pool struct {
	small, medium, large [][]byte
	pairs                []*buffers
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

func pop(list *[][]byte, size int) []byte {
	if n := len(*list); n > 0 {
		b := (*list)[n-1]
		(*list)[n-1] = nil
		*list = (*list)[:n-1]
		return b
	}
	return make([]byte, 0, size)
}

// get returns an empty buffer with room for n bytes.
func (p *pool) get(n int) []byte {
	switch {
	case n <= smallBytes:
		return pop(&p.small, smallBytes)
	case n <= mediumBytes:
		return pop(&p.medium, mediumBytes)
	case n <= largeBytes:
		return pop(&p.large, largeBytes)
	}
	return make([]byte, 0, 1<<bits.Len(uint(n-1)))
}

// put takes a buffer back; nil and odd sizes are left to the collector.
func (p *pool) put(b []byte) {
	var list *[][]byte
	var keep int
	switch cap(b) {
	case smallBytes:
		list, keep = &p.small, keepSmall
	case mediumBytes:
		list, keep = &p.medium, keepMedium
	case largeBytes:
		list, keep = &p.large, keepLarge
	default:
		return
	}
	if len(*list) < keep {
		*list = append(*list, b[:0])
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
	for _, list := range []*[][]byte{&p.small, &p.medium, &p.large} {
		half := len(*list) / 2
		clear((*list)[half:])
		*list = (*list)[:half]
	}
	half := len(p.pairs) / 2
	clear(p.pairs[half:])
	p.pairs = p.pairs[:half]
}
