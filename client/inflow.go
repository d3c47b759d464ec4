package client

import (
	"errors"
	"sync/atomic"

	"github.com/wirebird/wirebird/packet"
)

// inbound is a received message until it is acknowledged. It may go to several
// handlers, each with a delivery of its own.
type inbound struct {
	delivery             // for the first handler
	more     []*delivery // for the others
	id       uint16
	qos      byte
	epoch    int         // connection it was last received on
	open     int         // deliveries that are not done
	handled  bool        // all are done
	again    atomic.Bool // the server sends it again: not worth delivering
	next     *inbound    // in an inList
	listed   bool
}

// delivery is a message on its way to one handler. done is guarded by Client.mu.
type delivery struct {
	msg  Message
	in   *inbound
	lane *lane
	done bool
}

// An inList holds messages in the order they came, to be acknowledged in it
// [MQTT-4.6.0-2] [MQTT-4.6.0-3].
type inList struct{ head, tail *inbound }

func (l *inList) add(in *inbound) {
	in.next, in.listed = nil, true
	if l.tail == nil {
		l.head = in
	} else {
		l.tail.next = in
	}
	l.tail = in
}

func (l *inList) take() *inbound {
	in := l.head
	if l.head = in.next; l.head == nil {
		l.tail = nil
	}
	in.next, in.listed = nil, false
	return in
}

// resetInbound begins a connection. QoS 1 messages that were not acknowledged
// come again if the server has the session, and never if it has not.
func (f *flow) resetInbound(sessionPresent bool) {
	f.receiving = 0
	for qos := range f.unacked {
		for f.unacked[qos].head != nil {
			if in := f.unacked[qos].take(); sessionPresent && qos == 1 {
				in.again.Store(true)
			}
		}
	}
	if !sessionPresent {
		clear(f.unrel)
	}
}

func (f *flow) receivePublish(p *packet.Publish, out *output) error {
	route, err := f.resolve(p)
	if err != nil {
		return err
	}
	if p.QoS == 2 {
		if old := f.unrel[p.ID]; old != nil { // [MQTT-4.3.3-10]
			return f.repeated(old, out)
		}
	}
	if p.QoS > 0 && f.receiving >= f.receiveMax {
		return &packet.Error{Code: packet.ReceiveMaximumExceeded, Rule: "MQTT-3.3.4-9"}
	}
	f.counts.received++
	if f.draining { // not acknowledged, so that the server keeps it
		f.counts.discarded++
		return nil
	}
	in := &inbound{id: p.ID, qos: p.QoS, epoch: f.epoch}
	in.received(p, route.topic)
	in.spread(route.lanes)
	if p.QoS > 0 {
		f.receiving++
		f.unacked[p.QoS].add(in)
	}
	if p.QoS == 2 {
		f.unrel[p.ID] = in
	}
	out.deliver = in
	return nil
}

// repeated answers a QoS 2 message that is here already.
func (f *flow) repeated(in *inbound, out *output) error {
	if in.epoch != f.epoch {
		in.epoch = f.epoch
		f.receiving++
		f.unacked[2].add(in)
		f.acknowledge(2, out)
	} else if !in.listed {
		out.ack(packet.PUBREC, in.id)
	}
	return nil
}

// spread makes a delivery for each lane.
func (in *inbound) spread(lanes []*lane) {
	in.open = len(lanes)
	in.in = in
	for i, l := range lanes {
		if i == 0 {
			in.lane = l
			continue
		}
		d := &delivery{msg: in.msg, in: in, lane: l}
		d.msg.d = d
		in.more = append(in.more, d)
	}
}

// resolve returns where p goes. It may have only an alias for a Topic Name.
func (f *flow) resolve(p *packet.Publish) (*route, error) {
	if !p.Properties.Has(packet.PropTopicAlias) {
		if len(p.Topic) == 0 {
			return nil, &packet.Error{Code: packet.ProtocolError, Err: errors.New("neither topic nor alias")}
		}
		return f.router.route(p.Topic), nil
	}
	alias := p.Properties.TopicAlias
	if alias == 0 || int(alias) > f.aliasMax {
		return nil, &packet.Error{Code: packet.TopicAliasInvalid, Rule: "MQTT-3.3.2-8"}
	}
	if len(p.Topic) > 0 {
		f.aliasesIn.Set(alias, uint16(f.aliasMax), p.Topic)
		return f.router.route(p.Topic), nil
	}
	name := f.aliasesIn.Get(alias)
	if name == "" {
		return nil, &packet.Error{Code: packet.ProtocolError, Err: errors.New("neither topic nor known alias")}
	}
	return f.router.routeName(name), nil
}

// delivered says that a handler has done with d. A QoS 1 message of an earlier
// connection is not acknowledged: the server sends it again, and its packet
// identifier may be another message's by then.
func (f *flow) delivered(d *delivery, out *output) {
	if d.done {
		return
	}
	d.done = true
	d.in.open--
	f.settle(d.in, out)
}

// settle acknowledges what can be once in may have no open delivery.
func (f *flow) settle(in *inbound, out *output) {
	if in.open > 0 || in.handled {
		return
	}
	in.handled = true
	if f.online && in.listed && in.epoch == f.epoch {
		f.acknowledge(in.qos, out)
	}
}

// acknowledge answers the messages that are handled, up to the first that is not.
func (f *flow) acknowledge(qos byte, out *output) {
	l := &f.unacked[qos]
	for l.head != nil && l.head.handled {
		in := l.take()
		if qos == 1 {
			f.receiving--
			out.ack(packet.PUBACK, in.id)
		} else {
			out.ack(packet.PUBREC, in.id)
		}
	}
}

func (f *flow) receivePubrel(p *packet.Pubrel, out *output) {
	if in := f.unrel[p.ID]; in != nil {
		delete(f.unrel, p.ID)
		if in.epoch == f.epoch {
			f.receiving--
		}
		if in.listed && in.epoch == f.epoch { // PUBREL without our PUBREC on this connection
			in.handled = true
			f.acknowledge(2, out)
		}
	} else if f.version == packet.V5 {
		out.packet(&packet.Pubcomp{ID: p.ID, Code: packet.PacketIdentifierNotFound})
		return
	}
	out.ack(packet.PUBCOMP, p.ID)
}
