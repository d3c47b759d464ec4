package route

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Retained maps Topic Names to values of type V, such as pointers to stored
// messages. It is safe for concurrent use.
//
// The names are in tries by level: one for those that start with $ and one for the
// others, because a wildcard at the first level does not see the former [MQTT-4.7.2-1].
type Retained[V any] struct {
	gen   atomic.Uint64
	count atomic.Int64 // names

	mu       sync.RWMutex // guards all below
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
func NewRetained[V any]() *Retained[V] { return new(Retained[V]) }

// trieOf is the root that a name, or a filter without a wildcard at its first
// level, lies below.
func (r *Retained[V]) trieOf(name string) *leaf[V] {
	if strings.HasPrefix(name, "$") {
		return &r.reserved
	}
	return &r.root
}

// findLocked returns the leaf where name ends, or nil. r.mu must be held.
func (r *Retained[V]) findLocked(name string) *leaf[V] {
	l, rest := r.trieOf(name), name
	for more := true; more && l != nil; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		l = l.kids.get(level)
	}
	if l == nil || l.name == "" {
		return nil
	}
	return l
}

// Put stores v for name and returns the value it replaces. name may be kept.
func (r *Retained[V]) Put(name string, v V) (old V, replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
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
	if replaced = l.name != ""; replaced {
		old = l.value
	} else {
		l.name = name
		r.count.Add(1)
	}
	l.value, l.born = v, uint32(r.gen.Add(1))
	return old, replaced
}

// Delete removes name and returns the value it had.
func (r *Retained[V]) Delete(name string) (old V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.findLocked(name)
	if l == nil {
		return old, false
	}
	r.gen.Add(1)
	r.count.Add(-1)
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
	if l := r.findLocked(name); l != nil {
		return l.value, true
	}
	return v, false
}

// Len returns the number of names.
func (r *Retained[V]) Len() int { return int(r.count.Load()) }

// Gen returns a number that changes with each Put and each Delete of a name
// that was there.
func (r *Retained[V]) Gen() uint64 { return r.gen.Load() }
