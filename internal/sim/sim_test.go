package sim

import (
	"flag"
	"testing"
)

var (
	seeds = flag.Uint64("seeds", defaultSeeds, "how many schedules to run")
	seed  = flag.Uint64("seed", 0, "run this one schedule only")
)

func TestPromisesHoldInEverySchedule(t *testing.T) {
	first, last := uint64(1), *seeds
	if *seed != 0 {
		first, last = *seed, *seed
	}
	var total Result
	for s := first; s <= last; s++ {
		r, err := Run(s)
		if err != nil {
			t.Fatalf("%v\nreplay: go test ./internal/sim -seed %d", err, s)
		}
		total.Published += r.Published
		total.Delivered += r.Delivered
		total.Cuts += r.Cuts
	}
	t.Logf("%d schedules: %d messages published, %d delivered, %d connections cut", last-first+1, total.Published, total.Delivered, total.Cuts)
	if *seed == 0 && (total.Delivered < total.Published/2 || total.Cuts == 0) {
		t.Error("the schedules do too little to mean anything")
	}
}

func TestASeedReplaysExactly(t *testing.T) {
	for s := uint64(1); s <= 50; s++ {
		a, errA := Run(s)
		b, errB := Run(s)
		if a != b || (errA == nil) != (errB == nil) {
			t.Fatalf("seed %d gave %+v and then %+v", s, a, b)
		}
	}
}
