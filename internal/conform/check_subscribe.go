package conform

import (
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// subscribeChecks are those of SUBSCRIBE and SUBACK.
func subscribeChecks() []check {
	return []check{
		{name: "subscribe-answered", v31: "3.9-granted", v311: "3.8.4-1 3.8.4-5 3.9.3-2", v5: "3.8.4-1 3.8.4-6 3.8.4-7 3.9.3-2", run: func(t *trial) {
			a := t.connect("a", "clean")
			for qos := range 3 {
				a.send("SUBSCRIBE id=%d filter=~/a q%d", qos+1, qos)
				a.want(fmt.Sprintf("SUBACK id=%d q%d", qos+1, qos))
			}
			a.ping()
		}},
		{name: "suback-codes-in-order", v31: "3.9-granted", v311: "3.9.3-1 3.8.4-5", v5: "3.9.3-1 3.8.4-6", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.send("SUBSCRIBE id=1 filter=~/a q2 filter=~/b q0 filter=~/c q1 filter=~/d q1 filter=~/e q0")
			a.want("SUBACK id=1 q2 q0 q1 q1 q0")
		}},
		{name: "many-filters", v311: "3.8.4-4", v5: "3.8.4-5", run: func(t *trial) {
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/b payload=kept retain")
			a := t.connect("a", "clean")
			a.send("SUBSCRIBE id=1 filter=~/a q1 filter=~/b q0 filter=~/c q2")
			a.await("SUBACK id=1 q1 q0 q2")
			a.take("q0 topic=~/b payload=kept retain")
			for _, name := range []string{"a", "b", "c"} {
				p.publish("q2 topic=~/%s payload=x", name)
			}
			a.take("q1 topic=~/a payload=x")
			a.take("q0 topic=~/b payload=x")
			a.take("q2 topic=~/c payload=x")
			a.ping()
		}},
		{name: "no-filter", v311: "3.8.3-3", v5: "3.8.3-2", run: func(t *trial) { t.violate("SUBSCRIBE id=1") }},
		{name: "subscribe-options", v311: "3.8.3-4", v5: "3.8.3-5", run: func(t *trial) {
			options := []byte{0x03, 0x04, 0x40, 0x80}
			if t.is5() {
				options = []byte{0x03, 0x30, 0x40, 0x80}
			}
			for _, o := range options {
				b := append(packet.AppendVarint([]byte{0x82}, uint32(len(t.pick("", "0"))+8)), 0, 1)
				if t.is5() {
					b = append(b, 0)
				}
				b = append(b, 0, 3, 'a', '/', 'b', o)
				t.violateBytes(fmt.Sprintf("SUBSCRIBE with the options %02X", o), b)
			}
		}},
		{name: "wildcards-are-granted-or-refused", v311: "3.8.3-2", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.send("SUBSCRIBE id=1 filter=~/# q1")
			if ack, ok := a.next("SUBACK").(*packet.Suback); !ok || ack.ID != 1 {
				t.fail("a< expected SUBACK id=1")
			} else if ack.Codes[0] >= 0x80 {
				return
			}
			p.publish("q1 topic=~/a payload=x")
			a.take("q1 topic=~/a payload=x")
		}},
		{name: "subscribe-again-replaces", v31: "3.8-replace", v311: "3.8.4-3", v5: "3.8.4-3", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			a.subscribe("filter=~/a q0")
			p.publish("q2 topic=~/a payload=1")
			a.take("q0 topic=~/a payload=1")
			a.subscribe("filter=~/a q1")
			p.publish("q2 topic=~/a payload=2")
			a.take("q1 topic=~/a payload=2")
			a.nothingFrom(p, 1)
		}},
		{name: "subscribe-again-repeats-retained", v311: "3.8.4-3", v5: "3.8.4-4", run: func(t *trial) {
			t.connect("p", "clean").publish("q1 topic=~/r payload=kept retain")
			a := t.connect("a", "clean")
			for qos := range 3 {
				a.subscribe(fmt.Sprintf("filter=~/r q%d", qos))
				a.take("q%d topic=~/r payload=kept retain", min(qos, 1))
			}
		}},
		{name: "subscribe-again-loses-nothing", v311: "3.8.4-3", v5: "3.8.4-4", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1")
			const n = 60
			for i := range n {
				p.send("PUBLISH q1 topic=~/a payload=%d id=%d", i, i+1)
				if i%3 == 0 {
					a.send("SUBSCRIBE id=%d filter=~/a q1", 100+i)
				}
				if i == n/2 { // some messages come before the first answer, some after it
					a.await("SUBACK id=100 q1")
				}
			}
			for i, acks := 0, 1; i < n || acks < n/3; {
				switch m := a.next("PUBLISH and SUBACK").(type) {
				case *packet.Suback:
					acks++
				case *packet.Publish:
					if string(m.Payload) != fmt.Sprint(i) {
						t.fail("a< %s came, expected payload=%d: a message was lost or came twice", describe(m), i)
					}
					a.acknowledge(m)
					i++
				default:
					t.fail("a< %s came, expected PUBLISH or SUBACK", describe(m))
				}
			}
		}},
		{name: "delivery-qos", v31: "3.8-qos", v311: "3.8.4-6", v5: "3.8.4-8", run: func(t *trial) {
			p := t.connect("p", "clean")
			for granted := range 3 {
				a := t.connect("a", "clean")
				a.subscribe(fmt.Sprintf("filter=~/a q%d", granted))
				for published := range 3 {
					p.publish("q%d topic=~/a payload=x", published)
					a.take("q%d topic=~/a payload=x", min(granted, published))
				}
			}
		}},
		{name: "overlapping-subscriptions", v311: "3.3.5-1", v5: "3.3.4-2", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/# q1 filter=~/+ q2 filter=~/a q0")
			p.publish("q2 topic=~/a payload=x")
			p.publish("q2 topic=~/end/end payload=end")
			highest := -1
			for {
				m, ok := a.next("PUBLISH").(*packet.Publish)
				if !ok {
					t.fail("a< expected PUBLISH")
				}
				a.acknowledge(m)
				if string(m.Payload) == "end" {
					break
				}
				highest = max(highest, int(m.QoS))
			}
			if highest != 2 {
				t.fail("a< the message came at QoS %d at most, expected 2", highest)
			}
		}},
		{name: "no-local", v5: "3.8.3-3", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1 no-local")
			a.publish("q1 topic=~/a payload=own")
			p.publish("q1 topic=~/a payload=other")
			a.take("q1 topic=~/a payload=other")
			a.nothingFrom(a, 1)
		}},
		{name: "no-local-and-shared", v5: "3.8.3-4", run: func(t *trial) {
			t.sharedSupported()
			t.violate("SUBSCRIBE id=1 filter=$share/~/~/a q0 no-local")
		}},
	}
}

