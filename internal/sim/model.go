package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// model is MQTT delivery, written down in the plainest way. It is told, in the broker's
// order, which packets the broker has taken and which connections have ended, and knows
// from that which copies of which messages must come to whom, and how they must look. It
// shares no code with the broker but that of packets.
type model struct {
	now      int64
	event    int // counts what happens
	shards   int
	sessions map[string]*state // those that exist now
	every    []*state          // those that the journal may still know
	retained map[string]*message
	stored   map[string]*history[*message] // of each topic: what may be retained after a crash
	known    map[string][]*message         // by topic and payload
	shared   []*delivery                   // copies for shared subscriptions
	leaving  []*state                      // those that timers of the turn at hand have ended
	last     map[stream]int
	limited  bool // queues are: what they drop is not followed over crashes
	crashes  int
	allow    int // copies that the broker has counted as dropped, and that no one misses yet
	fail     func(promise Promise, format string, args ...any)
}

// state is a Session.
type state struct {
	id       string
	sid      uint64 // in the journal
	link     *link  // nil while offline
	subs     map[string]*sub
	subLog   map[string]*history[*sub]
	had      map[string][]*sub // all that it ever had
	expiry   uint32
	ends     int64 // unix nanoseconds; 0 is never, or online
	will     *will
	wills    []*will             // all that its client has given
	accepted map[uint16]*message // QoS 2 messages that were not released
	released map[uint16]bool     // ... and identifiers whose PUBCOMP has not arrived
	acks     map[uint16]*message // the last message published with an identifier
	copies   []*delivery         // in the order of their routing
	inflight map[uint16]*receipt
	over     bool // it has ended
	gone     bool // ... and cannot come back
	sure     bool // it is durable, and not over
}

// sub is a subscription.
type sub struct {
	filter            string
	qos               byte
	noLocal, asPubl   bool
	id                uint32
	event             int
	share, bareFilter string
}

// message is an Application Message that the broker has taken.
type message struct {
	n            int
	from         string // Client Identifier
	topic        string
	payload      string
	props        string // as they must travel on
	qos          byte
	retain       bool
	hasExpiry    bool
	expires      int64 // unix nanoseconds; 0 is never
	interval     uint32
	confirmed    bool // its publisher knows
	copies       int
	retainedFrom int // event; 0 is never
	retainedTo   int // event; 0 is not yet
}

// will is a Will Message.
type will struct {
	m       message
	delay   uint32
	due     int64
	sure    bool // its client has its CONNACK
	decided bool // published, or given up
	over    bool // ... and its client knows
}

// delivery is one copy of a message: for a session, or for one member of a shared
// subscription.
type delivery struct {
	m        *message
	qos      byte
	retain   bool
	ids      []uint32
	event    int
	link     *link      // at its routing, when the client had been let in
	replay   *sub       // a retained message for this subscription
	on       *link      // at its routing
	key      string     // of a shared subscription
	members  []*state   // of it, at any time since
	by       []*receipt // what clients have got of it
	more     int        // how often it may come again
	optional bool       // it may never come
	found    bool       // the journal has it
	holder   *state     // ... for this session
}

// receipt is a PUBLISH that a client has got. Where several copies could have brought it,
// which one did may be decided anew when others come.
type receipt struct {
	k    *link
	p    *packet.Publish
	d    *delivery
	done bool // the broker has taken its last acknowledgement
}

// got tells whether a client has it.
func (d *delivery) got() bool { return len(d.by) > 0 }

// done tells that the broker has taken its last acknowledgement.
func (d *delivery) done() bool { return d.got() && d.by[len(d.by)-1].done }

// stream is what must arrive in order.
type stream struct {
	to           *state
	from, topic  string
	qos, granted byte
}

// history is what a durable value may be after a crash: any from the last that is sure.
type history[T any] struct {
	values []T
	first  int // number of the first
}

// add appends a value and returns its number.
func (h *history[T]) add(v T) int {
	h.values = append(h.values, v)
	return h.first + len(h.values) - 1
}

// sure makes value n the first possible one.
func (h *history[T]) sure(n int) {
	if n > h.first {
		h.values, h.first = h.values[n-h.first:], n
	}
}

func newModel(fail func(Promise, string, ...any)) *model {
	return &model{
		sessions: map[string]*state{}, retained: map[string]*message{}, known: map[string][]*message{},
		stored: map[string]*history[*message]{}, last: map[stream]int{}, fail: fail,
	}
}

func newState(id string) *state {
	return &state{
		id: id, subs: map[string]*sub{}, subLog: map[string]*history[*sub]{}, had: map[string][]*sub{}, accepted: map[uint16]*message{},
		released: map[uint16]bool{}, acks: map[uint16]*message{}, inflight: map[uint16]*receipt{},
	}
}

const neverExpires = 0xFFFFFFFF

// take is a packet that the broker has taken from k.
func (m *model) take(k *link, p packet.Packet) {
	m.event++
	if c, ok := p.(*packet.Connect); ok {
		m.connect(k, c)
		return
	}
	s := k.state
	switch p := p.(type) {
	case *packet.Publish:
		m.publish(k, p)
	case *packet.Subscribe:
		k.changes = nil
		for i := range p.Filters {
			m.subscribe(k, &p.Filters[i], p.Properties.SubscriptionIDs)
		}
		k.asked(p.ID)
	case *packet.Unsubscribe:
		k.changes = nil
		for _, f := range p.Filters {
			m.unsubscribe(k, string(f))
		}
		k.asked(p.ID)
	case *packet.Puback:
		m.acknowledged(s, p.ID, true)
	case *packet.Pubrec:
		m.acknowledged(s, p.ID, false)
	case *packet.Pubcomp:
		m.acknowledged(s, p.ID, true)
	case *packet.Pubrel:
		if s.accepted[p.ID] != nil {
			delete(s.accepted, p.ID)
			s.released[p.ID] = true
		}
	case *packet.Disconnect:
		if p.Properties.Has(packet.PropSessionExpiry) {
			m.setExpiry(s, p.Properties.SessionExpiry)
		}
		m.detach(k, p.Code == packet.Success)
	}
}

