package shard

import "math/bits"

const (
	tickShift  = 26 // a tick is 2^26 ns, 67 ms
	wheelSlots = 1024
	lingerKind = 0xFF // the Loop's own timers; the Handler uses smaller kinds
)

func tickOf(nanos int64) uint32 { return uint32(nanos >> tickShift) }

// wheel is a hashed timer wheel. A timer costs 16 bytes, has no pointer and cannot be
// taken back: whoever set it looks, when it fires, whether it still matters. Timers
// later than one rotation, 69 s, stay in their slot and are looked at once a rotation.
type wheel struct {
	slots   [wheelSlots][]timer
	used    [wheelSlots / 64]uint64
	tick    int64 // all earlier ticks have been run
	started bool
	n       int
	due     []timer
}

type timer struct {
	key  uint64
	low  uint32 // tick
	high uint16
	kind uint8
}

// farthest is the last tick that a timer can name, in the year 600,000.
const farthest = 1<<48 - 1

func newTimer(at int64, kind uint8, key uint64) timer {
	at = min(at, farthest)
	return timer{key: key, low: uint32(at), high: uint16(at >> 32), kind: kind}
}

func (t *timer) at() int64 { return int64(t.high)<<32 | int64(t.low) }

func (w *wheel) start(now int64) {
	if !w.started {
		w.started, w.tick = true, now>>tickShift
	}
}

// set runs a timer at the first tick that is not before nanos.
func (w *wheel) set(nanos int64, kind uint8, key uint64) {
	at := max((nanos+(1<<tickShift)-1)>>tickShift, w.tick+1)
	s := at % wheelSlots
	w.slots[s] = append(w.slots[s], newTimer(at, kind, key))
	w.used[s/64] |= 1 << (s % 64)
	w.n++
}

// advance runs what is due at now.
func (w *wheel) advance(now int64, fire func(kind uint8, key uint64), own uint8, fireOwn func(key uint64)) {
	to := now >> tickShift
	if w.n == 0 || to <= w.tick {
		w.tick = max(w.tick, to)
		return
	}
	from := max(w.tick+1, to-wheelSlots+1)
	w.tick = to
	for t := from; t <= to; t++ {
		s := t % wheelSlots
		if w.used[s/64]&(1<<(s%64)) == 0 {
			continue
		}
		w.collect(int(s), to)
	}
	due := w.due
	w.due = nil
	for _, d := range due {
		if d.kind == own {
			fireOwn(d.key)
		} else {
			fire(d.kind, d.key)
		}
	}
	w.due = due[:0]
}

// collect moves a slot's due timers to w.due.
func (w *wheel) collect(s int, to int64) {
	list := w.slots[s]
	rest := list[:0]
	for _, d := range list {
		if d.at() <= to {
			w.due = append(w.due, d)
			w.n--
		} else {
			rest = append(rest, d)
		}
	}
	switch {
	case len(rest) > 0:
		w.slots[s] = rest
	case cap(list) > 64:
		w.slots[s] = nil
		w.used[s/64] &^= 1 << (s % 64)
	default:
		w.slots[s] = rest
		w.used[s/64] &^= 1 << (s % 64)
	}
}

// next is when the next occupied slot comes, in nanoseconds; 0 when there is none.
// A slot may hold only later rotations' timers: then the caller wakes up for nothing,
// once a rotation.
func (w *wheel) next() int64 {
	if w.n == 0 {
		return 0
	}
	from := (w.tick + 1) % wheelSlots
	for i := int64(0); i < wheelSlots; {
		s := (from + i) % wheelSlots
		word := w.used[s/64] >> (s % 64)
		if word != 0 {
			if skip := i + int64(bits.TrailingZeros64(word)); skip < wheelSlots {
				return (w.tick + 1 + skip) << tickShift
			}
			break
		}
		i += 64 - s%64
	}
	return (w.tick + wheelSlots) << tickShift
}

// At fires the Handler's Timer(kind, key) at the given time in unix nanoseconds or up
// to 67 ms later. It cannot be taken back. kind is below 255.
func (l *Loop) At(nanos int64, kind uint8, key uint64) { l.timers.set(nanos, kind, key) }
