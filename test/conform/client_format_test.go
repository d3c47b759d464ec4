package conform

import (
	"bytes"
	"slices"
	"strings"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// sent changes the bytes of the client's packets of a type.
func sent(t packet.Type, fn func(b []byte) []byte) fault {
	return fault{fromClient: func(_ *link, _ packet.Packet, b []byte) [][]byte {
		if b[0]>>4 == byte(t) {
			b = fn(slices.Clone(b))
		}
		return [][]byte{b}
	}}
}

// unsent drops the client's packets of a type.
func unsent(t packet.Type) fault {
	return fault{fromClient: func(_ *link, _ packet.Packet, b []byte) [][]byte {
		if b[0]>>4 == byte(t) {
			return nil
		}
		return [][]byte{b}
	}}
}

// unheard drops the server's packets of a type: a client that ignores them.
func unheard(t packet.Type) fault {
	return fault{fromBroker: func(_ *link, _ packet.Packet, b []byte) [][]byte {
		if b[0]>>4 == byte(t) {
			return nil
		}
		return [][]byte{b}
	}}
}

// tolerant is a client that ignores packets which break the format.
var tolerant = fault{fromBroker: func(_ *link, p packet.Packet, b []byte) [][]byte {
	if p == nil {
		return nil
	}
	return [][]byte{b}
}}

// replaced is a client that writes other bytes in the place of some.
func replaced(from, to string) fault {
	return fault{fromClient: func(_ *link, _ packet.Packet, b []byte) [][]byte {
		return [][]byte{bytes.ReplaceAll(b, []byte(from), []byte(to))}
	}}
}

// badStrings are none of MQTT: a surrogate, an overlong form, a byte that never occurs, a
// sequence cut short, U+0000.
var badStrings = []string{"\xed\xa0\x80", "\xc0\xaf", "\xff", "a\xe2\x82", "a\x00b"}

// clientStringChecks are those of UTF-8 strings and variable byte integers.
func clientStringChecks() []clientCheck {
	inBytes := map[string]fault{"bad UTF-8": replaced("\u00e5\u00e5", "\xff\xfe\xfd\xfc"), "a surrogate": replaced("\u00e5\u00e5", "\xed\xa0\x80a"),
		"U+0000": replaced("\u00e5\u00e5", "\x00aaa")}
	return []clientCheck{
		{name: "strings-of-connect", v311: "1.5.3-1 1.5.3-2 3.1.3-4 3.1.3-10 3.1.3-11", v5: "1.5.4-1 1.5.4-2 3.1.3-4 3.1.3-11 3.1.3-12", run: func(t *trial) {
			for _, bad := range badStrings {
				for what, o := range map[string]client.Options{
					"a client identifier": {ClientID: bad}, "a user name": {Username: bad}, "a will topic": {Will: &client.Message{Topic: bad}},
				} {
					o = t.options(o)
					_, err := client.Connect(t.soon(), o)
					t.refused(what+" that is no string", err)
				}
			}
			if len(t.fresh) > 0 {
				t.fail("the client opens a connection, expected an error alone")
			}
			for i, o := range []client.Options{{ClientID: "\u00e5\u00e5"}, {Username: "\u00e5\u00e5"}, {Will: &client.Message{Topic: "\u00e5\u00e5"}}} {
				p, _ := t.dial(o)
				c := p.expect(packet.CONNECT).(*packet.Connect)
				got := []string{string(c.ClientID), string(c.Username), ""}
				if c.Will != nil {
					got[2] = string(c.Will.Topic)
				}
				if got[i] != "\u00e5\u00e5" {
					t.fail("CONNECT has %q, expected \u00e5\u00e5", got)
				}
				p.send("CONNACK success")
			}
		}, broken: inBytes},
		{name: "strings-of-publish", v311: "1.5.3-1 1.5.3-2 3.3.2-1 4.7.3-2", v5: "1.5.4-1 1.5.4-2 1.5.7-1 3.3.2-1 3.3.2-13 3.3.2-19 4.7.3-2", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for _, bad := range badStrings {
				all := map[string]client.Message{"topic": {Topic: bad}}
				if t.is5() {
					all["response topic"] = client.Message{Topic: "a", Properties: client.Properties{ResponseTopic: bad}}
					all["content type"] = client.Message{Topic: "a", Properties: client.Properties{ContentType: bad}}
					all["user property"] = client.Message{Topic: "a", Properties: client.Properties{User: []client.User{{Key: bad}}}}
					all["user property's value"] = client.Message{Topic: "a", Properties: client.Properties{User: []client.User{{Value: bad}}}}
				}
				for what, m := range all {
					_, err := c.PublishAsync(t.ctx, m)
					t.refused("a "+what+" that is no string", err)
				}
			}
			p.quiet()
			t.send(c, "\u00e5\u00e5", 0, "1")
			p.publish(`q0 topic="\u00e5\u00e5" payload=1`)
			if !t.is5() {
				return
			}
			t.publish(c, client.Message{Topic: "a", Properties: client.Properties{ResponseTopic: "\u00e5\u00e5", ContentType: "\u00e5\u00e5",
				User: []client.User{{Key: "\u00e5\u00e5", Value: "\u00e5\u00e5"}}}})
			p.publish(`q0 topic=a payload="" response-topic="\u00e5\u00e5" content-type="\u00e5\u00e5" user="\u00e5\u00e5":"\u00e5\u00e5"`)
		}, broken: inBytes},
		{name: "strings-of-subscribe", v311: "1.5.3-1 1.5.3-2 3.8.3-1 3.10.3-1 4.7.3-2", v5: "1.5.4-1 1.5.4-2 3.8.3-1 3.10.3-1 4.7.3-2", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for _, bad := range badStrings {
				_, err := c.Subscribe(t.soon(), client.Subscription{Filter: bad})
				t.refused("a filter that is no string", err)
				_, err = c.Unsubscribe(t.soon(), bad)
				t.refused("a filter that is no string", err)
			}
			p.quiet()
			t.subscribe(c, client.Subscription{Filter: "\u00e5\u00e5"})
			p.want(`SUBSCRIBE id=1 filter="\u00e5\u00e5" q0`)
			t.later(func() error { _, err := c.Unsubscribe(t.soon(), "\u00e5\u00e5"); return err })
			p.want(`UNSUBSCRIBE id=2 filter="\u00e5\u00e5"`)
		}, broken: inBytes},
		{name: "bad-strings-received", v311: "1.5.3-1 1.5.3-2", v5: "1.5.4-1 1.5.4-2 1.5.7-1", run: func(t *trial) {
			for _, bad := range badStrings {
				_, p := t.connect(client.Options{Reconnect: client.ReconnectOptions{Off: true}}, "")
				p.bytes(publishBytes(t.v, 0, bad, nil))
				p.dropped()
				if t.is5() {
					for _, pair := range [][2]string{{bad, "v"}, {"k", bad}} {
						_, p := t.connect(client.Options{Reconnect: client.ReconnectOptions{Off: true}}, "")
						p.bytes(publishBytes(t.v, 0, "a", userProperty(pair[0], pair[1])))
						p.dropped()
					}
				}
			}
		}, broken: map[string]fault{"bad packets are ignored": tolerant}},
		{name: "byte-order-mark-is-kept", v311: "1.5.3-3", v5: "1.5.4-3", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			t.send(c, "\ufeffa", 0, "x")
			p.publish(`q0 topic="\ufeffa" payload=x`)
			p.send(`PUBLISH q0 topic="b\ufeff" payload=y`)
			t.handed("b\ufeff=y")
		}, broken: map[string]fault{
			"it is stripped": alter(func(p *packet.Publish) { p.Topic = bytes.ReplaceAll(p.Topic, []byte("\ufeff"), nil) }),
			"it is stripped from what comes": edit(func(p *packet.Publish) {
				p.Topic = bytes.ReplaceAll(p.Topic, []byte("\ufeff"), nil)
			}),
		}},
		{name: "integers-are-shortest", v5: "1.5.5-1", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			const overhead = 4 // of the topic and no properties
			for _, size := range []int{0, 127 - overhead, 128 - overhead, 16383 - overhead, 16384 - overhead} {
				t.send(c, "a", 0, strings.Repeat("x", size))
				p.publish("q0 topic=a payload=%d*x", size)
				if want := 1 + packet.VarintLen(uint32(size+overhead)) + size + overhead; len(p.raw) != want {
					t.fail("PUBLISH of %d bytes, expected %d: the length is not written in the fewest", len(p.raw), want)
				}
			}
		}, broken: map[string]fault{"a byte too many": sent(packet.PUBLISH, overlong)}},
	}
}

