package shard

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The wheel against a list: every timer fires once, not before its time and in the
// first turn that is a tick later, however the turns fall.
func TestWheelAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		now := int64(1_000_000_000_000)
		w.start(now)
		due := map[uint64]int64{}
		key := uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			for range rapid.IntRange(0, 5).Draw(t, "new timers") {
				key++
				at := now + rapid.Int64Range(-1e9, 200e9).Draw(t, "in")
				due[key] = max(at, now)
				w.set(at, 1, key)
			}
			next := w.next()
			if first := earliest(due); len(due) > 0 && (next == 0 || next > max(first, now)+2<<tickShift) {
				t.Fatalf("next is %d, the earliest timer is at %d, now %d", next, first, now)
			}
			now += rapid.Int64Range(0, 100e9).Draw(t, "turn after")
			w.advance(now, func(_ uint8, key uint64) {
				at, ok := due[key]
				if !ok || at > now {
					t.Fatalf("timer %d fired at %d, known %v, due at %d", key, now, ok, at)
				}
				delete(due, key)
			}, 255, nil)
			for key, at := range due {
				if at+2<<tickShift < now {
					t.Fatalf("timer %d, due at %d, has not fired at %d", key, at, now)
				}
			}
		}
		now += 400e9
		w.advance(now, func(_ uint8, key uint64) { delete(due, key) }, 255, nil)
		if len(due) != 0 || w.n != 0 || w.next() != 0 {
			t.Fatalf("%d timers left, n %d", len(due), w.n)
		}
	})
}

func earliest(due map[uint64]int64) int64 {
	var all []int64
	for _, at := range due {
		all = append(all, at)
	}
	if len(all) == 0 {
		return 0
	}
	return slices.Min(all)
}

func TestPoolGivesBackWhatItTook(t *testing.T) {
	var p pool
	for _, n := range []int{1, 512, 513, 4096, 5000, 65536} {
		b := p.get(n)
		if cap(b) < n || len(b) != 0 {
			t.Fatalf("get(%d): len %d cap %d", n, len(b), cap(b))
		}
		p.put(append(b, 1))
		if again := p.get(n); cap(again) != cap(b) || &again[:1][0] != &b[:1][0] {
			t.Errorf("get(%d) does not reuse", n)
		}
	}
	big := p.get(1<<20 + 1)
	p.put(big)
	p.put(nil)
	for i := range p.free {
		if len(p.free[i]) != 0 {
			t.Error("odd sizes are kept")
		}
	}
	for _, c := range classes {
		p.put(make([]byte, 3, c.size))
		if b := p.get(c.size); cap(b) != c.size || len(b) != 0 {
			t.Errorf("a buffer of %d bytes for %d, %d in it", cap(b), c.size, len(b))
		}
	}
	b := p.grow(append(p.get(10), "hello"...), 1000)
	if string(b) != "hello" || cap(b)-len(b) < 1000 {
		t.Errorf("grow: %q, cap %d", b, cap(b))
	}
	for range 10 {
		p.put(make([]byte, 0, classes[0].size))
	}
	before := len(p.free[0])
	p.trim()
	if len(p.free[0]) != before/2 {
		t.Errorf("trim left %d of %d", len(p.free[0]), before)
	}
}