func (m *model) connect(k *link, p *packet.Connect) {
	s := m.sessions[string(p.ClientID)]
	if s != nil && s.link != nil {
		m.detach(s.link, false)
		s = m.sessions[string(p.ClientID)]
	}
	if s != nil && p.CleanStart {
		m.end(s)
		s = nil
	}
	k.present = s != nil
	if s == nil {
		s = newState(string(p.ClientID))
		m.sessions[s.id] = s
		m.every = append(m.every, s)
	}
	k.state, s.link, s.ends = s, k, 0
	if s.will != nil {
		s.will.decided = true
		s.will = nil
	}
	k.before = slices.Clone(s.wills)
	if p.Will != nil {
		s.will = newWill(s.id, p.Will)
		s.wills = append(s.wills, s.will)
	}
	switch {
	case p.Version == packet.V5:
		m.setExpiry(s, p.Properties.SessionExpiry)
	case p.CleanStart:
		m.setExpiry(s, 0)
	default:
		m.setExpiry(s, neverExpires)
	}
}

func newWill(from string, p *packet.Will) *will {
	props := p.Properties
	w := &will{delay: props.WillDelay}
	w.m = message{
		from: from, topic: string(p.Topic), payload: string(p.Payload), qos: p.QoS, retain: p.Retain,
		props: travelling(&props), hasExpiry: props.Has(packet.PropMessageExpiry), interval: props.MessageExpiry,
	}
	return w
}

// travelling are the properties of a message that its subscribers get as they are.
func travelling(p *packet.Properties) string {
	q := *p
	for _, id := range []packet.PropertyID{packet.PropWillDelay, packet.PropMessageExpiry, packet.PropTopicAlias, packet.PropSubscriptionID} {
		q.Unmark(id)
	}
	return string(q.AppendTo(nil))
}

func (m *model) setExpiry(s *state, seconds uint32) {
	s.expiry = seconds
	if seconds == 0 {
		s.sure = false
	} else {
		s.gone = false
	}
}

// detach is the end of a connection that had a session.
func (m *model) detach(k *link, graceful bool) {
	s := k.state
	if k.ended {
		return
	}
	k.ended = true
	if s == nil || s.link != k {
		return
	}
	s.link = nil
	for _, d := range s.copies {
		if d.qos == 0 && !d.got() || d.replay != nil && s.expiry == 0 {
			d.optional = true
		}
	}
	switch w := s.will; {
	case w == nil:
	case graceful:
		w.decided = true
		s.will = nil
	case w.delay == 0 || s.expiry == 0:
		m.publishWill(s)
	default:
		w.due = m.now + int64(w.delay)*1e9
	}
	if s.expiry == 0 {
		m.end(s)
		return
	}
	if s.expiry != neverExpires {
		s.ends = m.now + int64(s.expiry)*1e9
	}
}

func (m *model) publishWill(s *state) {
	w := s.will
	s.will = nil
	w.decided = true
	one := w.m
	m.route(&one)
}

// end discards a session.
func (m *model) end(s *state) {
	if s.will != nil {
		m.publishWill(s)
	}
	s.over, s.sure = true, false
	delete(m.sessions, s.id)
	m.leaving = append(m.leaving, s)
	for _, d := range m.shared {
		if slices.Contains(d.members, s) {
			d.optional = true
			if s.unfinished(d) && slices.ContainsFunc(s.due(d), func(l look) bool { return l.qos == 1 }) {
				d.more++ // another member gets it
			}
		}
	}
}

// unfinished tells whether s may not have acknowledged d. A copy of the same message by an
// ordinary subscription looks the same: either may be the one that was acknowledged.
func (s *state) unfinished(d *delivery) bool {
	return !d.done() || slices.ContainsFunc(s.copies, func(o *delivery) bool {
		return o.m.topic == d.m.topic && o.m.payload == d.m.payload && o.got() && !o.done()
	})
}

// timers does what is due on a shard.
func (m *model) timers(shard int) {
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		s := m.sessions[id]
		if s == nil || s.link != nil || home(id, m.shards) != shard {
			continue
		}
		m.event++
		if s.will != nil && m.now >= s.will.due {
			m.publishWill(s)
		}
		if s.ends != 0 && m.now >= s.ends {
			m.end(s)
		}
	}
}

// home is the shard where the sessions of a Client Identifier live.
func home(id string, shards int) int {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return int((h ^ h>>32) % uint64(shards))
}

func (one *message) expired(now int64) bool { return one.expires != 0 && one.expires <= now }

func (one *message) String() string {
	return fmt.Sprintf("%q %.24q of %s at QoS %d", one.topic, one.payload, one.from, one.qos)
}

// matches tells whether a Topic Filter, without $share, matches a Topic Name. §4.7
func matches(filter, name string) bool {
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	for i, level := range f {
		switch {
		case level == "#":
			return true
		case i >= len(n):
			return false
		case level != "+" && level != n[i]:
			return false
		}
	}
	return len(f) == len(n)
}
