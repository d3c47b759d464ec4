package crash

import (
	"context"
	"slices"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// publisher sends numbered messages on its topics. It remembers what is not acknowledged
// and sends it again, in order, after each reconnect.
type publisher struct {
	*client
	topics []string
	qos    []byte // each as likely as it is often
	retain bool
	window int
	rate   float64 // messages a second

	next     map[stream]int
	inflight []*flight // in the order of sending
	credit   float64
	last     time.Time
	limit    int // window of this connection
}

// flight is a message that waits for an acknowledgement.
type flight struct {
	*record
	id       uint16
	released bool // PUBREC has come
	releases int  // PUBRELs sent
	payload  []byte
}

func newPublisher(c *client, rate float64, qos []byte, topics ...string) *publisher {
	return &publisher{client: c, topics: topics, qos: qos, window: 24, rate: rate, next: map[stream]int{}}
}

func (p *publisher) run(ctx context.Context) { p.keep(ctx, p) }

func (p *publisher) greet(l *link, ack *packet.Connack) {
	p.last, p.limit = time.Now(), p.window
	if ack.Properties.Has(packet.PropReceiveMax) {
		p.limit = min(p.limit, int(ack.Properties.ReceiveMax))
	}
	if !ack.SessionPresent {
		p.inflight = nil // gone with the session
		return
	}
	for _, f := range p.inflight {
		if f.released {
			p.release(l, f)
			continue
		}
		p.ledger.note(f.record, p.witness(), resent, f.id)
		l.send(p.packet(f, true))
	}
}

func (p *publisher) packet(f *flight, dup bool) *packet.Publish {
	return &packet.Publish{Dup: dup, QoS: f.qos, Retain: p.retain, Topic: []byte(f.topic), ID: f.id, Payload: f.payload}
}

func (p *publisher) release(l *link, f *flight) {
	f.releases++
	p.ledger.note(f.record, p.witness(), sentPubrel, f.id)
	l.send(&packet.Pubrel{ID: f.id})
}

func (p *publisher) tick(l *link) {
	now := time.Now()
	p.credit = min(p.credit+p.rate*now.Sub(p.last).Seconds(), float64(p.window))
	p.last = now
	for !p.quiet.Load() && p.credit >= 1 && len(p.inflight) < p.limit {
		p.credit--
		p.publish(l)
	}
}

func (p *publisher) publish(l *link) {
	m := message{topic: p.topics[p.rng.IntN(len(p.topics))], qos: p.qos[p.rng.IntN(len(p.qos))]}
	s := stream{m.topic, m.qos}
	p.next[s]++
	m.seq = p.next[s]
	f := &flight{payload: payload(p.name, m)}
	if p.retain && clears(m.seq) {
		f.payload = nil
	}
	if m.qos > 0 {
		f.id = p.freeID()
		p.inflight = append(p.inflight, f)
	}
	f.record = p.ledger.publishing(p.witness(), m, p.retain, f.id)
	l.send(p.packet(f, false))
}

// freeID returns the lowest free packet identifier: they are used again as soon as they
// can be, so that a broker that forgets to forget one drops a message.
func (p *publisher) freeID() uint16 {
	for id := uint16(1); ; id++ {
		if p.find(id) == nil {
			return id
		}
	}
}

func (p *publisher) find(id uint16) *flight {
	for _, f := range p.inflight {
		if f.id == id {
			return f
		}
	}
	return nil
}

func (p *publisher) receive(l *link, in packet.Packet) {
	switch in := in.(type) {
	case *packet.Puback:
		if f := p.expect(in, in.ID, in.Code, 1); f != nil {
			p.ledger.acknowledged(f.record, p.witness(), gotPuback, f.id)
			p.drop(f)
		}
	case *packet.Pubrec:
		if f := p.expect(in, in.ID, in.Code, 2); f != nil {
			p.ledger.acknowledged(f.record, p.witness(), gotPubrec, f.id)
			f.released = true
			p.release(l, f)
		}
	case *packet.Pubcomp:
		p.completed(in)
	default:
		p.ledger.fail(faultProtocol, nil, "%s got %v", p.name, in)
	}
}

// expect finds the message that an acknowledgement is for, nil if it is for none.
func (p *publisher) expect(in packet.Packet, id uint16, code packet.ReasonCode, qos byte) *flight {
	f := p.find(id)
	if f == nil || f.qos != qos || f.released {
		p.ledger.fail(faultProtocol, nil, "%s got %v on connection %d, which answers nothing", p.name, in, p.conn)
		return nil
	}
	if code >= 0x80 {
		p.ledger.fail(faultProtocol, f.record, "%s was refused a message: %v", p.name, in)
		p.drop(f)
		return nil
	}
	return f
}

func (p *publisher) completed(in *packet.Pubcomp) {
	f := p.find(in.ID)
	if f == nil || !f.released {
		p.ledger.fail(faultProtocol, nil, "%s got %v on connection %d, which answers nothing", p.name, in, p.conn)
		return
	}
	if in.Code != packet.Success && f.releases == 1 {
		p.ledger.fail(faultProtocol, f.record, "%s got %v for its first PUBREL", p.name, in)
	}
	p.ledger.completed(f.record, p.witness(), f.id)
	p.drop(f)
}

func (p *publisher) drop(f *flight) {
	p.inflight = slices.DeleteFunc(p.inflight, func(g *flight) bool { return g == f })
}
