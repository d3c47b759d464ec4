package route

import (
	"cmp"
	"slices"
)

// Target is one session a message goes to.
type Target struct {
	To Handle

	// ID is the Subscription Identifier; 0 is none. It counts if Count is 0.
	ID uint32
	// More and Count are set if the session has several identifiers for this
	// message, because several of its filters match. All of them are
	// IDs[More:More+Count] of the Match, and an identifier used by two filters
	// is there twice.
	More, Count uint32

	// Opts are those of all the session's subscriptions that match, merged: the
	// highest QoS, Retain As Published if any has it, No Local if any has it. If
	// No Local is set and To is the publisher, MatchOwn tells what remains.
	Opts Options
}

// Group is one Shared Subscription that matches. A message goes to one of its
// members: the owner of the Match sends it to Members[Next%len(Members)] and
// counts Next up.
type Group struct {
	Share  string // the share name
	Filter string // the filter without $share/name/

	// Members is never empty. It holds the sessions that are online, or all of
	// them if none is.
	Members []Target
	// Next is the owner's rotation counter. It starts one further with each
	// Match of the group, so that many topics with few messages each do not all
	// begin with the first member.
	Next uint32
}

// Match is the result for one Topic Name. It belongs to the caller that filled
// it, shares no memory with the Table, and but for Group.Next is not changed
// until the caller fills it again.
type Match struct {
	Topic string
	// Gen is Table.Gen at the time of the match. While they are equal the Match
	// is what Table.Match would return.
	Gen uint64

	// ByShard holds the ordinary targets of each shard, each session at most
	// once. Its length is the number of shards.
	ByShard [][]Target
	IDs     []uint32
	Groups  []Group // one for each share name and filter that match
	N       int     // the number of ordinary targets

	targets []Target // backs ByShard
}

// scratch is the working memory of one search, pooled because a Match is kept
// in a cache and must not drag it along.
type scratch struct {
	cur, next []*node
	entries   []*entry
	lists     []*list // the non-empty ones of entries
	merged    []Target
	rest      []Target
	counts    []int // by shard
	visits    int   // trie nodes that the last search has looked at
}

// Match fills m with the subscribers of name, and keeps name in it. It reuses
// the slices of m and does not allocate if they are large enough; a zero Match
// is fine. name must be a valid Topic Name.
//
// It takes as many steps as name has levels, times the trie nodes alive at each,
// plus the number of subscribers found.
func (t *Table) Match(name string, m *Match) {
	s := t.pool.Get().(*scratch)
	defer t.pool.Put(s)
	t.mu.RLock()
	defer t.mu.RUnlock()
	m.Topic, m.Gen = name, t.gen.Load()
	m.IDs, m.Groups, m.N = m.IDs[:0], m.Groups[:0], 0
	t.search(name, s)
	for _, e := range s.entries {
		for _, g := range e.groups() {
			m.addGroup(g)
		}
	}
	m.fill(s)
	s.release()
}

// MatchOwn returns the target for session own when it publishes to name itself:
// its subscriptions with No Local are left out [MQTT-3.8.3-3]. It returns false
// if none remains. The identifiers are those of the target as in Match.IDs.
// Shared Subscriptions do not take part: they cannot have No Local [MQTT-3.8.3-4].
func (t *Table) MatchOwn(name string, own Handle) (Target, []uint32, bool) {
	s := t.pool.Get().(*scratch)
	defer t.pool.Put(s)
	t.mu.RLock()
	defer t.mu.RUnlock()
	t.search(name, s)
	run := s.rest[:0]
	for _, l := range s.lists {
		if i, ok := l.find(own); ok && l.subs[i].opts&NoLocal == 0 {
			run = append(run, l.subs[i].target())
		}
	}
	s.rest = run
	s.release()
	if len(run) == 0 {
		return Target{}, nil, false
	}
	slices.SortFunc(run, compareTargets)
	out, ids := mergeRun(run[0], run[1:], nil)
	return out, ids, true
}

// search fills s.entries with what matches name, and s.lists. t.mu must be held.
func (t *Table) search(name string, s *scratch) {
	s.entries, s.lists = s.entries[:0], s.lists[:0]
	if e := t.exactLocked(name); e != nil {
		s.entries = append(s.entries, e)
	}
	t.root.search(name, s)
	for _, e := range s.entries {
		if len(e.list.subs) > 0 {
			s.lists = append(s.lists, &e.list)
		}
	}
}

