package conform

import (
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// resumed wants Session Present to be as given.
func (c *conn) resumed(present bool) {
	if c.ack.SessionPresent != present {
		c.t.fail("%s< CONNACK has session present %v, expected %v", c.name, c.ack.SessionPresent, present)
	}
}

// sessionChecks are those of Clean Session, Clean Start and session state.
func sessionChecks() []check {
	return []check{
		{name: "session-is-resumed", v311: "3.1.2-4 3.1.2-5 3.2.2-2 3.1.4-3 4.1.0-1 4.5.0-1", v5: "3.1.2-5 3.1.2-23 3.2.2-3 3.1.4-4 4.5.0-1", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q2")
			a.disconnect()
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/a payload=1")
			p.publish("q2 topic=~/a payload=2")
			a = t.session("a", "")
			a.resumed(true)
			a.take("q1 topic=~/a payload=1")
			a.take("q2 topic=~/a payload=2")
			p.publish("q1 topic=~/a payload=3")
			a.take("q1 topic=~/a payload=3")
		}},
		{name: "session-survives-a-cut", v311: "3.1.2-4 4.1.0-1", v5: "3.1.2-23 3.1.2-5", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.cut()
			t.connect("p", "clean").publish("q1 topic=~/a payload=1")
			a = t.session("a", "")
			a.resumed(true)
			a.take("q1 topic=~/a payload=1")
		}},
		{name: "session-is-new", v311: "3.2.2-3 3.1.2-4", v5: "3.1.2-6 3.2.2-3", run: func(t *trial) {
			a := t.session("a", "")
			a.resumed(false)
			a.subscribe("filter=~/a q1")
			a.publish("q1 topic=~/a payload=1")
			a.take("q1 topic=~/a payload=1")
		}},
		{name: "clean-discards-a-session", v311: "3.1.2-6 3.2.2-1 3.1.4-3", v5: "3.1.2-4 3.2.2-2 3.1.4-4", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/a payload=1")
			a = t.connect("a", "clean "+t.keep())
			a.resumed(false)
			p.publish("q1 topic=~/a payload=2")
			a.nothingFrom(p, 1)
		}},
		{name: "clean-session-ends-with-its-connection", v311: "3.1.2-6 3.2.2-3", v5: "3.2.2-3 4.1.0-2", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/a payload=1")
			a = t.session("a", "")
			a.resumed(false)
			a.nothingFrom(p, 1)
			// And an older one is not found behind it.
			a.disconnect()
			t.connect("a", "clean").disconnect()
			t.session("a", "").resumed(false)
		}},
		{name: "session-lasts-with-its-connection", v311: "4.1.0-2", v5: "4.1.0-1", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			p.publish("q2 topic=~/a payload=1")
			m := a.message("q2 topic=~/a payload=1")
			for i := range 50 {
				t.connect(fmt.Sprint("x", i), "clean").disconnect()
			}
			a.acknowledge(m)
			p.publish("q1 topic=~/a payload=2")
			a.take("q1 topic=~/a payload=2")
		}},
		{name: "retained-outlives-the-session", v311: "3.1.2-7", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.publish("q1 topic=~/r payload=kept retain")
			a.disconnect()
			b := t.connect("a", "clean")
			b.subscribe("filter=~/r q0")
			b.take("q0 topic=~/r payload=kept retain")
		}},
		{name: "session-expires", v5: "4.1.0-2 3.1.2-23", run: func(t *trial) {
			a := t.connect("a", "clean expiry=1")
			if p := &a.ack.Properties; p.Has(packet.PropSessionExpiry) && p.SessionExpiry != 1 {
				t.skip("the broker sets a session expiry of its own")
			}
			a.subscribe("filter=~/a q1")
			a.disconnect()
			a = t.connect("a", "expiry=1")
			a.resumed(true)
			a.disconnect()
			// How long after its time a broker may take is not said.
			for deadline := t.patience(); ; {
				time.Sleep(1500 * time.Millisecond)
				b := t.connect("a", "expiry=1")
				if !b.ack.SessionPresent {
					return
				}
				if time.Now().After(deadline) {
					t.fail("a< Session Present is 1, expected the session to end 1 s after its connection")
				}
				b.disconnect()
			}
		}},
		{name: "session-expiry-0", v5: "4.1.0-2", run: func(t *trial) {
			a := t.connect("a", "expiry=300")
			a.disconnect("expiry=0")
			t.connect("a", "expiry=300").resumed(false)
			t.connect("b", "").disconnect()
			t.connect("b", "").resumed(false)
		}},
		{name: "disconnect-raises-expiry-from-0", v5: "4.13.1-1", run: func(t *trial) {
			// It is not taken for a DISCONNECT: the will is published, and the session ends.
			w := t.connect("w", "clean")
			w.subscribe("filter=~/w q1")
			a := t.connect("a", "clean will{topic=~/w payload=gone q1}")
			a.send("DISCONNECT expiry=10")
			a.dropped(packet.ProtocolError)
			w.take("q1 topic=~/w payload=gone")
			t.connect("a", "expiry=0").resumed(false)
		}},
		{name: "unreleased-is-session-state", v311: "3.1.2-4 4.1.0-1 4.3.3-2", v5: "3.1.2-5 4.3.3-10", run: func(t *trial) {
			w := t.connect("w", "clean")
			w.subscribe("filter=~/a q0")
			a := t.session("a", "")
			a.send("PUBLISH q2 topic=~/a payload=1 id=7")
			a.awaitAck("PUBREC", 7)
			a.cut()
			a = t.session("a", "")
			a.send("PUBLISH q2 topic=~/a payload=1 id=7 dup")
			a.awaitAck("PUBREC", 7)
			a.send("PUBREL id=7")
			a.want("PUBCOMP id=7")
			w.take("q0 topic=~/a payload=1") // a broker may wait for PUBREL with it
			w.nothingFrom(a, 0)
		}},
	}
}

