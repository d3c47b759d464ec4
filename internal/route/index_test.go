package route

import (
	"testing"

	"pgregory.net/rapid"
)

// The hashes are few, so that many nodes share one, or differ in their highest or lowest
// bits only.
func TestIndexFindsWhatIsInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spread := rapid.SampledFrom([]uint64{0, 1, 1 << 58, 1<<58 + 1, 0x9E3779B97F4A7C15}).Draw(t, "spread")
		hash := func(n int) uint64 { return uint64(n/2) * spread }
		var x index[int]
		nodes := map[int]*int{}
		check := func() {
			if x.len() != len(nodes) {
				t.Fatalf("%d nodes, want %d", x.len(), len(nodes))
			}
			seen := 0
			for s := range x.all() {
				if nodes[*s.node] != s.node || s.hash != hash(*s.node) {
					t.Fatalf("%d with hash %x is in the index", *s.node, s.hash)
				}
				seen++
			}
			if seen != len(nodes) {
				t.Fatalf("ranges over %d nodes, want %d", seen, len(nodes))
			}
		}
		found := func(n int) bool {
			for p, next := x.find(hash(n), 0); p != nil; p, next = x.find(hash(n), next) {
				if *p == n {
					return true
				}
			}
			return false
		}
		most := 200
		if spread == 1 || spread > 1<<59 { // few share their place: few steps for each, even of many
			most = 3 * manyNodes
		}
		for range rapid.IntRange(1, 6).Draw(t, "waves") {
			from := rapid.IntRange(0, most).Draw(t, "from")
			to := rapid.IntRange(from, most).Draw(t, "to")
			add := rapid.Bool().Draw(t, "add")
			for n := from; n < to; n++ {
				switch p := nodes[n]; {
				case add && p == nil:
					nodes[n] = &n
					x.add(hash(n), &n)
				case !add && p != nil:
					x.remove(hash(n), p)
					delete(nodes, n)
				}
			}
			check()
			for n := range most {
				if found(n) != (nodes[n] != nil) {
					t.Fatalf("%d found: %t", n, found(n))
				}
			}
		}
		for n, p := range nodes {
			x.remove(hash(n), p)
			delete(nodes, n)
			if found(n) {
				t.Fatalf("%d is found after it was removed", n)
			}
		}
		check()
		if x.parts != nil || len(x.slots) > 2*fewNodes {
			t.Fatalf("an empty index keeps %d slots", len(x.slots))
		}
	})
}

// Growing must not take long at once, however many nodes there are.
func TestLargeIndexIsCutIntoParts(t *testing.T) {
	var x index[int]
	for n := range 300_000 {
		x.add(hashOf(string(rune(n%0xD000+1))+string(rune(n/0xD000+1))), &n)
	}
	var largest func(x *index[int]) int
	largest = func(x *index[int]) int {
		if x.parts == nil {
			return len(x.slots)
		}
		most := 0
		for i := range x.parts {
			most = max(most, largest(&x.parts[i]))
		}
		return most
	}
	if got := largest(&x); got > 2*manyNodes || x.len() != 300_000 {
		t.Errorf("a table of %d slots for %d nodes", got, x.len())
	}
}
