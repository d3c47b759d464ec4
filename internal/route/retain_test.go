package route_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/topic"
	"pgregory.net/rapid"
)

// matches searches in parts of a few steps, of one size or another.
func matches(r *route.Retained[int], filter string) map[string]int {
	out := map[string]int{}
	w := r.Walk(filter)
	for size := 1; ; size = size%7 + 1 {
		steps := size
		over := w.Next(&steps, func(name string, v int, _ bool) {
			if _, dup := out[name]; dup {
				panic("match of " + name + " twice")
			}
			out[name] = v
		})
		if over {
			return out
		}
	}
}

func TestRetainedFindsWhatAPlainMapHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := route.NewRetained[int]()
		want := map[string]int{}
		next := 0
		put := func(t *rapid.T, name string) {
			next++
			gen := r.Gen()
			old, replaced := r.Put(name, next)
			if had, ok := want[name]; replaced != ok || old != had || r.Gen() == gen {
				t.Fatalf("Put(%q) = %d, %t, want %d, %t and a new generation", name, old, replaced, had, ok)
			}
			want[name] = next
		}
		remove := func(t *rapid.T, name string) {
			gen := r.Gen()
			old, ok := r.Delete(name)
			if had, existed := want[name]; ok != existed || old != had || (r.Gen() != gen) != existed {
				t.Fatalf("Delete(%q) = %d, %t, want %d, %t", name, old, ok, had, existed)
			}
			delete(want, name)
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if r.Len() != len(want) {
					t.Fatalf("%d names, want %d", r.Len(), len(want))
				}
			},
			"put":    func(t *rapid.T) { put(t, nameGen.Draw(t, "name")) },
			"delete": func(t *rapid.T) { remove(t, nameGen.Draw(t, "name")) },
			"delete existing": func(t *rapid.T) {
				if names := slices.Sorted(maps.Keys(want)); len(names) > 0 {
					remove(t, rapid.SampledFrom(names).Draw(t, "name"))
				}
			},
			"siblings": func(t *rapid.T) {
				from, to := rapid.IntRange(0, 20).Draw(t, "from"), rapid.IntRange(0, 40).Draw(t, "to")
				do := put
				if rapid.Bool().Draw(t, "delete") {
					do = remove
				}
				for i := from; i < to; i++ {
					do(t, fmt.Sprintf("a/%d/x", i*7%40))
				}
			},
			"get": func(t *rapid.T) {
				name := nameGen.Draw(t, "name")
				v, ok := r.Get(name)
				if had, existed := want[name]; ok != existed || v != had {
					t.Fatalf("Get(%q) = %d, %t, want %d, %t", name, v, ok, had, existed)
				}
			},
			"match": func(t *rapid.T) {
				_, filter := topic.SplitShare(filterGen.Draw(t, "filter"))
				expect := maps.Clone(want)
				maps.DeleteFunc(expect, func(name string, _ int) bool { return !topic.Match(filter, name) })
				if got := matches(r, filter); !maps.Equal(got, expect) {
					t.Fatalf("%q matches %v, want %v", filter, got, expect)
				}
			},
		})
		for _, name := range slices.Sorted(maps.Keys(want)) {
			remove(t, name)
		}
		if left := matches(r, "#"); len(left) > 0 {
			t.Fatalf("%v left after all was deleted", left)
		}
	})
}

func TestRetainedForgetsDeletedNames(t *testing.T) {
	const names, mostBytes = 20_000, 500_000 // a forgotten leaf each would be 2 MB
	r := route.NewRetained[int]()
	r.Put("a", 0)
	before := liveBytes()
	for i := range names {
		name := fmt.Sprintf("a/%d/state", i)
		r.Put(name, i)
		r.Delete(name)
	}
	if after := liveBytes(); after > before+mostBytes {
		t.Errorf("%d names that came and went left %d bytes", names, after-before)
	}
	if v, ok := matches(r, "#")["a"]; !ok || v != 0 || r.Len() != 1 {
		t.Errorf("a has the value %d, %t", v, ok)
	}
}