// takeoverChecks are those of two connections with one client identifier.
func takeoverChecks() []check {
	return []check{
		{name: "takeover", v31: "3.1-takeover", v311: "3.1.4-2", v5: "3.1.4-3", run: func(t *trial) {
			a := t.connect("a", "clean")
			b := t.connect("a", "clean")
			if t.is5() {
				p := a.next("DISCONNECT session-taken-over")
				if d, ok := p.(*packet.Disconnect); !ok || d.Code != packet.SessionTakenOver {
					t.fail("a< %s came, expected DISCONNECT session-taken-over", describe(p))
				}
			}
			a.closed()
			b.ping()
		}},
		{name: "takeover-resumes", v311: "3.1.4-2 3.1.2-4", v5: "3.1.4-3 3.1.2-5", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			b := t.session("a", "")
			b.resumed(true)
			a.dropped(packet.SessionTakenOver)
			t.connect("p", "clean").publish("q1 topic=~/a payload=1")
			b.take("q1 topic=~/a payload=1")
		}},
		{name: "takeover-publishes-the-will", v31: "3.1-will-takeover", v311: "3.1.2-8", v5: "3.1.2-8", run: func(t *trial) {
			w := t.connect("w", "clean")
			w.subscribe("filter=~/w q1")
			a := t.connect("a", "clean will{topic=~/w payload=gone q1}")
			t.connect("a", "clean")
			a.dropped(packet.SessionTakenOver)
			w.take("q1 topic=~/w payload=gone")
		}},
		{name: "takeover-of-a-kept-session-publishes-the-will", v311: "3.1.2-8", v5: "3.1.2-8", run: func(t *trial) {
			w := t.connect("w", "clean")
			w.subscribe("filter=~/w q1")
			a := t.session("a", "will{topic=~/w payload=gone q1}")
			t.session("a", "")
			a.dropped(packet.SessionTakenOver)
			w.take("q1 topic=~/w payload=gone")
		}},
	}
}

