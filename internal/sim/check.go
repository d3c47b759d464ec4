package sim

import (
	"fmt"
	"slices"

	"github.com/wirebird/wirebird/packet"
)

// Promise names what a run has found broken.
type Promise string

// The promises.
const (
	Published   Promise = "a message comes from a publisher"
	Subscribed  Promise = "a message goes to those who subscribe"
	QoSKept     Promise = "the QoS is the lower of publication and subscription"
	RetainKept  Promise = "the RETAIN flag follows the subscription"
	PropsKept   Promise = "properties travel unchanged"
	ExpiryKept  Promise = "the Message Expiry Interval shrinks with time"
	IDsKept     Promise = "the Subscription Identifiers are those that match"
	Once        Promise = "a message comes once"
	Delivered   Promise = "a message arrives"
	Ordered     Promise = "messages of a publisher, a topic and a QoS keep their order"
	OneMember   Promise = "one member of a shared subscription gets a message"
	WillKept    Promise = "a Will Message goes out when it should, and not else"
	Protocol    Promise = "the protocol is kept"
	Balanced    Promise = "every copy is accounted for"
	Bounded     Promise = "a slow reader costs its buffer"
	Durable     Promise = "what is acknowledged survives"
	Settles     Promise = "everything comes to rest"
	Recoverable Promise = "the broker starts again"
)

// deliver checks a PUBLISH that k's client has got. repeat tells that the client knows
// the identifier of a QoS 2 message and does not count it.
func (m *model) deliver(k *link, p *packet.Publish, repeat bool) {
	s, topic, payload := k.state, string(p.Topic), string(p.Payload)
	if s == nil {
		m.fail(Protocol, "%s gets %.24q before its CONNECT has arrived", k.name, payload)
		return
	}
	if r := s.inflight[p.ID]; p.QoS > 0 && r != nil && (repeat || p.QoS == 1 && p.Dup) {
		if d := r.d; d.m.topic != topic || d.m.payload != payload || r.p.QoS != p.QoS {
			m.fail(Protocol, "%s: %q %.24q comes with identifier %d, which belongs to %v", k.name, topic, payload, p.ID, d.m)
		} else if !p.Dup {
			m.fail(Protocol, "%s: %v is sent again without DUP", k.name, d.m)
		}
		return
	}
	if repeat {
		m.fail(Protocol, "%s: %q %.24q has the identifier %d of a message that was not released", k.name, topic, payload, p.ID)
		return
	}
	r := &receipt{k: k, p: p}
	if !m.assign(r, map[*delivery]bool{}, true) && !m.assign(r, map[*delivery]bool{}, false) && !m.newer(r) {
		list := m.candidates(r)
		if len(list) == 0 || !m.repeated(list[0].m) {
			m.explain(r)
			return
		}
		r.d = list[0]
	}
	m.checkExpiry(r)
	m.checkOrder(s, r)
	if p.QoS > 0 {
		s.inflight[p.ID] = r
	}
}

// assign finds a copy that r can be. One that another PUBLISH was taken for is free when
// that can have been another copy. must is for copies that have to come and have not.
func (m *model) assign(r *receipt, tried map[*delivery]bool, must bool) bool {
	for _, d := range m.candidates(r) {
		if tried[d] || m.differs(r, d) != "" {
			continue
		}
		tried[d] = true
		if len(d.by) <= d.more && (!must || d.rank(r) == 0 && !d.got()) {
			d.by = append(d.by, r)
			r.d = d
			return true
		}
		for i, other := range d.by {
			if m.assign(other, tried, must) {
				d.by = append(slices.Delete(d.by, i, i+1), r)
				r.d = d
				return true
			}
		}
	}
	return false
}

// candidates are the copies of r's message that r's client may get.
func (m *model) candidates(r *receipt) (list []*delivery) {
	is := func(d *delivery) bool { return d.m.topic == string(r.p.Topic) && d.m.payload == string(r.p.Payload) }
	for _, d := range r.k.state.copies {
		if is(d) {
			list = append(list, d)
		}
	}
	for _, d := range m.shared {
		if is(d) && slices.Contains(d.members, r.k.state) {
			list = append(list, d)
		}
	}
	slices.SortStableFunc(list, func(a, b *delivery) int { return a.rank(r) - b.rank(r) })
	return list
}

// rank orders copies: first those that must come.
func (d *delivery) rank(r *receipt) int {
	if d.optional || d.key == "" && d.qos == 0 && d.on != r.k {
		return 1
	}
	return 0
}

// cover tells whether a client has got d's message by a copy that its publisher's repeat
// has made: which of them came cannot be told.
func (m *model) cover(d *delivery, s *state) bool {
	if m.spare(d, s) || s == nil && m.repeated(d.m) {
		return true
	}
	if !m.repeated(d.m) {
		return false
	}
	list := m.shared
	if s != nil {
		list = s.copies
	}
	return slices.ContainsFunc(list, func(o *delivery) bool {
		return o.got() && o.key == d.key && o.m.topic == d.m.topic && o.m.payload == d.m.payload
	})
}

