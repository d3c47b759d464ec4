package broker_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// Floods of subscriptions, retained messages, aliases and properties: what is kept is
// bounded, and so is what one small packet makes the broker send.

// overlapping are n different filters that match every topic of at least 14 levels.
func overlapping(n int) []packet.Subscription {
	var list []packet.Subscription
	for mask := range n {
		parts := make([]string, 0, 15)
		for i := range 13 {
			part := "+"
			if mask>>i&1 == 1 {
				part = "a"
			}
			parts = append(parts, part)
		}
		list = append(list, packet.Subscription{Filter: []byte(strings.Join(append(parts, "#"), "/"))})
	}
	return list
}

const deepTopic = "a/a/a/a/a/a/a/a/a/a/a/a/a/a"

// subscribe sends filters, a hundred in a packet, and returns how many were taken.
func (w *wire) subscribe(filters []packet.Subscription, subID uint32) (taken int) {
	w.s.t.Helper()
	for len(filters) > 0 {
		n := min(100, len(filters))
		p := packet.Subscribe{ID: 1, Filters: filters[:n]}
		if subID > 0 {
			p.Properties.SubscriptionIDs = []uint32{subID}
			p.Properties.Mark(packet.PropSubscriptionID)
		}
		w.write(&p)
		filters = filters[n:]
		for _, code := range w.got[len(w.got)-1].(*packet.Suback).Codes {
			if code < 0x80 {
				taken++
			} else if code != packet.QuotaExceeded {
				w.s.t.Fatalf("refused with %v", code)
			}
		}
	}
	w.got = nil
	return taken
}

// Thousands of subscriptions that match everything bring each message once, and add to it
// no more than MaxSubscriptionIDs identifiers.
func TestSubscriptionsThatMatchEverything(t *testing.T) {
	for _, subID := range []uint32{0, 268_435_455} {
		t.Run(fmt.Sprint(subID), func(t *testing.T) {
			s := newStage(t, broker.Options{})
			p, a := s.open(), s.open()
			p.say("CONNECT v5 id=p clean")
			a.say("CONNECT v5 id=a clean")
			a.got = nil
			want, most := 3000, 40
			if subID > 0 {
				want, most = 1000, 40+5*1000
			}
			if taken := a.subscribe(overlapping(3000), subID); taken != want {
				t.Errorf("%d of 3000 subscriptions were taken, want %d", taken, want)
			}
			before := a.written
			for range 10 {
				p.say("PUBLISH q0 topic=" + deepTopic + " payload=x")
			}
			if n, bytes := len(a.got), a.written-before; n != 10 || bytes > 10*most {
				t.Errorf("10 messages came as %d packets of %d bytes, want at most %d bytes", n, bytes, 10*most)
			}
			got := s.b.StatsNow()
			if got.Routed != 10 || got.Subscriptions != int64(want) || got.SubscribesRefused != uint64(3000-want) {
				t.Errorf("%d copies, %d subscriptions, %d refused", got.Routed, got.Subscriptions, got.SubscribesRefused)
			}
			a.got = nil
			s.finish()
		})
	}
}

// Identifiers are counted when a subscription is replaced or removed, too.
func TestSubscriptionIdentifiersAreCountedExactly(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{MaxSubscriptionIDs: 2}})
	a := s.open()
	a.say("CONNECT v5 id=a clean")
	a.expect("CONNACK success")
	for i, step := range []struct{ ask, answer string }{
		{"SUBSCRIBE id=1 sub-id=1 filter=a/# q0 filter=b/# q0 filter=c/# q0", "SUBACK id=1 q0 q0 quota-exceeded"},
		{"SUBSCRIBE id=1 sub-id=1 filter=exact q0 filter=a/# q0", "SUBACK id=1 q0 q0"},
		{"SUBSCRIBE id=1 filter=c/# q0 filter=a/# q0", "SUBACK id=1 q0 q0"},
		{"SUBSCRIBE id=1 sub-id=2 filter=c/# q0", "SUBACK id=1 q0"},
		{"SUBSCRIBE id=1 sub-id=2 filter=a/# q0", "SUBACK id=1 quota-exceeded"},
		{"UNSUBSCRIBE id=1 filter=b/#", "UNSUBACK id=1 success"},
		{"SUBSCRIBE id=1 sub-id=2 filter=a/# q0", "SUBACK id=1 q0"},
	} {
		t.Log(i)
		a.say(step.ask)
		a.expect(step.answer)
	}
	s.finish()
}

