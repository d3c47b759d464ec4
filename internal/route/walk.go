package route

import (
	"strings"

	"github.com/wirebird/wirebird/topic"
)

// Walk is a search for the names that a filter matches, done in parts between
// which the index may change. It finds each name that is there all the time once,
// and may find those that come or go meanwhile. It belongs to one
// goroutine.
type Walk[V any] struct {
	r      *Retained[V]
	filter string
	stack  []visit[V]
	since  uint32
	done   bool
	open   bool // counted in Retained.walks
}

// visit is a leaf to search with the rest of a filter.
type visit[V any] struct {
	at   *leaf[V]
	rest int // offset into the filter; beyond its end if nothing is left of it
	// next and end are the places in at's crowd that are still to be searched.
	next, end int
}

// inside is the rest of a filter below a #: all that is there.
const inside = -1

// Walk begins a search. It must be closed, unless Next has told that it is over.
// filter must not be a shared one.
func (r *Retained[V]) Walk(filter string) *Walk[V] {
	w := &Walk[V]{r: r, filter: filter}
	r.mu.Lock()
	defer r.mu.Unlock()
	w.since = uint32(r.gen.Load())
	if topic.HasWildcard(filter) {
		w.stack = append(w.stack, visit[V]{at: r.trieOf(filter)})
		w.open = true
		r.walks++
	}
	return w
}

// Close ends the search.
func (w *Walk[V]) Close() {
	w.done, w.stack = true, nil
	if w.open {
		w.open = false
		w.r.mu.Lock()
		w.r.walks--
		w.r.mu.Unlock()
	}
}

// Next goes on and calls fn for names it finds, in no order. Each level of a name
// that it looks at takes one of steps; it returns when they are used up, or a few
// more, and tells whether the search is over. fresh tells that the value was put
// after the search began.
//
// The index is locked for reading meanwhile: fn must not call its methods, and
// should only collect.
func (w *Walk[V]) Next(steps *int, fn func(name string, v V, fresh bool)) (over bool) {
	if !w.done && w.search(steps, fn) {
		w.Close()
	}
	return w.done
}

func (w *Walk[V]) search(steps *int, fn func(name string, v V, fresh bool)) (over bool) {
	w.r.mu.RLock()
	defer w.r.mu.RUnlock()
	found := func(l *leaf[V]) {
		if l.name != "" {
			fn(l.name, l.value, int32(l.born-w.since) > 0)
		}
	}
	if !w.open { // a filter without wildcards takes one look-up
		*steps--
		if l := w.r.findLocked(w.filter); l != nil {
			found(l)
		}
		return true
	}
	for len(w.stack) > 0 && *steps > 0 {
		v := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		*steps--
		if v.rest > len(w.filter) {
			found(v.at)
			continue
		}
		level, next := "#", inside
		if v.rest != inside {
			level, next = levelAt(w.filter, v.rest)
		}
		switch {
		case level == "#":
			if v.rest != inside {
				found(v.at) // a/# matches a, too (§4.7.1.2)
			}
			v.rest = inside
			w.below(v, inside, steps, found)
		case level == "+":
			w.below(v, next, steps, nil)
		default:
			if l := v.at.kids.get(level); l != nil {
				w.stack = append(w.stack, visit[V]{at: l, rest: next})
			}
		}
	}
	return len(w.stack) == 0
}

// below searches v's children for the rest of the filter, and calls found, which
// may be nil, for each. So names are found from their parents, without a detour
// over the stack: the processor then waits for the memory of several at once.
func (w *Walk[V]) below(v visit[V], rest int, steps *int, found func(*leaf[V])) {
	visitKid := func(l *leaf[V]) {
		*steps--
		if found != nil {
			found(l)
			if l.kids.len() == 0 {
				return
			}
		}
		w.stack = append(w.stack, visit[V]{at: l, rest: rest})
	}
	if v.at.kids.many == nil {
		for i := range v.at.kids.few {
			visitKid(v.at.kids.few[i].node)
		}
		return
	}
	order := v.at.kids.many.order
	if v.end == 0 {
		v.end = len(order)
	}
	stop := min(v.end, v.next+max(*steps, 1))
	if stop < v.end {
		w.stack = append(w.stack, visit[V]{at: v.at, rest: v.rest, next: stop, end: v.end})
	}
	for _, l := range order[v.next:stop] {
		if l != nil {
			visitKid(l)
		}
	}
}

// levelAt returns the level of filter at an offset and where the next begins.
func levelAt(filter string, offset int) (level string, next int) {
	if n := strings.IndexByte(filter[offset:], '/'); n >= 0 {
		return filter[offset : offset+n], offset + n + 1
	}
	return filter[offset:], len(filter) + 1
}