// unsubscribeChecks are those of UNSUBSCRIBE and UNSUBACK.
func unsubscribeChecks() []check {
	return []check{
		{name: "unsubscribe-is-exact", v311: "3.10.4-1", v5: "3.10.4-1", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a/# q1")
			for i, filter := range []string{"~/a/+", "~/a", "~/A/#", "~/#", "~/a/b", "#"} {
				a.send("UNSUBSCRIBE id=%d filter=%s", 10+i, filter)
				a.want(fmt.Sprintf("UNSUBACK id=%d", 10+i) + t.pick("", " no-subscription-existed"))
			}
			p.publish("q1 topic=~/a/b payload=x")
			a.take("q1 topic=~/a/b payload=x")
			a.unsubscribe("~/a/#")
			p.publish("q1 topic=~/a/b payload=x")
			a.nothingFrom(p, 1)
		}},
		{name: "unsubscribe-stops-messages", v31: "3.10-unsubscribe", v311: "3.10.4-2", v5: "3.10.4-2", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1 filter=~/b q1")
			p.publish("q1 topic=~/a payload=1")
			a.take("q1 topic=~/a payload=1")
			a.unsubscribe("~/a")
			p.publish("q1 topic=~/a payload=2")
			p.publish("q1 topic=~/b payload=3")
			a.take("q1 topic=~/b payload=3")
			a.nothingFrom(p, 1)
		}},
		{name: "unsubscribe-completes-deliveries", v311: "3.10.4-3", v5: "3.10.4-3", run: func(t *trial) {
			a := t.session("a", "")
			p := t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			p.publish("q1 topic=~/a payload=1")
			p.publish("q2 topic=~/a payload=2")
			p.publish("q2 topic=~/a payload=3")
			one := a.message("q1 topic=~/a payload=1")
			two := a.message("q2 topic=~/a payload=2")
			three := a.message("q2 topic=~/a payload=3")
			a.unsubscribe("~/a")
			a.acknowledge(two)
			a.cut()
			a = t.session("a", "")
			a.want(fmt.Sprintf("PUBLISH q1 topic=~/a payload=1 dup id=%d", one.ID))
			a.want(fmt.Sprintf("PUBLISH q2 topic=~/a payload=3 dup id=%d", three.ID))
			a.acknowledge(one)
			a.acknowledge(three)
			a.ping()
		}},
		{name: "unsubscribe-answered", v31: "3.10-unsubscribe", v311: "3.10.4-4 3.10.4-5", v5: "3.10.4-4 3.10.4-5 3.11.3-2", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.send("UNSUBSCRIBE id=7 filter=~/none")
			a.want("UNSUBACK id=7" + t.pick("", " no-subscription-existed"))
			a.subscribe("filter=~/a q1")
			a.send("UNSUBSCRIBE id=8 filter=~/a")
			a.want("UNSUBACK id=8" + t.pick("", " success"))
			a.send("UNSUBSCRIBE id=9 filter=~/a")
			a.want("UNSUBACK id=9" + t.pick("", " no-subscription-existed"))
		}},
		{name: "unsubscribe-many", v311: "3.10.4-6", v5: "3.10.4-6 3.11.3-1 3.11.3-2", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1 filter=~/b q1 filter=~/c q1")
			a.send("UNSUBSCRIBE id=9 filter=~/a filter=~/none filter=~/c")
			a.want("UNSUBACK id=9" + t.pick("", " success no-subscription-existed success"))
			for _, name := range []string{"a", "c", "b"} {
				p.publish("q1 topic=~/%s payload=x", name)
			}
			a.take("q1 topic=~/b payload=x")
			a.nothingFrom(p, 1)
		}},
		{name: "unsubscribe-no-filter", v311: "3.10.3-2", v5: "3.10.3-2", run: func(t *trial) { t.violate("UNSUBSCRIBE id=1") }},
	}
}