// Filters as deep as they may be, each a branch of its own, are bounded for a session by
// the levels of all its filters, and for all sessions together.
func TestTrieBombsAreBounded(t *testing.T) {
	const session, total = 2000, 5000
	for _, shards := range []int{1, 2} {
		s := newStage(t, broker.Options{Shards: shards,
			Limits: broker.Limits{MaxSubscriptionLevels: session, MaxSubscriptionLevelsTotal: total}})
		deepest := int64(0)
		for client := range 6 {
			a := s.open()
			a.say(fmt.Sprintf("CONNECT v5 clean id=%d", client))
			a.got = nil
			var bomb []packet.Subscription
			for i := range 100 {
				filter := fmt.Sprintf("%d/%d/", client, i) + strings.Repeat("+/", 125) + "#"
				bomb = append(bomb, packet.Subscription{Filter: []byte(filter)})
			}
			before := s.b.StatsNow().SubscriptionLevels
			a.subscribe(bomb, 0)
			deepest = max(deepest, s.b.StatsNow().SubscriptionLevels-before)
		}
		got := s.b.StatsNow()
		if deepest > session || deepest < session-128 || got.SubscriptionLevels > total || got.SubscriptionLevels < total/2 {
			t.Errorf("%d shards: %d levels in a session, %d in all; want at most %d and %d", shards, deepest, got.SubscriptionLevels, session, total)
		}
		if n := s.b.TableNodes(); int64(n) > got.SubscriptionLevels || got.SubscribesRefused == 0 {
			t.Errorf("%d nodes for %d levels, %d filters refused", n, got.SubscriptionLevels, got.SubscribesRefused)
		}
		s.finish()
		if got := s.b.StatsNow(); got.SubscriptionLevels != 0 {
			t.Errorf("%d levels are left", got.SubscriptionLevels)
		}
	}
}

// A topic of 65,535 levels is refused wherever it stands, and nothing of it is kept.
func TestTopicOfTooManyLevels(t *testing.T) {
	topic := bytes.Repeat([]byte("/"), 65_534)
	s := newStage(t, broker.Options{})
	p := s.open()
	p.say("CONNECT v5 id=p clean")
	p.expect("CONNACK success")
	p.write(&packet.Publish{QoS: 1, ID: 1, Topic: topic, Retain: true, Payload: []byte("x")})
	p.expect("PUBACK id=1 topic-name-invalid")
	p.write(&packet.Publish{QoS: 2, ID: 2, Topic: topic})
	p.expect("PUBREC id=2 topic-name-invalid")
	p.write(&packet.Publish{Topic: topic})
	p.write(&packet.Subscribe{ID: 3, Filters: []packet.Subscription{
		{Filter: topic}, {Filter: append(bytes.Clone(topic), '#')}, {Filter: append([]byte("$share/g/"), topic[:60_000]...)}}})
	p.expect("SUBACK id=3 topic-filter-invalid topic-filter-invalid topic-filter-invalid")
	w := s.open()
	w.write(&packet.Connect{Version: packet.V5, ClientID: []byte("w"), Will: &packet.Will{Topic: topic}})
	w.expect("CONNACK topic-name-invalid", "closed")
	if got := s.b.StatsNow(); got.Dropped[broker.DropRefused] != 3 || got.SubscribesRefused != 3 || got.Retained != 0 || s.b.TableNodes() != 0 {
		t.Errorf("%d messages and %d filters are counted, %d retained, %d nodes", got.Dropped[broker.DropRefused],
			got.SubscribesRefused, got.Retained, s.b.TableNodes())
	}
	n := allocated(func() {
		for range 100 {
			p.write(&packet.Publish{Topic: topic})
		}
	})
	if n > 100*300_000 { // the test's own packet among it
		t.Errorf("%d bytes were allocated for 100 such packets", n)
	}
	s.finish()
}

