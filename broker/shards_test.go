package broker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// at is a Client Identifier whose sessions live on a shard.
func (s *stage) at(shard int, prefix string) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("%s%d", prefix, i); s.b.Home(id) == shard {
			return id
		}
	}
}

// A publisher that is faster than the other shards is not read until their mail is down;
// what it has sent arrives.
func TestPublishersWaitForOtherShards(t *testing.T) {
	s := newStage(t, broker.Options{Shards: 2, Limits: broker.Limits{OutboundBuffer: 64 << 20}})
	p, a := s.open(), s.open()
	p.say("CONNECT v5 clean id=" + s.at(0, "p"))
	a.say("CONNECT v5 clean id="+s.at(1, "a"), "SUBSCRIBE id=1 filter=t q0")
	a.expect("CONNACK success", "SUBACK id=1 q0")
	p.expect("CONNACK success")
	a.discard, a.written = true, 0
	p.say(append(slices.Repeat([]string{"PUBLISH q0 topic=t payload=100000*x"}, 60), "PINGREQ")...)
	p.expect()
	if got := s.b.StatsNow(); got.Stalls != 1 || got.MessagesIn[0] >= 60 {
		t.Errorf("%d stalls after %d messages", got.Stalls, got.MessagesIn[0])
	}
	for range 5 {
		s.wait(time.Second)
	}
	p.expect("PINGRESP")
	if got := a.written; got < 60*100000 {
		t.Errorf("%d bytes arrived", got)
	}
	s.finish()
}

// A stalled publisher may leave, or be parked by a hook, before it goes on.
func TestStalledPublishersMayLeave(t *testing.T) {
	s := newStage(t, broker.Options{Shards: 2, Limits: broker.Limits{OutboundBuffer: 64 << 20}})
	p, a := s.open(), s.open()
	p.say("CONNECT v5 clean id=" + s.at(0, "p"))
	a.say("CONNECT v5 clean id="+s.at(1, "a"), "SUBSCRIBE id=1 filter=t q0")
	a.discard = true
	p.say(slices.Repeat([]string{"PUBLISH q0 topic=t payload=100000*x"}, 60)...)
	p.cut()
	s.wait(time.Second)
	s.finish()
}

// The order of one publisher's messages holds at each subscriber, wherever both live
// [MQTT-4.6.0-5].
func TestOrderHoldsAcrossShards(t *testing.T) {
	s := newStage(t, broker.Options{Shards: 3})
	var readers []*wire
	for i := range 3 {
		r := s.open()
		r.say("CONNECT v5 clean id="+s.at(i, "r"), "SUBSCRIBE id=1 filter=t/# q1")
		r.expect("CONNACK success", "SUBACK id=1 q1")
		readers = append(readers, r)
	}
	p := s.open()
	p.say("CONNECT v5 clean id=p")
	for i := range 300 {
		p.say(fmt.Sprintf("PUBLISH q%d id=%d topic=t/%d payload=%d", i%2, (i+1)*(i%2), i%7, i))
	}
	for _, r := range readers {
		last := [2]int{-1, -1}
		n := 0
		for _, got := range r.got {
			m, ok := got.(*packet.Publish)
			if !ok {
				t.Fatalf("got %v", got)
			}
			i := 0
			if _, err := fmt.Sscan(string(m.Payload), &i); err != nil {
				t.Fatal(err)
			}
			if i <= last[m.QoS] {
				t.Errorf("%d came after %d", i, last[m.QoS])
			}
			last[m.QoS] = i
			n++
		}
		if n != 300 {
			t.Errorf("%d messages came, want 300", n)
		}
		r.got = nil
	}
	s.finish()
}

// A member of a shared subscription ends its session while a message is on its way to it:
// the message goes to another member.
func TestSharedMessagesSurviveTheirMember(t *testing.T) {
	s := newStage(t, broker.Options{Shards: 2})
	p, a, b := s.open(), s.open(), s.open()
	p.say("CONNECT v5 clean id=" + s.at(0, "p"))
	a.say("CONNECT v5 clean id="+s.at(1, "a"), "SUBSCRIBE id=1 filter=$share/g/t q1")
	b.say("CONNECT v5 clean id="+s.at(1, "b"), "SUBSCRIBE id=1 filter=$share/g/t q1")
	a.expect("CONNACK success", "SUBACK id=1 q1")
	b.expect("CONNACK success", "SUBACK id=1 q1")
	// One turn of the publisher's shard, then a leaves, then its shard's turn.
	m := packet.Publish{QoS: 1, ID: 1, Topic: []byte("t"), Payload: []byte("x")}
	one, other := s.loops[0], s.loops[1]
	one.Begin(s.now)
	one.Feed(p.conn, m.Append(nil, packet.V5))
	one.End()
	other.Begin(s.now)
	other.Hangup(a.conn, context.Canceled)
	s.settle()
	a.told = true
	b.expect("PUBLISH q1 id=1 topic=t payload=x")
	b.say("PUBACK id=1")
	s.finish()
}

