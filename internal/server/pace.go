package server

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// garbageFloor is how many bytes may be allocated between two collections, however
	// little lives: a small heap would be collected many times a second under load.
	garbageFloor = 16 << 20
	// paceMost is the highest GOGC that garbageFloor may lead to.
	paceMost = 400
)

// pace is the GOGC for a heap of live bytes: at least garbageFloor between collections
// while that is within reason, and the runtime's own 100 for a large heap.
func pace(live uint64) int {
	return int(min(paceMost, max(100, garbageFloor*100/max(live, 1))))
}

// pacer sets GOGC after each collection.
type pacer struct {
	live func() uint64
	set  func(gogc int)
	gogc int
}

func (p *pacer) adjust() {
	gogc := pace(p.live())
	if gogc > p.gogc+p.gogc/8 || gogc < p.gogc-p.gogc/8 {
		p.gogc = gogc
		p.set(gogc)
	}
}

// cycle is an object that each collection finds dead.
type cycle struct{ _ [16]byte }

// keepPace adjusts GOGC after each collection until ctx ends, unless it has been set from
// outside.
func keepPace(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	p := &pacer{
		live: func() uint64 {
			metrics.Read(sample)
			return sample[0].Value.Uint64()
		},
		set: func(gogc int) { debug.SetGCPercent(gogc) },
	}
	p.adjust()
	var again func(*cycle)
	again = func(*cycle) {
		if ctx.Err() != nil {
			p.set(100)
			return
		}
		p.adjust()
		runtime.SetFinalizer(new(cycle), again)
	}
	runtime.SetFinalizer(new(cycle), again)
}
