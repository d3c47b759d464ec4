//go:build linux && !wirebird_goroutine

package shard

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// One thread is enough where the Loops have no more than one processor, and would take more.
func TestItIsCrowded(t *testing.T) {
	type step struct {
		ms, cpu, waited int64 // since the last one
		carries         bool
	}
	long := step{ms: 1000}
	alone, tight := step{100, 150, 40, false}, step{100, 100, 40, false}
	carries := step{100, 100, 40, true}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a processor in all, and more is wanted", []step{long, tight, carries}},
		{"a processor and a half", []step{long, alone, alone, alone}},
		{"a processor in all, and no more is wanted", []step{long, {100, 100, 10, false}, {100, 100, 10, false}}},
		{"a moment of it", []step{long, tight, alone, tight, alone}},
		{"a moment, a rest, a moment", []step{long, tight, long, tight}},
		{"what came before does not count", []step{{1000, 1000, 1000, false}, alone, alone}},
		{"again after the carrying", []step{long, tight, carries, long, tight, carries}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c crowd
			now, cpu, waited := int64(1e18), int64(0), int64(0)
			for i, s := range test.steps {
				now, cpu, waited = now+s.ms*1e6, cpu+s.cpu*1e6, waited+s.waited*1e6
				if got := c.watch(now, cpu, waited); got != s.carries || got != c.crowded.Load() {
					t.Fatalf("step %d: %v, want %v", i, got, s.carries)
				}
				if s.carries {
					c.crowded.Store(false) // its time is over
				}
			}
		})
	}
}

// Guests are carried for longer each time, until several threads once had more than one.
func TestHowLongGuestsAreCarried(t *testing.T) {
	var c crowd
	now, cpu, waited := int64(1e18), int64(0), int64(0)
	watch := func(ms, used int64) {
		now, cpu, waited = now+ms*1e6, cpu+used*1e6, waited+ms*1e6
		c.watch(now, cpu, waited)
	}
	for i, want := range []int64{1e9, 2e9, 4e9, 5e9, 5e9, 0, 1e9} {
		watch(1000, 0)
		if want == 0 {
			watch(100, 150)
			if c.carryFor != 0 {
				t.Errorf("%d: two threads have more, and it remembers %d ns", i, c.carryFor)
			}
			continue
		}
		watch(100, 100)
		if watch(100, 100); c.carryFor != want || c.carryUntil != now+want {
			t.Errorf("%d: for %d ns, until %d after now; want %d", i, c.carryFor, c.carryUntil-now, want)
		}
	}
}

// A thread's delay is known wherever the system tells it.
func TestThreadDelayIsKnown(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, err := os.Stat("/proc/thread-self/schedstat")
	before, ok := threadDelay()
	if ok != (err == nil) || before < 0 {
		t.Fatalf("got %d, %v; the file: %v", before, ok, err)
	}
	if after, again := threadDelay(); again != ok || after < before {
		t.Errorf("got %d, %v after %d", after, again, before)
	}
	if n := processTime(); n <= 0 {
		t.Errorf("the process has run for %d ns", n)
	}
}

// carrying makes the first Loop carry the second from now on, or not.
func carrying(g *Group, yes bool) {
	h := g.sys.drivers[0]
	h.turn.Lock()
	h.carryUntil, h.watchedSince = 0, 1<<62
	if yes {
		h.carryUntil = 1 << 62
		h.crowded.Store(true)
	}
	h.turn.Unlock()
	for _, l := range g.Loops() { // a turn, in which they see that
		l.Post(func() {})
	}
}

func (d *epoll) isCarried() bool {
	d.turn.Lock()
	defer d.turn.Unlock()
	return d.carried
}

// A carried Loop's connections, timers and mail do not notice, however much there is to do,
// and its own thread sleeps.
func TestACarriedLoop(t *testing.T) {
	g, conns, seen := homes(t, 300) // more than a wait returns
	d := g.sys.drivers[1]
	carrying(g, true)
	until(t, "it is carried", conns[:1], d.isCarried)
	for range 20 {
		for i, nc := range conns {
			_, _ = fmt.Fprintf(nc, "%d\n", i)
		}
		for i, nc := range conns {
			expect(t, nc, fmt.Sprintf("%d\n", i))
		}
	}
	if !d.isCarried() {
		t.Error("with much to do it is carried no longer")
	}
	mail(t, conns[0], seen, 300)
	_, _ = conns[0].Write([]byte("timer\n"))
	expect(t, conns[0], "t3\n")
	for range 100 {
		heard := make(chan bool)
		d.l.Post(func() { close(heard) })
		<-heard
	}
	carrying(g, false)
	until(t, "it is put down", conns[:1], func() bool { return !d.isCarried() })
	until(t, "with much to do it looks after itself", conns, func() bool { return !d.isGuest() })
}

// Events, mail and timers of a Loop that is carried and put down all the time reach it.
func TestALoopThatIsCarriedNowAndThenMissesNothing(t *testing.T) {
	g, conns, seen := homes(t, 40)
	done := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			carrying(g, i%2 == 0)
			select {
			case <-done:
				return
			case <-time.After(time.Duration(i%7) * 100 * time.Microsecond):
			}
		}
	})
	talk(t, conns, 300)
	mail(t, conns[0], seen, 1000)
	close(done)
	wg.Wait()
}

// Loops end in any order while one carries the other, in the midst of its work, too.
func TestCarriedLoopsEnd(t *testing.T) {
	for range 30 {
		g, conns, _ := homes(t, 4)
		carrying(g, true)
		until(t, "it is carried", conns, g.sys.drivers[1].isCarried)
		var talks sync.WaitGroup
		for _, nc := range conns[1:] {
			talks.Go(func() {
				for err := error(nil); err == nil; {
					_, _ = nc.Write([]byte("x\n"))
					_, err = readLine(nc, 2)
				}
			})
		}
		until(t, "it is busy", conns[:1], func() bool { return true })
		g.Stop()
		talks.Wait()
	}
}

// The goroutine of a carried Loop sleeps while the Loop's turns are run, and must not
// sleep on when it is to stop.
func TestACarriedLoopStops(t *testing.T) {
	g, conns, _ := homes(t, 1)
	d := g.sys.drivers[1]
	carrying(g, true)
	until(t, "it is carried", conns, d.isCarried)
	g.CloseListeners()                // as Stop does first
	time.Sleep(50 * time.Millisecond) // its goroutine sleeps, or else there is nothing to be seen
	d.turn.Lock()
	d.l.asleep.Store(false)
	d.l.Post(func() { d.stopping = true })
	d.l.settle()
	d.putBack()
	until(t, "it has ended", nil, func() bool {
		d.turn.Lock()
		defer d.turn.Unlock()
		return d.ended
	})
}
