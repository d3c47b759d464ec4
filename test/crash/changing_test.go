package crash

import (
	"context"

	"github.com/wirebird/wirebird/packet"
)

// changing is a subscriber that subscribes and unsubscribes all the time.
type changing struct {
	*subscriber
	held    map[string]bool // what the broker has acknowledged
	changes []string        // filters of the change under way
	leave   bool            // it is an UNSUBSCRIBE
	tries   int
	id      uint16
	rest    int // ticks until the next change
}

func newChanging(c *client, qos byte, filters ...string) *changing {
	s := &changing{subscriber: newSubscriber(c, "", qos, filters...), held: map[string]bool{}}
	c.session = func() {
		s.forget()
		clear(s.held)
		s.changes = nil
	}
	return s
}

func (s *changing) run(ctx context.Context) { s.keep(ctx, s) }

func (s *changing) greet(l *link, _ *packet.Connack) {
	s.open, s.answered = map[uint16]bool{}, nil
	if s.changes != nil {
		s.ask(l)
	}
}

func (s *changing) tick(l *link) {
	if s.rest--; s.rest > 0 || s.changes != nil || s.quiet.Load() {
		return
	}
	s.rest = 1 + s.rng.IntN(12)
	first := s.sub[s.rng.IntN(len(s.sub))]
	s.leave, s.changes, s.tries = s.held[first], []string{first}, 0
	if other := s.sub[s.rng.IntN(len(s.sub))]; other != first && s.held[other] == s.leave {
		s.changes = append(s.changes, other)
	}
	s.ask(l)
}

// ask sends the change under way, perhaps not for the first time.
func (s *changing) ask(l *link) {
	s.tries++
	s.id = s.id%1000 + 1
	if !s.leave {
		s.ledger.asking(s.holder, s.changes...)
		s.subscribe(l, s.id, s.changes)
		return
	}
	s.ledger.leaving(s.holder, s.changes...)
	p := &packet.Unsubscribe{ID: s.id}
	for _, f := range s.changes {
		p.Filters = append(p.Filters, []byte(f))
	}
	l.send(p)
}

func (s *changing) receive(l *link, in packet.Packet) {
	switch in := in.(type) {
	case *packet.Suback:
		s.agreed(in)
		s.ledger.granted(s.holder, s.changes...)
		s.changed(true)
	case *packet.Unsuback:
		for i, code := range in.Codes {
			if code != packet.Success && s.tries == 1 {
				s.ledger.fail(faultSubscription, nil, "%s held %s, and its first UNSUBSCRIBE got %v on connection %d",
					s.client.name, s.changes[i], code, s.conn)
			}
		}
		s.ledger.left(s.holder, s.changes...)
		s.changed(false)
	default:
		s.message(l, in)
	}
}

func (s *changing) changed(held bool) {
	for _, f := range s.changes {
		s.held[f] = held
	}
	s.changes = nil
}
