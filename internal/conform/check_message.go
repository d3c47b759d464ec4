package conform

import (
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// publishChecks are those of PUBLISH and its header.
func publishChecks() []check {
	return []check{
		{name: "dup-is-not-passed-on", v311: "3.3.1-3 4.3.2-1", v5: "3.3.1-3 4.3.2-2 4.3.3-2", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			for qos := 1; qos <= 2; qos++ {
				p.send("PUBLISH q%d topic=~/a payload=%d id=%d dup", qos, qos, qos)
				p.published(fmt.Sprint("q", qos), uint16(qos))
				a.take("q%d topic=~/a payload=%d", qos, qos)
			}
		}},
		{name: "dup-at-qos-0", v311: "3.3.1-2 4.3.1-1", v5: "3.3.1-2 4.3.1-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q0")
			a.publish("q0 topic=~/a payload=0")
			a.take("q0 topic=~/a payload=0")
			a.publish("q1 topic=~/a payload=1")
			a.take("q0 topic=~/a payload=1")
			t.violate("PUBLISH q0 topic=~/a payload=x dup")
		}},
		{name: "topic-name-comes-first", v311: "3.3.2-1", v5: "3.3.2-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe(`filter="~/Ω/ñ" q0`)
			a.publish(`q0 topic="~/Ω/ñ" payload=x`)
			a.take(`q0 topic="~/Ω/ñ" payload=x`)
		}},
		{name: "wildcards-in-a-topic-name", v311: "3.3.2-2 4.7.1-1", v5: "3.3.2-2 4.7.0-1", run: func(t *trial) {
			t.violate("PUBLISH q0 topic=~/# payload=x", "PUBLISH q0 topic=~/+ payload=x", "PUBLISH q0 topic=~/a+ payload=x", "PUBLISH q0 topic=# payload=x")
		}},
		{name: "wildcards-in-a-will-topic", v311: "4.7.1-1", v5: "4.7.0-1", run: func(t *trial) {
			for _, name := range []string{"~/#", "~/+/a"} {
				c := t.dial("a")
				c.send("%s", t.connectLine("a", "clean will{topic="+name+" payload=x}"))
				c.refused()
			}
		}},
		{name: "publish-acknowledged", v311: "3.3.4-1", v5: "3.3.4-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.send("PUBLISH q1 topic=~/a payload=x id=1")
			a.want("PUBACK id=1", "PUBACK id=1 no-matching-subscribers")
			a.send("PUBLISH q2 topic=~/a payload=x id=2")
			a.want("PUBREC id=2", "PUBREC id=2 no-matching-subscribers")
			a.send("PUBREL id=2")
			a.want("PUBCOMP id=2")
			a.send("PUBLISH q0 topic=~/a payload=x")
			a.ping()
		}},
		{name: "publish-not-authorized", v311: "3.3.5-2", run: func(t *trial) {
			// Few may publish below $SYS. Allowed or not, the broker answers or closes.
			a := t.connect("a", "clean")
			a.send("PUBLISH q1 topic=$SYS/~ payload=x id=1")
			if p, err := a.read(t.patience()); err == errSilent {
				t.fail("a< nothing came, expected PUBACK id=1 or a close")
			} else if err == nil && !a.matches("PUBACK id=1", p) {
				t.fail("a< %s came, expected PUBACK id=1 or a close", describe(p))
			}
		}},
		{name: "topic-of-no-characters", v311: "4.7.3-1", v5: "4.7.3-1", run: func(t *trial) {
			t.violate(`PUBLISH q0 topic="" payload=x`, `SUBSCRIBE id=1 filter="" q0`, `UNSUBSCRIBE id=1 filter=""`)
		}},
		{name: "topic-of-65535-bytes", v311: "4.7.3-3", v5: "4.7.3-3", run: func(t *trial) {
			a := t.connect("a", "clean")
			long := fmt.Sprintf("%s/%s", t.tag, repeat("x", 65535-len(t.tag)-1))
			a.subscribe("filter=" + long + " q0")
			a.publish("q0 topic=%s payload=x", long)
			a.take("q0 topic=%s payload=x", long)
		}},
		{name: "violation-closes", v311: "4.8.0-1 3.14.1-1", v5: "4.13.1-1 4.13.2-1 3.14.4-2", run: func(t *trial) {
			t.violateBytes("a packet of type 0", []byte{0x00, 0})
			t.violateBytes("SUBACK, which only brokers send", []byte{0x90, 3, 0, 1, 0})
			t.violateBytes("a length of five bytes", []byte{0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 0x01})
			t.violateBytes("PINGREQ with a body", []byte{0xC0, 1, 0})
		}},
	}
}

func repeat(s string, n int) string {
	b := make([]byte, 0, n*len(s))
	for range n {
		b = append(b, s...)
	}
	return string(b)
}

