package sim

import (
	"bytes"
	"fmt"

	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// ledger knows what was published, acknowledged and delivered.
type ledger struct {
	broken  error
	subs    []*client
	acked   map[message]bool
	seen    map[receipt]int // deliveries that the receiver counts
	last    map[stream]int
	crashes int
	groups  map[receipt]int // deliveries by shared subscription; client is its filter
}

// message names a published message.
type message struct {
	topic string
	qos   byte
	n     int
}

type receipt struct {
	client string
	message
}

// stream is what must arrive in order.
type stream struct {
	client, topic string
	qos, sent     byte // as published, as delivered
}

func newLedger() *ledger {
	return &ledger{acked: map[message]bool{}, seen: map[receipt]int{}, last: map[stream]int{}, groups: map[receipt]int{}}
}

func (b *ledger) fail(format string, args ...any) {
	if b.broken == nil {
		b.broken = fmt.Errorf(format, args...)
	}
}

func (b *ledger) subscriber(c *client) { b.subs = append(b.subs, c) }

func (b *ledger) published(_ *client, topic string, qos byte, n int) {
	b.acked[message{topic, qos, n}] = false
}

func (b *ledger) acknowledged(_ *client, m *session.Message) {
	_, n := parse(m.Payload)
	b.acked[message{m.Topic, m.QoS, n}] = true
}

// forget is the end of a session that does not outlive its connection: order and
// duplicates count from anew, and what it published is not promised.
func (b *ledger) forget(c *client) {
	for s := range b.last {
		if s.client == c.id {
			delete(b.last, s)
		}
	}
	for r := range b.seen {
		if r.client == c.id {
			delete(b.seen, r)
		}
	}
	for m, ok := range b.acked {
		if !ok && (m.topic == c.topics[0] || m.topic == c.topics[1]) {
			delete(b.acked, m)
		}
	}
}

func parse(payload []byte) (qos byte, n int) {
	fields := bytes.Fields(payload)
	_, _ = fmt.Sscan(string(fields[1]), &qos)
	_, _ = fmt.Sscan(string(fields[2]), &n)
	return qos, n
}

// delivered notes a delivery; fresh is false for a QoS 2 repeat that the client answers
// and does not count.
func (b *ledger) delivered(c *client, name string, p *packet.Publish, fresh bool) {
	if !topic.Match(c.filter, name) {
		b.fail("%s: topic %q does not match %q", c.id, name, c.filter)
		return
	}
	if !fresh {
		return
	}
	qos, n := parse(p.Payload)
	if want := min(qos, c.qos); p.QoS != want {
		b.fail("%s: %s %d at QoS %d, want %d", c.id, name, n, p.QoS, want)
	}
	r := receipt{c.id, message{name, qos, n}}
	b.seen[r]++
	if c.share != "" {
		b.groups[receipt{c.filter, message{name, qos, n}}]++
	}
	// A crash may forget a QoS 2 message that went out as QoS 0 and was not acknowledged.
	again := qos == 1 || p.QoS == 1 || p.QoS == 0 && b.crashes > 0
	if !again && b.seen[r] > 1 {
		b.fail("%s: %s %d at QoS %d came twice", c.id, name, n, p.QoS)
	}
	if b.seen[r] > 1 || c.share != "" { // §4.6: shared subscriptions promise no order
		return
	}
	if (qos == 1 || b.crashes > 0) && (p.QoS == 0 || !c.persistent) {
		return // who missed the first copy may get the publisher's repeat, behind later ones
	}
	s := stream{c.id, name, qos, p.QoS}
	if n < b.last[s] {
		b.fail("%s: %s %d came after %d at QoS %d", c.id, name, n, b.last[s], p.QoS)
	}
	b.last[s] = n
}

// settled checks, when nothing is under way, that nothing is missing.
func (b *ledger) settled(w *world) error {
	for m, ok := range b.acked {
		if !ok {
			return fmt.Errorf("%s %d at QoS %d was never acknowledged", m.topic, m.n, m.qos)
		}
		for _, c := range b.subs {
			if min(m.qos, c.qos) == 0 || !c.persistent || !topic.Match(c.filter, m.topic) {
				continue
			}
			n := b.seen[receipt{c.id, m}]
			if c.share == "" && n == 0 {
				return fmt.Errorf("%s never got %s %d at QoS %d", c.id, m.topic, m.n, m.qos)
			}
		}
		if err := b.sharedOnce(m); err != nil {
			return err
		}
	}
	for _, c := range w.clients {
		if !c.out.Idle() {
			return fmt.Errorf("%s: %d messages still on their way", c.id, c.out.Inflight()+c.out.Queued())
		}
	}
	return nil
}

// sharedOnce checks that a message came to some member of each shared subscription that
// promises it: all its members take the message above QoS 0, one of them is persistent,
// and those that are not take it at QoS 1, so that what they leave goes to others.
func (b *ledger) sharedOnce(m message) error {
	promised := map[string]bool{}
	for _, c := range b.subs {
		if c.share != "" && c.persistent && topic.Match(c.filter, m.topic) {
			promised[c.filter] = true
		}
	}
	for _, c := range b.subs {
		if qos := min(m.qos, c.qos); c.share != "" && (qos == 0 || !c.persistent && (qos == 2 || b.crashes > 0)) {
			delete(promised, c.filter)
		}
	}
	for filter := range promised {
		if b.groups[receipt{filter, m}] == 0 {
			return fmt.Errorf("no member of %q got %s %d at QoS %d", filter, m.topic, m.n, m.qos)
		}
	}
	return nil
}
