package broker_test

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// recorder is a Journal that completes when the test says so.
type recorder struct {
	ops    []journal.Op
	open   []func(error)
	stored map[waiting]*session.Message
}

// waiting names a message that waits for a session.
type waiting struct{ sid, mid uint64 }

func (r *recorder) Submit(_ int, ops []journal.Op, done func(error)) {
	r.ops = append(r.ops, ops...)
	for _, op := range ops {
		switch op.Kind {
		case journal.Publish:
			for _, to := range op.Targets {
				r.stored[waiting{to.SID, op.MID}] = op.Msg
			}
		case journal.EndSession:
			maps.DeleteFunc(r.stored, func(w waiting, _ *session.Message) bool { return w.sid == op.SID })
		}
	}
	r.open = append(r.open, done)
}

func (r *recorder) Volatile() bool { return false }

// Load finds what was published in what was submitted.
func (r *recorder) Load(sid uint64, mids []uint64, done func([]*session.Message, error)) {
	msgs := make([]*session.Message, len(mids))
	for i, mid := range mids {
		msgs[i] = r.stored[waiting{sid, mid}]
	}
	done(msgs, nil)
}

// complete ends the oldest n submissions.
func (r *recorder) complete(n int, err error) {
	list := r.open[:n]
	r.open = slices.Clone(r.open[n:])
	for _, done := range list {
		done(err)
	}
}

// kinds are those of the operations recorded since it was called last.
func (r *recorder) kinds() []journal.Kind {
	var list []journal.Kind
	for _, op := range r.ops {
		list = append(list, op.Kind)
	}
	r.ops = nil
	return list
}

// journaled is a stage on which everything waits until safe is called.
type journaled struct {
	*stage
	r *recorder
}

func newJournaled(t *testing.T, o broker.Options) journaled {
	r := &recorder{stored: map[waiting]*session.Message{}}
	o.Journal = r
	return journaled{newStage(t, o), r}
}

// safe completes all submissions.
func (j journaled) safe() {
	for len(j.r.open) > 0 {
		j.r.complete(len(j.r.open), nil)
		j.settle()
	}
}

// end closes the test: what the journal still owes comes first.
func (j journaled) end() {
	j.t.Helper()
	j.safe()
	for _, w := range slices.Clone(j.wires) {
		w.cut()
	}
	j.safe()
	for _, id := range j.b.SessionIDs() {
		w := j.open()
		w.write(&packet.Connect{Version: packet.V5, ClientID: []byte(id), CleanStart: true})
		j.safe()
		w.say("DISCONNECT")
		j.safe()
	}
	j.finish()
}

func TestConnackWaitsForTheJournal(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	a := j.open()
	a.say("CONNECT v5 id=a expiry=100", "SUBSCRIBE id=1 filter=t q1")
	a.expect()
	j.safe()
	a.expect("CONNACK success", "SUBACK id=1 q1")
	if got, want := j.r.kinds(), []journal.Kind{journal.PutSession, journal.PutSubscription}; !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	j.end()
}

func TestCleanSessionsDoNotWait(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	a := j.open()
	a.say("CONNECT v5 id=a clean", "SUBSCRIBE id=1 filter=t q1", "PUBLISH q1 id=1 topic=t payload=x")
	a.expect("CONNACK success", "SUBACK id=1 q1", "PUBLISH q1 id=1 topic=t payload=x", "PUBACK id=1")
	a.say("PUBACK id=1")
	if got := j.r.kinds(); got != nil {
		t.Errorf("recorded %v of a session that nobody keeps", got)
	}
	j.end()
}

