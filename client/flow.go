package client

import (
	"errors"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// errNoPacketID is what becomes of a request when 65,535 others are open.
var errNoPacketID = errors.New("all packet identifiers are in use")

// A flow is the client's half of a session: packet identifiers, QoS 1 and QoS 2
// both ways, the server's limits and what has to be sent again. It does no I/O,
// reads no clock and is guarded by its owner. Packets to send are appended to
// the output in order; they must be encoded before the next call.
type flow struct {
	version     packet.Version
	receiveMax  int // what we told the server
	aliasMax    int // likewise
	maxInflight int // our own limit, 0 is none

	online bool
	epoch  int // counts connections
	limits limits

	// Messages to the server that are not acknowledged, in the order of
	// publishing. Those before next were sent on this connection.
	head, tail, next *outbound
	quota            int // how many more may be sent now
	ids              map[uint16]*outbound
	lastID           uint16

	requests []*request     // SUBSCRIBE and UNSUBSCRIBE without an answer
	subs     []Subscription // what the server granted

	aliases   []string            // the server's, of this connection
	unrel     map[uint16]*inbound // QoS 2 messages without their PUBREL
	receiving int                 // messages of this connection not acknowledged
}

// limits are the server's, from CONNACK.
type limits struct {
	receiveMax    int
	maxPacketSize uint32 // 0 is none
	maxQoS        byte
	noRetain      bool
	aliasMax      uint16
}

// outbound is a QoS 1 or QoS 2 message on its way to the server.
type outbound struct {
	pub        packet.Publish
	token      *Token
	epoch      int  // connection it was last sent on, 0 is none
	resent     bool // this session has seen it: DUP next time
	released   bool // PUBREC came
	code       packet.ReasonCode
	finished   bool
	prev, next *outbound
}

// inbound is a message on its way to OnMessage.
type inbound struct {
	msg     Message
	epoch   int // connection it was last received on
	handled bool
}

// request is a SUBSCRIBE or UNSUBSCRIBE on its way to the server and back.
type request struct {
	id        uint16
	pkt       packet.Packet
	subs      []Subscription // of a SUBSCRIBE
	filters   []string       // of an UNSUBSCRIBE
	token     *Token         // nil: nobody waits
	completed bool           // token was told
	codes     []packet.ReasonCode
	again     bool // made by us, after the server lost the session
}

// output is what a step of the flow leads to.
type output struct {
	send    []packet.Packet
	deliver *inbound
	refused []string // filters that could not be subscribed to again
}

func newFlow(o *Options) *flow {
	f := &flow{
		version:     o.Version,
		receiveMax:  int(o.ReceiveMax),
		aliasMax:    int(o.TopicAliasMax),
		maxInflight: o.MaxInflight,
		ids:         make(map[uint16]*outbound),
		unrel:       make(map[uint16]*inbound),
	}
	if f.receiveMax == 0 || f.version != packet.V5 {
		f.receiveMax = 65535
	}
	return f
}

// connected starts a connection: it sends again what the server may not have.
// Without a session on the server the granted subscriptions are asked for
// again, and messages the lost session had taken over count as delivered.
func (f *flow) connected(sessionPresent bool, l limits, out *output) {
	f.epoch++
	f.online, f.limits = true, l
	f.quota = l.receiveMax
	if f.maxInflight > 0 {
		f.quota = min(f.quota, f.maxInflight)
	}
	f.receiving = 0
	f.aliases = f.aliases[:0]
	f.next = f.head
	for m := f.head; m != nil && !sessionPresent; {
		next := m.next
		m.resent = false
		if m.released {
			f.finish(m, m.code, nil)
		}
		m = next
	}
	if !sessionPresent {
		clear(f.unrel)
		f.resubscribe(out)
	}
	f.requests = dropAbandoned(f.requests)
	for _, r := range f.requests {
		out.send = append(out.send, r.pkt)
	}
	f.pump(out)
}

// lost ends a connection.
func (f *flow) lost() { f.online = false }

// publish takes a QoS 1 or QoS 2 message. Its token completes with the
// acknowledgement, however many connections that takes.
func (f *flow) publish(p packet.Publish, t *Token, out *output) *outbound {
	m := &outbound{pub: p, token: t, prev: f.tail}
	if f.tail == nil {
		f.head = m
	} else {
		f.tail.next = m
	}
	f.tail = m
	if f.next == nil {
		f.next = m
	}
	f.pump(out)
	return m
}

// withdraw forgets a message that no connection has seen, and reports whether
// it could.
func (f *flow) withdraw(m *outbound, err error) bool {
	if m.epoch != 0 || m.finished {
		return false
	}
	f.finish(m, packet.UnspecifiedError, err)
	return true
}

// allows reports why the server would refuse p.
func (f *flow) allows(p *packet.Publish) error {
	size := packet.PublishSize(f.version, p.QoS, len(p.Topic), p.Properties.Size(), len(p.Payload))
	switch l := &f.limits; {
	case p.QoS > l.maxQoS:
		return &packet.Error{Code: packet.QoSNotSupported, Rule: "MQTT-3.2.2-11"}
	case p.Retain && l.noRetain:
		return &packet.Error{Code: packet.RetainNotSupported, Rule: "MQTT-3.2.2-14"}
	case l.maxPacketSize != 0 && size > int(l.maxPacketSize):
		return &packet.Error{Code: packet.PacketTooLarge, Rule: "MQTT-3.2.2-15"}
	case p.Properties.Has(packet.PropTopicAlias) && p.Properties.TopicAlias > l.aliasMax:
		return &packet.Error{Code: packet.TopicAliasInvalid, Rule: "MQTT-3.2.2-17"}
	}
	return nil
}

// pump sends what the server's Receive Maximum lets through [MQTT-3.3.4-9].
func (f *flow) pump(out *output) {
	for f.online && f.next != nil {
		m := f.next
		if m.released {
			out.send = append(out.send, &packet.Pubrel{ID: m.pub.ID})
			f.next = m.next
			continue
		}
		if f.quota == 0 {
			return
		}
		if err := f.allows(&m.pub); err != nil {
			f.finish(m, packet.ReasonOf(err), err)
			continue
		}
		if m.pub.ID == 0 {
			if m.pub.ID = f.newID(); m.pub.ID == 0 {
				return // until one comes back
			}
			m.token.packetID.Store(uint32(m.pub.ID))
			f.ids[m.pub.ID] = m
		}
		m.pub.Dup = m.resent // [MQTT-3.3.1-1]
		m.resent, m.epoch = true, f.epoch
		f.quota--
		f.next = m.next
		out.send = append(out.send, &m.pub)
	}
}

// finish completes a message and forgets it.
func (f *flow) finish(m *outbound, code packet.ReasonCode, err error) {
	if f.next == m {
		f.next = m.next
	}
	if m.prev == nil {
		f.head = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		f.tail = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.prev, m.next, m.finished = nil, nil, true
	if m.pub.ID != 0 {
		delete(f.ids, m.pub.ID)
	}
	if f.online && m.epoch == f.epoch {
		f.quota++
	}
	m.token.complete(code, err)
}

// newID returns a packet identifier that nothing uses, 0 if there is none.
func (f *flow) newID() uint16 {
	for range 65535 {
		f.lastID++
		if f.lastID == 0 {
			f.lastID = 1 // [MQTT-2.2.1-3]
		}
		if f.ids[f.lastID] == nil && f.requestOf(f.lastID) < 0 {
			return f.lastID
		}
	}
	return 0
}

// receive takes any packet from the server but those of the connection itself:
// CONNACK, PINGRESP, DISCONNECT and AUTH.
func (f *flow) receive(p packet.Packet, out *output) error {
	switch p := p.(type) {
	case *packet.Publish:
		return f.receivePublish(p, out)
	case *packet.Pubrel:
		f.receivePubrel(p, out)
	case *packet.Puback:
		if m := f.ids[p.ID]; m != nil && m.pub.QoS == 1 {
			f.acknowledged(m, p.Code, out)
		}
	case *packet.Pubrec:
		f.receivePubrec(p, out)
	case *packet.Pubcomp:
		if m := f.ids[p.ID]; m != nil && m.released {
			// Whatever the code, the server has no message of this identifier
			// any more, and it had said PUBREC.
			f.finish(m, m.code, nil)
			f.pump(out)
		}
	case *packet.Suback:
		return f.receiveSuback(p, out)
	case *packet.Unsuback:
		return f.receiveUnsuback(p, out)
	default:
		return &packet.Error{Code: packet.ProtocolError, Err: fmt.Errorf("unexpected %v", p.Type())}
	}
	return nil
}

func (f *flow) acknowledged(m *outbound, code packet.ReasonCode, out *output) {
	var err error
	if code >= packet.UnspecifiedError {
		err = &packet.Error{Code: code}
	}
	f.finish(m, code, err)
	f.pump(out)
}

func (f *flow) receivePubrec(p *packet.Pubrec, out *output) {
	m := f.ids[p.ID]
	switch {
	case m == nil || m.pub.QoS != 2:
		rel := &packet.Pubrel{ID: p.ID}
		if f.version == packet.V5 {
			rel.Code = packet.PacketIdentifierNotFound
		}
		out.send = append(out.send, rel)
	case p.Code >= packet.UnspecifiedError:
		f.acknowledged(m, p.Code, out)
	default:
		m.released = true
		m.code = p.Code
		out.send = append(out.send, &packet.Pubrel{ID: p.ID})
		if f.next == m { // it was answered before it was sent again
			f.next = m.next
			f.pump(out)
		}
	}
}

func (f *flow) receivePublish(p *packet.Publish, out *output) error {
	name, err := f.resolve(p)
	if err != nil {
		return err
	}
	if p.QoS == 2 {
		if old := f.unrel[p.ID]; old != nil { // [MQTT-4.3.3-10]
			if old.epoch != f.epoch {
				old.epoch = f.epoch
				f.receiving++
			}
			if old.handled {
				out.send = append(out.send, &packet.Pubrec{ID: p.ID})
			}
			return nil
		}
	}
	in := &inbound{msg: received(p, name), epoch: f.epoch}
	if p.QoS > 0 {
		if f.receiving >= f.receiveMax {
			return &packet.Error{Code: packet.ReceiveMaximumExceeded, Rule: "MQTT-3.3.4-9"}
		}
		f.receiving++
	}
	if p.QoS == 2 {
		f.unrel[p.ID] = in
	}
	in.msg.in = in
	out.deliver = in
	return nil
}

// resolve returns the Topic Name of p, which may have only an alias.
func (f *flow) resolve(p *packet.Publish) (string, error) {
	alias := 0
	if p.Properties.Has(packet.PropTopicAlias) {
		alias = int(p.Properties.TopicAlias)
		if alias == 0 || alias > f.aliasMax {
			return "", &packet.Error{Code: packet.TopicAliasInvalid, Rule: "MQTT-3.3.2-8"}
		}
		for len(f.aliases) <= alias {
			f.aliases = append(f.aliases, "")
		}
	}
	if len(p.Topic) > 0 {
		name := string(p.Topic)
		if alias > 0 {
			f.aliases[alias] = name
		}
		return name, nil
	}
	if alias == 0 || f.aliases[alias] == "" {
		return "", &packet.Error{Code: packet.ProtocolError, Err: errors.New("neither topic nor known alias")}
	}
	return f.aliases[alias], nil
}

// handled says that OnMessage has done with in. A QoS 1 message of an earlier
// connection is not acknowledged: the server sends it again, and its packet
// identifier may be another message's by then.
func (f *flow) handled(in *inbound, out *output) {
	if in.handled {
		return
	}
	in.handled = true
	if !f.online || in.epoch != f.epoch {
		return
	}
	switch id := in.msg.PacketID; {
	case in.msg.QoS == 1:
		f.receiving--
		out.send = append(out.send, &packet.Puback{ID: id})
	case in.msg.QoS == 2 && f.unrel[id] == in:
		out.send = append(out.send, &packet.Pubrec{ID: id})
	}
}

func (f *flow) receivePubrel(p *packet.Pubrel, out *output) {
	comp := &packet.Pubcomp{ID: p.ID}
	if in := f.unrel[p.ID]; in != nil {
		delete(f.unrel, p.ID)
		if in.epoch == f.epoch {
			f.receiving--
		}
	} else if f.version == packet.V5 {
		comp.Code = packet.PacketIdentifierNotFound
	}
	out.send = append(out.send, comp)
}

// fail completes everything that is open with err.
func (f *flow) fail(err error) {
	f.online = false
	for f.head != nil {
		f.finish(f.head, packet.UnspecifiedError, err)
	}
	for _, r := range f.requests {
		r.complete(packet.UnspecifiedError, err)
	}
	f.requests = nil
}