// publishBytes is a PUBLISH of QoS 0, which may be one that no server should send.
func publishBytes(v packet.Version, flags byte, topic string, props []byte) []byte {
	id := uint16(0)
	if flags&6 != 0 {
		id = 1
	}
	b, _ := packet.AppendPublish(nil, v, flags, topic, id, props, []byte("x"))
	return b
}

func userProperty(key, value string) []byte {
	b := append([]byte{byte(packet.PropUser), 0, byte(len(key))}, key...)
	return append(append(b, 0, byte(len(value))), value...)
}

// everything makes the client send each type of packet that clients send, and wants them.
func everything(t *trial) {
	c, p := t.connect(client.Options{KeepAlive: 5e9}, "")
	sub := t.subscribe(c, client.Subscription{Filter: "a"})
	p.want("SUBSCRIBE id=* filter=a q0")
	p.send("SUBACK id=1 q0")
	if err := <-sub; err != nil {
		t.fail("subscribe: %v", err)
	}
	t.later(func() error { _, err := c.Unsubscribe(t.soon(), "a"); return err })
	u := p.expect(packet.UNSUBSCRIBE).(*packet.Unsubscribe)
	p.send("UNSUBACK id=%d%s", u.ID, t.pick("", " success"))
	t.send(c, "a", 0, "0")
	p.publish("q0 topic=a payload=0")
	t.send(c, "a", 1, "1")
	p.send("PUBACK id=%d", p.publish("q1 topic=a payload=1").ID)
	t.send(c, "a", 2, "2")
	id := p.publish("q2 topic=a payload=2").ID
	p.send("PUBREC id=%d", id)
	p.want("PUBREL id=%d", id)
	p.send("PUBCOMP id=%d", id)
	p.send("PUBLISH q1 id=7 topic=b payload=x")
	p.want("PUBACK id=7")
	p.send("PUBLISH q2 id=8 topic=b payload=x")
	p.want("PUBREC id=8")
	p.send("PUBREL id=8")
	p.want("PUBCOMP id=8")
	p.want("PINGREQ")
	p.send("PINGRESP")
	t.later(c.Close)
	p.want("DISCONNECT success")
	p.closed()
}