// willChecks are those of Will Messages.
func willChecks() []check {
	const will = "clean will{topic=~/w payload=gone q1}"
	// watched returns a subscriber of the will's topic.
	watched := func(t *trial) *conn {
		w := t.connect("w", "clean")
		w.subscribe("filter=~/w q2")
		return w
	}
	return []check{
		{name: "will-after-a-cut", v31: "3.1-will", v311: "3.1.2-8 3.1.2-16", v5: "3.1.2-7 3.1.2-8 3.1.2-14", run: func(t *trial) {
			for _, qos := range []int{0, 1, 2} {
				w := watched(t)
				t.connect("a", fmt.Sprintf("clean will{topic=~/w payload=gone q%d}", qos)).cut()
				w.take("q%d topic=~/w payload=gone", qos)
				late := t.connect("l", "clean")
				late.subscribe("filter=~/w q0")
				late.ping() // it is not retained
			}
		}},
		{name: "will-after-a-violation", v311: "3.1.2-8", v5: "3.1.2-8", run: func(t *trial) {
			w := watched(t)
			a := t.connect("a", will)
			a.bytes("PUBLISH with QoS 3", publishBytes(t.v, 6, t.text("~/a"), 1, nil, nil))
			a.dropped()
			w.take("q1 topic=~/w payload=gone")
		}},
		{name: "will-and-disconnect", v31: "3.14-will", v311: "3.1.2-8 3.1.2-10 3.14.4-3", v5: "3.1.2-8 3.1.2-10 3.14.4-3", run: func(t *trial) {
			w := watched(t)
			t.connect("a", will).disconnect()
			w.nothingFrom(t.connect("p", "clean"), 1)
		}},
		{name: "will-is-published-once", v311: "3.1.2-10", v5: "3.1.2-10", run: func(t *trial) {
			w := watched(t)
			a := t.session("a", "will{topic=~/w payload=gone q1}")
			a.cut()
			w.take("q1 topic=~/w payload=gone")
			b := t.session("a", "")
			b.cut()
			w.nothingFrom(t.connect("p", "clean"), 1)
		}},
		{name: "no-will", v311: "3.1.2-12", v5: "3.1.2-7", run: func(t *trial) {
			w := watched(t)
			w.subscribe("filter=~/# q1")
			t.connect("a", "clean").cut()
			w.nothingFrom(t.connect("p", "clean"), 1)
		}},
		{name: "will-retained", v311: "3.1.2-17", v5: "3.1.2-15", run: func(t *trial) {
			w := watched(t)
			t.connect("a", "clean will{topic=~/w payload=gone q1 retain}").cut()
			w.take("q1 topic=~/w payload=gone")
			late := t.connect("l", "clean")
			late.subscribe("filter=~/w q1")
			late.take("q1 topic=~/w payload=gone retain")
		}},
		{name: "will-of-disconnect-4", v5: "3.1.2-8 3.1.2-10", run: func(t *trial) {
			w := watched(t)
			t.connect("a", will).disconnect("disconnect-with-will-message")
			w.take("q1 topic=~/w payload=gone")
		}},
		{name: "will-delay", v5: "3.1.2-8", run: func(t *trial) {
			w := watched(t)
			a := t.connect("a", "clean expiry=300 will{topic=~/w payload=gone q1 delay=2}")
			start := time.Now()
			a.cut()
			w.take("q1 topic=~/w payload=gone")
			// A broker whose clock has whole seconds may be up to one early.
			if early := time.Since(start); early < 900*time.Millisecond {
				t.fail("w< the will came after %v, expected it after 2 s", early)
			}
		}},
		{name: "will-delay-ends-with-the-session", v5: "3.1.2-8", run: func(t *trial) {
			w := watched(t)
			t.connect("a", "clean expiry=0 will{topic=~/w payload=gone q1 delay=1000}").cut()
			w.take("q1 topic=~/w payload=gone")
			b := t.connect("b", "clean expiry=300 will{topic=~/w payload=gone q1 delay=1000}")
			b.cut()
			t.connect("b", "clean")
			w.take("q1 topic=~/w payload=gone")
		}},
		{name: "will-delay-and-reconnect", v5: "3.1.2-8 3.1.3-9", run: func(t *trial) {
			w := watched(t)
			a := t.connect("a", "clean expiry=300 will{topic=~/w payload=gone q1 delay=1}")
			a.cut()
			a = t.connect("a", "expiry=300")
			a.resumed(true)
			time.Sleep(2 * time.Second)
			w.nothingFrom(a, 1)
		}},
		{name: "will-properties", v5: "3.1.3-10 3.1.2-7", run: func(t *trial) {
			w := watched(t)
			t.connect("a", "clean will{topic=~/w payload=gone q1 format=1 content-type=text response-topic=~/r "+
				"correlation=c user=b:1 user=a:2 user=b:3}").cut()
			w.take("q1 topic=~/w payload=gone format=1 content-type=text response-topic=~/r correlation=c user=b:1 user=a:2 user=b:3")
		}},
	}
}
