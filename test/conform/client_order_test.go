package conform

import (
	"slices"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// swapped lets the client's packets of a type change places in pairs.
func swapped(t packet.Type) fault {
	return fault{fromClient: func(l *link, _ packet.Packet, b []byte) [][]byte {
		if b[0]>>4 != byte(t) {
			return [][]byte{b}
		}
		if l.held = append(l.held, b); len(l.held) < 2 {
			return nil
		}
		two := [][]byte{l.held[1], l.held[0]}
		l.held = nil
		return two
	}}
}

// clientResendChecks are those of what is sent again.
func clientResendChecks() []clientCheck {
	return []clientCheck{
		{name: "unacknowledged-is-sent-again", v311: "2.3.1-3 3.3.1-1 4.4.0-1 4.6.0-1 4.1.0-1", v5: "3.3.1-1 4.4.0-1 4.6.0-1 3.1.2-23", run: func(t *trial) {
			c, p := t.resume(client.Options{})
			var ids []uint16
			for i := range 10 {
				t.send(c, "a", byte(1+i%2), string(rune('0'+i)))
				ids = append(ids, p.publish("q%d topic=a payload=%d", 1+i%2, i).ID)
			}
			p.send("PUBACK id=%d", ids[4]) // out of order, as servers may
			p.quiet()
			for range 2 {
				p.cut()
				p = t.again(present)
				for i, id := range ids {
					if i != 4 {
						p.want("PUBLISH q%d id=%d topic=a payload=%d dup", 1+i%2, id, i)
					}
				}
				p.quiet()
			}
		}, broken: map[string]fault{
			"DUP is missing": alter(func(p *packet.Publish) { p.Dup = false }),
			"the identifier is another": fromClient(func(l *link, p *packet.Publish) packet.Packet {
				p.ID += uint16(l.count - 1)
				return p
			}),
			"the order is another": {fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
				if l.count == 1 {
					return [][]byte{b}
				}
				return swapped(packet.PUBLISH).fromClient(l, p, b)
			}},
			"it is not": {fromClient: later(packet.PUBLISH)},
		}},
		{name: "nothing-is-sent-again-at-other-times", v5: "4.4.0-1", run: func(t *trial) {
			c, p := t.connect(client.Options{KeepAlive: 10 * time.Second}, "")
			t.send(c, "a", 1, "1")
			t.send(c, "a", 2, "2")
			p.publish("q1 topic=a payload=1")
			id := p.publish("q2 topic=a payload=2").ID
			p.send("PUBREC id=%d", id)
			p.want("PUBREL id=%d", id)
			for range 20 {
				p.want("PINGREQ")
				p.send("PINGRESP")
			}
			t.subscribe(c, client.Subscription{Filter: "a"})
			p.expect(packet.SUBSCRIBE)
			p.quiet()
		}, broken: map[string]fault{"it is, with PINGREQ": {fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
			if p.Type() == packet.PUBLISH {
				l.held = append(l.held, b)
			}
			if p.Type() == packet.PINGREQ {
				return append(l.held, b)
			}
			return [][]byte{b}
		}}}},
	}
}

// clientOrderChecks are those of the order of acknowledgements.
func clientOrderChecks() []clientCheck {
	const n = 6
	// backwards makes the application acknowledge the last message first.
	backwards := func(t *trial, qos byte) *peer {
		var got []*client.Message
		c, p := t.connect(client.Options{ManualAck: true, OnMessage: func(_ *client.Client, m *client.Message) { got = append(got, m) }}, "")
		_ = c
		for i := range n {
			p.send("PUBLISH q%d id=%d topic=b payload=x", qos, 10+i)
		}
		p.quiet()
		for _, m := range slices.Backward(got) {
			m.Ack()
		}
		return p
	}
	return []clientCheck{
		{name: "pubacks-in-order", v311: "4.6.0-2", v5: "4.6.0-2", run: func(t *trial) {
			p := backwards(t, 1)
			for i := range n {
				p.want("PUBACK id=%d", 10+i)
			}
		}, broken: map[string]fault{"they are not": swapped(packet.PUBACK)}},
		{name: "pubrecs-in-order", v311: "4.6.0-3", v5: "4.6.0-3", run: func(t *trial) {
			p := backwards(t, 2)
			for i := range n {
				p.want("PUBREC id=%d", 10+i)
			}
		}, broken: map[string]fault{"they are not": swapped(packet.PUBREC)}},
		{name: "pubrels-in-order", v311: "4.6.0-4", v5: "4.6.0-4", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			var ids []uint16
			for range n {
				t.send(c, "a", 2, "x")
				ids = append(ids, p.publish("q2 topic=a payload=x").ID)
			}
			order := []int{3, 0, 5, 1, 4, 2} // of the server's choice
			for _, i := range order {
				p.send("PUBREC id=%d", ids[i])
			}
			for _, i := range order {
				p.want("PUBREL id=%d", ids[i])
			}
		}, broken: map[string]fault{"they are not": swapped(packet.PUBREL)}},
	}
}