// retainChecks are those of retained messages.
func retainChecks() []check {
	// late subscribes and gets what is retained.
	late := func(t *trial, words string) *conn {
		c := t.connect("l", "clean")
		c.subscribe(words)
		return c
	}
	return []check{
		{name: "retained-is-kept", v31: "3.3-retain", v311: "3.3.1-5 3.3.1-6 3.3.1-8", v5: "3.3.1-5 3.3.1-9", run: func(t *trial) {
			p := t.connect("p", "clean")
			for qos := 0; qos <= 2; qos++ {
				p.publish("q%d topic=~/r payload=old retain", qos)
				p.publish("q%d topic=~/r payload=new%d retain", qos, qos)
				p.ping()
				c := late(t, "filter=~/r q2")
				c.take("q%d topic=~/r payload=new%d retain", qos, qos)
				c.ping()
			}
			p.publish("q1 topic=~/s payload=other retain")
			c := late(t, "filter=~/+ q2")
			m := []string{"PUBLISH q2 topic=~/r payload=new2 retain id=*", "PUBLISH q1 topic=~/s payload=other retain id=*"}
			c.wantAll(m...)
		}},
		{name: "retained-qos-0-replaces", v311: "3.3.1-7", v5: "3.3.1-5", run: func(t *trial) {
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/r payload=old retain")
			p.publish("q0 topic=~/r payload=new retain")
			p.ping()
			c := late(t, "filter=~/r q1")
			c.send("PINGREQ")
			// It may be dropped at any time, but the old one must not be there.
			if got, ok := c.next("PUBLISH or PINGRESP").(*packet.Publish); ok && string(got.Payload) != "new" {
				t.fail("l< %s came, expected the message that replaced it", describe(got))
			}
		}},
		{name: "retain-flag-of-existing-subscriptions", v311: "3.3.1-9", v5: "3.3.1-12", run: func(t *trial) {
			p := t.connect("p", "clean")
			c := late(t, "filter=~/r q1")
			p.publish("q1 topic=~/r payload=x retain")
			c.take("q1 topic=~/r payload=x")
		}},
		{name: "retained-is-removed", v31: "3.3-retain-empty", v311: "3.3.1-10 3.3.1-11", v5: "3.3.1-6 3.3.1-7", run: func(t *trial) {
			p := t.connect("p", "clean")
			c := late(t, "filter=~/r q1")
			p.publish("q1 topic=~/r payload=x retain")
			c.take("q1 topic=~/r payload=x")
			p.publish(`q1 topic=~/r payload="" retain`)
			c.take(`q1 topic=~/r payload=""`)
			t.connect("m", "clean").emptySubscription("~/r")
			p.publish(`q1 topic=~/s payload="" retain`)
			t.connect("m", "clean").emptySubscription("~/s")
		}},
		{name: "retain-0-leaves-it", v311: "3.3.1-12", v5: "3.3.1-8", run: func(t *trial) {
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/r payload=kept retain")
			p.publish("q1 topic=~/r payload=passing")
			p.publish(`q1 topic=~/r payload=""`)
			c := late(t, "filter=~/r q1")
			c.take("q1 topic=~/r payload=kept retain")
			c.ping()
			p.publish("q1 topic=~/s payload=passing")
			t.connect("m", "clean").emptySubscription("~/s")
		}},
		{name: "retain-handling-0", v5: "3.3.1-9 3.8.4-4", run: func(t *trial) {
			t.connect("p", "clean").publish("q1 topic=~/r payload=kept retain")
			c := late(t, "filter=~/r q1")
			c.take("q1 topic=~/r payload=kept retain")
			c.subscribe("filter=~/r q1")
			c.take("q1 topic=~/r payload=kept retain")
		}},
		{name: "retain-handling-1", v5: "3.3.1-10", run: func(t *trial) {
			t.connect("p", "clean").publish("q1 topic=~/r payload=kept retain")
			c := late(t, "filter=~/r q1 retain-handling=1")
			c.take("q1 topic=~/r payload=kept retain")
			c.subscribe("filter=~/r q1 retain-handling=1")
			c.ping()
		}},
		{name: "retain-handling-2", v5: "3.3.1-11", run: func(t *trial) {
			t.connect("p", "clean").publish("q1 topic=~/r payload=kept retain")
			c := late(t, "filter=~/r q1 retain-handling=2")
			c.ping()
			c.subscribe("filter=~/r q1 retain-handling=2")
			c.ping()
		}},
		{name: "retain-as-published", v5: "3.3.1-12 3.3.1-13", run: func(t *trial) {
			p := t.connect("p", "clean")
			c := t.connect("c", "clean")
			c.subscribe("filter=~/r q1 retain-as-published")
			d := t.connect("d", "clean")
			d.subscribe("filter=~/r q1")
			p.publish("q1 topic=~/r payload=x retain")
			c.take("q1 topic=~/r payload=x retain")
			d.take("q1 topic=~/r payload=x")
			p.publish("q1 topic=~/r payload=y")
			c.take("q1 topic=~/r payload=y")
			d.take("q1 topic=~/r payload=y")
		}},
	}
}

