package client

import (
	"bytes"

	"github.com/wirebird/wirebird/packet"
)

// An output collects what a step of the flow leads to: packets for the server,
// already encoded, and a message for the application.
type output struct {
	version  packet.Version
	buf      []byte // packets to send, in order
	closed   bool   // DISCONNECT is in buf; nothing may follow [MQTT-3.14.4-1]
	trace    bool   // fill traced
	traced   []packet.Packet
	deliver  *inbound
	answered *request // its answer came
	refused  []string // filters that could not be subscribed to again
}

// packet adds p.
func (o *output) packet(p packet.Packet) {
	if o.closed {
		return
	}
	n := len(o.buf)
	o.buf = p.Append(o.buf, o.version)
	o.note(n)
}

// ack adds an acknowledgement with the reason Success.
func (o *output) ack(t packet.Type, id uint16) {
	if o.closed {
		return
	}
	n := len(o.buf)
	o.buf = packet.AppendAck(o.buf, t, id)
	o.note(n)
}

// publish adds a PUBLISH; props are without their length.
func (o *output) publish(flags byte, topic string, id uint16, props, payload []byte) {
	if o.closed {
		return
	}
	n := len(o.buf)
	o.buf, _ = packet.AppendPublish(o.buf, o.version, flags, topic, id, props, payload)
	o.note(n)
}

// note keeps for Options.Trace the packet that starts at from.
func (o *output) note(from int) {
	if !o.trace {
		return
	}
	if p, n, err := packet.Parse(o.version, bytes.Clone(o.buf[from:])); err == nil && n > 0 {
		o.traced = append(o.traced, p)
	}
}
