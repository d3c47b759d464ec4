package mosquitto

import (
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// receive handles one packet of the server. It returns libmosquitto's number
// when the connection is over by it.
func (r *run) receive(p packet.Packet) int {
	if r.ending {
		return 0 // nobody wants it any more
	}
	r.lastIn = time.Now()
	switch p := p.(type) {
	case *packet.Connack:
		return r.connack(p)
	case *packet.Publish:
		return r.received(p)
	case *packet.Pingresp:
		r.debug(false, p, 0)
		r.pinged = false
	case *packet.Disconnect:
		r.debug(false, p, 0)
		return r.dismissed(p)
	case *packet.Suback:
		r.debug(false, p, 0)
		if r.on.subscribed != nil {
			r.on.subscribed(p)
		}
	case *packet.Unsuback:
		r.debug(false, p, 0)
		if r.on.unsubscribed != nil {
			r.on.unsubscribed(p)
		}
	case *packet.Puback:
		r.debug(false, p, 0)
		r.acknowledged(p.ID, 1, p.Code, &p.Properties)
	case *packet.Pubcomp:
		r.debug(false, p, 0)
		r.acknowledged(p.ID, 2, p.Code, &p.Properties)
	case *packet.Pubrec:
		r.debug(false, p, 0)
		r.pubrec(p)
	case *packet.Pubrel:
		r.debug(false, p, 0)
		r.send(&packet.Pubcomp{ID: p.ID})
		if m := r.incoming[p.ID]; m != nil {
			delete(r.incoming, p.ID)
			r.deliver(m)
		}
	default:
		r.drop()
		return errProtocol
	}
	return 0
}

// connackCode is the code as the packet had it.
func (r *run) connackCode(p *packet.Connack) int {
	if r.cfg.version == packet.V5 {
		return int(p.Code)
	}
	return int(p.Code.ConnackV3())
}

func (r *run) connack(p *packet.Connack) int {
	if p.Properties.Has(packet.PropAssignedClientID) && r.id == "" {
		r.id = string(p.Properties.AssignedClientID)
	}
	r.debug(false, p, 0)
	if p.Code != packet.Success {
		r.refusal = r.connackCode(p)
		r.refused(p.Code)
		return errRefused
	}
	r.accepted = true
	r.quota = r.cfg.maxInflight
	if p.Properties.Has(packet.PropReceiveMax) {
		r.quota = min(r.quota, int(p.Properties.ReceiveMax))
	}
	if p.Properties.Has(packet.PropServerKeepAlive) { // [MQTT-3.2.2-21]
		if r.keep = time.Duration(p.Properties.ServerKeepAlive) * time.Second; r.keep > 0 {
			r.keepTimer.Reset(r.keep)
		} else {
			r.keepTimer.Stop()
		}
	}
	r.maxQoS = 2
	if p.Properties.Has(packet.PropMaxQoS) {
		r.maxQoS = p.Properties.MaxQoS
	}
	r.noRetain = p.Properties.Has(packet.PropRetainAvailable) && p.Properties.RetainAvailable == 0
	r.maxPacketSize = 0
	if p.Properties.Has(packet.PropMaxPacketSize) {
		r.maxPacketSize = p.Properties.MaxPacketSize
	}
	clear(r.aliases)
	for _, m := range r.outgoing {
		m.pub.Dup = m.pub.Dup || m.sent && !m.released
		m.sent = false
	}
	if !p.SessionPresent {
		clear(r.incoming)
	}
	if r.on.connected != nil {
		r.on.connected()
	}
	r.pump()
	return 0
}

// dismissed ends a connection that the server says farewell to.
func (r *run) dismissed(p *packet.Disconnect) int {
	r.drop()
	if !r.ours() {
		return errNoConn
	}
	switch p.Code {
	case packet.Success, packet.UnspecifiedError, packet.ImplementationSpecificError, packet.ServerUnavailable, packet.ServerBusy,
		packet.ServerShuttingDown, packet.KeepAliveTimeout, packet.MessageRateTooHigh, packet.ConnectionRateExceeded, packet.MaximumConnectTime:
		return errLost // another attempt may do
	}
	text := ""
	if p.Properties.Has(packet.PropReasonString) {
		text = " (" + string(p.Properties.ReasonString) + ")"
	}
	r.complain("Error: The server ended the connection: %s%s.\n", reasonText(p.Code), text)
	return errDismissed
}

// unsendable returns libmosquitto's number for why the server does not take m;
// 0 if it does.
func (r *run) unsendable(m *packet.Publish) int {
	remaining := remainingLength(m, r.cfg.version)
	switch {
	case m.QoS > r.maxQoS: // [MQTT-3.2.2-11]
		return errQoS
	case remaining > packet.MaxVarint:
		return errOversize
	case r.maxPacketSize > 0 && 1+packet.VarintLen(uint32(remaining))+remaining > int(r.maxPacketSize): // [MQTT-3.2.2-15]
		return errOversize
	}
	return 0
}

// remainingLength is the Remaining Length of m, without encoding it.
func remainingLength(m *packet.Publish, v packet.Version) int {
	n := 2 + len(m.Topic) + len(m.Payload)
	if m.QoS > 0 {
		n += 2
	}
	if v == packet.V5 {
		props := m.Properties.Size()
		n += packet.VarintLen(uint32(props)) + props
	}
	return n
}

// publish sends a message and returns its packet identifier. A message that
// asks for no acknowledgement counts as published at once.
func (r *run) publish(p packet.Publish) uint16 {
	mid := r.newMid()
	p.ID = mid
	if p.QoS == 0 {
		r.send(&p)
		if r.on.published != nil {
			r.on.published(mid, packet.Success, &packet.Properties{})
		}
		return mid
	}
	r.outgoing = append(r.outgoing, &outgoing{pub: &p})
	r.pump()
	return mid
}

// pump sends what the quota lets through [MQTT-3.3.4-9].
func (r *run) pump() {
	for _, m := range r.outgoing {
		if m.sent {
			continue
		}
		if r.quota == 0 || r.link == nil {
			return
		}
		m.sent = true
		r.quota--
		if m.released {
			r.send(&packet.Pubrel{ID: m.pub.ID})
			continue
		}
		r.send(m.pub)
	}
}

// acknowledged ends a message of the given QoS.
func (r *run) acknowledged(id uint16, qos byte, code packet.ReasonCode, props *packet.Properties) {
	for i, m := range r.outgoing {
		if m.pub.ID != id || m.pub.QoS != qos {
			continue
		}
		r.outgoing = append(r.outgoing[:i], r.outgoing[i+1:]...)
		r.quota++
		if r.on.published != nil {
			r.on.published(id, code, props)
		}
		r.pump()
		return
	}
}

func (r *run) pubrec(p *packet.Pubrec) {
	for _, m := range r.outgoing {
		if m.pub.ID != p.ID || m.pub.QoS != 2 {
			continue
		}
		if p.Code >= packet.UnspecifiedError {
			r.acknowledged(p.ID, 2, p.Code, &p.Properties)
			return
		}
		m.released = true
		r.send(&packet.Pubrel{ID: p.ID})
		return
	}
	if r.cfg.debug {
		fmt.Fprintf(r.Out, "Warning: Received PUBREC from %s for an unknown packet identifier %d.\n", r.clientID(), p.ID)
	}
}

// received takes a message. It is acknowledged before the tool sees it, as
// libmosquitto does.
func (r *run) received(p *packet.Publish) int {
	if p.Properties.Has(packet.PropTopicAlias) {
		if len(p.Topic) > 0 {
			r.aliases[p.Properties.TopicAlias] = string(p.Topic)
		} else {
			p.Topic = []byte(r.aliases[p.Properties.TopicAlias])
		}
	}
	r.debug(false, p, p.ID)
	if len(p.Topic) == 0 {
		r.drop()
		return errProtocol
	}
	switch p.QoS {
	case 1:
		r.send(&packet.Puback{ID: p.ID})
	case 2:
		r.send(&packet.Pubrec{ID: p.ID})
		if r.incoming[p.ID] == nil { // [MQTT-4.3.3-10]
			r.incoming[p.ID] = p
		}
		return 0
	}
	r.deliver(p)
	return 0
}

func (r *run) deliver(p *packet.Publish) {
	if r.on.message != nil {
		r.on.message(p)
	}
}
