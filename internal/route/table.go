// Package route finds the subscribers of a Topic Name, and the retained messages
// of a Topic Filter.
//
// It knows handles, options and filters; it does not know what a session is or
// how a message reaches it. Filters and names must have passed package topic's
// checks: others are stored or searched without a panic, but match what they
// like.
//
// # One lock, no copies
//
// A Table is read by every shard and written by every SUBSCRIBE. Readers keep a
// Match of each topic they publish to and use it without any lock while its Gen
// equals Table.Gen, one atomic load; they search only after a change. So the
// table is a mutable structure under one sync.RWMutex. Copy-on-write would
// spare readers that lock, which they seldom take, and make each of 100,000
// clients that subscribe as they connect copy a path of nodes and, for a filter
// with many subscribers, the list of them: O(n²) for a crowd on one filter, and
// garbage in proportion.
//
// Filters without a wildcard are most of a broker's and live in one hash table;
// those with one live in a trie by level.
//
// # Memory
//
// A Table and a Retained keep the strings they are given, and parts of them. A
// Match belongs to its caller and shares nothing with the Table but strings.
package route

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wirebird/wirebird/topic"
)

// Table is the subscriptions of all sessions. It is safe for concurrent use.
type Table struct {
	shards int
	gen    atomic.Uint64
	pool   sync.Pool // of *scratch

	mu      sync.RWMutex // guards all below
	exact   index[entry]
	root    node
	nodes   int // below root
	filters int
	subs    int
}

// New returns an empty table for sessions on shards 0 to shards-1.
func New(shards int) *Table {
	if shards < 1 || shards > MaxShards {
		panic(fmt.Sprintf("route: %d shards, want 1 to %d", shards, MaxShards))
	}
	t := &Table{shards: shards}
	t.pool.New = func() any { return &scratch{counts: make([]int, shards)} }
	return t
}

// Gen returns a number that changes whenever a Match could have become stale.
func (t *Table) Gen() uint64 { return t.gen.Load() }

// Subscribe adds a subscription or replaces the one that session has to the same
// filter, and reports whether it had one. filter may be shared, and is kept. A
// subscriber to a shared filter is online until SetOnline says otherwise.
func (t *Table) Subscribe(filter string, to Handle, o Options, id uint32) (existed bool) {
	if to.Shard() >= t.shards {
		panic(fmt.Sprintf("route: session on shard %d of %d", to.Shard(), t.shards))
	}
	sub := subscription{to: to, id: id, opts: o}
	t.mu.Lock()
	defer t.mu.Unlock()
	l, g := t.listForLocked(filter)
	if i, ok := l.find(to); ok {
		old := l.subs[i]
		if old == sub {
			return true // nothing any Match could show
		}
		if g != nil && old.offline {
			g.online++
		}
		l.subs[i] = sub
		t.gen.Add(1)
		return true
	}
	if len(l.subs) == 0 {
		t.filters++
	}
	l.add(sub)
	if g != nil {
		g.online++
	}
	t.subs++
	t.gen.Add(1)
	return false
}

// Unsubscribe removes a subscription and reports whether there was one.
func (t *Table) Unsubscribe(filter string, to Handle) (existed bool) {
	share, rest := topic.SplitShare(filter)
	t.mu.Lock()
	defer t.mu.Unlock()
	e, g := t.findLocked(share, rest)
	var l *list
	switch {
	case g != nil:
		l = &g.list
	case e != nil && share == "":
		l = &e.list
	default:
		return false
	}
	i, ok := l.find(to)
	if !ok {
		return false
	}
	if g != nil && !l.subs[i].offline {
		g.online--
	}
	l.remove(i)
	t.subs--
	t.gen.Add(1)
	if len(l.subs) > 0 {
		return true
	}
	t.filters--
	if g != nil {
		i, _ := e.findGroup(share)
		e.setGroups(slices.Delete(e.groups(), i, i+1))
	}
	if e.empty() {
		t.dropLocked(rest)
	}
	return true
}

