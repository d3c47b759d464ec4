package sim

import (
	"fmt"
	"io"

	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// client is an MQTT client whose session survives its connections. Its flows are those
// of package session, as the broker's are.
type client struct {
	w          *world
	id         string
	version    packet.Version
	persistent bool
	filter     string // of its subscription
	share      string
	qos        byte // granted
	receiveMax uint16

	out  session.Outbound
	in   session.Inbound
	subs bool // the broker's session has the subscription

	link    *link
	wants   bool // to be connected
	slow    bool
	buf     []byte
	up      bool // CONNACK came
	aliases session.AliasIn
	acks    []packet.Packet // not sent yet
	open    int             // PUBLISH packets above QoS 0 whose last acknowledgement was not sent
	topics  []string        // it publishes to
	next    map[string]int  // sequence number by topic and QoS
}

// topicCount is how many topics a client publishes to.
const topicCount = 2

func newClient(w *world, i int) *client {
	r := w.rng
	c := &client{
		w: w, id: fmt.Sprintf("c%d", i), next: map[string]int{},
		version:    []packet.Version{packet.V31, packet.V311, packet.V5}[r.IntN(3)],
		persistent: r.IntN(3) > 0, qos: byte(r.IntN(3)),
	}
	if c.version == packet.V5 {
		c.receiveMax = uint16(1 + r.IntN(10))
	}
	for t := range topicCount {
		c.topics = append(c.topics, fmt.Sprintf("t/%d/%d", i, t))
	}
	c.filter = []string{"#", "t/+/0", fmt.Sprintf("t/%d/#", r.IntN(3)), "t/0/0"}[r.IntN(4)]
	if r.IntN(3) == 0 {
		c.share, c.filter = "g", "#"
		c.qos = max(1, c.qos)
	}
	w.books.subscriber(c)
	return c
}

func (c *client) full() string {
	if c.share != "" {
		return "$share/" + c.share + "/" + c.filter
	}
	return c.filter
}

// connect opens a connection and sends CONNECT.
func (c *client) connect() {
	c.wants = true
	k := &link{w: c.w, room: 1 + c.w.rng.IntN(3000)}
	l := c.w.loops[c.w.rng.IntN(len(c.w.loops))]
	l.Begin(c.w.now)
	k.conn = l.OpenPort(k, nil)
	l.End()
	c.link, c.buf, c.up, c.acks, c.open = k, nil, false, nil, 0
	c.aliases = session.AliasIn{}
	p := packet.Connect{Version: c.version, ClientID: []byte(c.id), CleanStart: !c.persistent}
	if c.version == packet.V5 {
		if c.persistent {
			p.Properties.SessionExpiry = 0xFFFFFFFF
			p.Properties.Mark(packet.PropSessionExpiry)
		}
		p.Properties.ReceiveMax = c.receiveMax
		p.Properties.Mark(packet.PropReceiveMax)
		p.Properties.TopicAliasMax = uint16(c.w.rng.IntN(3))
		p.Properties.Mark(packet.PropTopicAliasMax)
	}
	c.send(&p)
	c.w.note("%s connects, %v persistent=%v", c.id, c.version, c.persistent)
}

func (c *client) send(p packet.Packet) { c.link.up = p.Append(c.link.up, c.version) }

// cut breaks the connection: what is under way in either direction is lost from some
// byte on.
func (c *client) cut() {
	if c.link == nil {
		return
	}
	k := c.link
	c.w.res.Cuts++
	if len(k.up) > 0 {
		c.w.toBroker(c, c.w.rng.IntN(len(k.up)+1))
	}
	if c.link != nil && len(k.down) > 0 && !c.slow {
		c.receive(k.down[:c.w.rng.IntN(len(k.down)+1)])
	}
	if c.link == nil {
		return
	}
	c.w.note("%s cut", c.id)
	c.hangup(io.ErrUnexpectedEOF)
}

// hangup ends the connection on both sides.
func (c *client) hangup(err error) {
	k := c.link
	for k.conn.Moving() { // it arrives first
		for i := range c.w.loops {
			c.w.turn(i)
		}
	}
	c.lost()
	l := k.conn.Loop()
	l.Begin(c.w.now)
	l.Hangup(k.conn, err)
	l.End()
}

// leave disconnects in good order.
func (c *client) leave() {
	if c.link == nil || !c.up {
		return
	}
	c.w.note("%s leaves", c.id)
	c.send(&packet.Disconnect{})
	for c.link != nil && c.w.toBroker(c, 1<<20) {
	}
	if c.link != nil {
		c.hangup(io.EOF)
	}
}

// lost notes the end of the connection.
func (c *client) lost() {
	c.link, c.up = nil, false
	c.out.Stop()
	c.open = 0
	if !c.persistent {
		c.out, c.in = session.Outbound{}, session.Inbound{}
		c.w.books.forget(c)
	}
}

// heal makes the client one that wants to finish.
func (c *client) heal() {
	c.slow, c.wants = false, true
}

// publish sends the next message of one of its topics.
func (c *client) publish() {
	r := c.w.rng
	topic, qos := c.topics[r.IntN(topicCount)], byte(r.IntN(3))
	if qos == 0 && !c.up || c.out.Queued() > 50 {
		return
	}
	key := fmt.Sprintf("%s/%d", topic, qos)
	c.next[key]++
	payload := fmt.Appendf(nil, "%s %d %d ", c.id, qos, c.next[key])
	payload = append(payload, make([]byte, r.IntN(400))...)
	m := &session.Message{Topic: topic, Payload: payload, QoS: qos}
	c.w.res.Published++
	if qos == 0 {
		c.sendMessage(m, 0, 0)
		return
	}
	c.w.books.published(c, topic, qos, c.next[key])
	c.out.Push(session.Entry{Msg: m, QoS: qos})
	c.pump()
}

func (c *client) sendMessage(m *session.Message, flags byte, id uint16) {
	c.link.up, _ = packet.AppendPublish(c.link.up, c.version, m.QoS<<1|flags, m.Topic, id, nil, m.Payload)
}

// pump sends what the session may send.
func (c *client) pump() {
	for c.up {
		kind, id, e := c.out.Next(c.w.now)
		switch kind {
		case session.Send:
			c.sendMessage(e.Msg, 0, id)
		case session.Resend:
			c.sendMessage(e.Msg, packet.FlagDup, id)
		case session.Release:
			c.send(&packet.Pubrel{ID: id})
		default:
			return
		}
	}
}

// receive takes bytes from the network.
func (c *client) receive(b []byte) {
	c.buf = append(c.buf, b...)
	for c.link != nil {
		p, n, err := packet.Parse(c.version, c.buf)
		if err != nil {
			c.w.books.fail("%s: %v in % X", c.id, err, c.buf)
			return
		}
		if n == 0 {
			return
		}
		c.handle(p)
		if len(c.buf) >= n {
			c.buf = c.buf[n:]
		}
	}
}

func (c *client) handle(p packet.Packet) {
	if !c.up {
		ack, ok := p.(*packet.Connack)
		if !ok || ack.Code != packet.Success {
			c.w.books.fail("%s: %v in place of CONNACK", c.id, p)
			return
		}
		c.opened(ack)
		return
	}
	switch p := p.(type) {
	case *packet.Publish:
		c.deliver(p)
	case *packet.Puback:
		c.answered(c.out.Puback(p.ID))
	case *packet.Pubrec:
		e, _, ok := c.out.Pubrec(p.ID, false)
		if !ok {
			c.w.books.fail("%s: PUBREC for unknown id %d", c.id, p.ID)
			return
		}
		if e.Msg != nil {
			c.w.books.acknowledged(c, e.Msg)
		}
		c.send(&packet.Pubrel{ID: p.ID})
	case *packet.Pubcomp:
		c.answered(c.out.Pubcomp(p.ID))
	case *packet.Pubrel:
		c.in.Release(p.ID)
		c.acks = append(c.acks, &packet.Pubcomp{ID: p.ID})
	case *packet.Suback:
		c.subs = true
	case *packet.Disconnect:
		c.w.books.fail("%s: the broker says %v", c.id, p)
	}
}

func (c *client) opened(ack *packet.Connack) {
	c.up = true
	if c.persistent && c.subs && c.version != packet.V31 && !ack.SessionPresent {
		c.w.books.fail("%s: its session is gone", c.id)
	}
	receiveMax := 65535
	if ack.Properties.Has(packet.PropReceiveMax) {
		receiveMax = int(ack.Properties.ReceiveMax)
	}
	c.out.Start(receiveMax)
	if !c.persistent || !c.subs {
		c.send(&packet.Subscribe{ID: 7, Filters: []packet.Subscription{{Filter: []byte(c.full()), QoS: c.qos}}})
	}
	c.pump()
}

func (c *client) answered(e session.Entry, ok bool) {
	if !ok { // of a connection before: the broker may say it twice
		return
	}
	if e.Msg != nil {
		c.w.books.acknowledged(c, e.Msg)
	}
	c.pump()
}

// deliver takes a message. Its acknowledgement is sent later.
func (c *client) deliver(p *packet.Publish) {
	topic := string(p.Topic)
	if a := p.Properties.TopicAlias; p.Properties.Has(packet.PropTopicAlias) {
		if topic == "" {
			topic = c.aliases.Get(a)
		} else {
			c.aliases.Set(a, 65535, p.Topic)
		}
	}
	if p.QoS > 0 {
		if c.open++; c.receiveMax > 0 && c.open > int(c.receiveMax) {
			c.w.books.fail("%s: %d messages unacknowledged, Receive Maximum is %d", c.id, c.open, c.receiveMax)
		}
	}
	c.w.res.Delivered++
	switch p.QoS {
	case 0:
		c.w.books.delivered(c, topic, p, true)
	case 1:
		c.w.books.delivered(c, topic, p, true)
		c.acks = append(c.acks, &packet.Puback{ID: p.ID})
	case 2:
		c.w.books.delivered(c, topic, p, c.in.Accept(p.ID))
		c.acks = append(c.acks, &packet.Pubrec{ID: p.ID})
	}
}

// acknowledge sends up to n of the acknowledgements that are due, in their order.
func (c *client) acknowledge(n int) bool {
	if c.link == nil || len(c.acks) == 0 {
		return false
	}
	for ; n > 0 && len(c.acks) > 0; n-- {
		c.send(c.acks[0])
		if c.acks[0].Type() != packet.PUBREC {
			c.open = max(0, c.open-1)
		}
		c.acks = c.acks[1:]
	}
	return true
}
