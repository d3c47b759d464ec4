package sim

import (
	"fmt"
	"io"

	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// client is an MQTT client whose session outlives its connections. Its flows are those
// of package session, as the broker's are.
type client struct {
	w    *world
	id   string
	link *link

	out     session.Outbound
	in      session.Inbound
	packets map[*session.Message]*packet.Publish
	last    *packet.Connect // nil before the first
	slow    bool
	loop    int // for the next connection
	room    int
	nextID  uint16 // of SUBSCRIBE and UNSUBSCRIBE
	opened  int
	state   *state // whose flows out and in are
}

const firstRequest = 40000 // packet identifiers from here on are of requests

func newClient(w *world, id string) *client {
	return &client{w: w, id: id, packets: map[*session.Message]*packet.Publish{}, room: 1000, nextID: firstRequest}
}

// connect opens a connection and sends CONNECT. One that is there already is abandoned:
// what it has sent may still arrive.
func (c *client) connect(p *packet.Connect) {
	w := c.w
	c.abandon()
	c.opened++
	k := &link{
		w: w, c: c, name: fmt.Sprintf("%s.%d", c.id, c.opened), room: c.room, version: p.Version, connect: p,
		aliasesIn: map[uint16]string{}, aliasesOut: map[uint16]string{}, requests: map[uint16][]change{},
		fedAt: w.now, openedAt: w.now,
	}
	w.links[k.name] = k
	w.order = append(w.order, k)
	c.link, c.last = k, p
	l := w.loops[c.loop%len(w.loops)]
	l.Begin(w.now)
	k.conn = l.OpenPort(k, nil)
	w.end(l)
	c.send(p)
}

// abandon leaves the connection to itself.
func (c *client) abandon() {
	if c.link != nil {
		c.w.ghosts = append(c.w.ghosts, c.link)
		c.lost()
	}
}

// lost is the end of the connection for the client.
func (c *client) lost() {
	c.link.up = false
	c.link = nil
	c.out.Stop()
}

// send puts a packet on its way.
func (c *client) send(p packet.Packet) {
	k := c.link
	list := []packet.Packet{p}
	if c.w.bend != nil {
		list = c.w.bend.up(c, p)
	}
	for _, q := range list {
		k.toBroker = q.Append(k.toBroker, k.version)
	}
	k.sent = append(k.sent, sentPacket{meant(k, p), k.fed + len(k.toBroker)})
	c.w.say("#   %s> %s", k.name, describe(p))
}

// meant is a packet with the Topic Name that its alias stands for.
func meant(k *link, p packet.Packet) packet.Packet {
	if pub, ok := p.(*packet.Publish); ok && len(pub.Topic) == 0 {
		q := *pub
		q.Topic = []byte(k.aliasesOut[pub.Properties.TopicAlias])
		return &q
	}
	return p
}

// do sends what the script says, if the client may.
func (c *client) do(p packet.Packet) {
	if connect, ok := p.(*packet.Connect); ok {
		c.connect(connect)
		return
	}
	if c.last == nil {
		return
	}
	if pub, ok := p.(*packet.Publish); ok {
		c.publish(pub)
		return
	}
	if c.link == nil || !c.link.up {
		return
	}
	p = packet.Clone(p)
	switch p := p.(type) {
	case *packet.Subscribe:
		c.nextID++
		p.ID = c.nextID
	case *packet.Unsubscribe:
		c.nextID++
		p.ID = c.nextID
	case *packet.Disconnect:
		c.send(p)
		c.abandon()
		return
	}
	c.send(p)
}

// mostQueued bounds what a client wants to send.
const mostQueued = 50

func (c *client) publish(p *packet.Publish) {
	if c.last.Version != packet.V5 && p.Retain && len(p.Payload) == 0 {
		return // it could not be told apart
	}
	if p.QoS == 0 {
		if c.link != nil && c.link.up {
			c.sendPublish(p, 0, false)
		}
		return
	}
	if c.out.Queued() > mostQueued {
		return
	}
	m := &session.Message{Topic: string(p.Topic), Payload: p.Payload, QoS: p.QoS}
	c.packets[m] = p
	c.out.Push(session.Entry{Msg: m, QoS: p.QoS})
	c.pump()
}

// sendPublish sends p. A Topic Alias of n is n+1 modulo what the broker allows; one that
// stands for the topic already takes its place.
func (c *client) sendPublish(p *packet.Publish, id uint16, dup bool) {
	k, q := c.link, *p
	q.ID, q.Dup = id, dup
	if q.Properties.Has(packet.PropTopicAlias) {
		if k.aliasMax == 0 || k.version != packet.V5 {
			q.Properties.Unmark(packet.PropTopicAlias)
		} else {
			a := q.Properties.TopicAlias%uint16(k.aliasMax) + 1
			q.Properties.TopicAlias = a
			if k.aliasesOut[a] == string(q.Topic) {
				q.Topic = nil
			} else {
				k.aliasesOut[a] = string(q.Topic)
			}
		}
	}
	c.send(&q)
}

// pump sends what the session may send.
func (c *client) pump() {
	for c.link != nil && c.link.up {
		kind, id, e := c.out.Next(c.w.now)
		switch kind {
		case session.Send:
			c.sendPublish(c.packets[e.Msg], id, false)
		case session.Resend:
			c.sendPublish(c.packets[e.Msg], id, true)
		case session.Release:
			c.send(&packet.Pubrel{ID: id})
		default:
			return
		}
	}
}

// read lets n bytes of the broker's arrive.
func (c *client) read(n int) bool {
	k, w := c.link, c.w
	if k == nil || c.slow || len(k.toClient) == 0 && !k.shut {
		return false
	}
	if len(k.toClient) == 0 {
		w.say("#   %s< closed", k.name)
		c.abandon()
		return true
	}
	n = min(n, len(k.toClient))
	_, _ = w.trace.Write(k.toClient[:n])
	k.buf = append(k.buf, k.toClient[:n]...)
	k.toClient = k.toClient[n:]
	if k.full && !k.conn.Moving() {
		k.full = false
		l := k.conn.Loop()
		l.Begin(w.now)
		l.Writable(k.conn)
		w.end(l)
	}
	c.parse(k)
	return true
}

// parse handles the whole packets that have come.
func (c *client) parse(k *link) {
	for c.link == k {
		p, n, err := packet.Parse(k.version, k.buf)
		if err != nil {
			c.w.fail(Protocol, "%s: %v in % X", k.name, err, k.buf)
			return
		}
		if n == 0 {
			return
		}
		if most := k.connect.Properties.MaxPacketSize; most > 0 && n > int(most) {
			c.w.fail(Protocol, "%s: a packet of %d bytes; Maximum Packet Size is %d", k.name, n, most)
		}
		c.w.say("#   %s< %s", k.name, describe(p))
		list := []packet.Packet{p}
		if c.w.bend != nil {
			list = c.w.bend.down(c, packet.Clone(p))
		}
		k.buf = append([]byte(nil), k.buf[n:]...)
		for _, p := range list {
			if c.link == k {
				c.handle(k, p)
			}
		}
	}
}

func (c *client) handle(k *link, p packet.Packet) {
	m := c.w.model
	if !k.up {
		ack, ok := p.(*packet.Connack)
		if !ok || ack.Code != packet.Success {
			c.w.fail(Protocol, "%s gets %v in place of CONNACK", k.name, p)
			return
		}
		m.confirmed(k, p)
		c.admitted(k, ack)
		return
	}
	switch p := p.(type) {
	case *packet.Publish:
		c.deliver(k, p)
	case *packet.Puback:
		m.confirmed(k, p)
		e, ok := c.out.Puback(p.ID)
		c.complete(e, ok)
	case *packet.Pubrec:
		e, _, ok := c.out.Pubrec(p.ID, false)
		if !ok {
			c.w.fail(Protocol, "%s gets PUBREC for unknown identifier %d", k.name, p.ID)
			return
		}
		if e.Msg != nil {
			m.confirmed(k, p)
			delete(c.packets, e.Msg)
		}
		c.send(&packet.Pubrel{ID: p.ID})
	case *packet.Pubcomp:
		m.confirmed(k, p)
		e, ok := c.out.Pubcomp(p.ID)
		c.complete(e, ok)
	case *packet.Pubrel:
		c.in.Release(p.ID)
		k.acks = append(k.acks, &packet.Pubcomp{ID: p.ID})
	case *packet.Suback:
		m.confirmed(k, p)
	case *packet.Unsuback:
		m.confirmed(k, p)
	case *packet.Pingresp:
	case *packet.Disconnect:
		if p.Code != packet.KeepAliveTimeout && p.Code != packet.SessionTakenOver || !k.ended {
			c.w.fail(Protocol, "%s gets %v", k.name, p)
		}
	default:
		c.w.fail(Protocol, "%s gets %v", k.name, p)
	}
}

func (c *client) admitted(k *link, ack *packet.Connack) {
	k.up = true
	if !k.present || k.state != c.state { // or the client has missed that it ended
		c.state = k.state
		c.out, c.in = session.Outbound{}, session.Inbound{}
		clear(c.packets)
	}
	receiveMax := 65535
	if ack.Properties.Has(packet.PropReceiveMax) {
		receiveMax = int(ack.Properties.ReceiveMax)
	}
	k.aliasMax = int(ack.Properties.TopicAliasMax)
	c.out.Start(receiveMax)
	c.pump()
}

func (c *client) complete(e session.Entry, ok bool) {
	if !ok { // of a connection before: the broker may say it twice
		return
	}
	delete(c.packets, e.Msg)
	c.pump()
}

// deliver takes a message. Its acknowledgement is sent later.
func (c *client) deliver(k *link, p *packet.Publish) {
	p = packet.Clone(p).(*packet.Publish)
	if a := p.Properties.TopicAlias; p.Properties.Has(packet.PropTopicAlias) {
		switch {
		case a == 0 || a > k.connect.Properties.TopicAliasMax:
			c.w.fail(Protocol, "%s: Topic Alias %d, Topic Alias Maximum is %d", k.name, a, k.connect.Properties.TopicAliasMax)
			return
		case len(p.Topic) > 0:
			k.aliasesIn[a] = string(p.Topic)
		case k.aliasesIn[a] == "":
			c.w.fail(Protocol, "%s: Topic Alias %d stands for nothing", k.name, a)
			return
		}
		p.Topic = []byte(k.aliasesIn[a])
	}
	if p.QoS > 0 {
		k.open++
		if most := k.connect.Properties.ReceiveMax; k.connect.Properties.Has(packet.PropReceiveMax) && k.open > int(most) {
			c.w.fail(Protocol, "%s: %d messages unacknowledged, Receive Maximum is %d", k.name, k.open, most)
		}
	}
	c.w.res.Delivered++
	switch p.QoS {
	case 0:
		c.w.model.deliver(k, p, false)
	case 1:
		c.w.model.deliver(k, p, false)
		k.acks = append(k.acks, &packet.Puback{ID: p.ID})
	case 2:
		c.w.model.deliver(k, p, !c.in.Accept(p.ID))
		k.acks = append(k.acks, &packet.Pubrec{ID: p.ID})
	}
}

// acknowledge sends up to n of the acknowledgements that are due, in their order.
func (c *client) acknowledge(n int) bool {
	k := c.link
	if k == nil || len(k.acks) == 0 {
		return false
	}
	for ; n > 0 && len(k.acks) > 0; n-- {
		c.send(k.acks[0])
		if k.acks[0].Type() != packet.PUBREC {
			k.open = max(0, k.open-1)
		}
		k.acks = k.acks[1:]
	}
	return true
}

// cut breaks the connection after some more bytes in either direction.
func (c *client) cut(up, down int) {
	k := c.link
	if k == nil {
		return
	}
	c.w.res.Cuts++
	c.w.feed(k, up)
	c.read(down)
	if c.link != k {
		return
	}
	c.w.hangup(k, io.ErrUnexpectedEOF)
	c.lost()
}
