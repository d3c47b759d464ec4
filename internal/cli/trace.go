package cli

import (
	"fmt"
	"io"
	"sync"

	"github.com/wirebird/wirebird/packet"
)

// tracer prints packets as Mosquitto's clients do with -d.
type tracer struct {
	mu       sync.Mutex
	w        io.Writer // guarded by mu
	clientID string    // guarded by mu
}

func newTracer(w io.Writer, clientID string) *tracer { return &tracer{w: w, clientID: clientID} }

// packet is for client.Options.Trace.
func (t *tracer) packet(sent bool, p packet.Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ack, ok := p.(*packet.Connack); ok && ack.Properties.Has(packet.PropAssignedClientID) {
		t.clientID = string(ack.Properties.AssignedClientID)
	}
	id := t.clientID
	if id == "" {
		id = "(null)"
	}
	verb := "received"
	if sent {
		verb = "sending"
	}
	for _, text := range traceLines(sent, p) {
		fmt.Fprintf(t.w, "Client %s %s %s\n", id, verb, text)
	}
}

// traceLines describes p; a packet of several filters takes several lines.
func traceLines(sent bool, p packet.Packet) []string {
	name := p.Type().String()
	one := func(format string, args ...any) []string { return []string{name + fmt.Sprintf(format, args...)} }
	switch p := p.(type) {
	case *packet.Connack:
		return one(" (%d)", p.Code)
	case *packet.Publish:
		return one(" (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", digit(p.Dup), p.QoS, digit(p.Retain), p.ID, p.Topic, len(p.Payload))
	case *packet.Puback:
		return traceAck(sent, name, p.ID, p.Code, true)
	case *packet.Pubrec:
		return traceAck(sent, name, p.ID, p.Code, sent)
	case *packet.Pubrel:
		return traceAck(sent, name, p.ID, p.Code, false)
	case *packet.Pubcomp:
		return traceAck(sent, name, p.ID, p.Code, !sent)
	case *packet.Subscribe:
		var lines []string
		for _, f := range p.Filters {
			options := digit(f.NoLocal)<<2 | digit(f.RetainAsPublished)<<3 | int(f.RetainHandling)<<4
			lines = append(lines, one(" (Mid: %d, Topic: %s, QoS: %d, Options: 0x%02x)", p.ID, f.Filter, f.QoS, options)...)
		}
		return lines
	case *packet.Unsubscribe:
		var lines []string
		for _, f := range p.Filters {
			lines = append(lines, one(" (Mid: %d, Topic: %s)", p.ID, f)...)
		}
		return lines
	case *packet.Disconnect:
		if !sent {
			return one(" (%d)", p.Code)
		}
	}
	return one("")
}

func traceAck(sent bool, name string, id uint16, code packet.ReasonCode, withCode bool) []string {
	switch {
	case sent && withCode:
		return []string{fmt.Sprintf("%s (m%d, rc%d)", name, id, code)}
	case sent:
		return []string{fmt.Sprintf("%s (m%d)", name, id)}
	case withCode:
		return []string{fmt.Sprintf("%s (Mid: %d, RC:%d)", name, id, code)}
	}
	return []string{fmt.Sprintf("%s (Mid: %d)", name, id)}
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}
