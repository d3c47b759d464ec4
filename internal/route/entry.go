package route

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/wirebird/wirebird/topic"
)

// subscription is one session's subscription to one filter.
type subscription struct {
	to      Handle
	id      uint32
	opts    Options
	offline bool // of a shared filter only
}

func (s *subscription) target() Target {
	return Target{To: s.to, ID: s.id, Opts: s.opts}
}

// entry is everything subscribed to one filter, its $share/name/ removed.
type entry struct {
	filter string
	list   list
}

// groups are the entry's Shared Subscriptions, sorted by share name.
func (e *entry) groups() []*group {
	if e.list.rare == nil {
		return nil
	}
	return e.list.rare.groups
}

func (e *entry) setGroups(groups []*group) {
	e.list.extra().groups = groups
	e.list.tidy()
}

func (e *entry) empty() bool { return len(e.list.subs) == 0 && len(e.groups()) == 0 }

// group is one Shared Subscription.
type group struct {
	full   string // $share/name/filter
	list   list
	online int           // subscribers that are not offline
	starts atomic.Uint32 // counted by readers, so that rotations begin differently
}

func (g *group) share() string {
	share, _ := topic.SplitShare(g.full)
	return share
}

func (g *group) filter() string {
	_, filter := topic.SplitShare(g.full)
	return filter
}

// findGroup returns where the group of a share name is, or belongs.
func (e *entry) findGroup(share string) (int, bool) {
	return slices.BinarySearchFunc(e.groups(), share, func(g *group, share string) int {
		return strings.Compare(g.share(), share)
	})
}

// Above longList subscribers a list has an index, so that a subscriber is found
// in O(1); below shortList it loses it. The gap keeps it from coming and going.
const (
	longList  = 16
	shortList = 8
)

// list holds the subscriptions to one filter, each session at most once.
type list struct {
	subs []subscription
	rare *rare
}

// rare is what few of a broker's many lists have.
type rare struct {
	index  map[Handle]uint32 // positions in subs; nil if the list is short
	groups []*group          // of the list's entry
}

func (l *list) index() map[Handle]uint32 {
	if l.rare == nil {
		return nil
	}
	return l.rare.index
}

func (l *list) extra() *rare {
	if l.rare == nil {
		l.rare = new(rare)
	}
	return l.rare
}

// tidy lets go of rare when nothing is in it.
func (l *list) tidy() {
	if l.rare != nil && l.rare.index == nil && len(l.rare.groups) == 0 {
		l.rare = nil
	}
}

func (l *list) find(to Handle) (int, bool) {
	if index := l.index(); index != nil {
		i, ok := index[to]
		return int(i), ok
	}
	for i := range l.subs {
		if l.subs[i].to == to {
			return i, true
		}
	}
	return 0, false
}

// add appends a session that is not in the list.
func (l *list) add(sub subscription) {
	l.subs = append(l.subs, sub)
	if index := l.index(); index != nil {
		index[sub.to] = uint32(len(l.subs) - 1)
	} else if len(l.subs) > longList {
		l.reindex()
	}
}

// remove moves the last subscription into the place of the i-th: it disturbs
// the order of one session only, and a rotation over the others goes on.
func (l *list) remove(i int) {
	last := len(l.subs) - 1
	index := l.index()
	if index != nil {
		delete(index, l.subs[i].to)
		if i != last {
			index[l.subs[last].to] = uint32(i)
		}
	}
	l.subs[i] = l.subs[last]
	l.subs = l.subs[:last]
	switch {
	case last == 0:
		l.subs = nil
		l.dropIndex()
	case last <= shortList && index != nil:
		l.subs = slices.Clone(l.subs)
		l.dropIndex()
	case last > longList && last < cap(l.subs)/4:
		// A map does not shrink, so it is built anew with the slice.
		l.subs = slices.Clone(l.subs)
		l.reindex()
	}
}

func (l *list) reindex() {
	index := make(map[Handle]uint32, len(l.subs))
	for i := range l.subs {
		index[l.subs[i].to] = uint32(i)
	}
	l.extra().index = index
}

func (l *list) dropIndex() {
	if l.rare != nil {
		l.rare.index = nil
		l.tidy()
	}
}
