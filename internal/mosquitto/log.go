package mosquitto

import (
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// debug prints a packet as libmosquitto does with -d. A SUBSCRIBE of several
// filters takes several lines. The line of a PUBLISH has mid, which QoS 0 does
// not put into the packet.
func (r *run) debug(sent bool, p packet.Packet, mid uint16) {
	if !r.cfg.debug {
		return
	}
	verb := "received"
	if sent {
		verb = "sending"
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(r.Out, "Client %s %s %v%s\n", r.clientID(), verb, p.Type(), fmt.Sprintf(format, args...))
	}
	switch p := p.(type) {
	case *packet.Connack:
		say(" (%d)", r.connackCode(p))
	case *packet.Publish:
		say(" (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", digit(p.Dup), p.QoS, digit(p.Retain), mid, p.Topic, len(p.Payload))
	case *packet.Puback:
		r.debugAck(sent, p.Type(), p.ID, p.Code, true)
	case *packet.Pubrec:
		r.debugAck(sent, p.Type(), p.ID, p.Code, sent)
	case *packet.Pubrel:
		r.debugAck(sent, p.Type(), p.ID, p.Code, false)
	case *packet.Pubcomp:
		r.debugAck(sent, p.Type(), p.ID, p.Code, !sent)
	case *packet.Subscribe:
		for _, f := range p.Filters {
			options := digit(f.NoLocal)<<2 | digit(f.RetainAsPublished)<<3 | int(f.RetainHandling)<<4
			say(" (Mid: %d, Topic: %s, QoS: %d, Options: 0x%02x)", p.ID, f.Filter, f.QoS, options)
		}
	case *packet.Unsubscribe:
		for _, f := range p.Filters {
			say(" (Mid: %d, Topic: %s)", p.ID, f)
		}
	case *packet.Disconnect:
		if sent {
			say("")
			return
		}
		fmt.Fprintf(r.Out, "Received DISCONNECT (%d)\n", p.Code)
	default:
		say("")
	}
}

func (r *run) debugAck(sent bool, t packet.Type, id uint16, code packet.ReasonCode, withCode bool) {
	verb, text := "received", fmt.Sprintf("(Mid: %d)", id)
	switch {
	case sent && withCode:
		text = fmt.Sprintf("(m%d, rc%d)", id, code)
	case sent:
		text = fmt.Sprintf("(m%d)", id)
	case withCode:
		text = fmt.Sprintf("(Mid: %d, RC:%d)", id, code)
	}
	if sent {
		verb = "sending"
	}
	fmt.Fprintf(r.Out, "Client %s %s %v %s\n", r.clientID(), verb, t, text)
}

// clientID is the identifier in the lines of -d.
func (r *run) clientID() string {
	if r.id == "" {
		return "(null)"
	}
	return r.id
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}
