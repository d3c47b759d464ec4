package load

import (
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// subscriber is a client that receives.
type subscriber struct {
	f      *flow
	c      *conn
	number int
}

func (s *subscriber) packet(c *conn, first byte, body []byte) error {
	f := s.f
	switch t := packet.Type(first >> 4); t {
	case packet.PUBLISH:
		id, payload, err := readPublish(f.work.Version, first, body)
		if err != nil {
			return err
		}
		switch first & 0x06 {
		case 1 << 1:
			c.acks = append(c.acks, byte(packet.PUBACK)<<4, 2, byte(id>>8), byte(id))
		case 2 << 1:
			c.acks = append(c.acks, byte(packet.PUBREC)<<4, 2, byte(id>>8), byte(id))
		}
		if st, ok := readStamp(payload); ok {
			s.take(st)
		} else {
			f.misrouted++
		}
		return nil
	case packet.PUBREL:
		if len(body) < 2 {
			return fmt.Errorf("the broker sends a PUBREL of %d bytes", len(body))
		}
		c.acks = append(c.acks, byte(packet.PUBCOMP)<<4, 2, body[0], body[1])
		return nil
	case packet.SUBACK:
		return s.granted(body)
	case packet.DISCONNECT:
		code := packet.Success
		if len(body) > 0 {
			code = packet.ReasonCode(body[0])
		}
		return fmt.Errorf("the broker disconnects a subscriber: %v", code)
	default:
		return fmt.Errorf("the broker sends %v to a subscriber", t)
	}
}

func (s *subscriber) granted(body []byte) error {
	var ack packet.Suback
	if err := ack.Decode(s.f.work.Version, 0, body); err != nil {
		return err
	}
	for _, code := range ack.Codes {
		if byte(code) != s.f.work.QoS {
			return fmt.Errorf("the broker answers a SUBSCRIBE of QoS %d with %v", s.f.work.QoS, code)
		}
	}
	s.f.subacks++
	return nil
}

// take counts a message that has come.
func (s *subscriber) take(st stamp) {
	f := s.f
	at := int(st.stream)
	switch {
	case at >= len(f.numbers):
		f.misrouted++
		return
	case f.work.Pattern == All:
		at = at*f.work.Subscribers + s.number
	case at%f.work.Subscribers != s.number:
		f.misrouted++
		return
	}
	switch f.tracks[at].see(st.number) {
	case repeated:
		f.repeated++
		return
	case late:
		f.disordered++
	}
	f.took(1, st.due)
	if f.publishers == nil {
		return
	}
	p := f.publisherOf(st.stream)
	p.delivered++
	p.mark()
}

func (s *subscriber) answered(c *conn) {
	s.f.readAt = 0
	c.flushAcks()
}
