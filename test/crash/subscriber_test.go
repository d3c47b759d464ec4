package crash

import (
	"context"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// subscriber is a persistent session that subscribes once and then counts what comes.
type subscriber struct {
	*client
	*holder
	filters []string // as subscribed, share name included
	sub     []string // without

	subscribed bool
	unreleased map[uint16]*unreleased
	open       map[uint16]bool // received and not answered for good, on this connection
	answered   []uint16        // in the link's buffer
	flushes    int
}

// unreleased is a QoS 2 message whose PUBREL has not come.
type unreleased struct {
	payload string
	record  *record // nil for a will
}

func newSubscriber(c *client, share string, qos byte, filters ...string) *subscriber {
	s := &subscriber{client: c, holder: c.ledger.holder(c.name, share, qos), sub: filters, unreleased: map[uint16]*unreleased{}}
	for _, f := range filters {
		if share != "" {
			f = "$share/" + share + "/" + f
		}
		s.filters = append(s.filters, f)
	}
	c.session = s.forget
	c.ending = func() { c.ledger.ending(s.holder) }
	return s
}

func (s *subscriber) run(ctx context.Context) { s.keep(ctx, s) }

// forget starts anew without a session.
func (s *subscriber) forget() {
	s.subscribed = false
	clear(s.unreleased)
	s.ledger.gone(s.holder)
}

func (s *subscriber) greet(l *link, _ *packet.Connack) {
	s.open, s.answered = map[uint16]bool{}, nil
	if s.subscribed {
		return
	}
	s.ledger.asking(s.holder, s.sub...)
	s.subscribe(l, 1, s.filters)
}

func (s *subscriber) subscribe(l *link, id uint16, filters []string) {
	p := &packet.Subscribe{ID: id}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(f), QoS: s.qos})
	}
	l.send(p)
}

func (s *subscriber) tick(*link) {}

func (s *subscriber) receive(l *link, in packet.Packet) {
	switch in := in.(type) {
	case *packet.Suback:
		s.agreed(in)
		s.subscribed = true
		s.ledger.granted(s.holder, s.sub...)
	default:
		s.message(l, in)
	}
}

// agreed judges the codes of a SUBACK.
func (s *subscriber) agreed(in *packet.Suback) {
	for _, code := range in.Codes {
		if code != packet.ReasonCode(s.qos) {
			s.ledger.fail(faultProtocol, nil, "%s asked for QoS %d and got %v", s.client.name, s.qos, in)
		}
	}
}

// message answers what belongs to the delivery of messages.
func (s *subscriber) message(l *link, in packet.Packet) {
	switch in := in.(type) {
	case *packet.Publish:
		s.quota(l, in)
		s.publish(l, in)
	case *packet.Pubrel:
		if u := s.unreleased[in.ID]; u != nil && u.record != nil {
			s.ledger.note(u.record, s.witness(), gotPubrel, in.ID)
		}
		delete(s.unreleased, in.ID)
		l.send(&packet.Pubcomp{ID: in.ID})
		s.answered = append(s.answered, in.ID)
	default:
		s.ledger.fail(faultProtocol, nil, "%s got %v", s.client.name, in)
	}
}

// quota checks that the broker keeps to the Receive Maximum [MQTT-3.3.4-9]. What it
// cannot know to be answered, because the answer is still in our buffer, counts.
func (s *subscriber) quota(l *link, in *packet.Publish) {
	if s.flushes != l.flushes {
		for _, id := range s.answered {
			delete(s.open, id)
		}
		s.answered, s.flushes = s.answered[:0], l.flushes
	}
	if in.QoS == 0 {
		return
	}
	s.open[in.ID] = true
	if s.receiveMax > 0 && len(s.open) > int(s.receiveMax) {
		s.ledger.fail(faultProtocol, nil, "%s has %d messages to answer, more than its Receive Maximum of %d",
			s.client.name, len(s.open), s.receiveMax)
	}
}

func (s *subscriber) publish(l *link, in *packet.Publish) {
	switch in.QoS {
	case 0:
		s.deliver(in, true)
	case 1:
		s.deliver(in, true)
		l.send(&packet.Puback{ID: in.ID})
		s.answered = append(s.answered, in.ID)
	case 2:
		known := s.unreleased[in.ID]
		if known != nil && (known.payload != string(in.Payload) || !in.Dup) {
			s.ledger.fail(faultProtocol, known.record, "%s got %v for a message it has not seen released: DUP %v, same payload %v",
				s.client.name, in, in.Dup, known.payload == string(in.Payload))
		}
		r := s.deliver(in, known == nil)
		if known == nil {
			s.unreleased[in.ID] = &unreleased{string(in.Payload), r}
		}
		l.send(&packet.Pubrec{ID: in.ID})
	}
}

func (s *subscriber) deliver(in *packet.Publish, fresh bool) *record {
	if !strings.HasPrefix(string(in.Topic), willTopic) {
		return s.ledger.delivered(s.holder, s.witness(), in, fresh)
	}
	if fresh {
		s.ledger.will(in)
	}
	return nil
}

// willTopic begins the topics of wills.
const willTopic = "will/"
