package conform

import (
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// propertyChecks are those of what a PUBLISH carries besides its payload.
func propertyChecks() []check {
	forwarded := func(words string) func(t *trial) {
		return func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1")
			for qos := range 2 {
				p.publish("q%d topic=~/a payload=x %s", qos, words)
				a.take("q%d topic=~/a payload=x %s exactly", qos, words)
			}
			p.publish("q1 topic=~/a payload=y")
			a.take("q1 topic=~/a payload=y exactly") // nothing is added
			p.publish("q1 topic=~/r payload=x retain %s", words)
			a.subscribe("filter=~/r q1")
			a.take("q1 topic=~/r payload=x retain %s exactly", words)
		}
	}
	return []check{
		{name: "payload-format", v5: "3.3.2-4", run: forwarded("format=1")},
		{name: "response-topic", v5: "3.3.2-15 3.3.2-13", run: forwarded(`response-topic="~/Ω"`)},
		{name: "correlation-data", v5: "3.3.2-16", run: forwarded(`correlation="\x00\xff\x01"`)},
		{name: "content-type", v5: "3.3.2-20 3.3.2-19", run: forwarded("content-type=text/plain")},
		{name: "user-properties", v5: "3.3.2-17 3.3.2-18", run: forwarded(`user=b:1 user=a:2 user=b:1 user=b:0 user="":""`)},
		{name: "wildcards-in-a-response-topic", v5: "3.3.2-14", run: func(t *trial) {
			t.violate("PUBLISH q0 topic=~/a payload=x response-topic=~/#", "PUBLISH q0 topic=~/a payload=x response-topic=~/+/b")
		}},
		{name: "property-twice", v5: "4.13.1-1", run: func(t *trial) {
			t.violateBytes("PUBLISH with the payload format twice",
				publishBytes(t.v, 0, t.text("~/a"), 0, []byte{1, 1, 1, 1}, []byte("x")))
			t.violateBytes("PUBLISH with a property of CONNECT",
				publishBytes(t.v, 0, t.text("~/a"), 0, []byte{33, 0, 9}, []byte("x")))
		}},
		{name: "problem-information-0", v5: "3.1.2-29", run: func(t *trial) {
			a := t.connect("a", "clean request-problem=0")
			quiet := func(p packet.Packet) {
				var props *packet.Properties
				switch p := p.(type) {
				case *packet.Puback:
					props = &p.Properties
				case *packet.Pubrec:
					props = &p.Properties
				case *packet.Pubcomp:
					props = &p.Properties
				case *packet.Suback:
					props = &p.Properties
				case *packet.Unsuback:
					props = &p.Properties
				case *packet.Disconnect:
					return // may say why
				default:
					t.fail("a< %s came, expected an acknowledgement", describe(p))
				}
				if props.Has(packet.PropReasonString) || len(props.User) > 0 {
					t.fail("a< %s came, expected neither reason string nor user property", describe(p))
				}
			}
			for _, line := range []string{"PUBLISH q1 id=1 topic=~/a payload=x", "PUBLISH q2 id=2 topic=~/a payload=x", "PUBREL id=2",
				"PUBREL id=3", "SUBSCRIBE id=4 filter=~/a q0", "UNSUBSCRIBE id=5 filter=~/a filter=~/none", "PUBLISH q1 id=6 topic=$SYS/~ payload=x",
				"SUBSCRIBE id=7 filter=$share/~/$SYS/# q0"} {
				a.send("%s", line)
				p, err := a.read(t.patience())
				if err != nil {
					break // the last two may cost the connection
				}
				quiet(p)
			}
		}},
	}
}