// Retained messages that a closing connection has not got wait in its session.
func TestBacklogSurvivesTheConnection(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 1024}})
	p, a := s.open(), s.open()
	p.say("CONNECT v3.1.1 id=p clean")
	for i := range 20 {
		p.say(fmt.Sprintf("PUBLISH q1 id=1 topic=r/%02d payload=200*x retain", i))
	}
	p.say("PUBLISH q0 topic=r/zero payload=x retain", "PUBLISH q1 id=1 topic=r/expires payload=x retain")
	a.say("CONNECT v5 id=a clean expiry=100")
	a.expect("CONNACK success")
	a.stop(0)
	a.say("SUBSCRIBE id=1 filter=r/# q1")
	a.cut()
	a = s.open()
	a.say("CONNECT v5 id=a")
	got := map[string]bool{}
	for _, one := range a.got {
		if m, ok := one.(*packet.Publish); ok && m.QoS == 1 {
			if !m.Retain {
				t.Errorf("%s has lost its RETAIN flag", m.Topic)
			}
			got[string(m.Topic)] = true
		}
	}
	if len(got) != 21 {
		t.Errorf("%d retained messages came, want 21", len(got))
	}
	a.got = nil
	s.finish()
}

// Publish from inside the process waits for the journal when somebody keeps the message.
func TestPublishInsideWaitsForTheJournal(t *testing.T) {
	j := newJournaled(t, broker.Options{Shards: 2})
	s := j.open()
	s.say("CONNECT v5 id=s expiry=100", "SUBSCRIBE id=1 filter=t q1")
	j.safe()
	s.expect("CONNACK success", "SUBACK id=1 q1")
	done := make(chan error, 1)
	go func() {
		done <- j.b.Publish(t.Context(), broker.Message{Topic: "t", QoS: 1, Retain: true, Payload: []byte("x")})
	}()
	for len(j.r.open) == 0 {
		j.settle()
	}
	select {
	case err := <-done:
		t.Fatalf("Publish returned %v before its message was safe", err)
	default:
	}
	j.safe()
	if err := j.during(func() error { return <-done }); err != nil {
		t.Error(err)
	}
	s.expect("PUBLISH q1 id=1 topic=t payload=x")
	j.end()
}

// A member of a shared subscription that cannot take a message at once is passed over
// while another can.
func TestSharedSubscriptionsPassOverSlowMembers(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 1024}})
	p, a, b := s.open(), s.open(), s.open()
	p.say("CONNECT v5 clean id=p")
	a.say("CONNECT v5 clean id=a", "SUBSCRIBE id=1 filter=t q0", "SUBSCRIBE id=2 filter=$share/g/u q1")
	b.say("CONNECT v5 clean id=b receive-max=1", "SUBSCRIBE id=1 filter=$share/g/u q1")
	a.expect("CONNACK success", "SUBACK id=1 q0", "SUBACK id=2 q1")
	b.expect("CONNACK success", "SUBACK id=1 q1")
	a.stop(0)
	p.say("PUBLISH q0 topic=t payload=2000*x")
	for i := range 3 { // a does not read; b waits with the second
		p.say(fmt.Sprintf("PUBLISH q1 id=%d topic=u payload=%d", i+1, i))
	}
	b.expect("PUBLISH q1 id=1 topic=u payload=0")
	b.say("PUBACK id=1")
	b.expect("PUBLISH q1 id=2 topic=u payload=1")
	b.say("PUBACK id=2")
	if got := s.b.StatsNow(); got.Queued != 1 {
		t.Errorf("%d messages wait, want the third: neither member could take it", got.Queued)
	}
	a.got, b.got = nil, nil
	s.finish()
}

// A retained message that was replaced while it waited for a slow connection does not come
// behind the new one when that connection has been replaced, too.
func TestBacklogOfAClosedConnectionIsNotStale(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 1024}})
	p, a := s.open(), s.open()
	p.say("CONNECT v3.1.1 id=p clean")
	for i := range 20 {
		p.say(fmt.Sprintf("PUBLISH q1 id=1 topic=r/%02d payload=200*x retain", i))
	}
	a.say("CONNECT v5 id=a clean expiry=100")
	a.expect("CONNACK success")
	a.stop(0)
	a.say("SUBSCRIBE id=1 filter=r/# q1")
	p.say("PUBLISH q1 id=1 topic=r/19 payload=new retain", `PUBLISH q1 id=1 topic=r/18 payload="" retain`)
	a.cut()
	a = s.open()
	a.say("CONNECT v5 id=a")
	last := map[string]string{}
	for _, one := range a.got {
		if m, ok := one.(*packet.Publish); ok {
			last[string(m.Topic)] = string(m.Payload)
		}
	}
	if last["r/19"] != "new" || last["r/18"] != "" || len(last) != 20 {
		t.Errorf("of %d topics, r/19 is %.10q and r/18 %.10q; want new and nothing of 20", len(last), last["r/19"], last["r/18"])
	}
	a.got = nil
	s.finish()
}
