package journal

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/wirebird/wirebird/internal/session"
)

func TestMemoryKeepsNothing(t *testing.T) {
	var j Journal = Memory{}
	if err := submit(j, Op{Kind: PutSession}); err != nil || !j.Volatile() {
		t.Errorf("%v, volatile %v", err, j.Volatile())
	}
	j.Load(1, []uint64{1}, func(msgs []*session.Message, err error) {
		if msgs != nil || !errors.Is(err, ErrVolatile) {
			t.Errorf("load: %v, %v", msgs, err)
		}
	})
}

func TestCompletionsKeepTheOrderOfSubmissions(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data"})
	var mu sync.Mutex // makes Submit and the note of it one step
	var want []int
	var got []int // by the completer alone
	var wg sync.WaitGroup
	for lane := range 4 {
		wg.Go(func() {
			for i := range 300 {
				mu.Lock()
				n := lane*1000 + i
				want = append(want, n)
				d.Submit(lane, []Op{publish(uint64(n+1), 10)}, func(error) { got = append(got, n) })
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	mustClose(t, d)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("completions came in another order")
	}
}

func TestCloseStoresWhatWasSubmittedAndRefusesTheRest(t *testing.T) {
	for _, durability := range []Durability{Fsync, OS, None} {
		t.Run(durability.String(), func(t *testing.T) {
			o := Options{FS: vfs.NewMem(), Dir: "data", Durability: durability}
			d := mustOpen(t, o)
			var done atomic.Int32
			d.Submit(0, []Op{{Kind: PutSession, SID: 1, Name: "a"}}, func(err error) {
				if err == nil {
					done.Add(1)
				}
			})
			mustClose(t, d)
			if done.Load() != 1 {
				t.Error("no completion before Close returned")
			}
			if err := submit(d); !errors.Is(err, ErrClosed) {
				t.Errorf("submit: %v", err)
			}
			d.Load(1, nil, func(_ []*session.Message, err error) {
				if !errors.Is(err, ErrClosed) {
					t.Errorf("load: %v", err)
				}
			})
			if err := d.Close(); !errors.Is(err, ErrClosed) {
				t.Errorf("close: %v", err)
			}
			d = mustOpen(t, o)
			if got, _ := mustRecover(t, d); got.records["s 1"] != `"a" 0 0` {
				t.Errorf("recovered %v", got.records)
			}
			mustClose(t, d)
		})
	}
}

// slow is a disk whose log syncs wait until gate is closed.
type slow struct {
	on    atomic.Bool
	began chan struct{}
	gate  chan struct{}
}

func (s *slow) String() string { return "slow" }

func (s *slow) MaybeError(op errorfs.Op) error {
	if s.on.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo) {
		select {
		case s.began <- struct{}{}:
		default:
		}
		<-s.gate
	}
	return nil
}

func TestOneSyncServesAllThatCameMeanwhile(t *testing.T) {
	s := &slow{began: make(chan struct{}, 1), gate: make(chan struct{})}
	d := mustOpen(t, Options{FS: errorfs.Wrap(vfs.NewMem(), s), Dir: "data"})
	before := d.Stats()
	s.on.Store(true)
	var wg sync.WaitGroup
	note := func(err error) {
		if err != nil {
			t.Error(err)
		}
		wg.Done()
	}
	wg.Add(1001)
	d.Submit(0, []Op{publish(1, 10)}, note)
	<-s.began
	for i := range uint64(1000) { // none of them may block
		d.Submit(0, []Op{publish(2+i, 10)}, note)
	}
	if d.Pressure() < 1001*10 {
		t.Errorf("pressure is %d", d.Pressure())
	}
	loaded := make(chan struct{})
	d.Load(1, []uint64{1}, func(msgs []*session.Message, err error) { close(loaded) })
	close(s.gate)
	wg.Wait()
	<-loaded
	after := d.Stats()
	if n := after.Commits - before.Commits; n > 4 {
		t.Errorf("%d commits", n)
	}
	if n := after.Syncs - before.Syncs; n > 4 || n < 1 {
		t.Errorf("%d syncs", n)
	}
	if after.Ops-before.Ops != 1001 || after.QueueRecords != 1001 || after.Bytes <= before.Bytes || after.DiskBytes == 0 || after.CommitP99 < after.CommitP50 || d.Pressure() != 0 {
		t.Errorf("%+v", after)
	}
	mustClose(t, d)
}

// Whoever is told that a message is stored finds it counted.
func TestStatsCountWhatIsToldAsDone(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data"})
	for n := range int64(2000) {
		counted := make(chan int64, 1)
		d.Submit(0, []Op{publish(uint64(n)+1, 10)}, func(error) { counted <- d.Stats().QueueRecords })
		if got := <-counted; got != n+1 {
			t.Fatalf("%d messages are stored, %d counted", n+1, got)
		}
	}
	mustClose(t, d)
}

// The database's first memtables are small and are not written before they are half of
// a large one together.
func TestManySmallMemTablesDoNotStopTheCommitter(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data"})
	for mid := range uint64(8 << 4) {
		if err := submit(d, publish(mid+1, 64<<10)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, d)
}

// Tables are written far behind, and the committer waits for them.
func TestTheCommitterWaitsForTables(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data", MemTableSize: 64 << 10})
	var wg sync.WaitGroup
	for mid := range uint64(4000) {
		wg.Add(1)
		d.Submit(0, []Op{publish(mid+1, 8<<10)}, func(err error) {
			defer wg.Done()
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := d.Stats(); s.QueueRecords != 4000 || d.Pressure() != 0 {
		t.Errorf("%+v", s)
	}
	mustClose(t, d)
}

func TestLoadSeesWhatWasSubmittedBefore(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data"})
	var wg sync.WaitGroup
	for i := range uint64(500) {
		wg.Add(1)
		d.Submit(0, []Op{publish(i+1, int(i)*8)}, func(error) {})
		d.Load(1, []uint64{i + 1, 1 << 40}, func(msgs []*session.Message, err error) {
			defer wg.Done()
			if err != nil || msgs[0] == nil || len(msgs[0].Payload) != int(i)*8 || msgs[1] != nil {
				t.Errorf("%d: %v, %v", i+1, msgs, err)
			}
		})
	}
	wg.Wait()
	mustClose(t, d)
}

func TestRecoverDeletesWhatBelongsToNothing(t *testing.T) {
	o := Options{FS: vfs.NewMem(), Dir: "data"}
	d := mustOpen(t, o)
	big := &session.Message{Topic: "t", Payload: make([]byte, 5000)}
	if err := submit(d, Op{Kind: PutSession, SID: 1}, Op{Kind: PutSession, SID: 2}, Op{Kind: EndSession, SID: 1},
		Op{Kind: PutSubscription, SID: 1, Name: "f"}, Op{Kind: Accept, SID: 1, ID: 5}, Op{Kind: PutWill, SID: 1, Msg: big},
		Op{Kind: Publish, MID: 1, Msg: big, Targets: []Target{{SID: 1}}}, publish(2, 10),
		Op{Kind: Assign, SID: 1, MID: 2, ID: 4}, Op{Kind: Owe, SID: 2, MID: 9, ID: 1}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, d)
	for life, want := range []int64{8, 0} {
		d = mustOpen(t, o)
		got, s := mustRecover(t, d)
		if len(got.records) != 1 || s.Orphans != want || s.Sessions != 1 {
			t.Errorf("life %d: %v, %+v", life, got.records, s)
		}
		mustClose(t, d)
	}
}

func TestTheLastCompleteDeletesTheBody(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data"})
	msg := &session.Message{Topic: "t", Payload: []byte("x")}
	steps := []struct {
		op     Op
		bodies int
	}{
		{Op{Kind: PutSession, SID: 3}, 0},
		{Op{Kind: Publish, MID: 1, Msg: msg, Targets: []Target{{SID: 1}, {SID: 2}, {SID: 3}}}, 1},
		{Op{Kind: Complete, SID: 1, MID: 1}, 1},
		{Op{Kind: Complete, SID: 1, MID: 1}, 1},
		{Op{Kind: Complete, SID: 1, MID: 1}, 1},
		{Op{Kind: EndSession, SID: 3}, 1},
		{Op{Kind: Complete, SID: 3, MID: 1}, 1},
		{Op{Kind: Complete, SID: 2, MID: 1}, 0},
		{Op{Kind: Publish, MID: 2, Msg: msg, Targets: []Target{{SID: 1}}}, 0},
		{Op{Kind: Publish, MID: 3, Msg: &session.Message{Payload: make([]byte, maxInline+1)}, Targets: []Target{{SID: 1}}}, 1},
		{Op{Kind: Publish, MID: 3, Msg: msg, Targets: []Target{{SID: 2}}}, 1}, // to one more session
		{Op{Kind: Complete, SID: 1, MID: 3}, 1},
		{Op{Kind: Complete, SID: 2, MID: 3}, 0},
	}
	for i, step := range steps {
		if err := submit(d, step.op); err != nil {
			t.Fatal(err)
		}
		if n := countTable(t, d, tableBody); n != step.bodies {
			t.Fatalf("after step %d there are %d bodies, want %d", i, n, step.bodies)
		}
	}
	mustClose(t, d)
}

func countTable(t *testing.T, d *Disk, table byte) (n int) {
	err := reading{d.db}.scan([]byte{table}, []byte{table + 1}, func(_, _ []byte) (bool, error) {
		n++
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEndingALargeSessionLeavesNothing(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data"})
	ops := []Op{{Kind: PutSession, SID: 1}}
	for mid := range uint64(maxPointDeletes + 50) {
		ops = append(ops, publish(mid+1, int(mid%2)*2000), Op{Kind: PutSubscription, SID: 1, Name: fmt.Sprint(mid)})
	}
	if err := errors.Join(submit(d, ops...), submit(d, Op{Kind: EndSession, SID: 1})); err != nil {
		t.Fatal(err)
	}
	for _, table := range append(bySession[:], tableBody) {
		if n := countTable(t, d, table); n != 0 {
			t.Errorf("%d records in table %q", n, table)
		}
	}
	if s := d.Stats(); s.QueueRecords != 0 || len(d.enc.refs) != 0 {
		t.Errorf("%d queue records, %d references", s.QueueRecords, len(d.enc.refs))
	}
	mustClose(t, d)
}

func TestRenameMovesWholeSessions(t *testing.T) {
	for name, pairs := range map[string]map[uint64]uint64{
		"to free numbers": {1: 101, 2: 102},
		"change places":   {1: 2, 2: 1, 3: 3},
		"in a ring":       {1: 2, 2: 3, 3: 4, 4: 1},
		"of nothing":      {50: 51},
	} {
		t.Run(name, func(t *testing.T) { rename(t, pairs) })
	}
}

func rename(t *testing.T, pairs map[uint64]uint64) {
	disk := vfs.NewCrashableMem()
	o := Options{FS: disk, Dir: "data"}
	d := mustOpen(t, o)
	want := newModel()
	for sid := range uint64(5) {
		ops := sessionOps(sid)
		if err := submit(d, ops...); err != nil {
			t.Fatal(err)
		}
		if to, ok := pairs[sid]; ok {
			sid = to
		}
		for _, op := range sessionOps(sid) { // with the MIDs and texts of before
			for i := range ops {
				if ops[i].Kind == op.Kind {
					op.Name, op.MID = ops[i].Name, ops[i].MID
				}
			}
			want.apply(op)
		}
	}
	mustClose(t, d)
	d = mustOpen(t, o)
	if err := d.Rename(pairs); err != nil {
		t.Fatal(err)
	}
	for life := range 2 {
		got, s := mustRecover(t, d)
		if diff := want.differences(got); len(diff) > 0 || s.Orphans > 0 {
			t.Fatalf("life %d: %d orphans\n%s", life, s.Orphans, strings.Join(diff, "\n"))
		}
		checkBodies(t, d, want)
		mustClose(t, d)
		d = mustOpen(t, o)
	}
	mustClose(t, d)
}

// sessionOps is a session with something in each table.
func sessionOps(sid uint64) []Op {
	msg := &session.Message{Topic: "t", Payload: []byte("x")}
	return []Op{
		{Kind: PutSession, SID: sid, Name: fmt.Sprint("client ", sid)},
		{Kind: PutSubscription, SID: sid, Name: fmt.Sprint("f/", sid)},
		{Kind: Accept, SID: sid, ID: 7},
		{Kind: PutWill, SID: sid, Msg: msg},
		{Kind: Publish, MID: 100 + sid, Msg: msg, Targets: []Target{{SID: sid, QoS: 2}}},
		{Kind: Assign, SID: sid, MID: 100 + sid, ID: 9},
	}
}

func TestRenameRefusesToMixSessions(t *testing.T) {
	d := mustOpen(t, Options{FS: vfs.NewMem(), Dir: "data"})
	if err := submit(d, sessionOps(1)...); err != nil {
		t.Fatal(err)
	}
	for _, pairs := range []map[uint64]uint64{{5: 1}, {5: 6, 7: 6}} {
		if err := d.Rename(pairs); err == nil {
			t.Errorf("%v was accepted", pairs)
		}
	}
	mustClose(t, d)
}

// A plan that the last process had stored, at several points of its work, is finished.
func TestRenameGoesOnAfterTheProcessHasEnded(t *testing.T) {
	pairs := map[uint64]uint64{1: 2, 2: 1}
	for step := range 3 {
		o := Options{FS: vfs.NewMem(), Dir: "data"}
		d := mustOpen(t, o)
		want := newModel()
		for from, to := range maps.All(pairs) {
			if err := submit(d, sessionOps(from)...); err != nil {
				t.Fatal(err)
			}
			want.Session(to, fmt.Sprint("client ", from), 0, 0)
		}
		stopRename(t, d, pairs, step)
		mustClose(t, d)
		d = mustOpen(t, o)
		got, s := mustRecover(t, d)
		for key, value := range want.records {
			if got.records[key] != value {
				t.Errorf("step %d: %s is %q, want %q", step, key, got.records[key], value)
			}
		}
		if s.Orphans > 0 || s.Sessions != 2 || s.Waiting != 2 || s.Subscriptions != 2 {
			t.Errorf("step %d: %+v", step, s)
		}
		mustClose(t, d)
	}
}

// stopRename does the beginning of a Rename: the plan; one session; all, and a table.
func stopRename(t *testing.T, d *Disk, pairs map[uint64]uint64, step int) {
	t.Helper()
	key, plan := textKey(nil, tableMeta, metaRename), []byte{recordVersion}
	for from, to := range pairs {
		plan = append(appendNumber(plan, from)[:len(plan)], appendNumber(nil, from)[1:]...)
		plan = append(plan, appendNumber(nil, to)[1:]...)
	}
	m := &mover{db: d.db, batch: d.db.NewBatch()}
	m.check(m.batch.Set(key, plan, nil))
	if step >= 1 {
		m.check(m.stage(1, pairs[1]))
	}
	if step >= 2 {
		m.check(m.stage(2, pairs[2]))
		m.check(m.batch.Set(key, []byte{recordVersion}, nil))
		m.check(m.flush(nil))
		m = &mover{db: d.db, batch: d.db.NewBatch()}
		m.check(m.settle(tableSession))
	}
	if err := m.flush(nil); err != nil {
		t.Fatal(err)
	}
}
