package conform

import (
	"fmt"
	"strconv"

	"github.com/wirebird/wirebird/packet"
)

// deliveryChecks are those of who gets a message.
func deliveryChecks() []check {
	return []check{
		{name: "every-session-gets-it", v311: "4.5.0-1", v5: "4.5.0-1", run: func(t *trial) {
			var all []*conn
			for i := range 4 {
				c := t.connect(fmt.Sprint("a", i), "clean")
				c.subscribe([]string{"filter=~/a q2", "filter=~/# q2", "filter=~/+ q2", "filter=~/a/# q2"}[i])
				all = append(all, c)
			}
			away := t.session("b", "")
			away.subscribe("filter=~/a q2")
			away.disconnect()
			p := t.connect("p", "clean")
			for qos := 1; qos <= 2; qos++ {
				p.publish("q%d topic=~/a payload=%d", qos, qos)
			}
			all = append(all, t.session("b", ""))
			for _, c := range all {
				c.take("q1 topic=~/a payload=1")
				c.take("q2 topic=~/a payload=2")
			}
		}},
		{name: "long-queue", v311: "3.1.2-5 2.3.1-4", v5: "2.2.1-4 3.1.2-5", run: longQueue},
	}
}

// longQueue queues more messages than there are packet identifiers. A few come first, which
// shows soon that a broker keeps no such queue.
func longQueue(t *trial) {
	for _, n := range []int{2_000, 66_000} {
		t.fill(n)
		t.empty(n)
	}
}

// fill queues n messages for a client that is away.
func (t *trial) fill(n int) {
	const window = 500
	name := fmt.Sprint("a", n)
	a := t.session(name, "")
	a.subscribe("filter=~/" + name + " q1")
	a.disconnect()
	p := t.connect("p", "clean")
	topic := t.text("~/" + name)
	events := len(t.events)
	for sent := 0; sent < n; {
		var b []byte
		var last uint16
		for range min(window, n-sent) {
			last = uint16(sent%60_000 + 1)
			b = append(b, publishBytes(t.v, 2, topic, last, nil, []byte(strconv.Itoa(sent)))...)
			sent++
		}
		p.bytes("PUBLISH q1, several", b)
		for {
			ack, ok := p.next("PUBACK").(*packet.Puback)
			if !ok {
				t.fail("p< expected PUBACK")
			}
			if ack.ID == last {
				break
			}
		}
		t.events = t.events[:events] // they would be very many
	}
}

// empty wants the n messages, in their order.
func (t *trial) empty(n int) {
	a := t.session(fmt.Sprint("a", n), "")
	events := len(t.events)
	inFlight := map[uint16]bool{}
	for i := range n {
		m, err := a.read(t.patience())
		t.events = t.events[:events]
		if err != nil && i > 0 {
			t.skip("the broker keeps %d of %d messages for a client that is away; see its limits", i, n)
		}
		got, ok := m.(*packet.Publish)
		if !ok || string(got.Payload) != strconv.Itoa(i) {
			if ok && i > 0 {
				t.skip("the broker keeps fewer than %d messages for a client that is away; see its limits", n)
			}
			t.fail("a< %v (%v) came, expected message %d", m, err, i)
		}
		if got.ID == 0 || inFlight[got.ID] {
			t.fail("a< PUBLISH id=%d came, which is 0 or in use", got.ID)
		}
		inFlight[got.ID] = true
		if i%20 == 19 || i == n-1 { // a few stay unacknowledged meanwhile
			var b []byte
			for id := range inFlight {
				b = packet.AppendAck(b, packet.PUBACK, id)
			}
			a.bytes("PUBACK, several", b)
			clear(inFlight)
		}
	}
	a.ping()
}