// SetOnline says whether a subscriber to a shared filter can be sent to now. One
// that cannot is a member of its group only while no other can. It does nothing
// for other filters, and if there is no such subscription.
func (t *Table) SetOnline(filter string, to Handle, online bool) {
	share, rest := topic.SplitShare(filter)
	if share == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, g := t.findLocked(share, rest)
	if g == nil {
		return
	}
	i, ok := g.list.find(to)
	if !ok || g.list.subs[i].offline != online {
		return
	}
	g.list.subs[i].offline = !online
	if online {
		g.online++
	} else {
		g.online--
	}
	t.gen.Add(1)
}

// Others tells whether a Shared Subscription has a subscriber besides own; with online,
// whether one of those is online. filter is the one without $share/name/.
func (t *Table) Others(share, filter string, own Handle, online bool) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, g := t.findLocked(share, filter)
	if g == nil {
		return false
	}
	for i := range g.list.subs {
		if s := &g.list.subs[i]; s.to != own && !(online && s.offline) {
			return true
		}
	}
	return false
}

// Each calls fn for every subscription, in no order, until fn returns false.
// filter is as it was given to Subscribe. The table is locked for reading
// meanwhile: fn must not call its methods, and should only collect.
func (t *Table) Each(fn func(filter string, to Handle, o Options, id uint32) bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	visit := func(e *entry) bool {
		if !e.list.each(e.filter, fn) {
			return false
		}
		for _, g := range e.groups() {
			if !g.list.each(g.full, fn) {
				return false
			}
		}
		return true
	}
	for s := range t.exact.all() {
		if !visit(s.node) {
			return
		}
	}
	t.root.each(visit)
}

func (l *list) each(filter string, fn func(string, Handle, Options, uint32) bool) bool {
	for i := range l.subs {
		if s := &l.subs[i]; !fn(filter, s.to, s.opts, s.id) {
			return false
		}
	}
	return true
}

// Len returns how many subscriptions there are, and to how many different
// filters. A shared filter differs from the same one with another share name.
func (t *Table) Len() (filters, subscriptions int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.filters, t.subs
}

// Stats returns the number of trie nodes that filters with wildcards take.
func (t *Table) Stats() (nodes int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.nodes
}

// exactLocked returns the entry for a filter without a wildcard, or nil. t.mu must be held.
func (t *Table) exactLocked(filter string) *entry {
	h := hashOf(filter)
	e, next := t.exact.find(h, 0)
	for e != nil && e.filter != filter {
		e, next = t.exact.find(h, next)
	}
	return e
}

// listForLocked returns the list for filter, and its group if it is shared. It
// makes what is missing. t.mu must be held for writing.
func (t *Table) listForLocked(filter string) (*list, *group) {
	share, rest := topic.SplitShare(filter)
	e := t.entryForLocked(rest, filter)
	if share == "" {
		return &e.list, nil
	}
	i, ok := e.findGroup(share)
	if !ok {
		e.setGroups(slices.Insert(e.groups(), i, &group{full: filter}))
	}
	g := e.groups()[i]
	return &g.list, g
}

// entryForLocked returns the entry for rest, a part of filter, and makes it if
// it is missing. t.mu must be held for writing.
func (t *Table) entryForLocked(rest, filter string) *entry {
	if !topic.HasWildcard(rest) {
		e := t.exactLocked(rest)
		if e == nil {
			e = &entry{filter: keepPart(rest, filter)}
			t.exact.add(hashOf(rest), e)
		}
		return e
	}
	place, made := t.root.insert(rest)
	t.nodes += made
	if *place == nil {
		*place = &entry{filter: keepPart(rest, filter)}
	}
	return *place
}

// findLocked returns the entry for a filter, and the group of its share name;
// what does not exist is nil. t.mu must be held.
func (t *Table) findLocked(share, rest string) (*entry, *group) {
	var e *entry
	if !topic.HasWildcard(rest) {
		e = t.exactLocked(rest)
	} else if place := t.root.lookup(rest); place != nil {
		e = *place
	}
	if e == nil || share == "" {
		return e, nil
	}
	if i, ok := e.findGroup(share); ok {
		return e, e.groups()[i]
	}
	return e, nil
}

// dropLocked removes the empty entry of a filter. t.mu must be held for writing.
func (t *Table) dropLocked(rest string) {
	if !topic.HasWildcard(rest) {
		t.exact.remove(hashOf(rest), t.exactLocked(rest))
		return
	}
	*t.root.lookup(rest) = nil
	t.nodes -= t.root.prune(rest)
}
