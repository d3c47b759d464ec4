package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	trimEvery = time.Second
	// trimQuiet is how many bytes may be allocated between two looks at the heap without
	// the process counting as busy.
	trimQuiet = 1 << 20
	// trimLeast is how many bytes must be to be had.
	trimLeast = 1 << 20
)

// heap is what the process has of memory for objects, in bytes.
type heap struct {
	allocated uint64 // ever
	objects   uint64 // live, or dead and not collected
	live      uint64 // after the last collection
	free      uint64 // kept for new objects
}

// trimmer gives memory back to the system when the broker has become quiet. The
// collector runs when the heap has doubled, so that what a storm of connections has left
// would stay for as long as nothing happens: most of a fleet of idle devices' memory.
type trimmer struct {
	read  func() heap
	free  func()
	last  heap
	quiet int
}

// tick looks at the heap, and collects in the second quiet interval if it is worth it.
func (t *trimmer) tick() {
	h := t.read()
	busy := h.allocated-t.last.allocated > trimQuiet
	t.last = h
	if busy {
		t.quiet = 0
		return
	}
	if t.quiet++; t.quiet < 2 || h.objects < h.live {
		return
	}
	if h.objects-h.live+h.free > max(trimLeast, h.live/8) {
		t.free()
		t.last = t.read()
	}
}

// run ticks until ctx ends.
func (t *trimmer) run(ctx context.Context) {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	t.tick()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.tick()
		}
	}
}

func newTrimmer() *trimmer {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	return &trimmer{
		read: func() heap {
			metrics.Read(samples)
			return heap{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()}
		},
		free: debug.FreeOSMemory,
	}
}
