package journal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wirebird/wirebird/internal/powercut"
	"github.com/wirebird/wirebird/internal/session"
)

// ledger notes what was submitted and what was promised.
type ledger struct {
	mu        sync.Mutex
	submitted map[uint64]bool // messages
	stored    map[uint64]bool // done(nil) came for Publish
	ending    map[uint64]bool // Complete was submitted
	ended     map[uint64]bool // done(nil) came for Complete
}

func newLedger() *ledger {
	return &ledger{sync.Mutex{}, map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}}
}

func (l *ledger) note(err error, set func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		set()
	}
}

func (l *ledger) snapshot() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := newLedger()
	for _, m := range []struct{ to, from map[uint64]bool }{{s.submitted, l.submitted}, {s.stored, l.stored}, {s.ending, l.ending}, {s.ended, l.ended}} {
		for k := range m.from {
			m.to[k] = true
		}
	}
	return s
}

// drive publishes n messages for two sessions, some only for one, and completes some;
// every message has a retained companion in its submission.
func (l *ledger) drive(d *Disk, r *rand.Rand, from, n uint64) {
	for mid := from; mid < from+n; mid++ {
		targets := []Target{{SID: 1, QoS: 1}, {SID: 2, QoS: 1}}[:1+r.IntN(2)]
		msg := &session.Message{Topic: fmt.Sprintf("t/%d", mid), Payload: make([]byte, r.IntN(3000))}
		l.note(nil, func() { l.submitted[mid] = true })
		d.Submit(0, []Op{{Kind: Publish, MID: mid, Msg: msg, Targets: targets}, {Kind: PutRetained, Msg: msg}}, func(err error) {
			l.note(err, func() { l.stored[mid] = true })
		})
		if old := from + r.Uint64N(n); r.IntN(3) == 0 && old < mid {
			l.note(nil, func() { l.ending[old] = true })
			d.Submit(0, []Op{{Kind: Complete, SID: 1, MID: old}}, func(err error) { l.note(err, func() { l.ended[old] = true }) })
		}
		if r.IntN(10) == 0 {
			_ = submit(d)
		}
	}
}

// violations compares what a cut has left with what was promised before it; after is
// what was submitted when the cut was over.
func (l *ledger) violations(got *model, after *ledger) (out []string) {
	for mid := range l.stored {
		_, there := got.records[fmt.Sprintf("q 1 %d", mid)]
		if !there && !after.ending[mid] {
			out = append(out, fmt.Sprintf("message %d is lost", mid))
		}
		if there && l.ended[mid] {
			out = append(out, fmt.Sprintf("message %d came back", mid))
		}
		if _, ok := got.records[fmt.Sprintf("r t/%d", mid)]; !ok {
			out = append(out, fmt.Sprintf("retained message %d is lost", mid))
		}
	}
	for mid := range after.submitted {
		_, waits := got.records[fmt.Sprintf("q 1 %d", mid)]
		_, retained := got.records[fmt.Sprintf("r t/%d", mid)]
		if waits && !retained || retained && !waits && !after.ending[mid] {
			out = append(out, fmt.Sprintf("submission %d is half there", mid))
		}
	}
	slices.Sort(out)
	return out
}

// crashable is a file system and what makes a cut of it.
type crashable func() (disk vfs.FS, cut func(seed uint64, keep int) vfs.FS)

// pebbles is that of the database.
func pebbles() (vfs.FS, func(uint64, int) vfs.FS) {
	disk := vfs.NewCrashableMem()
	return disk, func(seed uint64, keep int) vfs.FS {
		return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rand.New(rand.NewPCG(seed, 4))})
	}
}

// ours loses parts of less than 4 KiB, and forgets that a file was removed.
func ours() (vfs.FS, func(uint64, int) vfs.FS) {
	disk := powercut.New()
	return disk, func(seed uint64, keep int) vfs.FS { return disk.Cut(powercut.Cut{Seed: seed, Keep: keep}) }
}

// cut runs a journal, cuts the power at a random moment, and compares what is left.
func cut(t *testing.T, seed uint64, on crashable, durability Durability) (violations []string) {
	r := rand.New(rand.NewPCG(seed, 2))
	disk, crash := on()
	o := Options{FS: disk, Dir: "data", Durability: durability, MemTableSize: 64 << 10}
	d := mustOpen(t, o)
	if err := submit(d, Op{Kind: PutSession, SID: 1, Name: "a"}, Op{Kind: PutSession, SID: 2, Name: "b"}); err != nil {
		t.Fatal(err)
	}
	l := newLedger()
	var wg sync.WaitGroup
	wg.Go(func() { l.drive(d, rand.New(rand.NewPCG(seed, 3)), 1, 60) })
	for range r.IntN(60) {
		_ = submit(d)
	}
	before := l.snapshot()
	left := crash(seed, r.IntN(101))
	wg.Wait()
	mustClose(t, d)
	return checkCut(t, left, o, before, l)
}

func checkCut(t *testing.T, disk vfs.FS, o Options, before, after *ledger) []string {
	o.FS = disk
	d := mustOpen(t, o)
	got, _ := mustRecover(t, d)
	for at := range got.bodies {
		done := make(chan struct{})
		d.Load(at.sid, []uint64{at.mid}, func(msgs []*session.Message, err error) {
			defer close(done)
			if err != nil || msgs[0] == nil || msgs[0].Topic != fmt.Sprintf("t/%d", at.mid) {
				t.Errorf("message %d: %v, %v", at.mid, msgs, err)
			}
		})
		<-done
	}
	mustClose(t, d)
	return before.violations(got, after)
}

const cuts = manySeeds * 12

func TestWhatWasPromisedSurvivesThePowerCut(t *testing.T) {
	for name, on := range map[string]crashable{"Pebble's disk": pebbles, "our disk": ours} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(cuts) {
				if v := cut(t, seed, on, Fsync); len(v) > 0 {
					t.Fatalf("seed %d: %q", seed, v)
				}
			}
		})
	}
}

// A test that cannot find a loss proves nothing.
func TestWithoutFsyncThePowerCutLosesMessages(t *testing.T) {
	for _, durability := range []Durability{OS, None} {
		losses := 0
		for seed := range uint64(cuts / 5) {
			if v := cut(t, seed, pebbles, durability); len(v) > 0 {
				losses++
			}
		}
		t.Logf("%v: %d of %d cuts lost something", durability, losses, cuts/5)
		if losses == 0 {
			t.Errorf("%v: no loss in %d cuts", durability, cuts/5)
		}
	}
}