func TestAcknowledgementsLeaveInOrderOnceSafe(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	s := j.open()
	s.say("CONNECT v5 id=s expiry=100", "SUBSCRIBE id=1 filter=durable/# q2")
	j.safe()
	s.expect("CONNACK success", "SUBACK id=1 q2")
	p := j.open()
	p.say("CONNECT v5 id=p expiry=100")
	j.safe()
	p.expect("CONNACK success")

	p.say("PUBLISH q1 id=1 topic=durable/1 payload=1")
	s.expect("PUBLISH q1 id=1 topic=durable/1 payload=1") // delivery does not wait
	p.say("PUBLISH q2 id=2 topic=durable/2 payload=2")
	p.say("PUBLISH q1 id=3 topic=nobody payload=3", "UNSUBSCRIBE id=4 filter=none") // need no journal, and wait their turn
	p.say("PINGREQ")
	p.expect("PINGRESP")
	j.r.complete(1, nil)
	j.settle()
	p.expect("PUBACK id=1")
	j.r.complete(1, nil)
	j.settle()
	p.expect("PUBREC id=2", "PUBACK id=3 no-matching-subscribers", "UNSUBACK id=4 no-subscription-existed")
	p.say("PUBREL id=2")
	p.expect()
	j.safe()
	p.expect("PUBCOMP id=2")
	s.expect("PUBLISH q2 id=2 topic=durable/2 payload=2")

	s.say("PUBREC id=2")
	s.expect()
	j.safe()
	s.expect("PUBREL id=2")
	s.say("PUBCOMP id=2", "PUBACK id=1", "UNSUBSCRIBE id=2 filter=durable/#")
	s.expect()
	j.safe()
	s.expect("UNSUBACK id=2 success")
	if got := j.b.StatsNow(); got.Inflight != 0 || got.Queued != 0 {
		t.Errorf("%d in flight, %d queued", got.Inflight, got.Queued)
	}
	j.end()
}

// A connection that ends while its CONNACK is let go: the packets behind the CONNECT are
// read at that moment, and the last is DISCONNECT or nonsense.
func TestConnectionsMayEndAsTheirConnackLeaves(t *testing.T) {
	for name, last := range map[string]string{
		"disconnect": "DISCONNECT",
		"nonsense":   "PUBLISH q0 topic=a/+ payload=x",
		"takeover":   "CONNECT v5 id=a",
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournaled(t, broker.Options{})
			a := j.open()
			a.say("CONNECT v5 id=a expiry=100", "SUBSCRIBE id=1 filter=t q1", last)
			a.expect()
			j.safe()
			if len(a.got) == 0 || !a.ended() {
				t.Fatalf("got %d packets, ended %v; want a CONNACK and the end", len(a.got), a.ended())
			}
			j.end()
		})
	}
}

func TestNothingIsAcknowledgedThatTheJournalLost(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	s := j.open()
	s.say("CONNECT v5 id=s expiry=100", "SUBSCRIBE id=1 filter=t q1")
	j.safe()
	s.expect("CONNACK success", "SUBACK id=1 q1")
	p, q := j.open(), j.open()
	p.say("CONNECT v5 id=p clean")
	p.expect("CONNACK success")
	q.say("CONNECT v3.1.1 id=q")
	p.say("PUBLISH q1 id=1 topic=t payload=x")
	j.r.complete(len(j.r.open), fmt.Errorf("write: %w", syscall.ENOSPC))
	j.settle()
	p.expect("PUBACK id=1 quota-exceeded") // it may go on, with QoS 0 at least
	q.expect("closed")
	j.end()
}

// MQTT 5.0 clients may have Receive Maximum messages unacknowledged, whatever the journal
// takes; each counts once.
func TestHeldAcknowledgementsCountOnce(t *testing.T) {
	j := newJournaled(t, broker.Options{Limits: broker.Limits{ReceiveMaximum: 4}})
	p := j.open()
	p.say("CONNECT v5 id=p expiry=100")
	j.safe()
	p.expect("CONNACK success")
	p.say("PUBLISH q2 id=1 topic=t payload=1", "PUBLISH q2 id=2 topic=t payload=2", "PUBLISH q2 id=3 topic=t payload=3", "PUBLISH q1 id=4 topic=t payload=4")
	p.expect()
	j.safe()
	p.expect("PUBREC id=1 no-matching-subscribers", "PUBREC id=2 no-matching-subscribers",
		"PUBREC id=3 no-matching-subscribers", "PUBACK id=4 no-matching-subscribers")
	p.say("PUBREL id=1", "PUBLISH q1 id=5 topic=t payload=5")
	j.safe()
	p.expect("PUBCOMP id=1", "PUBACK id=5 no-matching-subscribers")
	p.say("PUBLISH q2 id=6 topic=t payload=6", "PUBLISH q1 id=7 topic=t payload=7", "PUBLISH q1 id=8 topic=t payload=8")
	p.expect("DISCONNECT receive-maximum-exceeded", "closed")
	j.end()
}

