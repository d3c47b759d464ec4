package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// A topic whose retained message is replaced again and again, each to expire in years,
// costs one message.
func TestReplacedRetainedMessagesAreLetGo(t *testing.T) {
	s := newStage(t, broker.Options{})
	p := s.open()
	p.say("CONNECT v5 id=p clean")
	for range 5000 {
		p.say("PUBLISH q0 topic=t payload=x retain expiry=100000000")
	}
	p.expect("CONNACK success")
	if n := s.b.ExpiringRetained(); n > 3000 {
		t.Errorf("the shards wait for %d messages to expire, and there is 1", n)
	}
	s.finish()
}

// A subscription to everything, with a reader that stops and goes, gets all that is
// retained, and of what was replaced meanwhile the last.
func TestRetainedBacklogArrivesCompletely(t *testing.T) {
	for _, qos := range []int{0, 1} {
		t.Run(fmt.Sprintf("qos %d", qos), func(t *testing.T) {
			s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 4096, MaxInflight: 7}})
			p, a := s.open(), s.open()
			p.say("CONNECT v3.1.1 id=p clean")
			for i := range 200 {
				p.say(fmt.Sprintf("PUBLISH q%d id=%d topic=r/%d payload=200*x retain", qos, qos, i))
			}
			a.say("CONNECT v5 id=a clean")
			a.expect("CONNACK success")
			a.stop(1000)
			a.say("SUBSCRIBE id=1 filter=r/# q1")
			for i := range 50 { // while most of it waits
				p.say(fmt.Sprintf("PUBLISH q%d id=%d topic=r/%d payload=200*y retain", qos, qos, 150+i))
			}
			p.say(`PUBLISH q0 topic=r/100 payload="" retain`)
			state, copies := map[string]string{}, map[string]int{}
			for range 10_000 {
				a.stop(300)
				s.writable(a)
				if len(a.got) == 0 && a.conn.Pending() == 0 {
					break
				}
				for len(a.got) > 0 {
					m, ok := a.got[0].(*packet.Publish)
					a.got = a.got[1:]
					if !ok {
						continue
					}
					state[string(m.Topic)] = string(m.Payload)
					copies[string(m.Topic)+string(m.Payload)]++
					if m.QoS > 0 {
						a.say(fmt.Sprintf("PUBACK id=%d", m.ID))
					}
				}
			}
			for one, n := range copies {
				if n > 1 && qos > 0 {
					t.Errorf("%.10s came %d times", one, n)
				}
			}
			if len(state) < 199 {
				t.Errorf("%d topics arrived, want 199 or, with the deleted one, 200", len(state))
			}
			for i := range 200 {
				want := strings.Repeat("x", 200)
				if i >= 150 {
					want = strings.Repeat("y", 200)
				}
				if got := state[fmt.Sprintf("r/%d", i)]; got != want && i != 100 {
					t.Errorf("r/%d is %.10q, want %.10q", i, got, want)
				}
			}
			s.finish()
		})
	}
}

// A turn may bring more than OutboundBuffer for one client. Only a client that does not
// read loses messages by that.
func TestBurstsAreNotSlowConsumers(t *testing.T) {
	for name, lost := range map[string]bool{"fast": false, "slow": true} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 2048}})
			p, a := s.open(), s.open()
			p.say("CONNECT v5 id=p clean")
			a.say("CONNECT v5 id=a clean", "SUBSCRIBE id=1 filter=t q0")
			if lost {
				a.stop(3000)
			}
			p.say(slices.Repeat([]string{"PUBLISH q0 topic=t payload=100*x"}, 100)...)
			if got := s.b.StatsNow().Dropped[broker.DropSlowConsumer]; got > 0 != lost {
				t.Errorf("%d messages dropped", got)
			}
			a.got = nil
			s.finish()
		})
	}
}

// A client that resumes its session and reads slowly gets what it had not acknowledged
// before anything new [MQTT-4.6.0-5].
func TestResendingToASlowReaderKeepsOrder(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 1024}})
	p, a := s.open(), s.open()
	p.say("CONNECT v3.1.1 id=p clean")
	a.say("CONNECT v3.1.1 id=a", "SUBSCRIBE id=1 filter=t q1")
	for i := range 8 {
		p.say(fmt.Sprintf("PUBLISH q1 id=1 topic=t payload=500*%d", i))
	}
	a.cut()
	a = s.open()
	a.stop(600)
	a.say("CONNECT v3.1.1 id=a")
	a.stop(600)
	s.writable(a)
	p.say("PUBLISH q1 id=1 topic=t payload=500*8")
	a.resume()
	order := ""
	for _, got := range a.got {
		if m, ok := got.(*packet.Publish); ok {
			order += string(m.Payload[:1])
		}
	}
	if order != "012345678" {
		t.Errorf("the messages came in the order %s", order)
	}
	a.got = nil
	s.finish()
}

// What was retained for a subscription is no longer sent once that has ended.
func TestUnsubscribeEndsTheBacklog(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 1024}})
	p, a := s.open(), s.open()
	p.say("CONNECT v3.1.1 id=p clean")
	for i := range 20 {
		p.say(fmt.Sprintf("PUBLISH q0 topic=r/%d payload=200*x retain", i))
	}
	a.say("CONNECT v5 id=a clean")
	a.expect("CONNACK success")
	a.stop(0)
	a.say("SUBSCRIBE id=1 filter=r/# q1", "SUBSCRIBE id=2 filter=r/19 q0", "UNSUBSCRIBE id=3 filter=r/#")
	a.resume()
	after, last := 0, ""
	for _, got := range a.got {
		last = script.Format(got)
		if _, ok := got.(*packet.Unsuback); ok {
			after = 0
		}
		after++
	}
	if after != 2 || !strings.Contains(last, "r/19") {
		t.Errorf("%d packets came from UNSUBACK on, the last %.40s; want UNSUBACK and r/19", after, last)
	}
	a.got = nil
	s.finish()
}

// A client that comes and goes does not leave a timer behind each time.
func TestReconnectsLeaveNoTimers(t *testing.T) {
	s := newStage(t, broker.Options{})
	for range 3 {
		a := s.open()
		a.say("CONNECT v5 id=a expiry=100000000 will{topic=w payload=bye delay=50000000}")
		a.cut()
		s.wait(20 * time.Second)
	}
	before := s.b.Timers()
	for range 100 {
		a := s.open()
		a.say("CONNECT v5 id=a expiry=100000000 will{topic=w payload=bye delay=50000000}")
		a.cut()
		s.wait(20 * time.Second)
	}
	if n := s.b.Timers(); n > before+2 {
		t.Errorf("%d timers after 100 connections, %d before", n, before)
	}
	// ... and the session ends in time nonetheless.
	a := s.open()
	a.say("CONNECT v5 id=a expiry=50")
	a.cut()
	s.wait(51 * time.Second)
	if got := s.b.StatsNow(); got.Sessions != 0 {
		t.Error("the session is still there")
	}
	s.finish()
}