// repeated tells that a message was taken several times: its publisher did not know
// whether it had arrived, or it has no payload that tells it from others.
func (m *model) repeated(one *message) bool { return len(m.known[one.topic+"\x00"+one.payload]) > 1 }

// spare tells whether a PUBLISH that was taken for a copy that need not come can have
// been d.
func (m *model) spare(d *delivery, s *state) bool {
	members := d.members
	if s != nil {
		members = []*state{s}
	}
	list := slices.Clone(m.shared)
	for _, s := range members {
		list = append(list, s.copies...)
	}
	for _, o := range list {
		if o == d || o.m.topic != d.m.topic || o.m.payload != d.m.payload || !o.optional && len(o.by) < 2 {
			continue
		}
		for _, r := range o.by {
			if slices.Contains(members, r.k.state) && m.differs(r, d) == "" {
				return true
			}
		}
	}
	return false
}

// explain says what is wrong with a PUBLISH that is no copy of anything.
func (m *model) explain(r *receipt) {
	s, p := r.k.state, r.p
	topic, payload := string(p.Topic), string(p.Payload)
	known := m.known[topic+"\x00"+payload]
	if len(known) == 0 {
		m.fail(m.unknown(topic), "%s gets %q %.24q, which nobody has published", s.id, topic, payload)
		return
	}
	list := m.candidates(r)
	for _, d := range list {
		if wrong := m.differs(r, d); wrong != "" && len(d.by) <= d.more {
			m.fail(wrong, "%s gets %v with %v; due is %v", s.id, d.m, look{p.QoS, p.Retain, p.Properties.SubscriptionIDs}, s.due(d)[0])
			return
		}
	}
	switch {
	case len(list) > 0 && slices.ContainsFunc(list, func(d *delivery) bool { return d.key != "" && d.by[0].k.state != s }):
		m.fail(OneMember, "%s gets %v, which another member has", s.id, known[0])
	case len(list) > 0:
		m.fail(Once, "%s gets %v again", s.id, known[0])
	default:
		m.fail(Subscribed, "%s gets %v, to which it does not subscribe", s.id, known[0])
	}
}

// unknown is the promise that a message out of nothing breaks.
func (m *model) unknown(topic string) Promise {
	if len(topic) > 2 && topic[:2] == "w/" {
		return WillKept
	}
	return Published
}

// due is how a copy must look for s: by the subscription at its routing or, when it is
// shared, by any that s has had since, as it may have been given to s later.
func (s *state) due(d *delivery) (list []look) {
	if d.key == "" {
		return []look{{d.qos, d.retain, d.ids}}
	}
	for _, u := range slices.Backward(s.had[d.key]) {
		l := look{qos: min(u.qos, d.m.qos), retain: d.m.retain && u.asPubl}
		if u.id != 0 {
			l.ids = []uint32{u.id}
		}
		list = append(list, l)
	}
	return list
}

// look is what differs between the copies of a message.
type look struct {
	qos    byte
	retain bool
	ids    []uint32
}

func (l look) String() string { return fmt.Sprintf("QoS %d retain=%v ids=%v", l.qos, l.retain, l.ids) }

// differs names the promise that r breaks if it is d.
func (m *model) differs(r *receipt, d *delivery) (wrong Promise) {
	for _, due := range r.k.state.due(d) {
		if wrong = m.differsFrom(r, d, due); wrong == "" {
			break
		}
	}
	return wrong
}

func (m *model) differsFrom(r *receipt, d *delivery, due look) Promise {
	p, v5 := r.p, r.k.version == packet.V5
	got := slices.Clone(p.Properties.SubscriptionIDs)
	slices.Sort(got)
	switch {
	case p.QoS != due.qos:
		return QoSKept
	case p.Retain != due.retain:
		return RetainKept
	case v5 && !slices.Equal(got, due.ids):
		return IDsKept
	case v5 && travelling(&p.Properties) != d.m.props:
		return PropsKept
	case v5 && p.Properties.Has(packet.PropMessageExpiry) != d.m.hasExpiry:
		return ExpiryKept
	}
	return ""
}

// newer tells whether p is a retained message that has replaced, before it was sent, the
// one that a subscription was to bring.
func (m *model) newer(r *receipt) bool {
	p := r.p
	for _, d := range r.k.state.copies {
		if !p.Retain || d.replay == nil || len(d.by) > 1 || d.m.topic != string(p.Topic) {
			continue
		}
		for _, one := range m.known[string(p.Topic)+"\x00"+string(p.Payload)] {
			if one.retainedFrom >= d.event && min(one.qos, d.replay.qos) == p.QoS && m.free(d) {
				d.by = append(d.by, r)
				r.d = &delivery{m: one, qos: p.QoS, replay: d.replay, by: d.by}
				return true
			}
		}
	}
	return false
}

// free tells whether d has not come: what was taken for it may have been another copy.
func (m *model) free(d *delivery) bool {
	if !d.got() {
		return true
	}
	if r := d.by[0]; r.d != d || !m.assign(r, map[*delivery]bool{d: true}, false) {
		return false
	}
	d.by = nil
	return true
}

