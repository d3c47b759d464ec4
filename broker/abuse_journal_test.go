package broker_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
)

// weighed is a recorder that tells how many bytes wait in it, as the disk does.
type weighed struct {
	recorder
	pressure int64
}

func (w *weighed) Submit(lane int, ops []journal.Op, done func(error)) {
	size := int64(0)
	for _, op := range ops {
		size += int64(len(op.Name)) + 64
		if op.Msg != nil {
			size += int64(len(op.Msg.Payload))
		}
	}
	w.pressure += size
	w.recorder.Submit(lane, nil, func(err error) {
		w.pressure -= size
		done(err)
	})
}

func (w *weighed) Pressure() int64 { return w.pressure }

// A journal that is stuck costs the memory that may wait for the disk, 64 MiB, or 16,384
// answers of a connection. Whoever adds to it is not read until it goes on; who does not
// is served.
func TestStuckJournalIsBounded(t *testing.T) {
	const (
		high    = 64 << 20
		payload = 512 << 10
		answers = 16384
	)
	big := fmt.Sprintf("payload=%d*x", payload)
	for name, tt := range map[string]struct {
		ask    string // ~ is a packet identifier
		answer string
		most   int // packets read before the connection is not
	}{
		"QoS 1 to a queue":    {"PUBLISH q1 id=~ topic=away " + big, "PUBACK id=~", high/payload + 2},
		"QoS 2 to a queue":    {"PUBLISH q2 id=~ topic=away " + big, "PUBREC id=~", high/payload + 2},
		"QoS 0 retained":      {"PUBLISH q0 topic=kept retain " + big, "", high/payload + 2},
		"QoS 1 retained":      {"PUBLISH q1 id=~ topic=kept retain " + big, "PUBACK id=~", high/payload + 2},
		"small QoS 1":         {"PUBLISH q1 id=~ topic=away payload=x", "PUBACK id=~", answers + 2},
		"SUBSCRIBE of many":   {"SUBSCRIBE id=~ " + strings.TrimSpace(strings.Repeat("filter=10000*a q1 ", 20)), "SUBACK id=~" + strings.Repeat(" q1", 20), high/20/10_000 + 2},
		"UNSUBSCRIBE of none": {"UNSUBSCRIBE id=~ filter=never", "UNSUBACK id=~", 100},
	} {
		t.Run(name, func(t *testing.T) {
			w := &weighed{recorder: recorder{stored: map[waiting]*session.Message{}}}
			j := journaled{newStage(t, broker.Options{Journal: w, Limits: broker.Limits{MaxQueuedBytes: 1 << 30, MaxQueuedMessages: 1 << 20}}), &w.recorder}
			away := j.open()
			away.say("CONNECT v3.1.1 id=away", "SUBSCRIBE id=1 filter=away q2")
			j.safe()
			away.expect("CONNACK success", "SUBACK id=1 q2")
			away.cut()
			a, other, reader := j.open(), j.open(), j.open()
			a.say("CONNECT v3.1.1 id=a")
			other.say("CONNECT v5 id=other clean")
			reader.say("CONNECT v5 id=reader clean", "SUBSCRIBE id=1 filter=talk q1")
			j.safe()
			a.expect("CONNACK success")
			other.expect("CONNACK success")
			reader.expect("CONNACK success", "SUBACK id=1 q1")
			line := func(s string, id int) string { return strings.ReplaceAll(s, "~", fmt.Sprint(id)) }

			asked := 0
			before := heap()
			for asked < 2*tt.most && !a.conn.Paused() {
				asked++
				a.say(line(tt.ask, asked))
			}
			if name == "UNSUBSCRIBE of none" { // nothing changes, so nothing waits
				if asked != 2*tt.most || len(a.got) != asked {
					t.Fatalf("%d answers to %d packets", len(a.got), asked)
				}
				a.got = nil
				j.end()
				return
			}
			if !a.conn.Paused() || asked > tt.most {
				t.Fatalf("it is read after %d packets and %d bytes that wait; want an end at %d", asked, w.pressure, tt.most)
			}
			if w.pressure > high+2*payload {
				t.Errorf("%d bytes wait for the journal, want at most %d", w.pressure, high)
			}
			if grown := heap() - before; grown > 3*high { // a small operation takes more than it is counted
				t.Errorf("%d bytes of memory for %d that wait", grown, w.pressure)
			}
			a.expect() // no answer before the journal has it

			for i := range 3 { // the others
				other.say(fmt.Sprintf("PUBLISH q0 topic=talk payload=%d", i), fmt.Sprintf("PUBLISH q1 id=%d topic=talk payload=%d", i+1, i), "PINGREQ")
				other.expect(fmt.Sprintf("PUBACK id=%d success", i+1), "PINGRESP")
				reader.expect(fmt.Sprintf("PUBLISH q0 topic=talk payload=%d", i), fmt.Sprintf("PUBLISH q1 id=* topic=talk payload=%d", i))
				reader.say(fmt.Sprintf("PUBACK id=%d", i+1))
			}

			j.safe()
			j.wait(time.Second)
			if a.conn.Paused() {
				t.Fatal("it is not read although the journal has all")
			}
			for i := 1; i <= asked && tt.answer != ""; i++ {
				if len(a.got) == 0 {
					t.Fatalf("%d answers to %d packets", i-1, asked)
				}
				next := a.got[1:]
				a.got = a.got[:1]
				a.expect(line(tt.answer, i))
				a.got = next
			}
			a.say("PINGREQ")
			a.expect("PINGRESP")
			j.end()
		})
	}
}

// heap is the memory in use, after what nobody needs is gone.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
