package route_test

import (
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/wirebird/wirebird/internal/route"
)

// largeTable has 100,000 exact filters of 1,000 sessions and 1,000 filters with
// wildcards.
func largeTable(shards int) *route.Table {
	t := route.New(shards)
	for i := range 100_000 {
		t.Subscribe(fmt.Sprintf("plant/%d/line/%d/state", i%100, i/100), handle(i%shards, uint32(i%1000)), 1, 0)
	}
	for i := range 1000 {
		filter := fmt.Sprintf("plant/%d/+/%d/#", i%100, i)
		if i%10 == 0 {
			filter = fmt.Sprintf("+/%d/line/+/state", i)
		}
		t.Subscribe(filter, handle(i%shards, uint32(1000+i)), 1, 0)
	}
	return t
}

func BenchmarkMatch(b *testing.B) {
	large := largeTable(2)
	large.Subscribe("plant/#", handle(0, 5000), 0, 1)
	crowd := route.New(2)
	for i := range 100_000 {
		crowd.Subscribe("news", handle(i%2, uint32(i)), 0, 0)
	}
	watched := route.New(2)
	for i := range 100_000 {
		watched.Subscribe("news", handle(i%2, uint32(i)), 0, 0)
	}
	watched.Subscribe("#", handle(0, 0), 1, 1)
	shared := route.New(2)
	for i := range 8 {
		shared.Subscribe("$share/g/dev/+/up", handle(i%2, uint32(i)), 1, 0)
	}
	for _, bb := range []struct {
		name  string
		table *route.Table
		topic string
		want  int
	}{
		{"none of 101k filters", large, "other/topic", 0},
		{"3 of 101k filters", large, "plant/10/line/10/state", 3},
		{"shared by 8", shared, "dev/17/up", 0},
		{"100k subscribers", crowd, "news", 100_000},
		{"100k subscribers and one to all", watched, "news", 100_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var m route.Match
			for b.Loop() {
				bb.table.Match(bb.topic, &m)
			}
			if m.N != bb.want {
				b.Fatalf("%d targets, want %d", m.N, bb.want)
			}
		})
	}
}

func BenchmarkMatchNew(b *testing.B) {
	t := largeTable(2)
	b.ReportAllocs()
	for b.Loop() {
		var m route.Match
		t.Match("plant/10/line/10/state", &m)
	}
}

func BenchmarkMatchOwn(b *testing.B) {
	t := largeTable(2)
	t.Subscribe("plant/#", handle(0, 5000), 0, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := t.MatchOwn("plant/10/line/10/state", handle(0, 5000)); !ok {
			b.Fatal("no target")
		}
	}
}

// BenchmarkDeepMatch searches the deepest topic in a trie where two nodes are
// alive at each of 1,000 levels and one at every other.
func BenchmarkDeepMatch(b *testing.B) {
	t := route.New(1)
	plus, name := "", ""
	for i := range 32767 {
		plus += "+/"
		name += "a/"
		if i < 1000 {
			t.Subscribe(name+plus[:2]+"#", handle(0, uint32(i)), 0, 0)
		}
	}
	t.Subscribe(plus+"#", handle(0, 2000), 0, 0)
	b.ReportAllocs()
	var m route.Match
	for b.Loop() {
		t.Match(name, &m)
	}
}

// BenchmarkSubscribe is one SUBSCRIBE and one UNSUBSCRIBE each time.
func BenchmarkSubscribe(b *testing.B) {
	for _, kind := range []string{"plant/%d/line/%d/new", "plant/%d/+/%d/#", "$share/g/plant/%d/line/%d/new"} {
		b.Run(fmt.Sprintf(kind, 1, 2), func(b *testing.B) {
			t := largeTable(2)
			filters := make([]string, 1000)
			for i := range filters {
				filters[i] = fmt.Sprintf(kind, i%100, 2000+i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				filter := filters[i%len(filters)]
				t.Subscribe(filter, handle(1, 7), 1, 0)
				t.Unsubscribe(filter, handle(1, 7))
			}
		})
	}
}

// liveBytes returns the bytes of live objects on the heap.
func liveBytes() uint64 {
	runtime.GC()
	runtime.GC() // the first only moves pools to their victim caches
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkSubscriptionMemory prints what a subscription costs beyond the string
// of its filter.
func BenchmarkSubscriptionMemory(b *testing.B) {
	for _, bb := range []struct {
		name, filter string
		n            int
	}{
		{"100k exact filters", "plant/%d/line/%d/state", 100_000},
		{"100k wildcard filters", "plant/%d/line/%d/#", 100_000},
		{"1M on one filter", "news", 1_000_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			filters := make([]string, bb.n)
			for i := range filters {
				if filters[i] = bb.filter; bb.filter != "news" {
					filters[i] = fmt.Sprintf(bb.filter, i%100, i/100)
				}
			}
			for b.Loop() {
				before := liveBytes()
				t := route.New(2)
				for i, filter := range filters {
					idx := i % 1000
					if bb.n > 100_000 {
						idx = i
					}
					t.Subscribe(filter, handle(i%2, uint32(idx)), 1, 0)
				}
				b.ReportMetric(float64(liveBytes()-before)/float64(bb.n), "B/subscription")
				runtime.KeepAlive(t)
			}
			runtime.KeepAlive(filters)
		})
	}
}

func retainedNames() []string {
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("bench/ret/%d/%d/%d", i%100, i/100%100, i/10_000)
	}
	return names
}

func BenchmarkRetainedPut(b *testing.B) {
	names := retainedNames()
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		r := route.NewRetained[*int]()
		for i := 0; b.Loop(); i++ {
			if i%len(names) == 0 {
				r = route.NewRetained[*int]()
			}
			r.Put(names[i%len(names)], nil)
		}
	})
	b.Run("replaced", func(b *testing.B) {
		r := route.NewRetained[*int]()
		for _, name := range names {
			r.Put(name, nil)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r.Put(names[i%len(names)], nil)
		}
	})
}

func BenchmarkRetainedWalk(b *testing.B) {
	r := route.NewRetained[*int]()
	for _, name := range retainedNames() {
		r.Put(name, nil)
	}
	for filter, want := range map[string]int{"bench/ret/#": 100_000, "bench/ret/+/7/+": 1000, "bench/ret/1/1/1": 1, "bench/no/#": 0} {
		b.Run(filter, func(b *testing.B) {
			b.ReportAllocs()
			hits := 0
			for b.Loop() {
				hits = 0
				steps := math.MaxInt
				r.Walk(filter).Next(&steps, func(string, *int, bool) { hits++ })
			}
			if hits != want {
				b.Fatalf("%d hits, want %d", hits, want)
			}
			if hits > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(hits), "ns/hit")
			}
		})
	}
}

// BenchmarkRetainedMemory prints what a name costs beyond its string.
func BenchmarkRetainedMemory(b *testing.B) {
	names := retainedNames()
	for b.Loop() {
		before := liveBytes()
		r := route.NewRetained[*int]()
		for _, name := range names {
			r.Put(name, nil)
		}
		b.ReportMetric(float64(liveBytes()-before)/float64(len(names)), "B/name")
		runtime.KeepAlive(r)
	}
	runtime.KeepAlive(names)
}