// qosChecks are those of the exchanges at QoS 1 and 2.
func qosChecks() []check {
	return []check{
		{name: "qos-1-from-the-broker", v31: "4.2-qos1", v311: "4.3.2-1", v5: "4.3.2-2 4.3.2-3", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.publish("q1 topic=~/a payload=1")
			m := a.message("q1 topic=~/a payload=1")
			a.ping() // not sent again while the connection lasts
			a.cut()
			a = t.session("a", "")
			a.want(fmt.Sprintf("PUBLISH q1 topic=~/a payload=1 dup id=%d", m.ID)) // unacknowledged until PUBACK
			a.acknowledge(m)
			a.cut()
			t.session("a", "").ping()
		}},
		{name: "qos-1-to-the-broker", v311: "4.3.2-2", v5: "4.3.2-4 4.3.2-5", run: func(t *trial) {
			a, w := t.connect("a", "clean"), t.connect("w", "clean")
			w.subscribe("filter=~/a q1")
			for i, dup := range []string{"", "dup", "dup"} {
				a.send("PUBLISH q1 topic=~/a payload=%d id=5 %s", i, dup)
				a.awaitAck("PUBACK", 5)
				w.take("q1 topic=~/a payload=%d", i)
			}
		}},
		{name: "qos-2-from-the-broker", v31: "4.2-qos2", v311: "4.3.3-1", v5: "4.3.3-2 4.3.3-3 4.3.3-4 4.3.3-5 4.3.3-6", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q2")
			a.publish("q2 topic=~/a payload=1")
			m := a.message("q2 topic=~/a payload=1")
			a.ping()
			a.cut()
			a = t.session("a", "")
			a.want(fmt.Sprintf("PUBLISH q2 topic=~/a payload=1 dup id=%d", m.ID)) // unacknowledged until PUBREC
			a.send("PUBREC id=%d", m.ID)
			a.want(fmt.Sprintf("PUBREL id=%d", m.ID))
			a.cut()
			a = t.session("a", "")
			a.want(fmt.Sprintf("PUBREL id=%d", m.ID)) // until PUBCOMP, and PUBLISH never again
			a.ping()
			a.send("PUBCOMP id=%d", m.ID)
			a.ping()
			a.cut()
			t.session("a", "").ping()
		}},
		{name: "qos-2-to-the-broker", v311: "4.3.3-2", v5: "4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12", run: func(t *trial) {
			a, w := t.connect("a", "clean"), t.connect("w", "clean")
			w.subscribe("filter=~/a q0")
			a.send("PUBLISH q2 topic=~/a payload=1 id=5")
			a.awaitAck("PUBREC", 5)
			for range 3 {
				a.send("PUBLISH q2 topic=~/a payload=1 id=5 dup")
				a.awaitAck("PUBREC", 5)
			}
			a.send("PUBREL id=5")
			a.want("PUBCOMP id=5")
			w.take("q0 topic=~/a payload=1")
			w.nothingFrom(a, 0)
			for _, dup := range []string{"", "dup"} { // the identifier is free again
				a.send("PUBLISH q2 topic=~/a payload=2 id=5 %s", dup)
				a.awaitAck("PUBREC", 5)
				a.send("PUBREL id=5")
				a.want("PUBCOMP id=5")
				w.take("q0 topic=~/a payload=2")
			}
		}},
		{name: "puback-with-an-error", v5: "4.4.0-2", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q2")
			a.publish("q1 topic=~/a payload=1")
			a.publish("q2 topic=~/a payload=2")
			one := a.message("q1 topic=~/a payload=1")
			two := a.message("q2 topic=~/a payload=2")
			a.send("PUBACK id=%d quota-exceeded", one.ID)
			a.send("PUBREC id=%d quota-exceeded", two.ID)
			a.ping() // no PUBREL for it
			a.cut()
			b := t.session("a", "")
			b.resumed(true)
			b.ping()
		}},
		{name: "pubrec-with-an-error-frees-the-identifier", v5: "4.3.3-9 4.9.0-2", run: func(t *trial) {
			a := t.connect("a", "clean receive-max=1")
			p := t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			for i := range 4 {
				p.publish("q2 topic=~/a payload=%d", i)
				m := a.message("q2 topic=~/a payload=%d", i)
				a.send("PUBREC id=%d unspecified-error", m.ID)
			}
		}},
		wrongCode("puback-codes", "3.4.2-1", "PUBACK with the reason code 01", []byte{0x40, 3, 0, 1, 0x01}),
		wrongCode("pubrec-codes", "3.5.2-1", "PUBREC with the reason code 92", []byte{0x50, 3, 0, 1, 0x92}),
		wrongCode("pubrel-codes", "3.6.2-1", "PUBREL with the reason code 80", []byte{0x62, 3, 0, 1, 0x80}),
		wrongCode("pubcomp-codes", "3.7.2-1", "PUBCOMP with the reason code 10", []byte{0x70, 3, 0, 1, 0x10}),
		wrongCode("disconnect-codes", "3.14.2-1", "DISCONNECT with the reason code 01", []byte{0xE0, 1, 0x01}),
		wrongCode("auth-codes", "3.15.2-1", "AUTH with the reason code 01", []byte{0xF0, 1, 0x01}),
		{name: "codes-of-the-broker", v5: "3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1 3.14.2-1", run: func(t *trial) {
			// They are read strictly; another code would end the check.
			a := t.connect("a", "clean")
			a.publish("q1 topic=~/none payload=x")
			a.publish("q2 topic=~/none payload=x")
			a.send("PUBREL id=999")
			a.want("PUBCOMP id=999 packet-identifier-not-found", "PUBCOMP id=999")
			a.subscribe("filter=~/a q2")
			a.publish("q2 topic=~/a payload=x")
			a.take("q2 topic=~/a payload=x")
			a.bytes("PUBLISH with QoS 3", publishBytes(t.v, 6, t.text("~/a"), 1, nil, nil))
			a.dropped()
		}},
	}
}

