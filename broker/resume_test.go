package broker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/script"
)

// A session that is resumed for this connection only stays in the journal until it ends:
// what waits for it may be there alone.
func TestASessionResumedWithExpiry0GetsWhatIsStored(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	a := j.open()
	a.say("CONNECT v5 id=a expiry=100", "SUBSCRIBE id=1 filter=t q2")
	j.safe()
	a.say("DISCONNECT")
	j.safe()
	p := j.open()
	p.say("CONNECT v5 id=p clean")
	p.expect("CONNACK success")
	p.say("PUBLISH q1 id=1 topic=t payload=one", "PUBLISH q2 id=2 topic=t payload=two")
	j.safe()
	p.expect("PUBACK id=1", "PUBREC id=2")
	j.r.kinds()

	a = j.open()
	a.say("CONNECT v5 id=a expiry=0")
	j.safe()
	a.expect("CONNACK success session-present", "PUBLISH q1 id=1 topic=t payload=one", "PUBLISH q2 id=2 topic=t payload=two")
	if got := j.b.StatsNow(); got.Dropped[broker.DropUnreadable] != 0 {
		t.Errorf("%d messages could not be read", got.Dropped[broker.DropUnreadable])
	}
	if slices.Contains(j.r.kinds(), journal.EndSession) {
		t.Error("the journal has let go of a session that lives")
	}
	a.say("DISCONNECT")
	if !slices.Contains(j.r.kinds(), journal.EndSession) {
		t.Error("the journal still has the session")
	}
	j.end()
}

// Also a session that ends with its connection may have changed what is on record: the one
// before it is gone, or will go sooner.
func TestTheConnackOfAnySessionWaitsForWhatItHasChanged(t *testing.T) {
	for name, tt := range map[string]struct{ connect, connack string }{
		"resumed with expiry 0":       {"CONNECT v5 id=a expiry=0", "CONNACK success session-present"},
		"new with expiry 0":           {"CONNECT v5 id=a clean expiry=0", "CONNACK success"},
		"new of an MQTT 3.1.1 client": {"CONNECT v3.1.1 id=a clean", "CONNACK success"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournaled(t, broker.Options{})
			a := j.open()
			a.say("CONNECT v5 id=a expiry=100")
			j.safe()
			a.say("DISCONNECT")
			j.safe()
			a = j.open()
			a.say(tt.connect)
			a.expect()
			j.safe()
			a.expect(tt.connack)
			j.end()
		})
	}
}

// A message may wait in the mail between two shards until its time is over. It counts as
// expired then, and the journal lets go of it [MQTT-3.3.2-5].
func TestAMessageThatExpiresOnItsWayToAnotherShardIsNotSent(t *testing.T) {
	for name, tt := range map[string]struct {
		publish  string // 2 s before the other shard's turn
		want     []string
		expired  uint64
		recorded []journal.Kind
	}{
		"QoS 0": {"PUBLISH q0 topic=t payload=x expiry=1", nil, 1, nil},
		"QoS 1": {"PUBLISH q1 id=1 topic=t payload=x expiry=1", nil, 1, []journal.Kind{journal.Publish, journal.Complete}},
		"QoS 1 in time": {"PUBLISH q1 id=1 topic=t payload=x expiry=3", []string{"PUBLISH q1 id=1 topic=t payload=x expiry=1"},
			0, []journal.Kind{journal.Publish}},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournaled(t, broker.Options{Shards: 2})
			sub, pub := "s0", "p0"
			for j.b.Home(sub) != 0 {
				sub += "0"
			}
			for j.b.Home(pub) != 1 {
				pub += "0"
			}
			s, p := j.open(), j.open()
			s.say("CONNECT v5 id="+sub+" expiry=100", "SUBSCRIBE id=1 filter=t q1")
			j.safe()
			s.expect("CONNACK success", "SUBACK id=1 q1")
			p.say("CONNECT v5 id=" + pub + " clean")
			p.expect("CONNACK success")
			j.r.kinds()

			m, err := script.ParsePacket(tt.publish)
			if err != nil {
				t.Fatal(err)
			}
			l := p.conn.Loop() // takes its turn alone, and the other shard much later
			l.Begin(j.now)
			l.Feed(p.conn, m.Append(nil, p.version))
			l.End()
			j.now += int64(2 * time.Second)
			j.settle()
			j.safe()
			s.expect(tt.want...)
			if got := j.b.StatsNow(); got.Expired != tt.expired || got.Inflight != int64(len(tt.want)) {
				t.Errorf("%d expired and %d in flight, want %d and %d", got.Expired, got.Inflight, tt.expired, len(tt.want))
			}
			if got := j.r.kinds(); !slices.Equal(got, tt.recorded) {
				t.Errorf("recorded %v, want %v", got, tt.recorded)
			}
			j.end()
		})
	}
}

// A session whose time is over has ended for its client with the next CONNACK, also if the
// loss of power comes before the end is on record.
func TestTheConnackWaitsForTheEndOfTheSessionBefore(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	a := j.open()
	a.say("CONNECT v5 id=a expiry=10")
	j.safe()
	a.cut()
	j.safe()
	j.wait(11 * time.Second)
	if got := j.b.StatsNow(); got.Sessions != 0 || len(j.r.open) != 1 {
		t.Fatalf("%d sessions and %d submissions, want none and its end", got.Sessions, len(j.r.open))
	}
	a = j.open()
	a.say("CONNECT v5 id=a expiry=0", "PINGREQ")
	a.expect()
	b := j.open()
	b.say("CONNECT v5 id=b expiry=0")
	b.expect("CONNACK success") // another client has nothing to wait for
	j.safe()
	a.expect("CONNACK success", "PINGRESP")
	a.say("DISCONNECT")
	a = j.open()
	a.say("CONNECT v5 id=a expiry=0")
	a.expect("CONNACK success") // it is safe by now
	j.end()
}