// A journal that takes longer than the handshake may: the client is let go, and its
// session with it into the time after the connection.
func TestSlowJournalsLeaveNoConnectionBehind(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	a := j.open()
	a.say("CONNECT v5 id=a expiry=100 will{topic=w payload=bye}")
	j.wait(11 * time.Second)
	a.expect("closed")
	if got := j.b.StatsNow(); got.SessionsOnline != 0 || got.Wills != 1 {
		t.Errorf("%d sessions online and %d wills published, want 0 and 1", got.SessionsOnline, got.Wills)
	}
	j.safe()
	j.wait(101 * time.Second)
	if got := j.b.StatsNow(); got.Sessions != 0 {
		t.Errorf("%d sessions left after their expiry", got.Sessions)
	}
	j.end()
}

// What is on record ends with the session, also when the session was made to end with its
// connection.
func TestEndsOfSessionsAreRecorded(t *testing.T) {
	for name, steps := range map[string][]string{
		"expiry 0 on reconnect": {"CONNECT v5 id=a expiry=0", "DISCONNECT"},
		"DISCONNECT expiry 0":   {"CONNECT v5 id=a expiry=100", "DISCONNECT expiry=0"},
		"clean start":           {"CONNECT v5 id=a clean"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournaled(t, broker.Options{})
			a := j.open()
			a.say("CONNECT v5 id=a expiry=100")
			j.safe()
			a.say("DISCONNECT")
			j.safe()
			a = j.open()
			for _, step := range steps {
				a.say(step)
				j.safe()
			}
			if !slices.Contains(j.r.kinds(), journal.EndSession) {
				t.Error("the journal still has the session")
			}
			j.end()
		})
	}
}

func TestExpiredSessionsEndOnRecord(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	a := j.open()
	a.say("CONNECT v5 id=a expiry=10")
	j.safe()
	a.cut()
	j.wait(11 * time.Second)
	if got, want := j.r.kinds(), []journal.Kind{journal.PutSession, journal.PutSession, journal.EndSession}; !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v: online, offline, ended", got, want)
	}
	j.end()
}

// The journal sees each message enter and leave a session that lasts.
func TestMessagesAreRecorded(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	s, p := j.open(), j.open()
	s.say("CONNECT v5 id=s expiry=100", "SUBSCRIBE id=1 filter=# q2")
	j.safe()
	p.say("CONNECT v5 id=p expiry=100")
	j.safe()
	j.r.kinds()
	for _, step := range []struct {
		w    *wire
		line string
		want []journal.Kind
	}{
		{p, "PUBLISH q1 id=1 topic=t payload=x", []journal.Kind{journal.Publish}},
		{s, "PUBACK id=1", []journal.Kind{journal.Complete}},
		{p, "PUBLISH q2 id=2 topic=t payload=x retain", []journal.Kind{journal.PutRetained, journal.Publish, journal.Assign, journal.Accept}},
		{p, "PUBLISH q2 id=2 topic=t payload=x retain dup", nil},
		{p, "PUBREL id=2", []journal.Kind{journal.Forget}},
		{s, "PUBREC id=2", []journal.Kind{journal.Owe}},
		{s, "PUBCOMP id=2", []journal.Kind{journal.Complete}},
		{p, `PUBLISH q0 topic=t payload="" retain`, []journal.Kind{journal.EndRetained}},
		{s, "UNSUBSCRIBE id=2 filter=#", []journal.Kind{journal.EndSubscription}},
	} {
		step.w.say(step.line)
		j.safe()
		if got := j.r.kinds(); !slices.Equal(got, step.want) {
			t.Errorf("%s recorded %v, want %v", step.line, got, step.want)
		}
	}
	j.end()
}

// A message that comes to one session by two ways waits for it under two names.
func TestTwoWaysToOneSessionHaveTwoNames(t *testing.T) {
	j := newJournaled(t, broker.Options{})
	s, p := j.open(), j.open()
	s.say("CONNECT v5 id=s expiry=100", "SUBSCRIBE id=1 filter=t q1 filter=$share/g/t q1")
	j.safe()
	s.expect("CONNACK success", "SUBACK id=1 q1 q1")
	p.say("CONNECT v5 id=p clean")
	j.r.kinds()
	p.say("PUBLISH q1 id=1 topic=t payload=x")
	names := map[uint64]int{}
	for _, op := range j.r.ops {
		for range op.Targets {
			names[op.MID]++
		}
	}
	if len(names) != 2 {
		t.Errorf("names and targets %v, want two of one each", names)
	}
	j.safe()
	s.expect("PUBLISH q1 id=1 topic=t payload=x", "PUBLISH q1 id=2 topic=t payload=x")
	j.end()
}