func TestWalkFindsWhatStaysWhileOtherNamesComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := route.NewRetained[int]()
		name := rapid.Custom(func(t *rapid.T) string {
			if rapid.Bool().Draw(t, "crowd") {
				return fmt.Sprintf("a/%d", rapid.IntRange(0, 60).Draw(t, "i"))
			}
			return nameGen.Draw(t, "name")
		})
		before := map[string]int{}
		for i, n := range rapid.SliceOfN(name, 0, 80).Draw(t, "before") {
			r.Put(n, i)
			before[n] = i
		}
		_, filter := topic.SplitShare(filterGen.Draw(t, "filter"))
		if rapid.Bool().Draw(t, "usual filter") {
			filter = rapid.SampledFrom([]string{"#", "a/+", "a/#", "+/+"}).Draw(t, "usual")
		}
		stayed := maps.Clone(before)
		put := map[string]bool{}
		found := map[string]int{}
		w := r.Walk(filter)
		for over := false; !over; {
			for range rapid.IntRange(0, 5).Draw(t, "changes") {
				n := name.Draw(t, "changed")
				delete(stayed, n)
				if rapid.Bool().Draw(t, "delete") {
					r.Delete(n)
				} else {
					r.Put(n, -1)
					put[n] = true
				}
			}
			steps := rapid.IntRange(1, 12).Draw(t, "steps")
			over = w.Next(&steps, func(n string, v int, fresh bool) {
				if fresh != (v == -1) || fresh && !put[n] || !topic.Match(filter, n) {
					t.Fatalf("found %q = %d, fresh %t", n, v, fresh)
				}
				found[n]++
			})
		}
		for n := range stayed {
			want := 0
			if topic.Match(filter, n) {
				want = 1
			}
			if found[n] != want {
				t.Fatalf("%q was found %d times by %q, want %d", n, found[n], filter, want)
			}
		}
	})
}

func TestWalkTakesNoMoreStepsThanItMay(t *testing.T) {
	const names, most = 5000, 100
	r := route.NewRetained[int]()
	for i := range names {
		r.Put(fmt.Sprintf("flat/%d", i), i)
		r.Put(fmt.Sprintf("deep/%d/%d/%d", i%10, i%100, i), i)
	}
	for _, filter := range []string{"#", "flat/+", "deep/+/+/+", "+/+", "+/+/+/1"} {
		w := r.Walk(filter)
		calls := 0
		for over := false; !over; {
			steps, found := most, 0
			over = w.Next(&steps, func(string, int, bool) { found++ })
			if found > most+20 || steps < -20 {
				t.Fatalf("%s: %d names in one part, %d steps left", filter, found, steps)
			}
			calls++
		}
		if calls < 5 {
			t.Errorf("%s took %d parts", filter, calls)
		}
	}
}

func TestRetainedForgetsDeletedNamesThatAWalkWentOver(t *testing.T) {
	const names, mostBytes = 20_000, 500_000
	r := route.NewRetained[int]()
	r.Put("a/stays", 0)
	fill := func() {
		for i := range names {
			r.Put(fmt.Sprintf("a/%d", i), i)
		}
	}
	empty := func() {
		for i := range names {
			r.Delete(fmt.Sprintf("a/%d", i))
		}
	}
	fill()
	empty() // the maps have their size now
	before := liveBytes()
	fill()
	w := r.Walk("a/+")
	steps := 100
	w.Next(&steps, func(string, int, bool) {})
	empty()
	w.Close()
	r.Put("a/next", 1)
	r.Delete("a/next")
	if after := liveBytes(); after > before+mostBytes {
		t.Errorf("%d names that came and went left %d bytes", names, after-before)
	}
	if got := matches(r, "#"); len(got) != 1 {
		t.Errorf("%v left, want one name", got)
	}
}

func TestRetainedTakesTheDeepestNames(t *testing.T) {
	r := route.NewRetained[int]()
	names := []string{strings.Repeat("/", 65535), strings.Repeat("a/", 32767) + "a", "a"}
	for i, name := range names {
		r.Put(name, i)
	}
	for filter, want := range map[string]int{
		"#": 3, "a/#": 2, "+/#": 3, "/#": 1, "+": 1, strings.Repeat("+/", 32767) + "+": 1, strings.Repeat("+/", 32767) + "#": 2,
	} {
		if got := matches(r, filter); len(got) != want {
			t.Errorf("%.20q of %d levels matches %d names, want %d", filter, topic.Levels(filter), len(got), want)
		}
	}
	for i, name := range names {
		if v, ok := r.Delete(name); !ok || v != i {
			t.Errorf("name %d has the value %d, %t", i, v, ok)
		}
	}
	if left := matches(r, "#"); len(left) > 0 || r.Len() != 0 {
		t.Errorf("%d names left", len(left))
	}
}

func TestRetainedIsSafeForConcurrentUse(t *testing.T) {
	r := route.NewRetained[int]()
	r.Put("a/fixed", 1)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range 300 {
				r.Put(fmt.Sprintf("a/%d/%d", w, i%30), i)
				r.Delete(fmt.Sprintf("a/%d/%d", w, (i+15)%30))
			}
			for i := range 30 {
				r.Delete(fmt.Sprintf("a/%d/%d", w, i))
			}
		})
		wg.Go(func() {
			for range 100 {
				if got := matches(r, "a/#"); got["a/fixed"] != 1 {
					t.Error("a name was out of sight while others changed")
				}
			}
		})
	}
	wg.Wait()
	if got := matches(r, "#"); len(got) != 1 {
		t.Errorf("%v left, want one name", got)
	}
}
