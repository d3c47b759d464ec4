package server

import "testing"

func TestMemoryGoesBackWhenTheBrokerIsQuiet(t *testing.T) {
	const mb = 1 << 20
	h, freed := heap{}, 0
	trim := trimmer{read: func() heap { return h }, free: func() {
		freed++
		h.objects, h.free = h.live, 0
	}}
	for i, step := range []struct {
		allocate, live, free uint64
		want                 int
	}{
		{allocate: 30 * mb, live: 10 * mb, want: 0}, // a storm
		{allocate: 30 * mb, live: 10 * mb, want: 0},
		{want: 0},                     // one quiet second may be chance
		{want: 1},                     // two are not
		{want: 1},                     // nothing more to be had
		{allocate: mb / 2, want: 1},   // little by little,
		{allocate: mb / 2, want: 1},   // ... up to an eighth of what lives
		{allocate: mb / 2, want: 2},   //
		{free: 4 * mb, want: 3},       // kept for nobody
		{allocate: 100 * mb, want: 3}, // another storm
		{allocate: 2 * mb, want: 3},   // goes on
	} {
		h.allocated += step.allocate
		h.objects += step.allocate
		h.free += step.free
		if step.live > 0 {
			h.live = step.live
		}
		if trim.tick(); freed != step.want {
			t.Fatalf("step %d: given back %d times, want %d", i, freed, step.want)
		}
	}
}

func TestTheHeapCanBeRead(t *testing.T) {
	trim := newTrimmer()
	before := trim.read()
	keep := make([]byte, 4<<20)
	after := trim.read()
	if before.objects == 0 || after.allocated < before.allocated+uint64(len(keep)) {
		t.Errorf("the heap is %+v and then %+v", before, after)
	}
}
