package route_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wirebird/wirebird/internal/route"
)

// handle returns the handle of a session on a shard, for tests that do not care
// about generations.
func handle(shard int, idx uint32) route.Handle { return route.MakeHandle(shard, 1, idx) }

// targets returns the ordinary targets of name in order of their handles, with
// the identifiers spelled out.
func targets(t *route.Table, name string) []string {
	var m route.Match
	t.Match(name, &m)
	all := slices.Concat(m.ByShard...)
	slices.SortFunc(all, func(a, b route.Target) int { return int(int64(a.To) - int64(b.To)) })
	var out []string
	for _, one := range all {
		out = append(out, describe(one, m.IDs))
	}
	return out
}

func describe(one route.Target, ids []uint32) string {
	if one.Count > 0 {
		ids = slices.Sorted(slices.Values(ids[one.More : one.More+one.Count]))
	} else if ids = nil; one.ID != 0 {
		ids = []uint32{one.ID}
	}
	return fmt.Sprintf("%d/%d qos=%d nl=%t rap=%t ids=%v", one.To.Shard(), one.To.Index(), one.Opts.QoS(),
		one.Opts&route.NoLocal != 0, one.Opts&route.RetainAsPublished != 0, ids)
}

func TestHandleKeepsItsParts(t *testing.T) {
	for _, tt := range []struct {
		shard    int
		gen, idx uint32
	}{{0, 0, 0}, {255, 1<<24 - 1, 1<<32 - 1}, {1, 2, 3}, {128, 1, 0}} {
		h := route.MakeHandle(tt.shard, tt.gen, tt.idx)
		if h.Shard() != tt.shard || h.Gen() != tt.gen || h.Index() != tt.idx {
			t.Errorf("MakeHandle(%v) has %d, %d, %d", tt, h.Shard(), h.Gen(), h.Index())
		}
	}
	if route.MakeHandle(3, 1<<24+7, 9) != route.MakeHandle(3, 7, 9) {
		t.Error("a generation beyond 24 bits spills into the shard")
	}
}

