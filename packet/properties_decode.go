package packet

import "fmt"

// DecodeProperties reads the properties of a packet of type t, or of the will
// in a CONNECT, from b, which holds them without their length. p is reset
// first; its byte slices point into b.
//
// It checks what §2.2.2.2 and the chapter of the packet demand: identifiers the
// packet allows, none twice but user properties and, in a PUBLISH, subscription
// identifiers, and values in their range.
func DecodeProperties(t Type, will bool, b []byte, p *Properties) error {
	p.Reset()
	scope := typeSet(1) << t
	if will {
		scope = inWill
	}
	c := cursor{b: b}
	for len(c.b) > 0 {
		id := PropertyID(c.b[0])
		c.b = c.b[1:]
		_, kind, in := id.info()
		if kind == kindNone || in&scope == 0 {
			return malformed("", "%v does not belong in %s", id, carrier(t, will))
		}
		repeatable := id == PropUser || id == PropSubscriptionID && t == PUBLISH
		if p.Has(id) && !repeatable {
			return protocolError("", "%v twice", id)
		}
		p.Mark(id)
		if err := p.decodeValue(&c, id, kind); err != nil {
			return err
		}
	}
	if p.Has(PropAuthData) && !p.Has(PropAuthMethod) {
		return protocolError("", "%v without %v", PropAuthData, PropAuthMethod)
	}
	return nil
}

// decodeValue reads the value of a property and checks its range.
func (p *Properties) decodeValue(c *cursor, id PropertyID, kind propertyKind) error {
	fine := true
	switch kind {
	case kindByte:
		v := c.byte()
		*p.byteField(id) = v
		fine = v <= 1
	case kindUint16:
		v := c.uint16()
		*p.uint16Field(id) = v
		if id == PropTopicAlias && v == 0 && c.err == nil {
			return &Error{Code: TopicAliasInvalid, Rule: "MQTT-3.3.2-8"}
		}
		fine = id != PropReceiveMax || v != 0
	case kindUint32:
		v := c.uint32()
		*p.uint32Field(id) = v
		fine = id != PropMaxPacketSize || v != 0
	case kindVarint:
		v := c.varint()
		p.SubscriptionIDs = append(p.SubscriptionIDs, v)
		fine = v != 0
	case kindBinary:
		*p.bytesField(id) = c.binary()
	case kindString:
		v := c.text()
		*p.bytesField(id) = v
		if id == PropResponseTopic && c.err == nil {
			return checkResponseTopic(v)
		}
	case kindPair:
		if p.MaxUser > 0 && len(p.User) >= p.MaxUser {
			return &Error{Code: QuotaExceeded, Err: fmt.Errorf("more than %d user properties", p.MaxUser)}
		}
		key := c.text()
		p.User = append(p.User, User{Key: key, Value: c.text()})
	}
	if c.err == nil && !fine {
		return protocolError("", "%v is out of range", id)
	}
	return c.err
}

func checkResponseTopic(b []byte) error {
	if len(b) == 0 {
		return protocolError("MQTT-4.7.3-1", "%v is empty", PropResponseTopic)
	}
	if scanTopic(b) != topicFine {
		return protocolError("MQTT-3.3.2-14", "%v has a wildcard", PropResponseTopic)
	}
	return nil
}

func carrier(t Type, will bool) string {
	if will {
		return "a will"
	}
	return t.String()
}

// ForwardProperties appends to dst those properties of an incoming PUBLISH that
// travel on to subscribers as they are [MQTT-3.3.2-4]: all but Topic Alias and
// Subscription Identifier, which belong to one connection, and Message Expiry
// Interval, which shrinks while a message waits. raw, the RawProperties of a
// Publish, has been decoded without error. When it holds none of these three
// there is nothing to leave out, and raw itself will do.
func ForwardProperties(dst, raw []byte) []byte {
	for len(raw) > 0 {
		id := PropertyID(raw[0])
		n := propertyLen(id, raw)
		switch id {
		case PropTopicAlias, PropSubscriptionID, PropMessageExpiry:
		default:
			dst = append(dst, raw[:n]...)
		}
		raw = raw[n:]
	}
	return dst
}

// propertyLen returns the length of the property at the start of raw, its
// identifier included, and never more than there is.
func propertyLen(id PropertyID, raw []byte) int {
	c := cursor{b: raw[1:]}
	switch _, kind, _ := id.info(); kind {
	case kindByte:
		c.take(1)
	case kindUint16:
		c.take(2)
	case kindUint32:
		c.take(4)
	case kindVarint:
		c.varint()
	case kindBinary, kindString:
		c.binary()
	case kindPair:
		c.binary()
		c.binary()
	}
	return len(raw) - len(c.b)
}
