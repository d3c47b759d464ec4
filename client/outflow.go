package client

import (
	"github.com/wirebird/wirebird/packet"
)

// maxAliases is how many Topic Aliases we assign, however many the server takes.
const maxAliases = 1000

// outbound is a message on its way to the server. Its topic, payload and
// properties do not change.
type outbound struct {
	Token
	client     *Client // nil in tests of the flow
	topic      string
	payload    []byte
	props      []byte // encoded, without Topic Alias
	alias      uint16 // the application's, 0 is none
	qos        byte
	retain     bool
	id         uint16
	epoch      int    // connection it was last sent on, 0 is none
	seq        uint64 // in the outbox, 0 is none
	stored     int64  // when, in unix nanoseconds
	resent     bool   // this session has seen it: DUP next time
	released   bool   // PUBREC came
	finished   bool
	prev, next *outbound
}

// publish takes a QoS 1 or QoS 2 message. Its token completes with the
// acknowledgement, however many connections that takes.
func (f *flow) publish(m *outbound, out *output) {
	m.prev = f.tail
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
}

// publish0 sends a QoS 0 message.
func (f *flow) publish0(m *outbound, out *output) error {
	if err := f.allows(m); err != nil {
		return err
	}
	f.encode(m, out)
	return nil
}

// withdraw forgets a message that no connection has seen, and reports whether
// it could.
func (f *flow) withdraw(m *outbound, err error) bool {
	if m.epoch != 0 || m.finished || m.seq != 0 {
		return false
	}
	f.finish(m, packet.UnspecifiedError, err)
	return true
}

// size is the length of the PUBLISH for m, without an alias of ours.
func (f *flow) size(m *outbound) int {
	n := len(m.props)
	if m.alias != 0 {
		n += aliasSize
	}
	return packet.PublishSize(f.version, m.qos, len(m.topic), n, len(m.payload))
}

const aliasSize = 3 // bytes of the property

// allows reports why the server would refuse m.
func (f *flow) allows(m *outbound) error {
	size := f.size(m)
	switch l := &f.limits; {
	case m.qos > l.maxQoS:
		return &packet.Error{Code: packet.QoSNotSupported, Rule: "MQTT-3.2.2-11"}
	case m.retain && l.noRetain:
		return &packet.Error{Code: packet.RetainNotSupported, Rule: "MQTT-3.2.2-14"}
	case l.maxPacketSize != 0 && size > int(l.maxPacketSize), size > packet.MaxSize:
		return &packet.Error{Code: packet.PacketTooLarge, Rule: "MQTT-3.2.2-15"}
	case m.alias > l.aliasMax && f.version == packet.V5:
		return &packet.Error{Code: packet.TopicAliasInvalid, Rule: "MQTT-3.2.2-17"}
	}
	return nil
}

// encode appends the PUBLISH for m. With aliases the Topic Name stays away once
// the server knows the alias.
func (f *flow) encode(m *outbound, out *output) {
	flags := m.qos << 1
	if m.retain {
		flags |= packet.FlagRetain
	}
	if m.resent {
		flags |= packet.FlagDup // [MQTT-3.3.1-1]
	}
	topic, alias, props := m.topic, m.alias, m.props
	switch {
	case f.version != packet.V5:
		alias = 0
	case alias != 0:
		f.ownAliases, f.aliases = true, nil
	case f.aliases != nil && f.roomForAlias(m):
		var known bool
		if alias, known = f.aliases.For(topic); known {
			topic = ""
			f.counts.alias++
		}
	}
	if alias != 0 {
		f.scratch = append(append(f.scratch[:0], props...), byte(packet.PropTopicAlias), byte(alias>>8), byte(alias))
		props = f.scratch
	}
	out.publish(flags, topic, m.id, props, m.payload)
	f.counts.published++
}

// roomForAlias reports whether m may grow by an alias.
func (f *flow) roomForAlias(m *outbound) bool {
	const most = aliasSize + 3 // the lengths before it may grow too
	limit := int(f.limits.maxPacketSize)
	return len(m.topic) > aliasSize && (limit == 0 || f.size(m)+most <= limit)
}

// pump sends what the server's Receive Maximum lets through [MQTT-3.3.4-7].
func (f *flow) pump(out *output) {
	for f.online && f.next != nil {
		m := f.next
		if m.released {
			out.ack(packet.PUBREL, m.id)
			f.next = m.next
			continue
		}
		if f.quota == 0 {
			return
		}
		if err := f.allows(m); err != nil {
			f.counts.refused++
			f.finish(m, packet.ReasonOf(err), err)
			continue
		}
		if m.id == 0 {
			if m.id = f.newID(); m.id == 0 {
				return // until one comes back
			}
			m.packetID.Store(uint32(m.id))
			f.ids.put(m)
			f.inflight++
		}
		if m.qos == 2 {
			f.foreign.claim(m.id, out)
		}
		if m.resent {
			f.counts.resent++
		}
		m.epoch = f.epoch
		f.quota--
		f.next = m.next
		f.encode(m, out)
		m.resent = true
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
	if m.id != 0 {
		f.ids.remove(m)
		f.inflight--
	}
	if f.online && m.epoch == f.epoch {
		f.quota++
	}
	m.complete(code, err)
}

func (f *flow) acknowledged(m *outbound, code packet.ReasonCode, pr *packet.Properties, out *output) {
	var err error
	if code >= packet.UnspecifiedError {
		err = refusal(code, pr)
		f.counts.refused++
	} else {
		f.counts.acknowledged++
	}
	f.finish(m, code, err)
	f.pump(out)
}

func (f *flow) receivePubrec(p *packet.Pubrec, out *output) {
	m := f.ids.get(p.ID)
	switch {
	case m == nil || m.qos != 2:
		rel := &packet.Pubrel{ID: p.ID}
		if f.version == packet.V5 {
			rel.Code = packet.PacketIdentifierNotFound
		}
		out.packet(rel)
	case p.Code >= packet.UnspecifiedError:
		f.acknowledged(m, p.Code, &p.Properties, out)
	default:
		m.released = true
		m.code = p.Code
		out.ack(packet.PUBREL, p.ID)
		if f.next == m { // it was answered before it was sent again
			f.next = m.next
			f.pump(out)
		}
	}
}

// A foreign session was begun by an earlier process, which may have died after
// PUBREC: the server then takes a QoS 2 message with the same identifier for a
// repeat and throws it away. PUBREL before the first use of each identifier
// frees it; a server that does not know it says so and goes on (§4.4).
type foreign struct {
	claimed [65536 / 64]uint64
}

// claim makes id ours.
func (s *foreign) claim(id uint16, out *output) {
	if s == nil || s.claimed[id/64]&(1<<(id%64)) != 0 {
		return
	}
	s.claimed[id/64] |= 1 << (id % 64)
	out.ack(packet.PUBREL, id)
}
