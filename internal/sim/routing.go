package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

func (m *model) publish(k *link, p *packet.Publish) {
	s := k.state
	if p.QoS == 2 && s.accepted[p.ID] != nil {
		return // a repeat
	}
	one := &message{
		from: s.id, topic: string(p.Topic), payload: string(p.Payload), props: travelling(&p.Properties),
		qos: p.QoS, retain: p.Retain, hasExpiry: p.Properties.Has(packet.PropMessageExpiry), interval: p.Properties.MessageExpiry,
	}
	if p.QoS > 0 {
		s.acks[p.ID] = one
	}
	if p.QoS == 2 {
		s.accepted[p.ID] = one
		delete(s.released, p.ID)
	}
	m.route(one)
}

// route makes the copies of a message.
func (m *model) route(one *message) {
	m.event++
	one.n = m.event
	if one.hasExpiry {
		one.expires = m.now + int64(one.interval)*1e9
	}
	m.known[one.topic+"\x00"+one.payload] = append(m.known[one.topic+"\x00"+one.payload], one)
	if one.retain {
		m.keep(one)
	}
	groups := map[string]*delivery{}
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		m.routeTo(m.sessions[id], one, groups)
	}
	one.copies += len(groups)
	// Which timer of a turn comes first is not known: sessions that end in it may get what
	// wills of it publish.
	for _, s := range m.leaving {
		m.routeTo(s, one, groups)
	}
	for _, g := range groups {
		m.promiseShared(g)
	}
}

// routeTo makes the copies for one session.
func (m *model) routeTo(s *state, one *message, groups map[string]*delivery) {
	d := &delivery{m: one, event: m.event, link: s.ready(), on: s.link}
	matched := false
	for _, f := range slices.Sorted(maps.Keys(s.subs)) {
		u := s.subs[f]
		if !matches(u.bareFilter, one.topic) {
			continue
		}
		if u.share != "" {
			g := groups[f]
			if g == nil {
				g = &delivery{m: one, event: m.event, key: f}
				groups[f] = g
				m.shared = append(m.shared, g)
			}
			g.members = append(g.members, s)
			if s.over && min(u.qos, one.qos) == 1 {
				g.more++ // another member gets it too
			}
			continue
		}
		if u.noLocal && s.id == one.from {
			continue
		}
		matched = true
		d.qos = max(d.qos, u.qos)
		d.retain = d.retain || u.asPubl
		if u.id != 0 {
			d.ids = append(d.ids, u.id)
		}
	}
	if !matched {
		return
	}
	d.qos = min(d.qos, one.qos)
	d.retain = d.retain && one.retain
	d.optional = d.qos == 0 && d.link == nil || s.over
	slices.Sort(d.ids)
	s.copies = append(s.copies, d)
	if !s.over {
		one.copies++
	}
}

// promiseShared: a copy for a shared subscription must come to a member if each of them
// could be the one that gets it, and would keep it.
func (m *model) promiseShared(d *delivery) {
	for _, s := range d.members {
		u := s.subs[d.key]
		if u == nil || min(u.qos, d.m.qos) == 0 || s.expiry == 0 || s.over {
			d.optional = true
		}
	}
}

// keep makes a message the retained one of its topic.
func (m *model) keep(one *message) {
	if old := m.retained[one.topic]; old != nil {
		old.retainedTo = m.event
	}
	h := m.stored[one.topic]
	if h == nil {
		h = &history[*message]{values: []*message{nil}}
		m.stored[one.topic] = h
	}
	if one.payload == "" {
		delete(m.retained, one.topic)
		h.add(one)
		return
	}
	one.retainedFrom, one.retainedTo = m.event, 0
	m.retained[one.topic] = one
	h.add(one)
}

func (m *model) subscribe(k *link, f *packet.Subscription, ids []uint32) {
	s, name := k.state, string(f.Filter)
	old := s.subs[name]
	u := &sub{filter: name, qos: f.QoS, noLocal: f.NoLocal, asPubl: f.RetainAsPublished, event: m.event, bareFilter: name}
	if rest, ok := strings.CutPrefix(name, "$share/"); ok {
		u.share, u.bareFilter, _ = strings.Cut(rest, "/")
	}
	if len(ids) > 0 {
		u.id = ids[0]
	}
	k.changes = append(k.changes, change{s.setSub(name, u), s.subLog[name]})
	if u.share != "" {
		m.joined(s, name)
		return
	}
	if f.RetainHandling == 2 || f.RetainHandling == 1 && old != nil {
		return
	}
	s.forgetReplays(name)
	for _, topic := range slices.Sorted(maps.Keys(m.retained)) {
		one := m.retained[topic]
		if !matches(name, topic) {
			continue
		}
		d := &delivery{m: one, qos: min(one.qos, u.qos), retain: true, event: m.event, link: s.ready(), replay: u}
		if one.expired(m.now) { // it may not come, but one that replaces it before its turn may
			d.optional, d.more = true, -1
		}
		if u.id != 0 {
			d.ids = []uint32{u.id}
		}
		s.copies = append(s.copies, d)
	}
}

// change is one of a subscription, by its number in a history.
type change struct {
	n   int
	log *history[*sub]
}

// setSub changes a subscription; nil ends it. It returns the number of the change.
func (s *state) setSub(name string, u *sub) int {
	h := s.subLog[name]
	if h == nil {
		h = &history[*sub]{values: []*sub{nil}}
		s.subLog[name] = h
	}
	if u == nil {
		delete(s.subs, name)
	} else {
		s.subs[name] = u
		s.had[name] = append(s.had[name], u)
	}
	return h.add(u)
}

// joined: messages of a shared subscription that nobody has got may come to a new member.
func (m *model) joined(s *state, key string) {
	for _, d := range m.shared {
		if d.key == key && !slices.Contains(d.members, s) {
			d.members = append(d.members, s)
		}
		if d.key == key {
			m.promiseShared(d)
		}
	}
}

func (m *model) unsubscribe(k *link, name string) {
	s := k.state
	if s.subs[name] == nil {
		return
	}
	k.changes = append(k.changes, change{s.setSub(name, nil), s.subLog[name]})
	s.forgetReplays(name)
}

// forgetReplays: what a subscription has not brought of retained messages need not come.
func (s *state) forgetReplays(filter string) {
	for _, d := range s.copies {
		if d.replay != nil && d.replay.filter == filter {
			d.optional = true
		}
	}
}

// ready is the session's connection if its client has been let in, and knows.
func (s *state) ready() *link {
	if s.link != nil && s.link.up {
		return s.link
	}
	return nil
}

func (m *model) acknowledged(s *state, id uint16, last bool) {
	if r := s.inflight[id]; r != nil && last {
		r.done = true
		delete(s.inflight, id)
	}
}