// clientHeaderChecks are those of the fixed header and of identifiers.
func clientHeaderChecks() []clientCheck {
	flag := func(types ...packet.Type) map[string]fault {
		m := map[string]fault{}
		for _, typ := range types {
			m[typ.String()] = sent(typ, flag0)
		}
		return m
	}
	return []clientCheck{
		// Packets are read strictly: other flags would end the check.
		{name: "flags", v311: "2.2.2-1 3.6.1-1 3.8.1-1 3.10.1-1 7.0.0-2", v5: "2.1.3-1 3.6.1-1 3.8.1-1 3.10.1-1 3.14.1-1", run: everything,
			broken: flag(packet.CONNECT, packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP, packet.SUBSCRIBE, packet.UNSUBSCRIBE,
				packet.PINGREQ, packet.DISCONNECT)},
		{name: "flags-received", v311: "2.2.2-1 2.2.2-2 3.6.1-1", v5: "2.1.3-1 3.6.1-1 3.14.1-1 3.15.1-1", run: func(t *trial) {
			all := [][]byte{{0x60, 2, 0, 1}, {0x41, 2, 0, 1}, {0xD1, 0}, {0x92, 3, 0, 1, 0}}
			if t.is5() {
				all = append(all, []byte{0xE1, 0}, []byte{0xF2, 0})
			}
			for _, b := range all {
				_, p := t.connect(client.Options{Reconnect: client.ReconnectOptions{Off: true}}, "")
				p.bytes(b)
				p.dropped()
			}
		}, broken: map[string]fault{"bad packets are ignored": tolerant}},
		{name: "qos-3", v311: "3.3.1-4 3.1.2-14 4.8.0-1", v5: "3.3.1-4 3.1.2-12", run: func(t *trial) {
			_, err := client.Connect(t.soon(), t.options(client.Options{Will: &client.Message{Topic: "w", QoS: 3}}))
			t.refused("a will of QoS 3", err)
			c, p := t.connect(client.Options{Will: &client.Message{Topic: "w", QoS: 2}, Reconnect: client.ReconnectOptions{Off: true}}, "")
			_, err = c.PublishAsync(t.ctx, client.Message{Topic: "a", QoS: 3})
			t.refused("a message of QoS 3", err)
			_, err = c.Subscribe(t.soon(), client.Subscription{Filter: "a", QoS: 3})
			t.refused("a subscription of QoS 3", err)
			p.quiet()
			t.send(c, "a", 2, "x")
			p.publish("q2 topic=a payload=x")
			p.bytes(publishBytes(t.v, 6, "a", nil))
			p.dropped()
		}, broken: map[string]fault{
			"it is sent":           sent(packet.PUBLISH, func(b []byte) []byte { b[0] |= 6; return b }),
			"it is sent in a will": sent(packet.CONNECT, func(b []byte) []byte { b[9] |= 3 << 3; return b }),
			"it is taken":          tolerant,
		}},
		{name: "identifiers", v311: "2.3.1-1 2.3.1-2", v5: "2.2.1-3 4.3.2-1 4.3.3-1", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			used := map[uint16]bool{}
			take := func(id uint16) {
				if id == 0 || used[id] {
					t.fail("the packet identifier is %d, which is 0 or in use", id)
				}
				used[id] = true
			}
			for i := range 50 {
				t.send(c, "a", byte(1+i%2), "x")
				m := p.publish("q%d topic=a payload=x", 1+i%2)
				take(m.ID)
				if i%5 == 0 && m.QoS == 1 {
					p.send("PUBACK id=%d", m.ID)
					delete(used, m.ID)
				}
				t.subscribe(c, client.Subscription{Filter: "a"})
				take(p.expect(packet.SUBSCRIBE).(*packet.Subscribe).ID)
				t.later(func() error { _, err := c.Unsubscribe(t.soon(), "a"); return err })
				take(p.expect(packet.UNSUBSCRIBE).(*packet.Unsubscribe).ID)
			}
		}, broken: map[string]fault{
			"0 in SUBSCRIBE":   alter(func(p *packet.Subscribe) { p.ID = 0 }),
			"0 in UNSUBSCRIBE": alter(func(p *packet.Unsubscribe) { p.ID = 0 }),
			"0 in PUBLISH":     alter(func(p *packet.Publish) { p.ID = 0 }),
			"one is used twice": fromClient(func(l *link, p *packet.Publish) packet.Packet {
				p.ID = p.ID % 20
				return p
			}),
			"SUBSCRIBE uses a message's": alter(func(p *packet.Subscribe) { p.ID = 2 }),
		}},
		{name: "identifiers-come-round", v5: "2.2.1-3 4.3.2-1", run: func(t *trial) {
			c, p := t.connect(client.Options{MaxQueued: 100}, "")
			t.send(c, "a", 1, "open")
			open := p.publish("q1 topic=a payload=open").ID
			for range 66_000 {
				t.send(c, "a", 1, "x")
				m := p.expect(packet.PUBLISH).(*packet.Publish)
				if m.ID == open || m.ID == 0 {
					t.fail("the packet identifier %d came round, which is 0 or in use", m.ID)
				}
				p.bytes(packet.AppendAck(nil, packet.PUBACK, m.ID))
			}
		}, broken: map[string]fault{"one is used twice": fromClient(func(_ *link, p *packet.Publish) packet.Packet {
			if p.ID > 1000 {
				p.ID = 1
			}
			return p
		})}},
		{name: "no-identifier-at-qos-0-sent", v311: "2.3.1-5", v5: "2.2.1-2", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			t.send(c, "a", 0, "x")
			p.expect(packet.PUBLISH)
			if want := publishBytes(t.v, 0, "a", nil); !bytes.Equal(p.raw, want) {
				t.fail("PUBLISH is % X, expected % X", p.raw, want)
			}
		}, broken: map[string]fault{"it has one": alter(func(p *packet.Publish) { p.Payload = append([]byte{0, 1}, p.Payload...) })}},
		{name: "acknowledgements-repeat-identifiers-received", v311: "2.3.1-6 3.3.4-1 4.5.0-2 4.3.2-2 4.3.3-2",
			v5: "2.2.1-5 3.3.4-1 4.5.0-2 4.3.2-4 4.3.3-8 4.3.3-11", run: func(t *trial) {
				// Nothing subscribes to the topic, and no handler is there.
				_, p := t.connect(client.Options{}, "")
				for _, id := range []int{1, 255, 256, 12345, 65535} {
					p.send("PUBLISH q1 id=%d topic=b payload=x", id)
					p.want("PUBACK id=%d", id)
					p.send("PUBLISH q2 id=%d topic=b payload=x", id)
					p.want("PUBREC id=%d", id)
					p.send("PUBREL id=%d", id)
					p.want("PUBCOMP id=%d", id)
				}
				p.send("PUBLISH q0 topic=b payload=x")
				p.quiet()
			}, broken: map[string]fault{
				"another in PUBACK":  alter(func(p *packet.Puback) { p.ID = p.ID%100 + 1 }),
				"another in PUBREC":  alter(func(p *packet.Pubrec) { p.ID = p.ID%100 + 1 }),
				"another in PUBCOMP": alter(func(p *packet.Pubcomp) { p.ID = p.ID%100 + 1 }),
				"no PUBACK":          unsent(packet.PUBACK),
				"no PUBREC":          unsent(packet.PUBREC),
				"no PUBCOMP":         unsent(packet.PUBCOMP),
			}},
		{name: "pubrel-repeats-the-identifier", v311: "2.3.1-6", v5: "2.2.1-5 4.3.3-4", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			var ids []uint16
			for range 3 {
				t.send(c, "a", 2, "x")
				ids = append(ids, p.publish("q2 topic=a payload=x").ID)
			}
			slices.Reverse(ids)
			for _, id := range ids {
				p.send("PUBREC id=%d", id)
				p.want("PUBREL id=%d", id)
			}
		}, broken: map[string]fault{"another": alter(func(p *packet.Pubrel) { p.ID = 1 })}},
		{name: "no-properties-are-a-length-of-0", v5: "2.2.2-1", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			t.send(c, "a", 1, "x")
			if p.expect(packet.PUBLISH); string(p.raw) != "\x32\x07\x00\x01a\x00\x01\x00x" {
				t.fail("PUBLISH is % X, expected a property length of 0 after the packet identifier", p.raw)
			}
			t.subscribe(c, client.Subscription{Filter: "a"})
			if p.expect(packet.SUBSCRIBE); string(p.raw) != "\x82\x07\x00\x02\x00\x00\x01a\x00" {
				t.fail("SUBSCRIBE is % X, expected a property length of 0 after the packet identifier", p.raw)
			}
			t.later(func() error { _, err := c.Unsubscribe(t.soon(), "a"); return err })
			if p.expect(packet.UNSUBSCRIBE); string(p.raw) != "\xA2\x06\x00\x03\x00\x00\x01a" {
				t.fail("UNSUBSCRIBE is % X, expected a property length of 0 after the packet identifier", p.raw)
			}
		}, broken: map[string]fault{
			"none in PUBLISH":     sent(packet.PUBLISH, func([]byte) []byte { return []byte("\x32\x06\x00\x01a\x00\x01x") }),
			"none in SUBSCRIBE":   sent(packet.SUBSCRIBE, func([]byte) []byte { return []byte("\x82\x06\x00\x02\x00\x01a\x00") }),
			"none in UNSUBSCRIBE": sent(packet.UNSUBSCRIBE, func([]byte) []byte { return []byte("\xA2\x05\x00\x03\x00\x01a") }),
		}},
	}
}