func TestOverlappingSubscriptionsAreMerged(t *testing.T) {
	type sub struct {
		filter string
		opts   route.Options
		id     uint32
	}
	for name, tt := range map[string]struct {
		subs []sub
		want string
	}{
		"highest QoS":          {[]sub{{"a/b", 1, 0}, {"a/#", 2, 0}, {"#", 0, 0}}, "0/7 qos=2 nl=false rap=false ids=[]"},
		"retain as published":  {[]sub{{"a/b", route.RetainAsPublished, 0}, {"a/+", 1, 0}}, "0/7 qos=1 nl=false rap=true ids=[]"},
		"no local":             {[]sub{{"a/b", 1 | route.NoLocal, 0}, {"+/b", 0, 0}}, "0/7 qos=1 nl=true rap=false ids=[]"},
		"one identifier":       {[]sub{{"a/b", 0, 0}, {"a/#", 0, 5}, {"#", 0, 0}}, "0/7 qos=0 nl=false rap=false ids=[5]"},
		"several identifiers":  {[]sub{{"a/b", 0, 9}, {"a/#", 0, 5}, {"+/+", 0, 0}, {"#", 0, 7}}, "0/7 qos=0 nl=false rap=false ids=[5 7 9]"},
		"same identifier":      {[]sub{{"a/b", 0, 5}, {"a/#", 0, 5}}, "0/7 qos=0 nl=false rap=false ids=[5 5]"},
		"replaced":             {[]sub{{"a/b", 2 | route.NoLocal, 9}, {"a/b", 1, 3}}, "0/7 qos=1 nl=false rap=false ids=[3]"},
		"those that match not": {[]sub{{"a/b", 0, 1}, {"a/c", 2, 2}, {"+", 2, 3}, {"a/b/#", 1, 4}}, "0/7 qos=1 nl=false rap=false ids=[1 4]"},
	} {
		t.Run(name, func(t *testing.T) {
			table := route.New(1)
			for _, s := range tt.subs {
				table.Subscribe(s.filter, handle(0, 7), s.opts, s.id)
			}
			if got := targets(table, "a/b"); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("a/b goes to %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLongListIsMergedWithShortOnes(t *testing.T) {
	table := route.New(2)
	for i := range uint32(100) {
		table.Subscribe("a/b", handle(int(i%2), i), 0, 0)
	}
	table.Subscribe("a/#", handle(1, 51), 2, 8) // in the long list too
	table.Subscribe("#", handle(1, 51), 1, 9)
	table.Subscribe("#", handle(0, 200), 1, 0) // not in it
	got := targets(table, "a/b")
	if len(got) != 101 {
		t.Fatalf("%d targets, want 101", len(got))
	}
	for _, want := range []string{"1/51 qos=2 nl=false rap=false ids=[8 9]", "0/200 qos=1 nl=false rap=false ids=[]"} {
		if !slices.Contains(got, want) {
			t.Errorf("no target %q", want)
		}
	}
}

func TestCrowdComesAndGoes(t *testing.T) {
	const crowd = 1000
	table := route.New(1)
	for i := range uint32(crowd) {
		table.Subscribe("a", handle(0, i), 0, i+1)
	}
	var m route.Match
	for i := range uint32(crowd) {
		gone := i * 7 % crowd
		if !table.Unsubscribe("a", handle(0, gone)) || table.Unsubscribe("a", handle(0, gone)) {
			t.Fatalf("session %d is not removed once", gone)
		}
		if table.Match("a", &m); m.N != crowd-1-int(i) {
			t.Fatalf("%d subscribers after %d of %d left", m.N, i+1, crowd)
		}
		for _, one := range m.ByShard[0] {
			if own, _, ok := table.MatchOwn("a", one.To); i%100 == 0 && (!ok || own != one || own.ID != own.To.Index()+1) {
				t.Fatalf("session %d has the target %+v, want %+v", one.To.Index(), own, one)
			}
		}
	}
}

func TestWildcardsDoNotSeeSystemTopics(t *testing.T) {
	table := route.New(1)
	for i, filter := range []string{"#", "+/x", "+/#", "$SYS/#", "$SYS/+", "$SYS/x"} {
		table.Subscribe(filter, handle(0, uint32(i)), 0, 0)
	}
	var m route.Match
	table.Match("$SYS/x", &m)
	var got []uint32
	for _, one := range m.ByShard[0] {
		got = append(got, one.To.Index())
	}
	if slices.Sort(got); !slices.Equal(got, []uint32{3, 4, 5}) {
		t.Errorf("$SYS/x goes to sessions %v, want 3, 4, 5", got)
	}
}

func TestOfflineMembersServeOnlyAnOfflineGroup(t *testing.T) {
	table := route.New(1)
	for i := range uint32(3) {
		table.Subscribe("$share/g/a/+", handle(0, i), 1, i+1)
	}
	members := func() []uint32 {
		var m route.Match
		table.Match("a/b", &m)
		if len(m.Groups) != 1 || m.Groups[0].Share != "g" || m.Groups[0].Filter != "a/+" || m.N != 0 {
			t.Fatalf("a/b matches %+v, want the group g of a/+", m)
		}
		var out []uint32
		for _, one := range m.Groups[0].Members {
			if one.ID != one.To.Index()+1 || one.Opts.QoS() != 1 {
				t.Errorf("member %+v has lost its options", one)
			}
			out = append(out, one.To.Index())
		}
		return out
	}
	for _, step := range []struct {
		idx    uint32
		online bool
		want   []uint32
	}{
		{0, true, []uint32{0, 1, 2}},
		{1, false, []uint32{0, 2}},
		{1, false, []uint32{0, 2}},
		{0, false, []uint32{2}},
		{2, false, []uint32{0, 1, 2}},
		{1, true, []uint32{1}},
	} {
		table.SetOnline("$share/g/a/+", handle(0, step.idx), step.online)
		if got := members(); !slices.Equal(got, step.want) {
			t.Errorf("after session %d online=%t members are %v, want %v", step.idx, step.online, got, step.want)
		}
	}
	table.Subscribe("$share/g/a/+", handle(0, 9), 1, 10)
	table.SetOnline("$share/g/a/+", handle(0, 9), false)
	table.Unsubscribe("$share/g/a/+", handle(0, 9))
	if got := members(); !slices.Equal(got, []uint32{1}) {
		t.Errorf("after one offline left members are %v, want 1", got)
	}
	table.Unsubscribe("$share/g/a/+", handle(0, 1))
	if got := members(); !slices.Equal(got, []uint32{0, 2}) {
		t.Errorf("after the only one online left members are %v, want 0 and 2", got)
	}
	table.Subscribe("$share/g/a/+", handle(0, 2), 1, 3)
	if got := members(); !slices.Equal(got, []uint32{2}) {
		t.Errorf("after session 2 subscribed again members are %v, want 2", got)
	}
}

func TestOthersOfASharedSubscription(t *testing.T) {
	table := route.New(1)
	a, b := route.MakeHandle(0, 1, 1), route.MakeHandle(0, 1, 2)
	ask := func() [3]bool {
		return [3]bool{table.Others("g", "t/#", a, false), table.Others("g", "t/#", a, true), table.Others("h", "t/#", a, false)}
	}
	for _, step := range []struct {
		do   func()
		want [3]bool
	}{
		{func() {}, [3]bool{}},
		{func() { table.Subscribe("$share/g/t/#", a, 1, 0) }, [3]bool{}},
		{func() { table.Subscribe("t/#", b, 1, 0) }, [3]bool{}},
		{func() { table.Subscribe("$share/g/t/#", b, 1, 0) }, [3]bool{true, true, false}},
		{func() { table.SetOnline("$share/g/t/#", b, false) }, [3]bool{true, false, false}},
		{func() { table.SetOnline("$share/g/t/#", b, true) }, [3]bool{true, true, false}},
		{func() { table.Unsubscribe("$share/g/t/#", b) }, [3]bool{}},
	} {
		step.do()
		if got := ask(); got != step.want {
			t.Errorf("others, online ones, of another share: %v, want %v", got, step.want)
		}
	}
}

func TestRotationsBeginWithDifferentMembers(t *testing.T) {
	table := route.New(1)
	for i := range uint32(4) {
		table.Subscribe("$share/g/dev/+", handle(0, i), 0, 0)
	}
	first := map[route.Handle]int{}
	for i := range 400 {
		var m route.Match
		table.Match(fmt.Sprint("dev/", i), &m)
		g := &m.Groups[0]
		first[g.Members[g.Next%uint32(len(g.Members))].To]++
	}
	for i := range uint32(4) {
		if n := first[handle(0, i)]; n != 100 {
			t.Errorf("member %d comes first for %d of 400 topics, want 100", i, n)
		}
	}
}

func TestGenChangesWithEveryVisibleChangeOnly(t *testing.T) {
	table := route.New(1)
	a, b := handle(0, 1), handle(0, 2)
	for i, step := range []struct {
		do     func()
		change bool
	}{
		{func() { table.Subscribe("a", a, 1, 0) }, true},
		{func() { table.Subscribe("a", a, 1, 0) }, false},
		{func() { table.Subscribe("a", a, 2, 0) }, true},
		{func() { table.Subscribe("a", a, 2, 4) }, true},
		{func() { table.Unsubscribe("a", b) }, false},
		{func() { table.Unsubscribe("b", a) }, false},
		{func() { table.Unsubscribe("$share/g/a", a) }, false},
		{func() { table.SetOnline("a", a, false) }, false},
		{func() { table.SetOnline("$share/g/a", a, false) }, false},
		{func() { table.Subscribe("$share/g/a", a, 0, 0) }, true},
		{func() { table.SetOnline("$share/g/a", a, true) }, false},
		{func() { table.SetOnline("$share/g/a", a, false) }, true},
		{func() { table.SetOnline("$share/g/a", b, false) }, false},
		{func() { table.Subscribe("$share/g/a", a, 0, 0) }, true}, // online again
		{func() { table.Unsubscribe("$share/g/a", a) }, true},
		{func() { table.Unsubscribe("a", a) }, true},
	} {
		before := table.Gen()
		if step.do(); (table.Gen() != before) != step.change {
			t.Errorf("step %d: generation changed is %t, want %t", i, table.Gen() != before, step.change)
		}
	}
}

func TestDeepTopicsAndFiltersAreSearched(t *testing.T) {
	table := route.New(1)
	plus := strings.Repeat("+/", 32767)
	filters := []string{"#", plus + "#", plus[:2*32766] + "+", strings.Repeat("a/", 1000) + "#"}
	for i, filter := range filters {
		table.Subscribe(filter, handle(0, uint32(i)), 0, 0)
	}
	for levels, want := range map[int]int{1: 1, 999: 1, 1000: 2, 32766: 2, 32767: 4, 32768: 3} {
		var m route.Match
		if table.Match(strings.Repeat("a/", levels-1)+"a", &m); m.N != want {
			t.Errorf("%d levels match %d sessions, want %d", levels, m.N, want)
		}
	}
	var m route.Match
	if table.Match(strings.Repeat("/", 65535), &m); m.N != 2 {
		t.Errorf("65536 empty levels match %d sessions, want 2", m.N)
	}
	for i, filter := range filters {
		if !table.Unsubscribe(filter, handle(0, uint32(i))) {
			t.Errorf("filter %d is gone", i)
		}
	}
	if n := table.Stats(); n != 0 {
		t.Errorf("%d nodes left of nothing", n)
	}
}

func TestReadersSeeWholeListsWhileWritersChangeThem(t *testing.T) {
	const shards, writers, rounds = 2, 2, 300
	table := route.New(shards)
	fixed := handle(1, 1000)
	table.Subscribe("a/#", fixed, 2, 77)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			var m route.Match
			for {
				select {
				case <-stop:
					return
				default:
				}
				if gen := table.Gen(); gen < m.Gen {
					t.Error("the generation went back")
				}
				table.Match("a/b/c", &m)
				if err := checkWhole(&m, fixed); err != nil {
					t.Error(err)
				}
				if _, _, ok := table.MatchOwn("a/b/c", fixed); !ok {
					t.Error("the permanent subscriber is not its own target")
				}
			}
		})
	}
	var work sync.WaitGroup
	filters := []string{"a/b/c", "a/b/+", "+/b/c", "a/#", "$share/g/a/b/c", "$share/h/a/b/#"}
	for w := range writers {
		work.Go(func() {
			for round := range rounds {
				to := handle(w, uint32(round%40))
				filter := filters[round%len(filters)]
				table.Subscribe(filter, to, route.Options(round%3), uint32(round))
				table.SetOnline(filter, to, round%2 == 0)
				if round%3 == 0 {
					table.Unsubscribe(filter, to)
				}
				table.Each(func(string, route.Handle, route.Options, uint32) bool { return true })
			}
			for _, filter := range filters {
				for i := range uint32(40) {
					table.Unsubscribe(filter, handle(w, i))
				}
			}
		})
	}
	work.Wait()
	close(stop)
	wg.Wait()
	if got := targets(table, "a/b/c"); !slices.Equal(got, []string{"1/1000 qos=2 nl=false rap=false ids=[77]"}) {
		t.Errorf("left over: %q", got)
	}
	if filters, subs := table.Len(); filters != 1 || subs != 1 || table.Stats() != 1 {
		t.Errorf("%d filters, %d subscriptions, %d nodes left, want one of each", filters, subs, table.Stats())
	}
}

// checkWhole returns an error if m contradicts itself or lacks a subscriber.
func checkWhole(m *route.Match, fixed route.Handle) error {
	seen := map[route.Handle]bool{}
	for shard, targets := range m.ByShard {
		for _, one := range targets {
			if one.To.Shard() != shard {
				return fmt.Errorf("target of shard %d is with shard %d", one.To.Shard(), shard)
			}
			if seen[one.To] {
				return fmt.Errorf("session %x twice", one.To)
			}
			if int(one.More)+int(one.Count) > len(m.IDs) || one.Count == 1 {
				return fmt.Errorf("identifiers %d+%d of %d", one.More, one.Count, len(m.IDs))
			}
			seen[one.To] = true
		}
	}
	if len(seen) != m.N || !seen[fixed] {
		return fmt.Errorf("%d targets %v, want %d with %x", len(seen), slices.Collect(maps.Keys(seen)), m.N, fixed)
	}
	for _, g := range m.Groups {
		if len(g.Members) == 0 {
			return fmt.Errorf("group %s has no members", g.Share)
		}
	}
	return nil
}