// expiryChecks are those of Message Expiry Interval.
func expiryChecks() []check {
	return []check{
		{name: "message-expiry", v5: "3.3.2-5", run: func(t *trial) {
			a, p := t.session("a", ""), t.connect("p", "clean")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			p.publish("q1 topic=~/a payload=short expiry=1")
			p.publish("q1 topic=~/a payload=long expiry=1000")
			p.publish("q1 topic=~/r payload=short expiry=1 retain")
			time.Sleep(2500 * time.Millisecond)
			a = t.session("a", "")
			a.take("q1 topic=~/a payload=long")
			a.subscribe("filter=~/r q1")
			a.ping()
		}},
		{name: "message-expiry-sent-on", v5: "3.3.2-6", run: func(t *trial) {
			a, p := t.session("a", ""), t.connect("p", "clean")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			start := time.Now()
			p.publish("q1 topic=~/a payload=x expiry=1000")
			p.publish("q1 topic=~/r payload=x expiry=1000 retain")
			time.Sleep(2200 * time.Millisecond)
			a = t.session("a", "")
			check := func(m *packet.Publish) {
				waited := uint32(time.Since(start)/time.Second) + 1
				if got := m.Properties.MessageExpiry; !m.Properties.Has(packet.PropMessageExpiry) || got > 998 || got < 1000-waited {
					t.fail("a< the message has an expiry of %d s, expected %d to 998 s", got, 1000-waited)
				}
			}
			check(a.take("q1 topic=~/a payload=x"))
			a.subscribe("filter=~/r q1")
			check(a.take("q1 topic=~/r payload=x retain"))
		}},
		{name: "expiry-after-the-first-sending", v5: "4.3.3-7 4.3.3-13", run: func(t *trial) {
			a, p := t.session("a", ""), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			p.publish("q2 topic=~/a payload=1 expiry=1")
			p.publish("q2 topic=~/a payload=2 expiry=1")
			one := a.message("q2 topic=~/a payload=1")
			two := a.message("q2 topic=~/a payload=2")
			time.Sleep(2200 * time.Millisecond)
			a.acknowledge(one) // the exchange is completed
			a.cut()
			a = t.session("a", "")
			a.want(fmt.Sprintf("PUBLISH q2 topic=~/a payload=2 dup id=%d", two.ID)) // and sent again
			a.acknowledge(two)
			a.ping()
		}},
		{name: "expiry-of-what-a-client-publishes", v5: "4.3.3-13", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.send("PUBLISH q2 topic=~/a payload=x id=1 expiry=1")
			a.awaitAck("PUBREC", 1)
			time.Sleep(1500 * time.Millisecond)
			a.send("PUBREL id=1")
			a.want("PUBCOMP id=1")
		}},
	}
}

// aliasChecks are those of Topic Alias.
func aliasChecks() []check {
	// most returns the broker's Topic Alias Maximum; without one the check is skipped.
	most := func(c *conn) int {
		if n := int(c.ack.Properties.TopicAliasMax); c.ack.Properties.Has(packet.PropTopicAliasMax) && n > 0 {
			return n
		}
		c.t.skip("the broker takes no topic aliases")
		return 0
	}
	return []check{
		{name: "alias-from-the-client", v5: "3.3.2-12", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/# q0")
			n := most(p)
			for _, alias := range []int{1, n, n/2 + 1} {
				p.publish("q0 topic=~/%d payload=1 alias=%d", alias, alias)
				a.take("q0 topic=~/%d payload=1 !alias", alias)
			}
			for _, alias := range []int{1, n, n/2 + 1} {
				p.publish(`q0 topic="" payload=2 alias=%d`, alias)
				a.take("q0 topic=~/%d payload=2", alias)
			}
			p.publish("q0 topic=~/new payload=3 alias=1")
			a.take("q0 topic=~/new payload=3")
			p.publish(`q0 topic="" payload=4 alias=1`)
			a.take("q0 topic=~/new payload=4")
		}},
		{name: "alias-does-not-outlive-the-connection", v5: "3.3.2-7", run: func(t *trial) {
			p := t.session("p", "")
			most(p)
			p.publish("q1 topic=~/a payload=1 alias=1")
			p.disconnect()
			p = t.session("p", "")
			p.send(`PUBLISH q1 topic="" payload=2 id=9 alias=1`)
			p.dropped(packet.ProtocolError, packet.TopicAliasInvalid)
		}},
		{name: "alias-0", v5: "3.3.2-8", run: func(t *trial) { t.violate("PUBLISH q0 topic=~/a payload=x alias=0") }},
		{name: "alias-above-the-maximum", v5: "3.3.2-9", run: func(t *trial) {
			p := t.connect("p", "clean")
			n := int(p.ack.Properties.TopicAliasMax)
			if n == 65535 {
				t.skip("the broker takes every alias there is")
			}
			p.send("PUBLISH q0 topic=~/a payload=x alias=%d", n+1)
			p.dropped(packet.TopicAliasInvalid)
		}},
		{name: "alias-unknown", v5: "4.13.1-1", run: func(t *trial) {
			p := t.connect("p", "clean")
			p.send(`PUBLISH q0 topic="" payload=x alias=%d`, most(p))
			p.dropped(packet.ProtocolError, packet.TopicAliasInvalid)
		}},
		{name: "no-alias-from-the-broker", v5: "3.1.2-27", run: func(t *trial) {
			for i, words := range []string{"", " alias-max=0"} {
				a := t.connect(fmt.Sprint("a", i), "clean"+words)
				a.subscribe("filter=~/a q1")
				for range 4 {
					a.publish("q1 topic=~/a payload=x")
					a.take("q1 topic=~/a payload=x !alias")
				}
			}
		}},
		{name: "alias-from-the-broker", v5: "3.1.2-26 3.3.2-11 3.3.2-8 3.3.2-7", run: func(t *trial) {
			for range 2 { // the second time nothing may be left of the first
				a := t.session("a", "alias-max=2")
				p := t.connect("p", "clean")
				a.subscribe("filter=~/# q1")
				names := map[uint16]string{}
				for i := range 24 {
					topic := fmt.Sprintf("%s/%d", t.tag, i%4)
					p.publish("q1 topic=%s payload=%d", topic, i)
					m, ok := a.next("PUBLISH").(*packet.Publish)
					if !ok {
						t.fail("a< expected PUBLISH")
					}
					name := string(m.Topic)
					if m.Properties.Has(packet.PropTopicAlias) {
						alias := m.Properties.TopicAlias
						if alias == 0 || alias > 2 {
							t.fail("a< PUBLISH has the alias %d, expected 1 or 2", alias)
						}
						if name != "" {
							names[alias] = name
						}
						name = names[alias]
					}
					if name != topic || string(m.Payload) != fmt.Sprint(i) {
						t.fail("a< %s came, expected the topic %s and payload=%d", describe(m), topic, i)
					}
					a.acknowledge(m)
				}
				a.cut()
			}
		}},
	}
}

