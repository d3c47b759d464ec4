package packet

import "encoding/binary"

// Publish carries an Application Message. §3.3
type Publish struct {
	Dup        bool
	QoS        byte
	Retain     bool
	Topic      []byte // empty only in 5.0, with a Topic Alias
	ID         uint16 // 0 at QoS 0
	Payload    []byte
	Properties Properties

	// RawProperties are, after Decode, the Properties as they were encoded,
	// without their length; nil in 3.x. Append does not use them.
	RawProperties []byte
}

func (*Publish) Type() Type { return PUBLISH }

func (p *Publish) Decode(v Version, flags byte, body []byte) error {
	p.Dup, p.QoS, p.Retain = flags&FlagDup != 0, flags>>1&3, flags&FlagRetain != 0
	p.ID, p.RawProperties = 0, nil
	p.Properties.Reset()
	if p.QoS == 3 {
		return malformed("MQTT-3.3.1-4", "QoS 3")
	}
	if p.Dup && p.QoS == 0 {
		return malformed("MQTT-3.3.1-2", "DUP at QoS 0")
	}
	in := cursor{b: body}
	p.Topic = in.binary()
	if p.QoS > 0 {
		p.ID = in.packetID()
	}
	if v == V5 {
		p.RawProperties = in.properties(PUBLISH, false, &p.Properties)
	}
	if in.err != nil {
		return in.err
	}
	p.Payload = in.b
	return p.checkTopic(v)
}

func (p *Publish) checkTopic(v Version) error {
	switch scanTopic(p.Topic) {
	case topicNotText:
		return malformed("MQTT-3.3.2-1", "topic is not valid UTF-8 or holds U+0000")
	case topicWildcard:
		return &Error{Code: TopicNameInvalid, Rule: "MQTT-3.3.2-2"}
	}
	if len(p.Topic) == 0 {
		if v != V5 {
			return &Error{Code: TopicNameInvalid, Rule: "MQTT-4.7.3-1"}
		}
		if !p.Properties.Has(PropTopicAlias) {
			return protocolError("", "neither topic nor topic alias")
		}
	}
	return nil
}

func (p *Publish) Append(dst []byte, v Version) []byte {
	props := 0
	if v == V5 {
		props = p.Properties.Size()
	}
	flags := bit(p.Dup, 3) | p.QoS&3<<1 | bit(p.Retain, 0)
	dst = appendHeader(dst, PUBLISH, flags, publishRemaining(v, p.QoS, len(p.Topic), props, len(p.Payload)))
	dst = appendBinary(dst, p.Topic)
	if p.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.ID)
	}
	if v == V5 {
		dst = p.Properties.AppendTo(AppendVarint(dst, uint32(props)))
	}
	return append(dst, p.Payload...)
}

func (p *Publish) String() string {
	b := []byte("PUBLISH q")
	b = append(b, '0'+p.QoS, ' ', 'r', '0'+bit(p.Retain, 0), ' ', 'd', '0'+bit(p.Dup, 0))
	if p.QoS > 0 {
		b = describeInt(b, "id", uint64(p.ID))
	}
	b = describeText(b, "topic", p.Topic)
	b = describeSize(b, "payload", p.Payload)
	return string(p.Properties.describe(b))
}

// AppendPublish appends a PUBLISH whose properties are already encoded, without
// their length; 3.x has no place for them and ignores them. flags are the lower
// half of the first byte: FlagDup, QoS << 1, FlagRetain. It returns where in out
// the Packet Identifier stands, -1 at QoS 0, so that one encoding can serve many
// subscribers.
func AppendPublish(dst []byte, v Version, flags byte, topic string, id uint16, props, payload []byte) (out []byte, idAt int) {
	qos := flags >> 1 & 3
	dst = appendHeader(dst, PUBLISH, flags&0x0F, publishRemaining(v, qos, len(topic), len(props), len(payload)))
	dst = appendBinary(dst, topic)
	idAt = -1
	if qos > 0 {
		idAt = len(dst)
		dst = binary.BigEndian.AppendUint16(dst, id)
	}
	if v == V5 {
		dst = append(AppendVarint(dst, uint32(len(props))), props...)
	}
	return append(dst, payload...), idAt
}

// PublishSize returns the length of the packet AppendPublish writes. Over
// MaxSize it cannot be written.
func PublishSize(v Version, qos byte, topicLen, propsLen, payloadLen int) int {
	n := publishRemaining(v, qos, topicLen, propsLen, payloadLen)
	if n > MaxVarint {
		return MaxSize - MaxVarint + n
	}
	return 1 + VarintLen(uint32(n)) + n
}

func publishRemaining(v Version, qos byte, topicLen, propsLen, payloadLen int) int {
	n := 2 + fieldLen(topicLen) + payloadLen
	if qos > 0 {
		n += 2
	}
	if v == V5 {
		n += VarintLen(uint32(min(propsLen, MaxVarint))) + propsLen
	}
	return n
}