// clientFilterChecks are those of SUBSCRIBE and UNSUBSCRIBE.
func clientFilterChecks() []clientCheck {
	const wildcards, shares = "4.7.1-1 4.7.1-2", "4.8.2-1 4.8.2-2"
	// bad wants filters to be refused, and good ones to be sent as they are.
	bad := func(good string, filters ...string) func(t *trial) {
		return func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for _, filter := range filters {
				_, err := c.Subscribe(t.soon(), client.Subscription{Filter: filter})
				t.refused("the filter "+filter, err)
				_, err = c.Unsubscribe(t.soon(), filter)
				t.refused("the filter "+filter, err)
			}
			p.quiet()
			t.subscribe(c, client.Subscription{Filter: good})
			if got := string(p.expect(packet.SUBSCRIBE).(*packet.Subscribe).Filters[0].Filter); got != good || topic.CheckFilter(got) != nil {
				t.fail("SUBSCRIBE has the filter %q, expected %q", got, good)
			}
			t.later(func() error { _, err := c.Unsubscribe(t.soon(), good); return err })
			if got := string(p.expect(packet.UNSUBSCRIBE).(*packet.Unsubscribe).Filters[0]); got != good {
				t.fail("UNSUBSCRIBE has the filter %q, expected %q", got, good)
			}
		}
	}
	return []clientCheck{
		{name: "a-filter-at-least", v311: "3.8.3-3 3.10.3-2", v5: "3.8.3-2 3.10.3-2", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			_, err := c.Subscribe(t.soon())
			t.refused("a SUBSCRIBE without filters", err)
			_, err = c.Unsubscribe(t.soon())
			t.refused("an UNSUBSCRIBE without filters", err)
			p.quiet()
			t.subscribe(c, client.Subscription{Filter: "a"}, client.Subscription{Filter: "b", QoS: 1})
			p.want("SUBSCRIBE id=* filter=a q0 filter=b q1")
			t.later(func() error { _, err := c.Unsubscribe(t.soon(), "a", "b"); return err })
			p.want("UNSUBSCRIBE id=* filter=a filter=b")
		}, broken: map[string]fault{
			"none in SUBSCRIBE":   alter(func(p *packet.Subscribe) { p.Filters = nil }),
			"none in UNSUBSCRIBE": alter(func(p *packet.Unsubscribe) { p.Filters = nil }),
		}},
		{name: "wildcards-in-their-place", v311: "4.7.1-2 4.7.1-3", v5: wildcards,
			run:    bad("+/a/+/#", "#/a", "a#", "a/#/b", "##", "a+", "+a", "a/b+/c", "++"),
			broken: map[string]fault{"# elsewhere": replaced("+/a/+/#", "#/a/+/+"), "+ within a level": replaced("+/a/+/#", "+xa/+/#")}},
		{name: "share-names", v5: shares,
			run:    bad("$share/name/a/#", "$share//a", "$share/a", "$share/a/", "$share/a+/b", "$share/#/b", "$share/"),
			broken: map[string]fault{"none": replaced("$share/name", "$share//nam"), "with a wildcard": replaced("$share/name", "$share/nam+")}},
		{name: "no-local-is-not-shared", v5: "3.8.3-4", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			_, err := c.Subscribe(t.soon(), client.Subscription{Filter: "$share/g/a", NoLocal: true})
			t.refused("No Local of a shared subscription", err)
			p.quiet()
			t.subscribe(c, client.Subscription{Filter: "$share/g/a"}, client.Subscription{Filter: "a", NoLocal: true})
			p.want("SUBSCRIBE id=* filter=$share/g/a q0 filter=a q0 no-local")
		}, broken: map[string]fault{"it is": alter(func(p *packet.Subscribe) { p.Filters[0].NoLocal = true })}},
		{name: "pubrel-with-dup", v31: "2.1-dup", run: func(t *trial) {
			_, p := t.connect(client.Options{}, "")
			p.send("PUBLISH q2 id=3 topic=b payload=x")
			p.want("PUBREC id=3")
			p.bytes([]byte{0x6A, 2, 0, 3})
			p.want("PUBCOMP id=3")
		}, broken: map[string]fault{"it is ignored": {fromBroker: func(_ *link, _ packet.Packet, b []byte) [][]byte {
			if b[0] == 0x6A {
				return nil
			}
			return [][]byte{b}
		}}}},
	}
}

// clientEndChecks are those of the end of a connection.
func clientEndChecks() []clientCheck {
	return []clientCheck{
		{name: "disconnect-is-last", v311: "3.14.4-1 3.14.4-2", v5: "3.14.4-1 3.14.4-2", run: func(t *trial) {
			c, p := t.connect(client.Options{KeepAlive: time.Second}, "")
			p.send("PUBLISH q1 id=1 topic=b payload=x")
			p.want("PUBACK id=1")
			t.later(c.Close)
			p.want("DISCONNECT success")
			if _, err := c.PublishAsync(t.ctx, client.Message{Topic: "a"}); err == nil {
				t.later(func() error { return c.Publish(t.ctx, client.Message{Topic: "a", QoS: 1}) })
			}
			p.closed()
		}, broken: map[string]fault{
			"PINGREQ follows": fault{fromClient: func(_ *link, p packet.Packet, b []byte) [][]byte {
				if p.Type() == packet.DISCONNECT {
					return [][]byte{b, {0xC0, 0}}
				}
				return [][]byte{b}
			}},
			"it stays": {deaf: true},
		}},
		{name: "violations-close", v311: "4.8.0-1", v5: "4.13.2-1 3.14.4-2", run: func(t *trial) {
			for _, line := range []string{"SUBSCRIBE id=1 filter=a q0", "PINGREQ", "CONNACK success"} {
				_, p := t.connect(client.Options{Reconnect: client.ReconnectOptions{Off: true}}, "")
				p.send("%s", line)
				p.dropped()
			}
		}, broken: map[string]fault{"they are ignored": {fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			if l.seen++; l.seen > 1 { // all but the CONNACK
				return nil
			}
			return [][]byte{b}
		}}, "it stays": {deaf: true}}},
	}
}