// A long or deep topic behind a short alias is refused each time, and is not kept whole.
func TestLongTopicsBehindAliasesAreRefused(t *testing.T) {
	const most = 100
	s := newStage(t, broker.Options{Limits: broker.Limits{MaxTopicLength: most, MaxTopicLevels: most / 2}})
	w, p := s.open(), s.open()
	w.say("CONNECT v5 id=w clean")
	w.expect("CONNACK success")
	w.say("SUBSCRIBE id=1 filter=# q0")
	w.expect("SUBACK id=1 q0")
	p.say("CONNECT v5 id=p clean")
	p.expect("CONNACK success")
	p.say("PUBLISH q1 id=1 topic=100*x payload=fits alias=1")
	p.expect("PUBACK id=1 success")
	w.expect("PUBLISH q0 topic=100*x payload=fits")
	p.say("PUBLISH q1 id=2 topic=65535*y payload=long alias=2 retain")
	p.expect("PUBACK id=2 topic-name-invalid")
	for range 3 {
		p.say(`PUBLISH q1 id=3 topic="" payload=again alias=2`)
		p.expect("PUBACK id=3 topic-name-invalid")
	}
	deep := strings.Repeat("/", 1+most/2)
	p.say("PUBLISH q1 id=3 topic=" + deep + " payload=deep alias=3")
	p.expect("PUBACK id=3 topic-name-invalid")
	p.say(`PUBLISH q1 id=3 topic="" payload=deep alias=3`)
	p.expect("PUBACK id=3 topic-name-invalid")
	p.say(`PUBLISH q1 id=4 topic="" payload=still alias=1`)
	p.expect("PUBACK id=4 success")
	w.expect("PUBLISH q0 topic=100*x payload=still")
	p.say("SUBSCRIBE id=5 filter=100*x q0 filter=101*x q0 filter=$share/g/" + strings.Repeat("x", most) + " q0")
	p.expect("SUBACK id=5 q0 topic-filter-invalid topic-filter-invalid")
	v := s.open()
	v.say("CONNECT v5 id=v clean will{topic=101*x payload=x}")
	v.expect("CONNACK topic-name-invalid", "closed")
	if got := s.b.StatsNow(); got.Dropped[broker.DropRefused] != 6 || got.SubscribesRefused != 2 || got.Retained != 0 {
		t.Errorf("%d messages and %d filters are counted, %d retained", got.Dropped[broker.DropRefused], got.SubscribesRefused, got.Retained)
	}
	s.finish()
}

// Retained messages are bounded by number and by the memory they stand for.
func TestRetainedFloodsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		topic   func(i int) string
		payload int
		most    int64 // retained messages
	}{
		"many small ones": {func(i int) string { return fmt.Sprintf("r/%d", i) }, 1, 200},
		"large ones":      {func(i int) string { return fmt.Sprintf("r/%d", i) }, 10_000, 9},
		"deep ones":       {func(i int) string { return fmt.Sprintf("%d/", i) + strings.Repeat("l/", 100) }, 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, broker.Options{Limits: broker.Limits{MaxRetainedMessages: 200, MaxRetainedBytes: 100_000}})
			p := s.open()
			p.say("CONNECT v5 id=p clean")
			p.expect("CONNACK success")
			refused := 0
			for i := range 500 {
				p.write(&packet.Publish{QoS: 1, ID: 1, Topic: []byte(tt.topic(i)), Retain: true, Payload: make([]byte, tt.payload)})
				if p.got[0].(*packet.Puback).Code == packet.QuotaExceeded {
					refused++
				}
				p.got = nil
			}
			got := s.b.StatsNow()
			if got.Retained != tt.most || got.RetainedBytes > 100_000 || got.RetainedBytes < 300 || got.RetainRefused != uint64(refused) || refused != 500-int(tt.most) {
				t.Errorf("%d messages of %d bytes are retained, %d refused, %d counted; want %d messages", got.Retained,
					got.RetainedBytes, refused, got.RetainRefused, tt.most)
			}
			// What is there may be replaced by something smaller, and removed.
			p.write(&packet.Publish{QoS: 1, ID: 1, Topic: []byte(tt.topic(0)), Retain: true, Payload: []byte("y")})
			for i := range 500 {
				p.write(&packet.Publish{QoS: 1, ID: 1, Topic: []byte(tt.topic(i)), Retain: true})
			}
			p.got = p.got[:1]
			p.expect("PUBACK id=1 no-matching-subscribers")
			if got := s.b.StatsNow(); got.Retained != 0 || got.RetainedBytes != 0 {
				t.Errorf("%d messages of %d bytes are left", got.Retained, got.RetainedBytes)
			}
			s.finish()
		})
	}
}

