package sim

import (
	"maps"
	"slices"

	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
)

// tick is the broker's unit of time for timers, in nanoseconds.
const tick = int64(1) << 26

// crash is the end of the broker: connections end without a word.
func (m *model) crash() {
	m.event++
	m.crashes++
	for _, s := range m.every {
		if s.link != nil {
			s.link.ended = true
			s.link = nil
		}
	}
}

// moved: a start that did not come to its end has given sessions other numbers in the
// journal, all of them or none.
func (m *model) moved(pairs map[uint64]uint64, got *seen) {
	var old, now int
	for _, s := range m.every {
		to, ok := pairs[s.sid]
		switch {
		case !ok || s.sid == 0:
		case got.sessions[s.sid].id == s.id:
			old++
		case got.sessions[to].id == s.id:
			now++
		}
	}
	if old > 0 && now > 0 {
		m.fail(Durable, "%d sessions were renamed, and %d were not", now, old)
	}
	if now > 0 {
		m.rename(pairs)
	}
}

// rename follows the journal. A number that was free there may be that of a session that
// the journal has never seen, or not any more.
func (m *model) rename(pairs map[uint64]uint64) {
	given := map[uint64]bool{}
	for _, to := range pairs {
		given[to] = true
	}
	for _, s := range m.every {
		if to, ok := pairs[s.sid]; ok {
			s.sid = to
		} else if given[s.sid] {
			s.sid = 0
		}
	}
}

// survive compares what the journal has kept with what it must have, and what it may
// have, and goes on from there. Sessions are told apart by their number in the journal.
func (m *model) survive(got *seen, shards int) {
	m.event++
	m.shards = shards
	m.sessions = map[string]*state{}
	bySID := map[uint64]*state{}
	var left []*state
	for _, s := range m.every {
		if s.sid != 0 {
			bySID[s.sid] = s
		}
		if here, ok := got.sessions[s.sid]; ok && s.sid != 0 && here.id != passedOn {
			left = append(left, s)
			continue
		}
		if s.sure {
			m.fail(Durable, "the session of %s is lost", s.id)
		}
		m.forget(s)
	}
	for _, d := range m.shared {
		d.found = false
	}
	m.every = left
	for _, sid := range slices.Sorted(maps.Keys(got.sessions)) {
		s := bySID[sid]
		if got.sessions[sid].id == passedOn {
			m.survivePassedOn(s, got.waiting[sid])
			continue
		}
		if s == nil || s.gone || s.id != got.sessions[sid].id {
			m.fail(Durable, "a session of %s has come back", got.sessions[sid].id)
			return
		}
		if m.sessions[s.id] != nil {
			m.fail(Durable, "two sessions of %s have come back", s.id)
		}
		m.sessions[s.id] = s
		s.over, s.sure = false, true
		s.expiry = got.sessions[sid].expiry
		m.surviveSession(s, got)
	}
	m.surviveShared()
	m.surviveRetained(got.retained)
}

// passedOn is the name of sessions that have ended while other members of their shared
// subscriptions were about to get what waited for them.
const passedOn = ""

// survivePassedOn: what such a session has kept of shared subscriptions goes to another
// member still; s is nil if its end is long ago. All else has ended with it.
func (m *model) survivePassedOn(s *state, got []seenMessage) {
	for i := range got {
		if got[i].Share == "" {
			continue
		}
		if !m.find(s, &got[i]) {
			m.fail(Durable, "a message for a shared subscription has come back that was complete, or never was: %q %.24q", got[i].msg.Topic, got[i].msg.Payload)
		}
	}
}

// forget is for a session that has not come back.
func (m *model) forget(s *state) {
	s.over = true
	for _, d := range m.shared {
		if slices.Contains(d.members, s) {
			d.optional = true
		}
	}
}

func (m *model) surviveSession(s *state, got *seen) {
	here := got.sessions[s.sid]
	since := here.offlineAt
	if since == 0 {
		since = m.now
	}
	s.ends = 0
	if s.expiry != neverExpires {
		s.ends = max(since+int64(s.expiry)*1e9, m.now+tick)
	}
	if s.expiry == 0 { // it was to end with its connection
		s.ends, s.sure = m.now, false
	}
	m.surviveSubs(s, got.subs[s.sid])
	m.surviveAccepted(s, got.accepted[s.sid])
	m.surviveCopies(s, got.waiting[s.sid])
	m.surviveWill(s, got)
}

