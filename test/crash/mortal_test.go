package crash

import (
	"context"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// mortal is a client that only leaves wills.
type mortal struct {
	*client
	topic string
	qos   byte
	stay  bool // away until its will has come out
}

func newMortal(c *client, qos byte) *mortal {
	m := &mortal{client: c, topic: willTopic + c.name, qos: qos}
	c.will = m.testament
	c.wanted = func() bool { return c.online.Load() || !m.stay || !c.ledger.due(m.topic) }
	c.lost = func(since time.Time) {
		m.stay = !c.complete.Load() && m.rng.IntN(2) == 0
		c.ledger.bereft(m.topic, since)
	}
	return m
}

func (m *mortal) run(ctx context.Context) { m.keep(ctx, m) }

func (m *mortal) testament() *packet.Will {
	n := m.ledger.bequeathing(m.topic, m.qos)
	w := &packet.Will{QoS: m.qos, Topic: []byte(m.topic), Payload: fmt.Appendf(nil, "will %d", n)}
	w.Properties.WillDelay = uint32(willDelay / time.Second)
	w.Properties.Mark(packet.PropWillDelay)
	return w
}

func (m *mortal) greet(*link, *packet.Connack) { m.ledger.bequeathed(m.topic) }

func (m *mortal) receive(_ *link, in packet.Packet) {
	m.ledger.fail(faultProtocol, nil, "%s got %v", m.name, in)
}

func (m *mortal) tick(*link) {}