// checkExpiry compares the Message Expiry Interval with the time that is left: between
// what it is now and what it was when the message was routed.
func (m *model) checkExpiry(r *receipt) {
	k, d, p := r.k, r.d, r.p
	if k.version != packet.V5 || !p.Properties.Has(packet.PropMessageExpiry) {
		return
	}
	got := int64(p.Properties.MessageExpiry)
	if len(m.candidates(r)) > 1 && len(p.Payload) == 0 {
		return // several messages without a payload cannot be told apart
	}
	expires := d.m.expires
	for _, same := range m.known[d.m.topic+"\x00"+d.m.payload] { // its publisher's repeat may be what came
		expires = min(expires, same.expires)
	}
	least := max(0, (expires-m.now+999_999_999)/1_000_000_000)
	if got < least || got > int64(d.m.interval) {
		m.fail(ExpiryKept, "%s gets %v with %d s left of %d; due are at least %d", k.name, d.m, got, d.m.interval, least)
	}
	if got == 0 && d.m.interval > 0 && p.QoS > 0 && !p.Dup {
		m.fail(ExpiryKept, "%s gets %v after it has expired", k.name, d.m)
	}
}

// checkOrder is for the first copies of ordinary subscriptions.
func (m *model) checkOrder(s *state, r *receipt) {
	d := r.d
	if d.replay != nil || d.key != "" || len(d.by) > 1 {
		return
	}
	at := stream{s, d.m.from, d.m.topic, d.m.qos, d.qos}
	if len(m.candidates(r)) > 1 {
		return // another copy may be what came
	}
	if d.m.n < m.last[at] {
		m.fail(Ordered, "%s gets %v after a later one", s.id, d.m)
		return
	}
	m.last[at] = max(m.last[at], d.m.n)
}

// confirmed is an acknowledgement that k's client has got.
func (m *model) confirmed(k *link, p packet.Packet) {
	s := k.state
	if s == nil {
		m.fail(Protocol, "%s gets %v before its CONNECT has arrived", k.name, p)
		return
	}
	switch p := p.(type) {
	case *packet.Connack:
		m.admitted(k, p)
	case *packet.Puback:
		m.confirm(k, p.ID, p.Code)
	case *packet.Pubrec:
		m.confirm(k, p.ID, p.Code)
	case *packet.Pubcomp:
		delete(s.released, p.ID)
	case *packet.Suback:
		m.changed(k, p.ID)
	case *packet.Unsuback:
		m.changed(k, p.ID)
	}
}

func (m *model) admitted(k *link, p *packet.Connack) {
	s := k.state
	if k.version != packet.V31 && p.SessionPresent != k.present {
		m.fail(Protocol, "%s: Session Present is %v, want %v", k.name, p.SessionPresent, k.present)
	}
	for _, old := range m.every { // in the order of their creation
		if old == s {
			break // a late CONNECT may have made another since
		}
		if old.id == s.id {
			old.gone = true
		}
	}
	for _, w := range k.before {
		w.over = true
	}
	if s.link != k {
		return
	}
	s.sure = s.expiry > 0
	if s.will != nil {
		s.will.sure = true
	}
}

func (m *model) confirm(k *link, id uint16, code packet.ReasonCode) {
	one := k.state.acks[id]
	if one == nil {
		m.fail(Protocol, "%s: identifier %d is acknowledged, and no message with it has arrived", k.name, id)
		return
	}
	if code >= 0x80 {
		m.fail(Protocol, "%s: %v is refused with %v", k.name, one, code)
	}
	if code == packet.NoMatchingSubscribers && one.copies > 0 {
		m.fail(Protocol, "%s: %v goes to nobody, it is said, and %d subscribe", k.name, one, one.copies)
	}
	one.confirmed = true
}

// changed: the client knows that its subscriptions have changed.
func (m *model) changed(k *link, id uint16) {
	list, ok := k.requests[id]
	if !ok {
		m.fail(Protocol, "%s: identifier %d is acknowledged, and no request with it has arrived", k.name, id)
	}
	delete(k.requests, id)
	for _, c := range list {
		c.log.sure(c.n)
	}
}

// missing are the copies that should have come by now, when nothing is under way.
func (m *model) missing() (list []*delivery, whose []string) {
	add := func(d *delivery, who *state, name string) {
		if !d.got() && !d.optional && !d.m.expired(m.now) && !m.cover(d, who) {
			list, whose = append(list, d), append(whose, name)
		}
	}
	m.excuse() // first of all: a copy that need not come may have come in place of another
	for _, s := range m.every {
		if s.over {
			continue
		}
		for _, d := range s.copies {
			add(d, s, s.id)
		}
	}
	for _, d := range m.shared {
		add(d, nil, d.key)
	}
	return list, whose
}

// excuse marks the copies that need not come any more: those at QoS 0 for a connection that
// has ended, and retained messages that were replaced.
func (m *model) excuse() {
	for _, s := range m.every {
		for _, d := range s.copies {
			if d.qos == 0 && (d.link == nil || d.link != s.link) || d.replay != nil && d.m.retainedTo != 0 {
				d.optional = true
			}
		}
	}
}