// Topic Aliases hold no more topics than TopicAliasMaximum says, in both directions, whatever
// the client would take.
func TestAliasFloodsAreBounded(t *testing.T) {
	s := newStage(t, broker.Options{})
	p, a := s.open(), s.open()
	p.say("CONNECT v5 id=p clean")
	a.say("CONNECT v5 id=a clean alias-max=65535", "SUBSCRIBE id=1 filter=# q0")
	a.got, p.got = nil, nil
	used := map[uint16]bool{}
	for i := range 1000 {
		for range 2 {
			p.say(fmt.Sprintf("PUBLISH q0 topic=topic/%d payload=x", i))
		}
	}
	whole := 0
	for _, got := range a.got {
		m := got.(*packet.Publish)
		if m.Properties.Has(packet.PropTopicAlias) {
			used[m.Properties.TopicAlias] = true
		} else {
			whole++
		}
	}
	if len(used) != 32 || whole != 2*(1000-32) {
		t.Errorf("%d aliases are used, %d messages go without", len(used), whole)
	}
	a.got = nil
	topic := bytes.Repeat([]byte("x"), 65_535)
	for alias := uint16(1); alias <= 33; alias++ {
		m := packet.Publish{Topic: topic}
		m.Properties.TopicAlias = alias
		m.Properties.Mark(packet.PropTopicAlias)
		p.write(&m)
	}
	p.expect(`DISCONNECT topic-alias-invalid reason="violates [MQTT-3.3.2-9]"`, "closed")
	if got := s.b.StatsNow().Disconnected[packet.TopicAliasInvalid]; got != 1 {
		t.Error("it is not counted")
	}
	a.got = nil
	s.finish()
}

// More User Properties than MaxUserProperties end the connection, in any packet, before
// they are taken apart: a packet full of empty ones would take ten times its size.
func TestPropertyFloodsAreBounded(t *testing.T) {
	var flood packet.Properties
	flood.User = make([]packet.User, 150_000)
	flood.Mark(packet.PropUser)
	will := &packet.Will{Topic: []byte("w"), Properties: flood}
	for name, p := range map[string]packet.Packet{
		"PUBLISH":     &packet.Publish{Topic: []byte("t"), Properties: flood},
		"SUBSCRIBE":   &packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("t")}}, Properties: flood},
		"UNSUBSCRIBE": &packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte("t")}, Properties: flood},
		"PUBACK":      &packet.Puback{ID: 1, Properties: flood},
		"PUBREC":      &packet.Pubrec{ID: 1, Properties: flood},
		"PUBREL":      &packet.Pubrel{ID: 1, Properties: flood},
		"PUBCOMP":     &packet.Pubcomp{ID: 1, Properties: flood},
		"DISCONNECT":  &packet.Disconnect{Properties: flood},
		"AUTH":        &packet.Auth{Code: packet.ReAuthenticate, Properties: flood},
		"CONNECT":     &packet.Connect{Version: packet.V5, ClientID: []byte("a"), Properties: flood},
		"a will":      &packet.Connect{Version: packet.V5, ClientID: []byte("a"), Will: will},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, broker.Options{})
			a := s.open()
			want := "CONNACK quota-exceeded"
			if p.Type() != packet.CONNECT {
				a.say("CONNECT v5 id=a clean")
				a.expect("CONNACK success")
				want = "DISCONNECT quota-exceeded"
			}
			bytes := p.Append(nil, packet.V5)
			l := a.conn.Loop()
			l.Begin(s.now)
			if n := allocated(func() { l.Feed(a.conn, bytes) }); n > 512<<10 {
				t.Errorf("%d bytes were allocated for a packet of %d", n, len(bytes))
			}
			s.settle()
			a.expect(want, "closed")
			got := s.b.StatsNow()
			if got.Disconnected[packet.QuotaExceeded]+got.Refused[packet.QuotaExceeded] != 1 {
				t.Error("it is not counted")
			}
			s.finish()
		})
	}
	t.Run("as many as allowed", func(t *testing.T) {
		s := newStage(t, broker.Options{})
		a := s.open()
		a.say("CONNECT v5 id=a clean", "SUBSCRIBE id=1 filter=t q0")
		a.got = nil
		m := packet.Publish{Topic: []byte("t"), Properties: flood}
		m.Properties.User = m.Properties.User[:1000]
		a.write(&m)
		if len(a.got) != 1 || len(a.got[0].(*packet.Publish).Properties.User) != 1000 {
			t.Errorf("%d packets came", len(a.got))
		}
		a.got = nil
		s.finish()
	})
}