// release drops what would keep removed subscriptions alive in the pool.
func (s *scratch) release() {
	clear(s.entries)
	clear(s.lists)
}

// addGroup appends g, reusing the members of a group that was there before.
func (m *Match) addGroup(g *group) {
	n := len(m.Groups)
	m.Groups = slices.Grow(m.Groups, 1)[:n+1]
	to := &m.Groups[n]
	members := to.Members[:0]
	for i := range g.list.subs {
		if sub := &g.list.subs[i]; !sub.offline || g.online == 0 {
			members = append(members, sub.target())
		}
	}
	*to = Group{Share: g.share(), Filter: g.filter(), Members: members, Next: g.starts.Add(1) - 1}
}

// fill puts the subscribers in s.lists into m.ByShard.
func (m *Match) fill(s *scratch) {
	switch len(s.lists) {
	case 0:
		m.partition(s.counts, nil, nil)
	case 1:
		m.partition(s.counts, s.lists[0].subs, nil)
	default:
		m.merge(s)
		m.partition(s.counts, nil, s.merged)
	}
}

// merge puts the subscribers in s.lists into s.merged, each session once. The
// longest list is taken as it is; only the others are sorted and looked up in
// it, so that one subscriber to # does not make a filter with 100,000
// subscribers slow.
func (m *Match) merge(s *scratch) {
	longest := 0
	for i, l := range s.lists {
		if len(l.subs) > len(s.lists[longest].subs) {
			longest = i
		}
	}
	base := s.lists[longest]
	s.merged, s.rest = s.merged[:0], s.rest[:0]
	for i := range base.subs {
		s.merged = append(s.merged, base.subs[i].target())
	}
	for i, l := range s.lists {
		if i == longest {
			continue
		}
		for j := range l.subs {
			s.rest = append(s.rest, l.subs[j].target())
		}
	}
	if len(s.lists) > 2 { // else they come from one list: each session once
		slices.SortFunc(s.rest, compareTargets)
	}
	for rest := s.rest; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].To == rest[0].To {
			n++
		}
		if i, ok := base.find(rest[0].To); ok {
			s.merged[i], m.IDs = mergeRun(s.merged[i], rest[:n], m.IDs)
		} else {
			var one Target
			one, m.IDs = mergeRun(rest[0], rest[1:n], m.IDs)
			s.merged = append(s.merged, one)
		}
		rest = rest[n:]
	}
}

// mergeRun merges first and run, all of one session, and appends the
// identifiers to ids if there are several.
func mergeRun(first Target, run []Target, ids []uint32) (Target, []uint32) {
	for i := range run {
		other := &run[i]
		first.Opts = first.Opts.merge(other.Opts)
		switch {
		case other.ID == 0:
		case first.ID == 0:
			first.ID = other.ID
		default:
			if first.Count == 0 {
				first.More, first.Count = uint32(len(ids)), 1
				ids = append(ids, first.ID)
			}
			first.Count++
			ids = append(ids, other.ID)
		}
	}
	return first, ids
}

func compareTargets(a, b Target) int {
	return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.ID, b.ID))
}

// partition puts subs or targets, one of which is empty, into m.ByShard with
// one pass to count and one to place. counts has one element for each shard.
func (m *Match) partition(counts []int, subs []subscription, targets []Target) {
	m.N = len(subs) + len(targets)
	m.targets = slices.Grow(m.targets[:0], m.N)[:m.N]
	m.ByShard = slices.Grow(m.ByShard[:0], len(counts))[:len(counts)]
	clear(counts)
	for i := range subs {
		counts[subs[i].to.Shard()]++
	}
	for i := range targets {
		counts[targets[i].To.Shard()]++
	}
	start := 0
	for shard, n := range counts {
		m.ByShard[shard] = m.targets[start : start : start+n]
		counts[shard] = start
		start += n
	}
	for i := range subs {
		m.place(counts, subs[i].target())
	}
	for i := range targets {
		m.place(counts, targets[i])
	}
	for shard := range counts {
		m.ByShard[shard] = m.ByShard[shard][:cap(m.ByShard[shard])]
	}
}

// place stores one target; at holds where the next one of each shard goes.
func (m *Match) place(at []int, one Target) {
	shard := one.To.Shard()
	m.targets[at[shard]] = one
	at[shard]++
}
