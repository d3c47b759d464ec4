package mosquitto

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// subscriber is the state of sub.
type subscriber struct {
	*run
	printer  *printer
	watched  *screen // of --watch; nil without
	printed  int
	finished bool            // no more messages are wanted
	removing map[uint16]bool // removals of retained messages under way
	rate     int             // messages of this second
}

func (r *run) sub(ctx context.Context) int {
	if !r.prepare() {
		return exitFailed
	}
	if status := r.connectInTime(ctx); status != 0 {
		return status
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	r.events.signals = signals
	s := &subscriber{run: r, printer: r.newPrinter(), removing: map[uint16]bool{}}
	if r.cfg.watch {
		s.watched = newScreen(r.Out)
	}
	r.on = handlers{connected: s.connected, message: s.message, subscribed: s.subscribed, published: s.removed}
	rc := r.serve()
	for (rc == errLost || rc == errKeep) && !r.timedOut {
		if rc = r.reconnect(ctx); rc != 0 || r.timedOut || r.ending {
			break
		}
		rc = r.serve()
	}
	return r.outcome(rc)
}

// connected asks for everything, on each connection anew.
func (s *subscriber) connected() {
	c := s.cfg
	if len(c.topics) > 0 {
		p := &packet.Subscribe{ID: s.newMid()}
		for _, f := range c.topics {
			p.Filters = append(p.Filters, s.subscription(f))
		}
		p.Properties = c.properties.subscribe
		s.send(p)
	}
	for _, f := range c.unsubscribe {
		s.send(&packet.Unsubscribe{ID: s.newMid(), Filters: [][]byte{[]byte(f)}, Properties: c.properties.unsubscribe})
	}
	if c.messageRate {
		s.tick()
	}
}

func (r *run) subscription(filter string) packet.Subscription {
	f := packet.Subscription{Filter: []byte(filter), QoS: r.cfg.qos}
	if r.cfg.version == packet.V5 {
		f.NoLocal, f.RetainAsPublished, f.RetainHandling = r.cfg.noLocal, r.cfg.retainAsPublished, r.cfg.retainHandling
	}
	return f
}

// tick prints the rate of each second.
func (s *subscriber) tick() {
	s.events.timer = time.After(time.Second)
	s.events.onTimer = func() {
		fmt.Fprintf(s.Out, "%d\n", s.rate)
		s.rate = 0
		s.tick()
	}
}

func (s *subscriber) subscribed(p *packet.Suback) {
	allowed := false
	text := make([]string, len(p.Codes))
	for i, code := range p.Codes {
		allowed = allowed || code < packet.UnspecifiedError
		text[i] = fmt.Sprint(byte(code))
	}
	if s.cfg.debug && !s.cfg.quiet {
		fmt.Fprintf(s.Out, "Subscribed (mid: %d): %s\n", p.ID, strings.Join(text, ", "))
	}
	if !allowed {
		if s.ours() { // mosquitto_sub calls it a success
			s.exit = exitFailed
		}
		s.disconnect(packet.Success)
		s.complain("All subscription requests were denied.\n")
	}
	if s.cfg.exitAfterSub {
		s.disconnect(packet.Success)
	}
}

func (s *subscriber) message(m *packet.Publish) {
	c := s.cfg
	switch {
	case s.finished:
		return
	case c.retainedOnly && !m.Retain:
		s.finish()
		return
	case c.noRetained && m.Retain:
		return
	}
	for _, f := range c.filterOut {
		if topic.Match(f, string(m.Topic)) {
			return
		}
	}
	if c.removeRetained && m.Retain {
		id := s.publish(packet.Publish{Topic: m.Topic, QoS: 1, Retain: true})
		s.removing[id] = true
	}
	s.print(m)
	if s.printed++; s.printed == c.count {
		s.finish()
	}
}

func (s *subscriber) print(m *packet.Publish) {
	switch c := s.cfg; {
	case c.randomFilter < 100 && rand.Float64()*100 >= c.randomFilter:
	case c.messageRate:
		s.rate++
	case s.watched != nil:
		s.watched.show(m, s.printer)
	default:
		s.printer.print(m, time.Now())
	}
}

// finish disconnects once the retained messages to remove are removed.
func (s *subscriber) finish() {
	s.finished = true
	if len(s.removing) == 0 {
		s.disconnect(packet.Success)
	}
}

// removed is called when the server has taken a removal.
func (s *subscriber) removed(mid uint16, _ packet.ReasonCode, _ *packet.Properties) {
	delete(s.removing, mid)
	if s.finished && len(s.removing) == 0 {
		s.disconnect(packet.Success)
	}
}
