package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

const (
	storeTime    = 3 * time.Minute // for storing or delivering all
	collectQuiet = 5 * time.Second
)

// Stored is messages that the broker keeps and delivers later.
type Stored struct {
	Version    packet.Version // 0 is 3.1.1
	Count      int            // messages in all
	Publishers int
	Payload    int
	Window     int
	PIDs       []int
	// Retained keeps a message for each topic and lets a new subscriber have them;
	// else one persistent session is away while they are queued for it.
	Retained bool
	QoS      byte // of the subscription; storing is always at QoS 1
}

// work is the load that stores.
func (s *Stored) work() Work {
	return Work{
		Pattern: All, Version: s.Version, QoS: 1, Publishers: s.Publishers, Subscribers: 1, Payload: s.Payload,
		Window: s.Window, Batch: max(s.Window/2, 1), Duration: time.Second, PIDs: s.PIDs,
	}
}

// Validate names the first field that cannot be.
func (s *Stored) Validate() error {
	if s.Count < s.Publishers || s.Count > 10_000_000 {
		return fmt.Errorf("count: want at least one message a publisher and at most 10,000,000, not %d", s.Count)
	}
	w := s.work()
	return w.Validate()
}

// RunStored measures storing and delivering. The two results have their own
// CPU; losses are the second's.
func RunStored(ctx context.Context, t *Target, s Stored) (store, deliver *Result, err error) {
	if err := s.Validate(); err != nil {
		return nil, nil, err
	}
	f, err := newFlow(ctx, s.work())
	if err != nil {
		return nil, nil, err
	}
	defer f.close()
	d := &dialer{Target: t}
	away := fmt.Sprintf("bench-%s-s0", f.run)
	if !s.Retained {
		if err := f.connectSubscribers(d, false); err != nil {
			return nil, nil, err
		}
		c := f.subscribers[0].c
		c.write((&packet.Disconnect{}).Append(nil, s.Version))
		c.close()
	}
	if store, err = f.store(d, s); err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	deliver, err = f.deliver(d, s, away)
	if err != nil {
		err = fmt.Errorf("deliver: %w", err)
	}
	return store, deliver, err
}

// store publishes all messages and waits for their acknowledgements.
func (f *flow) store(d *dialer, s Stored) (*Result, error) {
	f.copies = 0 // nobody is there: acknowledgements alone count
	if err := f.connectPublishers(d, s.Retained); err != nil {
		return nil, err
	}
	each := uint64(s.Count / s.Publishers)
	for i, p := range f.publishers {
		p.quota = each
		if s.Retained {
			p.retain(f, i, int(each))
		}
	}
	want := each * uint64(s.Publishers)
	m := f.begin()
	f.start()
	if err := f.spin(storeTime, func() bool { return f.received == want }, "PUBACK for every message"); err != nil {
		return nil, err
	}
	r := f.end(m)
	r.Sent, r.Received, r.Refused = f.sent, f.received, f.refused
	f.stopped, f.tickBy = true, 0
	return r, nil
}

// retain gives a publisher a topic for each message, all of one stream.
func (p *publisher) retain(f *flow, number, n int) {
	p.templates = p.templates[:0]
	for i := range n {
		name := fmt.Sprintf("%s/%d/%d/%d", f.prefix, number, i%100, i)
		p.templates = append(p.templates, newTemplate(f.work.Version, 1, true, name, uint32(number), f.work.Payload))
	}
}

// deliver lets the subscriber come and take all.
func (f *flow) deliver(d *dialer, s Stored, away string) (*Result, error) {
	h := hello{version: s.Version, clientID: away, clean: s.Retained}
	if s.Retained {
		f.work.QoS = s.QoS
		h.clientID = away + "-new"
	}
	f.publishersIdle()
	f.latency.Reset()
	f.received = 0
	m := f.begin()
	l, err := d.open(f.ctx, h)
	if err != nil {
		return nil, err
	}
	if !s.Retained && !l.connack.SessionPresent {
		_ = l.nc.Close()
		return nil, errors.New("the broker has no session for the client that comes back")
	}
	sub := &subscriber{f: f}
	if sub.c, err = f.e.add(l, sub); err != nil {
		return nil, err
	}
	if s.Retained {
		sub.subscribe([]string{f.prefix + "/#"})
	}
	last, at := uint64(0), f.e.now()
	err = f.spin(storeTime, func() bool {
		if f.received != last {
			last, at = f.received, f.e.now()
		}
		return f.received >= f.sent || f.e.now()-at > int64(collectQuiet)
	}, "end of the deliveries")
	if err != nil {
		return nil, err
	}
	r := f.end(m)
	r.Sent, r.Received, r.Repeated, r.Misrouted = f.sent, f.received, f.repeated, f.misrouted
	r.Lost = f.lost()
	if r.Disordered = f.disordered; s.Retained {
		r.Disordered = 0 // nothing orders retained messages of different topics
	}
	return r, f.cleanUp(d, s, sub, h)
}

// publishersIdle lets deliveries count without their publishers.
func (f *flow) publishersIdle() {
	for _, p := range f.publishers {
		p.quota = p.sent
	}
	f.copies = 1
}

// cleanUp removes the retained messages, or the session, from the broker.
func (f *flow) cleanUp(d *dialer, s Stored, sub *subscriber, h hello) error {
	if !s.Retained {
		h.clean = true
		sub.c.close()
		return d.hello(f.ctx, h)
	}
	for _, p := range f.publishers {
		for i := range p.templates {
			t := &p.templates[i]
			b, _ := packet.AppendPublish(nil, s.Version, packet.FlagRetain, string(t.topic()), 0, nil, nil)
			p.c.write(b)
		}
		p.pings = append(p.pings, ping{})
		p.c.write([]byte{byte(packet.PINGREQ) << 4, 0})
	}
	return f.spin(storeTime, func() bool {
		for _, p := range f.publishers {
			if len(p.pings) > 0 {
				return false
			}
		}
		return true
	}, "PINGRESP")
}