// emptySubscription subscribes and wants no retained message.
func (c *conn) emptySubscription(filter string) {
	c.subscribe("filter=" + filter + " q1")
	c.ping()
}

// topicChecks are those of filters and how they match.
func topicChecks() []check {
	// match publishes to all topics and wants those that the filter matches.
	match := func(filter string, yes, no []string) func(t *trial) {
		return func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe(fmt.Sprintf("filter=%q q0", filter))
			for _, name := range append(append([]string(nil), no...), yes...) {
				p.publish("q0 topic=%q payload=x", name)
			}
			for _, name := range yes {
				a.take("q0 topic=%q payload=x", name)
			}
			a.nothingFrom(p, 0)
		}
	}
	return []check{
		{name: "hash-matches-its-parent", v31: "A-wildcards", v311: "3.3.2-3", v5: "3.3.2-3",
			run: match("~/a/#", []string{"~/a", "~/a/b", "~/a/b/c", "~/a/"}, []string{"~", "~/b", "~/ab", "~/A"})},
		{name: "plus-matches-one-level", v31: "A-wildcards", v311: "3.3.2-3", v5: "3.3.2-3",
			run: match("~/+/c", []string{"~/a/c", "~//c"}, []string{"~/c", "~/a/b/c", "~/a/c/", "~/a"})},
		{name: "plus-at-the-end", v311: "3.3.2-3", v5: "3.3.2-3",
			run: match("~/+", []string{"~/a", "~/"}, []string{"~", "~/a/b", "~/a/"})},
		{name: "plus-and-hash", v311: "3.3.2-3", v5: "3.3.2-3",
			run: match("+/~/+/#", []string{"a/~/b", "/~/b/c", "b/~//"}, []string{"a/~", "a/a/~/b"})},
		{name: "matching-changes-nothing", v311: "4.7.3-4", v5: "4.7.3-4",
			run: match("~/\u00c5 b/", []string{"~/\u00c5 b/"}, []string{"~/A\u030a b/", "~/\u212b b/", "~/\u00e5 b/", "~/\u00c5  b/", "~//\u00c5 b/", "~/\u00c5 b", "/~/\u00c5 b/", "~/./\u00c5 b/"})},
		{name: "dollar-topics", v31: "A-dollar", v311: "4.7.2-1", v5: "4.7.2-1", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			d := t.connect("d", "clean")
			d.subscribe("filter=$~/~/x q0")
			a.subscribe("filter=+/~/x q0 filter=+/~/# q0")
			p.publish("q0 topic=$~/~/x payload=hidden")
			a.nothingFrom(p, 0)
			d.send("PINGREQ")
			if _, ok := d.next("PUBLISH or PINGRESP").(*packet.Publish); !ok {
				t.skip("the broker delivers no topics that begin with $, not even to a filter that does")
			}
		}},
		{name: "dollar-sys", v31: "A-dollar", v311: "4.7.2-1", v5: "4.7.2-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.send("SUBSCRIBE id=1 filter=# q0 filter=+/broker/# q0")
			a.send("PINGREQ")
			for {
				switch p := a.next("PINGRESP").(type) {
				case *packet.Publish:
					if p.Topic[0] == '$' {
						t.fail("a< %s came for a filter that begins with a wildcard", describe(p))
					}
				case *packet.Pingresp:
					return
				}
			}
		}},
		{name: "bad-filters", v311: "4.7.1-2 4.7.1-3", v5: "4.7.1-1 4.7.1-2", run: func(t *trial) {
			for _, filter := range []string{"~/a#", "~/#/a", "#~", "~/a+", "~/+a", "~/a+/b", "##"} {
				c := t.connect("a", "clean")
				c.send("SUBSCRIBE id=1 filter=%s q0", filter)
				c.refusesFilter()
			}
		}},
	}
}

// refusesFilter wants a close or a SUBACK that grants nothing.
func (c *conn) refusesFilter() {
	p, err := c.read(c.t.patience())
	ack, ok := p.(*packet.Suback)
	d, isDisconnect := p.(*packet.Disconnect)
	switch {
	case err == errSilent:
		c.t.fail("%s< nothing came, expected a close or a SUBACK that refuses", c.name)
	case err != nil:
	case isDisconnect && d.Code >= 0x80:
		c.closed()
	case !ok || ack.Codes[0] < 0x80:
		c.t.fail("%s< %s came, expected a close or a SUBACK that refuses", c.name, describe(p))
	}
}