// wrongCode is a check that a packet with a reason code of another packet is malformed.
func wrongCode(name, id, what string, b []byte) check {
	return check{name: name, v5: id, run: func(t *trial) {
		t.violateBytes(what, b, packet.MalformedPacket, packet.ProtocolError)
	}}
}

// resendChecks are those of what is sent again.
func resendChecks() []check {
	return []check{
		{name: "resend", v31: "4.1-resend", v311: "4.4.0-1 3.3.1-1 4.1.0-1", v5: "4.4.0-1 3.3.1-1", run: func(t *trial) {
			a, p := t.session("a", ""), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			var m [4]*packet.Publish
			for i := range m {
				p.publish("q%d topic=~/a payload=%d", 1+i%2, i)
				m[i] = a.message("q%d topic=~/a payload=%d", 1+i%2, i)
			}
			a.send("PUBREC id=%d", m[1].ID)
			a.want(fmt.Sprintf("PUBREL id=%d", m[1].ID))
			a.ping()
			a.cut()
			a = t.session("a", "")
			a.wantAll(fmt.Sprintf("PUBLISH q1 topic=~/a payload=0 dup id=%d", m[0].ID), fmt.Sprintf("PUBREL id=%d", m[1].ID),
				fmt.Sprintf("PUBLISH q1 topic=~/a payload=2 dup id=%d", m[2].ID), fmt.Sprintf("PUBLISH q2 topic=~/a payload=3 dup id=%d", m[3].ID))
			a.ping()
			a.acknowledge(m[0])
			a.send("PUBCOMP id=%d", m[1].ID)
			a.acknowledge(m[2])
			a.acknowledge(m[3])
			a.cut()
			t.session("a", "").ping()
		}},
		{name: "resend-at-no-other-time", v5: "4.4.0-1", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			p.publish("q1 topic=~/a payload=1")
			p.publish("q2 topic=~/a payload=2")
			a.message("q1 topic=~/a payload=1")
			a.message("q2 topic=~/a payload=2")
			a.subscribe("filter=~/b q2")
			p.publish("q0 topic=~/b payload=3")
			a.take("q0 topic=~/b payload=3")
			a.ping()
		}},
		{name: "resend-without-a-repeat-has-no-dup", v311: "3.3.1-3", v5: "3.3.1-3", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			t.connect("p", "clean").publish("q1 topic=~/a payload=1")
			t.session("a", "").take("q1 topic=~/a payload=1")
		}},
		{name: "resend-order", v311: "4.6.0-1", v5: "4.6.0-5", run: func(t *trial) {
			a, p := t.session("a", ""), t.connect("p", "clean")
			a.subscribe("filter=~/a q1")
			const n = 15
			for i := range n {
				p.publish("q1 topic=~/a payload=%d", i)
			}
			for i := range n {
				m := a.message("q1 topic=~/a payload=%d", i)
				if i == 3 || i == 7 {
					a.acknowledge(m)
				}
			}
			a.ping()
			a.cut()
			for i := n; i < n+5; i++ { // more is queued behind
				p.publish("q1 topic=~/a payload=%d", i)
			}
			a = t.session("a", "")
			for i := range n + 5 {
				switch {
				case i == 3 || i == 7:
				case i < n:
					a.take("q1 topic=~/a payload=%d dup", i)
				default:
					a.take("q1 topic=~/a payload=%d", i)
				}
			}
		}},
	}
}

// orderChecks are those of the order of messages.
func orderChecks() []check {
	return []check{
		{name: "order", v311: "4.6.0-5 4.6.0-6", v5: "4.6.0-5 4.6.0-6", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			for qos := range 3 {
				const n = 100
				for i := range n {
					id := ""
					if qos > 0 {
						id = fmt.Sprintf("id=%d", qos*1000+i)
					}
					p.send("PUBLISH q%d topic=~/a payload=%d %s", qos, i, id)
					if qos > 0 && i%10 == 9 {
						for j := i - 9; j <= i; j++ {
							p.published(fmt.Sprint("q", qos), uint16(qos*1000+j))
						}
					}
				}
				for i := range n {
					a.take("q%d topic=~/a payload=%d", qos, i)
				}
			}
		}},
		{name: "order-of-a-queue", v31: "4.1-queue", v311: "4.6.0-6 3.1.2-5", v5: "4.6.0-5", run: func(t *trial) {
			a, p := t.session("a", ""), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			a.disconnect()
			for i := range 80 {
				p.publish("q%d topic=~/a payload=%d", 1+i%2, i)
			}
			a = t.session("a", "")
			var last [3]int
			for range 80 {
				m, ok := a.next("PUBLISH").(*packet.Publish)
				if !ok {
					t.fail("a< expected PUBLISH")
				}
				i, _ := strconv.Atoi(string(m.Payload))
				if i < last[m.QoS] || int(m.QoS) != 1+i%2 {
					t.fail("a< %s came after payload=%d of this QoS", describe(m), last[m.QoS])
				}
				last[m.QoS] = i
				a.acknowledge(m)
			}
			if last[1] != 78 || last[2] != 79 {
				t.fail("a< the last messages are %d and %d, expected 78 and 79", last[1], last[2])
			}
		}},
	}
}

