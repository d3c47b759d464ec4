package route_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/topic"
)

// fuzzLevels are what fuzzed filters and names are made of.
var fuzzLevels = []string{"a", "b", "", "$x", "+", "c", "longer", "$share"}

// fuzzPath reads a filter, or a name, from two bytes: up to five levels of three bits.
func fuzzPath(hi, lo byte, filter bool) string {
	bits := int(hi)<<8 | int(lo)
	var parts []string
	for range 1 + bits>>13%4 {
		parts = append(parts, fuzzLevels[bits&7])
		bits >>= 3
	}
	if filter && lo&0x80 != 0 {
		parts = append(parts, "#")
	}
	return strings.Join(parts, "/")
}

// FuzzTable: after any sequence of subscriptions and their ends, the table gives for
// each name the sessions whose filters match it, each once, and holds nothing once all
// have gone.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 0x20, 0x01, 1, 0x20, 0x04, 2, 0x60, 0x84, 3, 0x20, 0x01, 0, 0x20, 0x81})
	f.Add([]byte("a subscription is three bytes of anything at all"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		table := route.New(2)
		type key struct {
			filter string
			to     route.Handle
		}
		subs := map[key]bool{}
		var m route.Match
		for ; len(steps) >= 3; steps = steps[3:] {
			who, hi, lo := steps[0], steps[1], steps[2]
			k := key{fuzzPath(hi, lo, true), handle(int(who&1), uint32(who>>1&3))}
			if who&8 != 0 {
				k.filter = "$share/g/" + k.filter
			}
			if topic.CheckFilter(k.filter) != nil {
				continue
			}
			if who&16 != 0 {
				if table.Unsubscribe(k.filter, k.to) != subs[k] {
					t.Fatalf("Unsubscribe(%s) is not %v", k.filter, subs[k])
				}
				delete(subs, k)
			} else {
				if table.Subscribe(k.filter, k.to, route.Options(who>>5&3%3), uint32(who>>5)) != subs[k] {
					t.Fatalf("Subscribe(%s) is not %v", k.filter, subs[k])
				}
				subs[k] = true
			}
			name := fuzzPath(lo, hi, false)
			if topic.CheckName(name) != nil {
				continue
			}
			table.Match(name, &m)
			want, groups := map[route.Handle]bool{}, map[string]int{}
			for k := range subs {
				share, rest := topic.SplitShare(k.filter)
				switch {
				case !topic.Match(rest, name):
				case share != "":
					groups[share+"/"+rest]++
				default:
					want[k.to] = true
				}
			}
			got := map[route.Handle]bool{}
			for _, list := range m.ByShard {
				for _, one := range list {
					if got[one.To] || !want[one.To] {
						t.Fatalf("%s goes to %x, which is there: %v, and wants it: %v", name, one.To, got[one.To], want[one.To])
					}
					got[one.To] = true
				}
			}
			if len(got) != len(want) || m.N != len(want) || len(m.Groups) != len(groups) {
				t.Fatalf("%s goes to %d sessions and %d groups, want %d and %d", name, len(got), len(m.Groups), len(want), len(groups))
			}
			for _, g := range m.Groups {
				if n := groups[g.Share+"/"+g.Filter]; len(g.Members) != n {
					t.Fatalf("%s: %d members of %s, want %d", name, len(g.Members), g.Filter, n)
				}
			}
		}
		for k := range subs {
			table.Unsubscribe(k.filter, k.to)
		}
		if filters, n := table.Len(); filters+n+table.Stats() != 0 {
			t.Errorf("%d filters, %d subscriptions and %d nodes are left", filters, n, table.Stats())
		}
	})
}

// FuzzRetained: after any sequence of messages kept and removed, a filter finds those whose
// names it matches.
func FuzzRetained(f *testing.F) {
	f.Add([]byte{0x20, 0x01, 0x20, 0x81, 0x60, 0x04, 0x60, 0x04})
	f.Add([]byte("a name is two bytes of anything"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		kept := route.NewRetained[int]()
		want := map[string]int{}
		for i := 1; len(steps) >= 2; i, steps = i+1, steps[2:] {
			name := fuzzPath(steps[0], steps[1], false)
			switch _, there := want[name]; {
			case topic.CheckName(name) != nil:
			case i%3 == 0:
				if old, ok := kept.Delete(name); ok != there || old != want[name] {
					t.Fatalf("Delete(%s) = %d, %v; want %d, %v", name, old, ok, want[name], there)
				}
				delete(want, name)
			default:
				if old, ok := kept.Put(name, i); ok != there || old != want[name] {
					t.Fatalf("Put(%s) = %d, %v; want %d, %v", name, old, ok, want[name], there)
				}
				want[name] = i
			}
			filter := fuzzPath(steps[1], steps[0], true)
			if topic.CheckFilter(filter) != nil {
				continue
			}
			var got, expect []string
			for w, over := kept.Walk(filter), false; !over; {
				some := 1 + i%4
				over = w.Next(&some, func(name string, v int, fresh bool) {
					if v != want[name] || fresh {
						t.Fatalf("%s is %d, fresh %v, want %d", name, v, fresh, want[name])
					}
					got = append(got, name)
				})
			}
			for name := range want {
				if topic.Match(filter, name) {
					expect = append(expect, name)
				}
			}
			slices.Sort(got)
			slices.Sort(expect)
			if !slices.Equal(got, expect) || kept.Len() != len(want) {
				t.Fatalf("%s finds %q, want %q", filter, got, expect)
			}
		}
	})
}