// sizeChecks are those of Maximum Packet Size.
func sizeChecks() []check {
	return []check{
		{name: "maximum-packet-size", v5: "3.1.2-24 3.1.2-25", run: func(t *trial) {
			a, p := t.session("a", "max-packet=120 receive-max=2"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			// More too large ones than the Receive Maximum: they must not use it up.
			for qos := range 3 {
				for range 3 {
					p.publish("q%d topic=~/a payload=200*x", qos)
				}
				p.publish("q%d topic=~/a payload=fits", qos)
				a.take("q%d topic=~/a payload=fits", qos)
			}
			a.nothingFrom(p, 1)
			a.disconnect()
			p.publish("q1 topic=~/a payload=200*x")
			p.publish("q1 topic=~/a payload=fits")
			a = t.session("a", "max-packet=120")
			a.take("q1 topic=~/a payload=fits")
			a.disconnect()
			// What did not fit is done with.
			t.session("a", "").ping()
		}},
		{name: "maximum-packet-size-and-retained", v5: "3.1.2-24", run: func(t *trial) {
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/r payload=200*x retain")
			p.publish("q1 topic=~/s payload=fits retain")
			a := t.connect("a", "clean max-packet=120")
			a.subscribe("filter=~/+ q1")
			a.take("q1 topic=~/s payload=fits retain")
			a.ping()
		}},
		{name: "maximum-packet-size-with-properties", v5: "3.1.2-24", run: func(t *trial) {
			a, p := t.connect("a", "clean max-packet=100"), t.connect("p", "clean")
			a.subscribe("filter=~/a q1 sub-id=268435455")
			for n := 40; n < 100; n++ { // around the limit, where the properties count
				p.publish("q0 topic=~/a payload=%d*x user=k:v", n)
			}
			p.publish("q1 topic=~/a payload=end")
			for {
				m, ok := a.next("PUBLISH").(*packet.Publish)
				if len(a.raw) > 100 {
					t.fail("a< a packet of %d bytes came, expected 100 at most", len(a.raw))
				}
				if ok && string(m.Payload) == "end" {
					return
				}
			}
		}},
		{name: "maximum-packet-size-0", v5: "4.13.1-1", run: func(t *trial) {
			c := t.dial("a")
			c.send("%s", t.connectLine("a", "clean max-packet=0"))
			c.refused()
		}},
	}
}