// flowChecks are those of Receive Maximum.
func flowChecks() []check {
	return []check{
		{name: "receive-maximum-of-the-client", v5: "3.3.4-9 4.9.0-1 4.9.0-2 4.9.0-3 3.3.4-10", run: func(t *trial) {
			a, p := t.connect("a", "clean receive-max=3"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2 filter=~/b q0")
			for i := range 8 {
				p.publish("q%d topic=~/a payload=%d", 1+i%2, i)
			}
			p.publish("q0 topic=~/b payload=aside")
			var m [8]*packet.Publish
			for i := range 3 {
				m[i] = a.message("q%d topic=~/a payload=%d", 1+i%2, i)
			}
			// Other packets are not held back, nor is QoS 0.
			a.message("q0 topic=~/b payload=aside")
			a.subscribe("filter=~/c q1")
			a.publish("q2 topic=~/d payload=x")
			a.ping()
			// One more for each that is acknowledged; PUBREC is not enough.
			a.send("PUBREC id=%d", m[1].ID)
			a.want(fmt.Sprintf("PUBREL id=%d", m[1].ID))
			a.ping()
			a.send("PUBCOMP id=%d", m[1].ID)
			m[3] = a.message("q2 topic=~/a payload=3")
			a.ping()
			a.acknowledge(m[0])
			m[4] = a.message("q1 topic=~/a payload=4")
			a.ping()
		}},
		{name: "receive-maximum-after-a-resume", v5: "3.3.4-9 4.9.0-2", run: func(t *trial) {
			a, p := t.session("a", "receive-max=10"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1")
			for i := range 5 {
				p.publish("q1 topic=~/a payload=%d", i)
				a.message("q1 topic=~/a payload=%d", i)
			}
			a.cut()
			p.publish("q1 topic=~/a payload=5")
			a = t.session("a", "receive-max=2")
			for i := range 4 {
				if i%2 == 0 {
					m := a.message("q1 topic=~/a payload=%d dup", i)
					n := a.message("q1 topic=~/a payload=%d dup", i+1)
					a.ping() // no more than two
					a.acknowledge(m)
					a.acknowledge(n)
				}
			}
			a.take("q1 topic=~/a payload=4 dup")
			a.take("q1 topic=~/a payload=5")
		}},
		{name: "receive-maximum-of-the-broker", v5: "3.3.4-7", run: func(t *trial) {
			a := t.connect("a", "clean")
			limit := 65535
			if p := &a.ack.Properties; p.Has(packet.PropReceiveMax) {
				limit = int(p.ReceiveMax)
			}
			if limit > 5000 {
				t.skip("the broker's Receive Maximum is %d, which cannot be exceeded or would take long", limit)
			}
			var b []byte
			for id := 1; id <= limit; id++ {
				b = append(b, publishBytes(t.v, 4, t.text("~/a"), uint16(id), nil, nil)...)
			}
			a.bytes(fmt.Sprintf("PUBLISH q2, %d of them", limit), b)
			for range limit {
				if _, ok := a.next("PUBREC").(*packet.Pubrec); !ok {
					t.fail("a< expected PUBREC")
				}
			}
			a.ping() // so many are allowed
			a.send("PUBLISH q2 topic=~/a payload=x id=%d", limit+1)
			a.dropped(packet.ReceiveMaximumExceeded)
		}},
		{name: "receive-maximum-counts-from-0-again", v5: "4.9.0-1", run: func(t *trial) {
			a, p := t.session("a", "receive-max=2"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1")
			for i := range 4 {
				p.publish("q1 topic=~/a payload=%d", i)
			}
			a.message("q1 topic=~/a payload=0")
			a.message("q1 topic=~/a payload=1")
			a.ping()
			a.cut()
			a = t.session("a", "receive-max=2")
			for i := range 2 {
				a.take("q1 topic=~/a payload=%d dup", i)
			}
			a.take("q1 topic=~/a payload=2")
			a.take("q1 topic=~/a payload=3")
		}},
		{name: "receive-maximum-0", v5: "4.13.1-1", run: func(t *trial) {
			c := t.dial("a")
			c.send("%s", t.connectLine("a", "clean receive-max=0"))
			c.refused()
		}},
	}
}
