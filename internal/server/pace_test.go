package server

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

func TestSmallHeapsAreCollectedLessOften(t *testing.T) {
	const mb = 1 << 20
	live := uint64(0)
	var paces []int
	p := pacer{live: func() uint64 { return live }, set: func(gogc int) { paces = append(paces, gogc) }}
	for _, live = range []uint64{0, 2 * mb, 5 * mb, 5*mb + mb/8, 8 * mb, 16 * mb, 500 * mb, 4 * mb} {
		p.adjust()
	}
	if want := []int{400, 320, 200, 100, 400}; !slices.Equal(paces, want) {
		t.Errorf("GOGC becomes %v, want %v", paces, want)
	}
}

// The pace follows collections, not a clock: a heap that grows fast is held back at once.
func TestThePaceFollowsCollections(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	ctx, cancel := context.WithCancel(context.Background())
	keepPace(ctx)
	now := func() int {
		gogc := debug.SetGCPercent(100)
		debug.SetGCPercent(gogc)
		return gogc
	}
	reach := func(what string, ok func(gogc int) bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; {
			runtime.GC()
			runtime.Gosched()
			if gogc := now(); ok(gogc) {
				return
			} else if time.Now().After(end) {
				t.Fatalf("%s: GOGC is %d", what, gogc)
			}
		}
	}
	ballast := make([]byte, 64<<20)
	reach("a large heap", func(gogc int) bool { return gogc == 100 })
	runtime.KeepAlive(ballast)
	ballast = nil
	reach("a small heap", func(gogc int) bool { return gogc > 100 })
	cancel()
	reach("the end", func(gogc int) bool { return gogc == 100 })
}