func (m *model) surviveSubs(s *state, got map[string]seenSub) {
	for f := range got {
		if s.subLog[f] == nil {
			m.fail(Durable, "%s has a subscription to %q that it never made", s.id, f)
			return
		}
	}
	s.subs = map[string]*sub{}
	for _, f := range slices.Sorted(maps.Keys(s.subLog)) {
		h := s.subLog[f]
		at := slices.IndexFunc(h.values, func(u *sub) bool {
			here, ok := got[f]
			if u == nil || !ok {
				return u == nil && !ok
			}
			return here.subID == u.id && route.Options(here.options)&^route.Durable == u.options()
		})
		if at < 0 {
			m.fail(Durable, "the subscription of %s to %q is %v, and was %v", s.id, f, got[f], h.values[len(h.values)-1])
			return
		}
		u := h.values[at]
		s.subLog[f] = &history[*sub]{values: []*sub{u}}
		if u != nil {
			s.subs[f] = u
		}
	}
}

func (u *sub) options() route.Options {
	o := route.Options(u.qos)
	if u.noLocal {
		o |= route.NoLocal
	}
	if u.asPubl {
		o |= route.RetainAsPublished
	}
	return o
}

func (m *model) surviveAccepted(s *state, got map[uint16]bool) {
	for id, one := range s.accepted {
		switch {
		case got[id]:
		case one.confirmed:
			m.fail(Durable, "%s: that QoS 2 message %d was accepted is forgotten", s.id, id)
		default:
			delete(s.accepted, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if s.accepted[id] != nil {
			continue
		}
		if !s.released[id] || s.acks[id] == nil {
			m.fail(Durable, "%s: QoS 2 message %d is accepted again", s.id, id)
			return
		}
		s.accepted[id] = s.acks[id]
	}
	s.released = map[uint16]bool{}
}

// surviveCopies: those that were acknowledged to their publisher and not by the receiver
// must be there; those that were neither may be.
func (m *model) surviveCopies(s *state, got []seenMessage) {
	for _, d := range s.copies {
		d.found = false
	}
	for i := range got {
		if !m.find(s, &got[i]) {
			m.fail(Durable, "%s: a message has come back that was complete, or never was: %q %.24q", s.id, got[i].msg.Topic, got[i].msg.Payload)
			return
		}
	}
	for _, d := range s.copies {
		d.undo()
		switch {
		case d.found:
			if d.qos == 1 {
				d.more = max(d.more, len(d.by))
			}
		case d.m.confirmed && d.qos > 0 && d.replay == nil && !d.optional && !d.done() && !d.m.expired(m.now):
			m.lost(d, s, s.id)
		default:
			d.optional = true
		}
	}
	s.copies = slices.DeleteFunc(s.copies, func(d *delivery) bool { return !d.found && !d.got() })
	for id, r := range s.inflight {
		if r.p.QoS == 1 {
			delete(s.inflight, id)
		}
	}
}

// undo takes back that a stored copy was complete.
func (d *delivery) undo() {
	for _, r := range d.by {
		r.done = r.done && !d.found
	}
}

// lost is a copy that is not there any more; a full queue explains it.
func (m *model) lost(d *delivery, s *state, who string) {
	d.optional = true
	if m.cover(d, s) {
		return
	}
	ambiguous := func(o *delivery) bool { return o != d && o.m == d.m && o.got() }
	if m.limited || slices.ContainsFunc(m.shared, ambiguous) {
		return // a full queue may have dropped it
	}
	if m.allow > 0 {
		m.allow--
		return
	}
	m.fail(Durable, "%s: %v is lost", who, d.m)
}

// find marks the copy that one stored message is.
func (m *model) find(s *state, w *seenMessage) bool {
	if w.msg == nil {
		m.fail(Durable, "message %d waits without bytes", w.MID)
		return true
	}
	list := m.shared
	if w.Share == "" {
		list = s.copies
	}
	var best *delivery
	for _, d := range list {
		if d.m.topic != w.msg.Topic || d.m.payload != string(w.msg.Payload) || d.found {
			continue
		}
		if w.Share == "" && !w.is(d) || w.Share != "" && d.key != "$share/"+w.Share+"/"+w.Filter {
			continue
		}
		if best == nil || w.fits(d) > w.fits(best) {
			best = d
		}
	}
	if best == nil {
		return false
	}
	best.found, best.holder = true, s
	return true
}

// is tells whether a stored message looks like d. That a client has a message from before
// its retained copy was asked for, and not yet that copy, shows in nothing else.
func (w *seenMessage) is(d *delivery) bool {
	ids := slices.Clone(w.SubIDs)
	if len(ids) == 0 && w.SubID != 0 {
		ids = append(ids, w.SubID)
	}
	slices.Sort(ids)
	return w.QoS == d.qos && w.Retain == d.retain && slices.Equal(ids, d.ids)
}

// fits ranks the copies that w can be: those of other publications of the same message
// expire at another time, and those that are complete should not have come back.
func (w *seenMessage) fits(d *delivery) (rank int) {
	if w.Expires == d.m.expires {
		rank += 2
	}
	if !d.done() {
		rank++
	}
	return rank
}

// rightly gives a stored copy the PUBLISH that its holder has got, if that was taken for
// the copy of another shared subscription.
func (m *model) rightly(d *delivery) {
	his := func(r *receipt) bool { return r.k.state == d.holder && r.p.QoS > 0 }
	if slices.ContainsFunc(d.by, his) {
		return
	}
	for _, o := range m.shared {
		if o == d || o.m.topic != d.m.topic || o.m.payload != d.m.payload {
			continue
		}
		at := slices.IndexFunc(o.by, func(r *receipt) bool {
			return his(r) && m.differs(r, d) == "" && (!o.found || o.holder != d.holder)
		})
		back := slices.IndexFunc(d.by, func(r *receipt) bool {
			return slices.Contains(o.members, r.k.state) && m.differs(r, o) == ""
		})
		switch {
		case at < 0:
		case len(d.by) == 0:
			o.by[at].d = d
			d.by = append(d.by, o.by[at])
			o.by = slices.Delete(o.by, at, at+1)
			return
		case back >= 0:
			d.by[back], o.by[at] = o.by[at], d.by[back]
			d.by[back].d, o.by[at].d = d, o
			return
		}
	}
}

func (m *model) surviveShared() {
	for _, d := range m.shared {
		if d.found {
			m.rightly(d)
		}
	}
	for _, d := range m.shared {
		d.undo()
		switch {
		case d.found:
			if slices.ContainsFunc(d.by, func(r *receipt) bool { return r.p.QoS < 2 }) {
				d.more = max(d.more, len(d.by))
			}
		case d.m.confirmed && !d.optional && !d.done() && !d.m.expired(m.now):
			m.lost(d, nil, d.key)
		default:
			d.optional = true
		}
	}
}

func (m *model) surviveWill(s *state, got *seen) {
	w, ok := got.wills[s.sid]
	old := s.will
	if old != nil && old.sure && !ok {
		m.fail(Durable, "the Will Message of %s is lost", s.id)
	}
	s.will = nil
	if !ok {
		return
	}
	var known *will
	for _, c := range s.wills {
		if c.m.payload == string(w.Msg.Payload) && c.m.topic == w.Msg.Topic {
			known = c
		}
	}
	if known == nil {
		m.fail(Durable, "%s has a Will Message that it never gave", s.id)
		return
	}
	if known.over {
		m.fail(Durable, "the Will Message of %s has come back that a later CONNECT has ended", s.id)
	}
	again := *known
	again.decided, again.sure = false, true
	due := w.Due
	if due == 0 {
		due = m.now + int64(w.Delay)*1e9
	}
	again.due = max(due, m.now+tick)
	s.will = &again
}

func (m *model) surviveRetained(got map[string]*session.Message) {
	for topic := range got {
		if m.stored[topic] == nil {
			m.fail(Durable, "a retained message of %q is there that nobody has published", topic)
			return
		}
	}
	m.retained = map[string]*message{}
	for _, topic := range slices.Sorted(maps.Keys(m.stored)) {
		h := m.stored[topic]
		first := 0
		for i, one := range h.values {
			if one != nil && one.confirmed {
				first = i
			}
		}
		here, ok := got[topic]
		at := slices.IndexFunc(h.values[first:], func(one *message) bool {
			switch {
			case one == nil || one.payload == "":
				return !ok
			case !ok:
				return one.expired(m.now)
			}
			return one.payload == string(here.Payload)
		})
		if at < 0 {
			m.fail(Durable, "the retained message of %q is not the last one that was acknowledged", topic)
			return
		}
		now := h.values[first+at]
		for _, one := range h.values {
			if one != nil && one != now && one.retainedTo == 0 {
				one.retainedTo = m.event
			}
		}
		m.stored[topic] = &history[*message]{values: []*message{now}}
		if now != nil && now.payload != "" && ok {
			now.retainedTo = 0
			m.retained[topic] = now
		}
	}
}
