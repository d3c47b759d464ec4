package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/packet"
)

// offlineGroup is a shared subscription whose members a and b are offline, with n
// messages that wait for them on disk.
func offlineGroup(t *testing.T, n int, expiry string) journaled {
	j := newJournaled(t, broker.Options{Limits: broker.Limits{MaxQueuedMessages: 2 * n}})
	for _, id := range []string{"a", "b"} {
		w := j.open()
		w.say("CONNECT v5 id="+id+" receive-max=1 "+expiry, "SUBSCRIBE id=1 filter=$share/g/t/# q1")
		j.safe()
		w.cut()
		j.safe()
	}
	p := j.open()
	p.say("CONNECT v5 id=p clean")
	for i := range n {
		p.say(fmt.Sprintf("PUBLISH q1 id=1 topic=t/%d payload=%d", i, i))
		j.safe()
	}
	if queued, loaded := j.b.StatsNow().Queued, j.b.LoadedBytes(); queued != int64(n) || loaded != 0 {
		t.Fatalf("%d messages wait, %d bytes of them in memory; want %d and 0", queued, loaded, n)
	}
	return j
}

// drain connects id and takes all that comes, and returns the payloads in order.
func (j journaled) drain(id string) (got []string) {
	w := j.open()
	w.say("CONNECT v5 id=" + id + " expiry=100")
	for range 10_000 {
		j.safe()
		var acks []string
		for _, p := range w.got {
			if m, ok := p.(*packet.Publish); ok {
				got = append(got, string(m.Payload))
				acks = append(acks, fmt.Sprintf("PUBACK id=%d", m.ID))
			}
		}
		w.got = nil
		if len(acks) == 0 {
			break
		}
		w.say(acks...)
	}
	return got
}

func TestStoredMessagesOfAnEndedMemberGoToTheOthers(t *testing.T) {
	const n = 200
	for name, end := range map[string]func(j journaled){
		"expiry": func(j journaled) { j.wait(20 * time.Second) },
		"clean start": func(j journaled) {
			w := j.open()
			w.write(&packet.Connect{Version: packet.V5, ClientID: []byte("a"), CleanStart: true})
			j.safe()
		},
		"expiry 0": func(j journaled) {
			w := j.open()
			w.say("CONNECT v5 id=a receive-max=1 expiry=100")
			j.safe()
			w.say("DISCONNECT expiry=0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := offlineGroup(t, n, "expiry=10")
			b := j.open() // b keeps its session, a's ends
			b.say("CONNECT v5 id=b receive-max=1 expiry=1000")
			j.safe()
			b.cut()
			j.safe()
			j.r.kinds()
			end(j)
			j.safe()
			st := j.b.StatsNow()
			if st.Queued+st.Inflight != n || st.Redistributed < n/4 {
				t.Errorf("%d messages wait, %d are in flight and %d were redistributed; want %d in all and a quarter at least",
					st.Queued, st.Inflight, st.Redistributed, n)
			}
			if loaded := j.b.LoadedBytes(); loaded != 0 {
				t.Errorf("%d bytes are in memory, want 0", loaded)
			}
			last := map[journal.Kind]int{}
			for i, kind := range j.r.kinds() {
				last[kind] = i
			}
			if last[journal.EndSession] < last[journal.Publish] {
				t.Error("the session has ended in the journal before its messages were given on")
			}
			got := map[string]bool{}
			for _, payload := range j.drain("b") {
				got[payload] = true
			}
			if len(got) != n {
				t.Errorf("%d different messages came to the other member, want %d", len(got), n)
			}
			j.end()
		})
	}
}

func TestStoredMessagesOfALostMemberGoToOneThatIsOnline(t *testing.T) {
	const n = 200
	j := offlineGroup(t, n, "expiry=1000")
	a := j.open()
	a.say("CONNECT v5 id=a receive-max=1 expiry=1000") // it takes one and keeps it
	j.safe()
	b := j.open()
	b.say("CONNECT v5 id=b receive-max=1 expiry=1000")
	j.safe()
	a.cut()
	j.safe()
	st := j.b.StatsNow()
	if st.Redistributed == 0 || st.Queued+st.Inflight != n {
		t.Errorf("%d redistributed, %d wait, %d in flight", st.Redistributed, st.Queued, st.Inflight)
	}
	b.cut()
	j.safe()
	if loaded := j.b.LoadedBytes(); loaded != 0 {
		t.Errorf("%d bytes are in memory, want 0", loaded)
	}
	if got := len(j.drain("b")) + len(j.drain("a")); got != n {
		t.Errorf("%d messages came in all, want %d", got, n)
	}
	j.end()
}
