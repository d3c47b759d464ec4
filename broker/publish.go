package broker

import (
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// onPublish takes an Application Message from a client.
func (k *core) onPublish(c *client, flags byte, body []byte) step {
	p := &k.pub
	if err := p.Decode(c.version, flags, body); err != nil {
		k.fail(c, err)
		return stepDone
	}
	mt, code, err := k.checkPublish(c, p)
	if err != nil {
		k.fail(c, err)
		return stepDone
	}
	repeat := false
	if p.QoS > 0 {
		repeat = p.QoS == 2 && c.s.in != nil && c.s.in.Has(p.ID)
		if !repeat && k.overReceiveMaximum(c) {
			k.fail(c, &packet.Error{Code: packet.ReceiveMaximumExceeded, Rule: "MQTT-3.3.4-7"})
			return stepDone
		}
	}
	m := k.incoming(c, p, mt)
	if !repeat && code < 0x80 {
		v, parked := k.authorize(c, p, m)
		if parked {
			return stepParked
		}
		code = v.Code
	}
	k.stats.messagesIn[p.QoS]++
	k.stats.payloadIn += uint64(len(p.Payload))
	k.publish(c, p, m, mt, code, repeat)
	return stepDone
}

// publish routes what was accepted and acknowledges it.
func (k *core) publish(c *client, p *packet.Publish, m *outgoing, mt *route.Match, code packet.ReasonCode, repeat bool) {
	before := k.mark()
	switch {
	case repeat: // [MQTT-4.3.3-10]
		k.stats.repeats++
	case code >= 0x80:
		k.stats.dropped[DropRefused]++
	default:
		if m.topic != mt.Topic { // a hook has changed it
			mt = k.matchString(m.topic)
		}
		if p.Retain {
			if !k.retain(m) {
				code = packet.QuotaExceeded
			}
			mt = k.matchAgain(mt)
		}
		if k.route(m, mt) == 0 {
			k.stats.dropped[DropNoSubscriber]++
			if code == packet.Success {
				code = packet.NoMatchingSubscribers
			}
		}
	}
	switch p.QoS {
	case 1:
		k.acknowledge(c, packet.PUBACK, p.ID, code, before)
	case 2:
		if !repeat && (code < 0x80 || c.version != packet.V5) { // MQTT 3 takes any answer for yes
			c.s.inbound().Accept(p.ID)
			k.recordFor(c.s, journal.Op{Kind: journal.Accept, ID: p.ID})
		}
		k.acknowledge(c, packet.PUBREC, p.ID, code, before)
	}
	if k.overloaded() || k.changed(before) && k.behind() {
		k.stall(c)
	}
}

// checkPublish applies limits and aliases, and finds the subscribers. A code of 0x80 or
// above refuses the message and not its sender.
func (k *core) checkPublish(c *client, p *packet.Publish) (*route.Match, packet.ReasonCode, error) {
	if int(p.QoS) > k.limits.MaxQoS {
		return nil, 0, &packet.Error{Code: packet.QoSNotSupported, Rule: "MQTT-3.2.2-11"}
	}
	if p.Retain && k.limits.RetainUnavailable {
		return nil, 0, &packet.Error{Code: packet.RetainNotSupported, Rule: "MQTT-3.2.2-14"}
	}
	var mt *route.Match
	if !p.Properties.Empty() {
		if p.Properties.Has(packet.PropSubscriptionID) { // [MQTT-3.3.4-6]
			return nil, 0, &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.3.4-6"}
		}
		if p.Properties.Has(packet.PropTopicAlias) {
			alias := p.Properties.TopicAlias
			if len(p.Topic) > 0 {
				t := c.own()
				if t.aliasIn == nil {
					t.aliasIn = new(session.AliasIn)
				}
				// A name that is too long stays so and need not be kept whole.
				name := p.Topic[:min(len(p.Topic), k.limits.MaxTopicLength+1)]
				if !t.aliasIn.Set(alias, uint16(k.limits.TopicAliasMaximum), name) {
					return nil, 0, &packet.Error{Code: packet.TopicAliasInvalid, Rule: "MQTT-3.3.2-9"}
				}
			} else {
				name := ""
				if c.traits != nil && c.traits.aliasIn != nil {
					name = c.traits.aliasIn.Get(alias)
				}
				if name == "" {
					if int(alias) > k.limits.TopicAliasMaximum {
						return nil, 0, &packet.Error{Code: packet.TopicAliasInvalid, Rule: "MQTT-3.3.2-9"}
					}
					return nil, 0, &packet.Error{Code: packet.ProtocolError}
				}
				if !fits(k.limits, name) { // it was refused when the alias was set, too
					return new(route.Match), packet.TopicNameInvalid, nil
				}
				mt = k.matchString(name)
			}
		}
	}
	if mt == nil {
		mt = k.match(p.Topic)
	}
	if mt == nil { // too long, or too many levels
		return new(route.Match), packet.TopicNameInvalid, nil
	}
	if reserved(mt.Topic) {
		return mt, packet.TopicNameInvalid, nil
	}
	return mt, packet.Success, nil
}

// reserved tells whether only the broker may publish to name.
func reserved[S string | []byte](name S) bool {
	const prefix = "$SYS/"
	return len(name) > len(prefix) && name[0] == '$' && string(name[:len(prefix)]) == prefix
}

// overReceiveMaximum tells whether one more QoS 1 or 2 message is too many. MQTT 3 has
// no such limit but that of packet identifiers.
func (k *core) overReceiveMaximum(c *client) bool {
	if c.version != packet.V5 {
		return false
	}
	n := int(c.unacked)
	if c.s.in != nil {
		n += c.s.in.Len()
	}
	return n >= k.limits.ReceiveMaximum
}

// incoming is the message of p on its way to subscribers; it borrows from p.
func (k *core) incoming(c *client, p *packet.Publish, mt *route.Match) *outgoing {
	m := &k.msg
	m.reset()
	m.topic, m.payload = mt.Topic, p.Payload
	m.qos, m.retain, m.from = p.QoS, p.Retain, c.s.h
	m.many = mt.N > 1
	if p.Properties.Empty() {
		return m
	}
	m.props = p.RawProperties
	if p.Properties.Has(packet.PropTopicAlias) || p.Properties.Has(packet.PropMessageExpiry) {
		k.fwd = packet.ForwardProperties(k.fwd[:0], p.RawProperties)
		m.props = k.fwd
	}
	if p.Properties.Has(packet.PropMessageExpiry) {
		m.expires = k.l.Now() + int64(p.Properties.MessageExpiry)*1e9
	}
	return m
}

// authorize asks the Publish hook, which may change m.
func (k *core) authorize(c *client, p *packet.Publish, m *outgoing) (v Verdict, parked bool) {
	hook := k.b.o.Hooks.Publish
	if hook == nil {
		return Verdict{}, false
	}
	r := PublishRequest{Peer: k.peer(c, c.s.id), Topic: m.topic, Payload: m.payload, QoS: p.QoS, Retain: p.Retain}
	v, parked = k.decide(c, func() Verdict { return hook(&r) })
	if !parked && v.Code < 0x80 {
		m.topic, m.payload, m.retain = r.Topic, r.Payload, r.Retain
		p.Retain = r.Retain
	}
	return v, parked
}

// acknowledge answers a PUBLISH. before is the journal's mark from before it was routed.
func (k *core) acknowledge(c *client, t packet.Type, id uint16, code packet.ReasonCode, before int) {
	if !k.changed(before) && !c.waits() {
		k.ackNow(c, t, id, code)
		return
	}
	k.holdBack(c, held{t: t, id: id, code: code})
	if t == packet.PUBACK { // a QoS 2 message counts as unreleased
		c.unacked++
	}
}

// ackNow writes an acknowledgement. It leaves after the turn's messages, which somebody
// waits for; not so a PUBREL, which lets a subscriber have its message.
func (k *core) ackNow(c *client, t packet.Type, id uint16, code packet.ReasonCode) {
	buf := c.conn.Reserve(8)
	if code == packet.Success || c.version != packet.V5 {
		buf = packet.AppendAck(buf, t, id)
		if t == packet.PUBREL {
			c.conn.Commit(buf)
		} else {
			c.conn.CommitLast(buf)
		}
		k.sent(t, 4)
		return
	}
	flags := byte(0)
	if t == packet.PUBREL {
		flags = 2
	}
	c.conn.Commit(append(buf, byte(t)<<4|flags, 3, byte(id>>8), byte(id), byte(code)))
	k.sent(t, 5)
}

// onAck takes PUBACK, PUBREC, PUBREL and PUBCOMP.
func (k *core) onAck(c *client, h packet.Header, body []byte) {
	p := &k.ack
	if err := decodeAck(h, c.version, body, p); err != nil {
		k.fail(c, err)
		return
	}
	if h.Type == packet.PUBREL {
		k.onPubrel(c, p.ID)
		return
	}
	s := c.s
	if s.out == nil {
		k.unknownAck(c, h.Type, p.ID)
		return
	}
	var e session.Entry
	var ok bool
	switch h.Type {
	case packet.PUBACK:
		e, ok = s.out.Puback(p.ID)
	case packet.PUBREC:
		var gone bool
		if e, gone, ok = s.out.Pubrec(p.ID, p.Code >= 0x80); ok && !gone {
			k.onPubrec(c, p.ID, &e)
			return
		}
	default:
		e, ok = s.out.Pubcomp(p.ID)
	}
	if !ok {
		k.unknownAck(c, h.Type, p.ID)
		return
	}
	k.stats.inflight--
	if p.Code >= 0x80 {
		k.stats.dropped[DropRejected]++
	} else {
		k.stats.delivered++
	}
	k.completed(s, &e)
	if s.out.Waiting() || c.backlog != nil {
		k.pump(c)
	}
}

// onPubrec owes the client a PUBREL, and sends it once that is safe.
func (k *core) onPubrec(c *client, id uint16, e *session.Entry) {
	before := k.mark()
	if e.MID != 0 {
		k.record(journal.Op{Kind: journal.Owe, SID: uint64(c.s.h), MID: e.MID, ID: id})
	}
	if !k.changed(before) && !c.waits() {
		k.ackNow(c, packet.PUBREL, id, packet.Success)
		return
	}
	k.hold(c, packet.AppendAck(nil, packet.PUBREL, id), packet.PUBREL, nil)
}

// onPubrel forgets a QoS 2 message [MQTT-4.3.3-11].
func (k *core) onPubrel(c *client, id uint16) {
	before := k.mark()
	code := packet.PacketIdentifierNotFound
	if c.s.in != nil && c.s.in.Release(id) {
		code = packet.Success
		k.recordFor(c.s, journal.Op{Kind: journal.Forget, ID: id})
	}
	if !k.changed(before) && !c.waits() {
		k.ackNow(c, packet.PUBCOMP, id, code)
		return
	}
	k.reply(c, &packet.Pubcomp{ID: id, Code: code}, before)
}

// unknownAck answers an acknowledgement for nothing: PUBREC with PUBREL, so that the
// client can finish; others need no answer.
func (k *core) unknownAck(c *client, t packet.Type, id uint16) {
	k.stats.unknownAcks++
	if t == packet.PUBREC {
		k.ackNow(c, packet.PUBREL, id, packet.PacketIdentifierNotFound)
	}
}

// decodeAck decodes any of the four acknowledgements into p.
func decodeAck(h packet.Header, v packet.Version, body []byte, p *packet.Puback) error {
	if len(body) == 2 && (h.Type != packet.PUBREL || h.Flags == 2) { // nearly all are so
		p.ID, p.Code = uint16(body[0])<<8|uint16(body[1]), packet.Success
		p.Properties.Reset()
		if p.ID == 0 {
			return &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-2.2.1-5"}
		}
		return nil
	}
	switch h.Type {
	case packet.PUBACK:
		return p.Decode(v, h.Flags, body)
	case packet.PUBREC:
		var q packet.Pubrec
		q.Properties.MaxUser = p.Properties.MaxUser
		err := q.Decode(v, h.Flags, body)
		p.ID, p.Code = q.ID, q.Code
		return err
	case packet.PUBREL:
		var q packet.Pubrel
		q.Properties.MaxUser = p.Properties.MaxUser
		err := q.Decode(v, h.Flags, body)
		p.ID, p.Code = q.ID, q.Code
		return err
	default:
		var q packet.Pubcomp
		q.Properties.MaxUser = p.Properties.MaxUser
		err := q.Decode(v, h.Flags, body)
		p.ID, p.Code = q.ID, q.Code
		return err
	}
}
