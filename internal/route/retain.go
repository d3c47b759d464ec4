package route

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Retained maps Topic Names to values of type V, such as pointers to stored
// messages. It is safe for concurrent use.
//
// A map answers for one name; tries by level are there for filters with
// wildcards only: one for the names that start with $ and one for the others,
// because a wildcard at the first level does not see the former [MQTT-4.7.2-1].
type Retained[V any] struct {
	gen atomic.Uint64

	mu       sync.RWMutex // guards all below
	names    map[string]*leaf[V]
	root     leaf[V]
	reserved leaf[V]
	walks    int // that are under way
}

// leaf is one level of the names. Its text stands with its parent.
type leaf[V any] struct {
	kids  kin[V]
	name  string // the name that ends here; empty if none does
	value V
	born  uint32 // the generation that value is of, its last bits
	at    uint32 // place in the parent's crowd
}

// NewRetained returns an empty index.
func NewRetained[V any]() *Retained[V] {
	return &Retained[V]{names: make(map[string]*leaf[V])}
}

// trieOf is the root that a name, or a filter without a wildcard at its first
// level, lies below.
func (r *Retained[V]) trieOf(name string) *leaf[V] {
	if strings.HasPrefix(name, "$") {
		return &r.reserved
	}
	return &r.root
}

// Put stores v for name and returns the value it replaces. name may be kept.
func (r *Retained[V]) Put(name string, v V) (old V, replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gen := uint32(r.gen.Add(1))
	if l := r.names[name]; l != nil {
		old, l.value, l.born = l.value, v, gen
		return old, true
	}
	l, rest := r.trieOf(name), name
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
	l.name, l.value, l.born = name, v, gen
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
	l := r.trieOf(name)
	keep, cut := l, ""
	for more, first := true, true; more; first = false {
		var level string
		level, name, more = strings.Cut(name, "/")
		if first || l.name != "" || l.kids.len() > 1 {
			keep, cut = l, level
		}
		l = l.kids.get(level)
	}
	keep.kids.remove(cut, r.walks > 0)
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

// Len returns the number of names.
func (r *Retained[V]) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.names)
}

// Gen returns a number that changes with each Put and each Delete of a name
// that was there.
func (r *Retained[V]) Gen() uint64 { return r.gen.Load() }
