package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seeds  = flag.Uint64("seeds", defaultSeeds, "the seed of the last schedule")
	from   = flag.Uint64("from", 1, "the seed of the first schedule")
	seed   = flag.Uint64("seed", 0, "run this one schedule only")
	offs   = flag.Bool("power", false, "with the real journal on a disk that loses its power")
	replay = flag.String("script", "", "run the script in this file only")
)

func playErr(s *Script) error { _, err := Play(s); return err }

// sweep plays the seeds from first to last on all processors, and stops at the first failures.
func sweep(t *testing.T, first, last uint64, plan Plan) (total Result) {
	t.Helper()
	var next, done atomic.Uint64
	next.Store(first - 1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for range 4 * runtime.GOMAXPROCS(0) { // a schedule waits for the goroutines of its database
		wg.Go(func() {
			for s := next.Add(1); s <= last && !t.Failed(); s = next.Add(1) {
				script := New(s, plan)
				r, err := Play(script)
				mu.Lock()
				total.add(r)
				if err != nil {
					report(t, s, script, err)
				}
				mu.Unlock()
				if n := done.Add(1); n%1000 == 0 && testing.Verbose() {
					fmt.Printf("%d of %d schedules, %v\n", n, last-first+1, time.Since(start).Round(time.Second))
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d schedules: %+v", done.Load(), total)
	return total
}

// report shrinks a script that fails, and says how to play it again.
func report(t *testing.T, seed uint64, s *Script, err error) {
	t.Helper()
	small := Shrink(s, playErr)
	file := filepath.Join(os.TempDir(), fmt.Sprintf("wirebird-sim-%d.txt", seed))
	text := Tell(small)
	if e := os.WriteFile(file, []byte(text), 0o644); e != nil {
		t.Error(e)
	}
	power := ""
	if s.World.Store == Power {
		power = " POWER=1"
	}
	t.Errorf("seed %d: %v\n%d steps of %d are enough:\n\n%s\nreplay: make sim SCRIPT=%s\nthe whole schedule: make sim%s SEED=%d",
		seed, err, len(small.Steps), len(s.Steps), text, file, power, seed)
}

func TestPromisesHoldInEverySchedule(t *testing.T) {
	plan := Plan{}
	if *offs {
		plan.Store = Power
	}
	switch {
	case *replay != "":
		text, err := os.ReadFile(*replay)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Play(s); err != nil {
			t.Errorf("%s\n%v", Tell(s), err)
		}
	case *seed != 0:
		s := New(*seed, plan)
		if _, err := Play(s); err != nil {
			report(t, *seed, s, err)
		}
	case *seeds > 0:
		total := sweep(t, *from, *seeds, plan)
		if *seeds-*from < 100 {
			return
		}
		for what, n := range map[string]int{"deliveries": total.Delivered, "cuts": total.Cuts, "crashes": total.Crashes,
			"wills": total.Wills, "expiries": total.Expired, "redistributions": total.Redistributed} {
			if n == 0 {
				t.Errorf("the schedules do too little to mean anything: no %s", what)
			}
		}
	}
}
