package route

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wirebird/wirebird/topic"
)

// Retained maps Topic Names to values of type V, such as pointers to stored
// messages. It is safe for concurrent use.
//
// A map answers for one name; a trie by level is there for filters with
// wildcards only.
type Retained[V any] struct {
	gen atomic.Uint64

	mu    sync.RWMutex // guards all below
	names map[string]*leaf[V]
	root  leaf[V]
}

// leaf is one level of the names. Its text is the key in the parent's children.
type leaf[V any] struct {
	kids  children[leaf[V]]
	name  string // the name that ends here; empty if none does
	value V
}

// visit is a leaf to search with the rest of a filter.
type visit[V any] struct {
	at   *leaf[V]
	rest int // offset into the filter; beyond its end if nothing is left of it
}

// NewRetained returns an empty index.
func NewRetained[V any]() *Retained[V] {
	return &Retained[V]{names: make(map[string]*leaf[V])}
}

// Put stores v for name and returns the value it replaces. name may be kept.
func (r *Retained[V]) Put(name string, v V) (old V, replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gen.Add(1)
	if l := r.names[name]; l != nil {
		old, l.value = l.value, v
		return old, true
	}
	l, rest := &r.root, name
	for more := true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		kid := l.kids.get(level)
		if kid == nil {
			kid = new(leaf[V])
			l.kids.add(keepPart(level, name), kid)
		}
		l = kid
	}
	l.name, l.value = name, v
	r.names[name] = l
	return old, false
}

// Delete removes name and returns the value it had.
func (r *Retained[V]) Delete(name string) (old V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.names[name]
	if l == nil {
		return old, false
	}
	r.gen.Add(1)
	delete(r.names, name)
	old = l.value
	var zero V
	l.name, l.value = "", zero
	if l.kids.len() == 0 {
		r.cutLocked(name)
	}
	return old, true
}

// cutLocked removes the branch that only served name, just below the last level
// that serves others too. r.mu must be held for writing.
func (r *Retained[V]) cutLocked(name string) {
	l, keep, cut := &r.root, &r.root, ""
	for more, first := true, true; more; first = false {
		var level string
		level, name, more = strings.Cut(name, "/")
		if first || l.name != "" || l.kids.len() > 1 {
			keep, cut = l, level
		}
		l = l.kids.get(level)
	}
	keep.kids.remove(cut)
}

// Get returns the value of name.
func (r *Retained[V]) Get(name string) (v V, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if l := r.names[name]; l != nil {
		return l.value, true
	}
	return v, false
}

// Match calls fn for every name that filter matches, in no order, until fn
// returns false. filter must not be a shared one. The index is locked for
// reading meanwhile: fn must not call its methods, and should only collect.
//
// A filter without wildcards takes one look-up. Otherwise each level of each
// name is visited at most once, without recursion.
func (r *Retained[V]) Match(filter string, fn func(name string, v V) bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !topic.HasWildcard(filter) {
		if l := r.names[filter]; l != nil {
			fn(l.name, l.value)
		}
		return
	}
	var below []*leaf[V] // kept to be used again for each #
	for stack := []visit[V]{{&r.root, 0}}; len(stack) > 0; {
		l, rest := stack[len(stack)-1].at, stack[len(stack)-1].rest
		stack = stack[:len(stack)-1]
		if rest > len(filter) {
			if l.name != "" && !fn(l.name, l.value) {
				return
			}
			continue
		}
		switch level, next := levelAt(filter, rest); level {
		case "#":
			var more bool
			if below, more = l.all(below, l == &r.root, fn); !more {
				return
			}
		case "+":
			for level, kid := range l.kids.all() {
				if l != &r.root || !strings.HasPrefix(level, "$") { // [MQTT-4.7.2-1]
					stack = append(stack, visit[V]{kid, next})
				}
			}
		default:
			if kid := l.kids.get(level); kid != nil {
				stack = append(stack, visit[V]{kid, next})
			}
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

// all calls fn for the name of l and for all below it, until fn returns false.
// If l is the root, names that start with $ are left out [MQTT-4.7.2-1]. stack
// is working memory, returned to be used again.
//
// Names are visited from their parents, without a detour over the stack: the
// processor then waits for the memory of several at once.
func (l *leaf[V]) all(stack []*leaf[V], isRoot bool, fn func(string, V) bool) ([]*leaf[V], bool) {
	if l.name != "" && !fn(l.name, l.value) {
		return stack, false
	}
	for stack = append(stack[:0], l); len(stack) > 0; isRoot = false {
		l := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for level, kid := range l.kids.all() {
			if isRoot && strings.HasPrefix(level, "$") {
				continue
			}
			if kid.name != "" && !fn(kid.name, kid.value) {
				return stack, false
			}
			if kid.kids.len() > 0 {
				stack = append(stack, kid)
			}
		}
	}
	return stack, true
}

// Len returns the number of names.
func (r *Retained[V]) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.names)
}

// Gen returns a number that changes with each Put and each Delete of a name
// that was there.
func (r *Retained[V]) Gen() uint64 { return r.gen.Load() }
