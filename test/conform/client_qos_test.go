package conform

import (
	"fmt"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// clientQoSChecks are those of the exchanges at QoS 1 and 2.
func clientQoSChecks() []clientCheck {
	// code gives an acknowledgement a reason code.
	code := func(typ packet.Type, c byte) fault {
		return sent(typ, func(b []byte) []byte { return []byte{b[0], 3, b[2], b[3], c} })
	}
	// reason gives an acknowledgement a reason string and a user property.
	reason := func(typ packet.Type) fault {
		return sent(typ, func(b []byte) []byte {
			return []byte{b[0], 15, b[2], b[3], 0, 11, byte(packet.PropReasonString), 0, 1, 'r', byte(packet.PropUser), 0, 1, 'k', 0, 1, 'v'}
		})
	}
	return []clientCheck{
		// Reason codes are read strictly: others would end the check.
		{name: "reason-codes", v5: "3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1 3.14.2-1", run: func(t *trial) {
			everything(t)
			_, p := t.connect(client.Options{}, "")
			p.send("PUBREC id=99")
			p.want("PUBREL id=99 packet-identifier-not-found")
			p.send("PUBREL id=99")
			p.want("PUBCOMP id=99 packet-identifier-not-found")
		}, broken: map[string]fault{"PUBACK": code(packet.PUBACK, 0x92), "PUBREC": code(packet.PUBREC, 0x01), "PUBREL": code(packet.PUBREL, 0x80),
			"PUBCOMP": code(packet.PUBCOMP, 0x10), "DISCONNECT": sent(packet.DISCONNECT, func([]byte) []byte { return []byte{0xE0, 1, 0x01} })}},
		{name: "disconnect-codes", v5: "3.14.2-1", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for _, code := range []packet.ReasonCode{0x01, 0x18, 0x84, 0x92, 0xFF} {
				t.refused(fmt.Sprintf("DISCONNECT with the code %02X", byte(code)), c.Disconnect(t.soon(), code))
				p.quiet()
			}
			reference := packet.Properties{ServerReference: []byte("elsewhere")}
			reference.Mark(packet.PropServerReference)
			t.refused("a Server Reference", c.DisconnectWith(t.soon(), &packet.Disconnect{Properties: reference}))
			expiry := packet.Properties{SessionExpiry: 10}
			expiry.Mark(packet.PropSessionExpiry)
			t.refused("a session expiry that was 0", c.DisconnectWith(t.soon(), &packet.Disconnect{Properties: expiry}))
			p.quiet()
			t.later(func() error { return c.Disconnect(t.ctx, packet.DisconnectWithWill) })
			p.want("DISCONNECT disconnect-with-will-message")
		}, broken: map[string]fault{"any is sent": sent(packet.DISCONNECT, func([]byte) []byte { return []byte{0xE0, 1, 0x01} })}},
		{name: "no-reason-strings", v5: "3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3", run: func(t *trial) {
			// The client puts none into these packets, so they are never too large.
			c, p := t.connect(client.Options{}, "CONNACK success max-packet=20")
			p.send("PUBLISH q1 id=1 topic=b payload=x")
			p.want("PUBACK id=1 exactly")
			p.send("PUBLISH q2 id=2 topic=b payload=x")
			p.want("PUBREC id=2 exactly")
			p.send("PUBREL id=2")
			p.want("PUBCOMP id=2 exactly")
			p.send("PUBREL id=3")
			p.want("PUBCOMP id=3 packet-identifier-not-found exactly")
			p.send("PUBREC id=4")
			p.want("PUBREL id=4 packet-identifier-not-found exactly")
			t.send(c, "a", 2, "x")
			p.send("PUBREC id=%d", p.publish("q2 topic=a payload=x").ID)
			p.want("PUBREL id=* exactly")
		}, broken: map[string]fault{"PUBACK": reason(packet.PUBACK), "PUBREC": reason(packet.PUBREC), "PUBREL": reason(packet.PUBREL), "PUBCOMP": reason(packet.PUBCOMP)}},
		{name: "disconnect-fits", v5: "3.14.2-3 3.14.2-4", run: func(t *trial) {
			for name, props := range map[string]packet.Properties{"a reason string": reasonString("why the client leaves"), "a user property": userProperties("k", "why the client leaves")} {
				c, p := t.connect(client.Options{}, "CONNACK success max-packet=20")
				t.later(func() error { return c.DisconnectWith(t.ctx, &packet.Disconnect{Properties: props}) })
				if p.expect(packet.DISCONNECT); len(p.raw) > 20 {
					t.fail("DISCONNECT with %s has %d bytes, expected 20 at most", name, len(p.raw))
				}
				c, p = t.connect(client.Options{}, "")
				t.later(func() error { return c.DisconnectWith(t.ctx, &packet.Disconnect{Properties: props}) })
				if p.expect(packet.DISCONNECT); len(p.raw) <= 20 {
					t.fail("DISCONNECT with %s has %d bytes, expected all of it", name, len(p.raw))
				}
			}
		}, broken: map[string]fault{"the limit is ignored": limited(func(p *packet.Properties) { p.Unmark(packet.PropMaxPacketSize) })}},
		{name: "after-puback-a-message-is-new", v311: "4.3.2-2", v5: "4.3.2-5", run: func(t *trial) {
			_, p := t.connect(client.Options{}, "")
			for _, payload := range []string{"1", "2 dup", "2 dup"} {
				p.send("PUBLISH q1 id=5 topic=b payload=%s", payload)
				p.want("PUBACK id=5")
			}
			t.handed("b=1", "b=2", "b=2")
		}, broken: map[string]fault{"DUP is a repeat": edit(func(p *packet.Publish) {
			if p.Dup {
				p.QoS, p.ID, p.Dup = 0, 0, false
			}
		})}},
		{name: "until-pubrel-a-repeat-is-one", v311: "4.3.3-2", v5: "4.3.3-10 4.3.3-12", run: func(t *trial) {
			_, p := t.connect(client.Options{}, "")
			for round := range 2 {
				p.send("PUBLISH q2 id=5 topic=b payload=%d", round)
				p.want("PUBREC id=5")
				for range 3 {
					p.send("PUBLISH q2 id=5 topic=b payload=%d dup", round)
					p.want("PUBREC id=5")
				}
				p.send("PUBREL id=5")
				p.want("PUBCOMP id=5")
			}
			p.send("PUBLISH q2 id=5 topic=b payload=2 dup") // new, whatever DUP says
			p.want("PUBREC id=5")
			t.handed("b=0", "b=1", "b=2")
		}, broken: map[string]fault{
			"a repeat is not answered": fromClient(func(l *link, p *packet.Pubrec) packet.Packet {
				if l.seen++; l.seen == 2 {
					return nil
				}
				return p
			}),
			"a repeat is a message": {fromBroker: func(_ *link, p packet.Packet, b []byte) [][]byte {
				if m, ok := p.(*packet.Publish); ok && m.Dup {
					return [][]byte{b, publishBytes(packet.V5, 0, "b", nil)}
				}
				return [][]byte{b}
			}},
			"PUBREL is not answered": unsent(packet.PUBCOMP),
		}},
		{name: "pubrec-is-answered-by-pubrel", v311: "4.3.3-1", v5: "4.3.3-3 4.3.3-4 4.3.3-5 4.3.3-6", run: func(t *trial) {
			c, p := t.resume(client.Options{})
			token := t.send(c, "a", 2, "x")
			id := p.publish("q2 topic=a payload=x").ID
			p.quiet()
			p.cut()
			p = t.again(present)
			p.want("PUBLISH q2 id=%d topic=a payload=x dup", id) // until PUBREC
			p.send("PUBREC id=%d", id)
			p.want("PUBREL id=%d", id)
			p.cut()
			p = t.again(present)
			p.want("PUBREL id=%d", id) // until PUBCOMP, and PUBLISH never again
			p.quiet()
			p.send("PUBREC id=%d", id) // repeated by a server that missed PUBREL
			p.want("PUBREL id=%d", id)
			if token.Completed() {
				t.fail("the message is done before PUBCOMP")
			}
			p.send("PUBCOMP id=%d", id)
			p.quiet()
			p.cut()
			p = t.again(present)
			p.quiet()
			if err := token.Wait(t.soon()); err != nil {
				t.fail("publish: %v", err)
			}
		}, broken: map[string]fault{
			"PUBLISH is not sent again": {fromClient: later(packet.PUBLISH)},
			"PUBREL is not sent":        unsent(packet.PUBREL),
			"PUBREL is not sent again": fromClient(func(l *link, p *packet.Pubrel) packet.Packet {
				if l.count == 3 {
					return nil
				}
				return p
			}),
			"PUBLISH is sent after PUBREL": {fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
				if p != nil && p.Type() == packet.PUBREL && l.count == 3 {
					m, _ := packet.AppendPublish(nil, l.v, 0xC, "a", 1, nil, []byte("x"))
					return [][]byte{m, b}
				}
				return [][]byte{b}
			}},
			"PUBCOMP is ignored": unheard(packet.PUBCOMP),
		}},
		{name: "puback-ends-a-message", v311: "4.3.2-1", v5: "4.3.2-3", run: func(t *trial) {
			c, p := t.resume(client.Options{})
			token := t.send(c, "a", 1, "x")
			id := p.publish("q1 topic=a payload=x").ID
			p.cut()
			p = t.again(present)
			p.want("PUBLISH q1 id=%d topic=a payload=x dup", id) // unacknowledged until PUBACK
			if token.Completed() {
				t.fail("the message is done before PUBACK")
			}
			p.send("PUBACK id=%d", id)
			p.quiet()
			p.cut()
			t.again(present).quiet()
			if err := token.Wait(t.soon()); err != nil {
				t.fail("publish: %v", err)
			}
		}, broken: map[string]fault{"it is not sent again": {fromClient: later(packet.PUBLISH)}, "PUBACK is ignored": unheard(packet.PUBACK)}},
		{name: "an-error-ends-a-message", v5: "4.4.0-2 4.3.3-9", run: func(t *trial) {
			c, p := t.resume(client.Options{})
			one, two := t.send(c, "a", 1, "1"), t.send(c, "a", 2, "2")
			p.send("PUBACK id=%d quota-exceeded", p.publish("q1 topic=a payload=1").ID)
			p.send("PUBREC id=%d quota-exceeded", p.publish("q2 topic=a payload=2").ID)
			p.quiet() // no PUBREL
			if one.Wait(t.soon()) == nil || two.Wait(t.soon()) == nil {
				t.fail("publish returns no error, expected quota exceeded")
			}
			p.cut()
			p = t.again(present)
			p.quiet() // and not again
		}, broken: map[string]fault{
			"PUBREC is answered": edit(func(p *packet.Pubrec) { p.Code = 0 }),
			"PUBACK is ignored":  unheard(packet.PUBACK), "PUBREC is ignored": unheard(packet.PUBREC),
		}},
		{name: "expiry-ends-nothing-under-way", v5: "4.3.3-7 4.3.3-13", run: func(t *trial) {
			c, p := t.resume(client.Options{})
			t.publish(c, client.Message{Topic: "a", QoS: 2, Payload: []byte("x"), Properties: client.Properties{MessageExpiry: time.Second}})
			id := p.publish("q2 topic=a payload=x").ID
			p.send("PUBLISH q2 id=9 topic=b payload=x expiry=1")
			p.want("PUBREC id=9")
			time.Sleep(time.Minute)
			p.send("PUBREL id=9")
			p.want("PUBCOMP id=9")
			p.cut()
			p = t.again(present)
			p.want("PUBLISH q2 id=%d topic=a payload=x dup", id)
			p.send("PUBREC id=%d", id)
			time.Sleep(time.Minute)
			p.want("PUBREL id=%d", id)
			p.send("PUBCOMP id=%d", id)
			p.quiet()
		}, broken: map[string]fault{"it is not sent again": {fromClient: later(packet.PUBLISH)}, "PUBREL is not answered": unsent(packet.PUBCOMP),
			"PUBREC is not answered": unsent(packet.PUBREL)}},
	}
}

func userProperties(key, value string) packet.Properties {
	p := packet.Properties{User: []packet.User{{Key: []byte(key), Value: []byte(value)}}}
	p.Mark(packet.PropUser)
	return p
}
