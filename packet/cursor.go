package packet

import "encoding/binary"

// cursor reads the fields of a packet's body in turn. The first error sticks
// and makes the rest of the body empty, so that callers check once at the end
// of a group of fields.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.b = nil
}

// take returns the next n bytes, or nil when there are fewer.
func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		if c.err == nil {
			c.fail(malformed("", "packet ends %d bytes early", n-len(c.b)))
		}
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) varint() uint32 {
	v, n, err := ParseVarint(c.b)
	if err != nil {
		c.fail(err)
	} else if n == 0 {
		c.take(len(c.b) + 1)
	} else {
		c.b = c.b[n:]
	}
	return v
}

// binary returns data with a length of two bytes before it.
func (c *cursor) binary() []byte {
	return c.take(int(c.uint16()))
}

func (c *cursor) text() []byte {
	b := c.binary()
	if !ValidString(b) {
		c.fail(malformed("MQTT-1.5.4-1", "string is not valid UTF-8 or holds U+0000"))
		return nil
	}
	return b
}

// packetID returns the next Packet Identifier, which is never 0 [MQTT-2.2.1-3].
func (c *cursor) packetID() uint16 {
	id := c.uint16()
	if id == 0 && c.err == nil {
		c.fail(protocolError("MQTT-2.2.1-3", "packet identifier is 0"))
	}
	return id
}

// reason returns the next reason code, which t must allow.
func (c *cursor) reason(t Type) ReasonCode {
	code := ReasonCode(c.byte())
	if c.err == nil && !code.validIn(t) {
		c.fail(protocolError(reasonRule(t), "%v with reason code 0x%02X", t, byte(code)))
	}
	return code
}

// properties reads the Property Length and the properties, and returns these as
// they stand. p is reset first.
func (c *cursor) properties(t Type, will bool, p *Properties) []byte {
	p.Reset()
	n := c.varint()
	raw := c.take(int(n))
	if len(raw) > 0 {
		if err := DecodeProperties(t, will, raw, p); err != nil {
			c.fail(err)
		}
	}
	return raw
}

// end returns the error, if any, and takes bytes left over for one.
func (c *cursor) end() error {
	if c.err == nil && len(c.b) > 0 {
		c.err = malformed("", "%d bytes after the end", len(c.b))
	}
	return c.err
}

// reasonRule names the statement that lists the reason codes of a packet.
func reasonRule(t Type) string {
	switch t {
	case CONNACK:
		return "MQTT-3.2.2-8"
	case PUBACK:
		return "MQTT-3.4.2-1"
	case PUBREC:
		return "MQTT-3.5.2-1"
	case PUBREL:
		return "MQTT-3.6.2-1"
	case PUBCOMP:
		return "MQTT-3.7.2-1"
	case SUBACK:
		return "MQTT-3.9.3-2"
	case UNSUBACK:
		return "MQTT-3.11.3-2"
	case DISCONNECT:
		return "MQTT-3.14.2-1"
	case AUTH:
		return "MQTT-3.15.2-1"
	}
	return ""
}
