package conform

import (
	"strings"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// clientPublishChecks are those of what a PUBLISH of the client holds.
func clientPublishChecks() []clientCheck {
	return []clientCheck{
		{name: "no-wildcards-in-topic-names", v311: "3.3.2-2 4.7.1-1", v5: "3.3.2-2 4.7.0-1", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for _, name := range []string{"#", "a/#", "+", "a/+/b", "a+", "a#"} {
				_, err := c.PublishAsync(t.ctx, client.Message{Topic: name})
				t.refused("a topic with wildcards", err)
				_, err = client.Connect(t.soon(), t.options(client.Options{Will: &client.Message{Topic: name}}))
				t.refused("a will topic with wildcards", err)
			}
			p.quiet()
			t.send(c, "a/b", 0, "x")
			p.publish("q0 topic=a/b payload=x")
		}, broken: map[string]fault{"they are sent": replaced("a/b", "a/#")}},
		{name: "topics-have-1-to-65535-bytes", v311: "4.7.3-1 4.7.3-3", v5: "4.7.3-1 4.7.3-3", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for _, name := range []string{"", strings.Repeat("x", 65536)} {
				_, err := c.PublishAsync(t.ctx, client.Message{Topic: name})
				t.refused("a topic that is empty or too long", err)
				_, err = c.Subscribe(t.soon(), client.Subscription{Filter: name})
				t.refused("a filter that is empty or too long", err)
				_, err = c.Unsubscribe(t.soon(), name)
				t.refused("a filter that is empty or too long", err)
			}
			p.quiet()
			t.send(c, "a", 0, "x")
			p.publish("q0 topic=a payload=x")
			t.send(c, strings.Repeat("x", 65535), 0, "y")
			p.publish("q0 topic=65535*x payload=y")
		}, broken: map[string]fault{
			"an empty one is sent": alter(func(p *packet.Publish) { p.Topic = p.Topic[:len(p.Topic)-1] }),
			"a long one is cut":    alter(func(p *packet.Publish) { p.Topic = p.Topic[:min(len(p.Topic), 1000)] }),
		}},
		{name: "no-wildcards-in-response-topics", v5: "3.3.2-14", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for _, name := range []string{"#", "a/+"} {
				_, err := c.PublishAsync(t.ctx, client.Message{Topic: "a", Properties: client.Properties{ResponseTopic: name}})
				t.refused("a response topic with wildcards", err)
			}
			p.quiet()
			t.publish(c, client.Message{Topic: "a", Payload: []byte("x"), Properties: client.Properties{ResponseTopic: "r/s"}})
			p.publish("q0 topic=a payload=x response-topic=r/s")
		}, broken: map[string]fault{"they are sent": replaced("r/s", "r/#")}},
		{name: "no-subscription-identifiers", v5: "3.3.4-6", run: func(t *trial) {
			// Not even in a message that came with some and is passed on.
			c, p := t.connect(client.Options{}, "")
			p.send("PUBLISH q0 topic=b payload=x sub-id=7 sub-id=8")
			t.handed("b=x")
			t.publish(c, *t.got[0])
			p.publish("q0 topic=b payload=x !sub-id exactly")
		}, broken: map[string]fault{"they are sent": alter(func(p *packet.Publish) {
			p.Properties.SubscriptionIDs = []uint32{7}
			p.Properties.Mark(packet.PropSubscriptionID)
		})}},
		{name: "dup-is-0-at-first", v311: "3.3.1-2 4.3.1-1 4.3.2-1 4.3.3-1", v5: "3.3.1-2 4.3.1-1 4.3.2-2 4.3.3-2", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "")
			for qos := range byte(3) { // what was received with DUP is passed on without
				t.publish(c, client.Message{Topic: "a", Payload: []byte("x"), QoS: qos, Dup: true})
				p.publish("q%d topic=a payload=x", qos)
			}
		}, broken: map[string]fault{
			"at QoS 0": alter(func(p *packet.Publish) { p.Dup = p.QoS == 0 }),
			"at QoS 1": alter(func(p *packet.Publish) { p.Dup = p.QoS == 1 }),
			"at QoS 2": alter(func(p *packet.Publish) { p.Dup = p.QoS == 2 }),
		}},
	}
}

// limited changes what CONNACK says about the server: the client then knows less.
func limited(fn func(p *packet.Properties)) fault {
	return edit(func(p *packet.Connack) { fn(&p.Properties) })
}

// clientLimitChecks are those of what a server announces.
func clientLimitChecks() []clientCheck {
	// refuses wants an error for a message, with nothing sent.
	refuses := func(t *trial, c *client.Client, p *peer, m client.Message) {
		if token, err := c.PublishAsync(t.ctx, m); err == nil {
			p.quiet()
			t.refused("a message that the server does not", token.Err())
		}
	}
	return []clientCheck{
		{name: "maximum-qos-is-kept", v5: "3.2.2-11", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "CONNACK success max-qos=1")
			t.send(c, "a", 1, "x")
			p.publish("q1 topic=a payload=x")
			refuses(t, c, p, client.Message{Topic: "a", QoS: 2})
			c, p = t.connect(client.Options{}, "CONNACK success max-qos=0")
			refuses(t, c, p, client.Message{Topic: "a", QoS: 1})
		}, broken: map[string]fault{"it is ignored": limited(func(p *packet.Properties) { p.Unmark(packet.PropMaxQoS) })}},
		{name: "retain-unavailable-is-kept", v5: "3.2.2-14", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "CONNACK success retain-available=0")
			for qos := range byte(3) {
				refuses(t, c, p, client.Message{Topic: "a", QoS: qos, Retain: true})
			}
			t.send(c, "a", 0, "x")
			p.publish("q0 topic=a payload=x")
		}, broken: map[string]fault{"it is ignored": limited(func(p *packet.Properties) { p.Unmark(packet.PropRetainAvailable) })}},
		{name: "maximum-packet-size-is-kept", v5: "3.2.2-15", run: func(t *trial) {
			const most = 60
			c, p := t.connect(client.Options{Reconnect: client.ReconnectOptions{Off: true}}, "CONNACK success max-packet=60 alias-max=5")
			for n := range 100 {
				user := []client.User{{Key: "k", Value: strings.Repeat("v", n)}}
				for qos := range byte(2) {
					c.PublishAsync(t.ctx, client.Message{Topic: "long/topic", QoS: qos, Properties: client.Properties{User: user}})
					c.PublishAsync(t.ctx, client.Message{Topic: "a", QoS: qos, Payload: []byte(strings.Repeat("x", n))})
				}
				t.later(func() error {
					_, err := c.Subscribe(t.soon(), client.Subscription{Filter: strings.Repeat("f", n+1)})
					return err
				})
				t.later(func() error { _, err := c.UnsubscribeWith(t.ctx, user, "f"); return err })
			}
			time.Sleep(time.Second)
			sent := t.later(func() error {
				return c.DisconnectWith(t.ctx, &packet.Disconnect{Properties: reasonString(strings.Repeat("r", 100))})
			})
			largest := map[packet.Type]int{}
			for {
				q := p.await("DISCONNECT")
				largest[q.Type()] = max(largest[q.Type()], len(p.raw))
				if len(p.raw) > most {
					t.fail("%v of %d bytes came, expected %d at most", q.Type(), len(p.raw), most)
				}
				if q.Type() == packet.DISCONNECT {
					break
				}
			}
			<-sent
			for _, typ := range []packet.Type{packet.PUBLISH, packet.SUBSCRIBE, packet.UNSUBSCRIBE} {
				if largest[typ] != most {
					t.fail("the largest %v has %d bytes, expected %d, which the server takes", typ, largest[typ], most)
				}
			}
		}, broken: map[string]fault{
			"it is ignored":          limited(func(p *packet.Properties) { p.Unmark(packet.PropMaxPacketSize) }),
			"a larger one is taken":  limited(func(p *packet.Properties) { p.MaxPacketSize = 61 }),
			"a smaller one is taken": limited(func(p *packet.Properties) { p.MaxPacketSize = 59 }),
		}},
		{name: "receive-maximum-is-kept", v5: "3.3.4-7 4.9.0-1 4.9.0-2 4.3.3-9", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "CONNACK success receive-max=3")
			for i := range 8 {
				t.send(c, "a", byte(1+i%2), "x")
			}
			var m [5]*packet.Publish
			for i := range 3 {
				m[i] = p.publish("q%d topic=a payload=x", 1+i%2)
			}
			p.quiet()
			p.send("PUBREC id=%d", m[1].ID)
			p.want("PUBREL id=%d", m[1].ID)
			p.quiet() // PUBREC is not enough
			p.send("PUBCOMP id=%d", m[1].ID)
			m[3] = p.publish("q2 topic=a payload=x")
			p.quiet()
			p.send("PUBACK id=%d", m[0].ID)
			p.publish("q1 topic=a payload=x")
			p.quiet()
			p.send("PUBREC id=%d quota-exceeded", m[3].ID) // an error is enough
			p.publish("q2 topic=a payload=x")
			p.quiet()
		}, broken: map[string]fault{
			"it is ignored": limited(func(p *packet.Properties) { p.Unmark(packet.PropReceiveMax) }),
			"it is 2":       limited(func(p *packet.Properties) { p.ReceiveMax = 2 }),
			"PUBREC frees": {fromBroker: func(_ *link, p packet.Packet, b []byte) [][]byte {
				if a, ok := p.(*packet.Pubrec); ok && a.Code < 0x80 {
					return [][]byte{b, packet.AppendAck(nil, packet.PUBCOMP, a.ID)}
				}
				return [][]byte{b}
			}},
			"an error in PUBREC frees nothing": edit(func(p *packet.Pubrec) { p.Code = 0 }),
		}},
		{name: "receive-maximum-after-a-resume-is-kept", v5: "3.3.4-7 4.9.0-1", run: func(t *trial) {
			c, p := t.resume(client.Options{})
			for range 4 {
				t.send(c, "a", 1, "x")
				p.publish("q1 topic=a payload=x")
			}
			p.cut()
			p = t.again(present + " receive-max=2")
			one := p.publish("q1 topic=a payload=x dup")
			p.publish("q1 topic=a payload=x dup")
			p.quiet()
			p.send("PUBACK id=%d", one.ID)
			p.publish("q1 topic=a payload=x dup")
			p.quiet()
		}, broken: map[string]fault{"it is ignored": limited(func(p *packet.Properties) { p.Unmark(packet.PropReceiveMax) })}},
		{name: "other-packets-are-not-held-back", v5: "3.3.4-8 4.9.0-3", run: func(t *trial) {
			c, p := t.connect(client.Options{KeepAlive: 10 * time.Second}, "CONNACK success receive-max=1")
			t.send(c, "a", 2, "1")
			id := p.publish("q2 topic=a payload=1").ID
			t.send(c, "a", 1, "2") // has to wait
			t.send(c, "a", 0, "3")
			p.publish("q0 topic=a payload=3")
			t.subscribe(c, client.Subscription{Filter: "a"})
			p.want("SUBSCRIBE id=* filter=a q0")
			t.later(func() error { _, err := c.Unsubscribe(t.soon(), "a"); return err })
			p.want("UNSUBSCRIBE id=* filter=a")
			p.send("PUBLISH q1 id=5 topic=b payload=x")
			p.want("PUBACK id=5")
			p.send("PUBLISH q2 id=6 topic=b payload=x")
			p.want("PUBREC id=6")
			p.send("PUBREL id=6")
			p.want("PUBCOMP id=6")
			p.send("PUBREC id=%d", id)
			p.want("PUBREL id=%d", id)
			p.want("PINGREQ")
			p.send("PINGRESP")
		}, broken: map[string]fault{"SUBSCRIBE waits": unsent(packet.SUBSCRIBE), "UNSUBSCRIBE waits": unsent(packet.UNSUBSCRIBE),
			"PUBACK waits": unsent(packet.PUBACK), "PUBREC waits": unsent(packet.PUBREC), "PUBREL waits": unsent(packet.PUBREL),
			"PUBCOMP waits": unsent(packet.PUBCOMP), "PINGREQ waits": unsent(packet.PINGREQ),
			"QoS 0 waits": fromClient(func(_ *link, p *packet.Publish) packet.Packet {
				if p.QoS == 0 {
					return nil
				}
				return p
			})}},
	}
}

func reasonString(s string) packet.Properties {
	p := packet.Properties{ReasonString: []byte(s)}
	p.Mark(packet.PropReasonString)
	return p
}

// clientAliasChecks are those of Topic Alias.
func clientAliasChecks() []clientCheck {
	return []clientCheck{
		{name: "aliases-stay-in-the-servers-range", v5: "3.2.2-17 3.3.2-8 3.3.2-9", run: func(t *trial) {
			c, p := t.connect(client.Options{}, "CONNACK success alias-max=3")
			_, err := c.PublishAsync(t.ctx, client.Message{Topic: "a", QoS: 0, Properties: client.Properties{TopicAlias: 3}})
			if err != nil {
				t.fail("publish with the alias 3: %v", err)
			}
			p.publish("q0 topic=a payload=\"\" alias=3")
			if token, err := c.PublishAsync(t.ctx, client.Message{Topic: "a", Properties: client.Properties{TopicAlias: 4}}); err == nil {
				t.refused("the alias 4", token.Wait(t.soon()))
			}
			p.quiet()
			c, p = t.connect(client.Options{}, "CONNACK success alias-max=3")
			used := 0
			for i := range 40 {
				t.send(c, "some/topic/"+string(rune('a'+i%5)), 1, "x")
				if m := p.expect(packet.PUBLISH).(*packet.Publish); m.Properties.Has(packet.PropTopicAlias) {
					used++
					if a := m.Properties.TopicAlias; a == 0 || a > 3 {
						t.fail("PUBLISH has the alias %d, expected 1 to 3", a)
					}
				} else if len(m.Topic) == 0 {
					t.fail("PUBLISH has neither topic nor alias")
				}
			}
			if used == 0 {
				t.fail("no PUBLISH has an alias, expected some")
			}
		}, broken: map[string]fault{
			"0 is sent":     alter(func(p *packet.Publish) { p.Properties.TopicAlias = 0 }),
			"4 is sent":     alter(func(p *packet.Publish) { p.Properties.TopicAlias = max(p.Properties.TopicAlias, 3) + 1 }),
			"more is known": limited(func(p *packet.Properties) { p.TopicAliasMax = 9 }),
		}},
		{name: "no-aliases-without-a-maximum", v5: "3.2.2-18", run: func(t *trial) {
			for _, ack := range []string{"CONNACK success", "CONNACK success alias-max=0"} {
				c, p := t.connect(client.Options{}, ack)
				for range 5 {
					t.send(c, "some/topic", 1, "x")
					p.publish("q1 topic=some/topic payload=x !alias")
				}
				if token, err := c.PublishAsync(t.ctx, client.Message{Topic: "a", Properties: client.Properties{TopicAlias: 1}}); err == nil {
					t.refused("the alias 1", token.Wait(t.soon()))
				}
				p.quiet()
			}
		}, broken: map[string]fault{"there are some": limited(func(p *packet.Properties) {
			p.TopicAliasMax = 9
			p.Mark(packet.PropTopicAliasMax)
		})}},
		{name: "aliases-end-with-the-connection", v5: "3.3.2-7", run: func(t *trial) {
			c, p := t.resume(client.Options{TopicAliasMax: 5, Reconnect: client.ReconnectOptions{Min: time.Second}})
			p.cut()
			p = t.again(present + " alias-max=5")
			for range 3 {
				t.send(c, "some/topic", 0, "x")
				p.expect(packet.PUBLISH)
			}
			t.send(c, "some/topic", 1, "x")
			if m := p.expect(packet.PUBLISH).(*packet.Publish); len(m.Topic) > 0 {
				t.fail("PUBLISH has the topic %s, expected its alias", m.Topic)
			}
			p.send("PUBLISH q0 topic=b payload=1 alias=2")
			p.send("PUBLISH q0 topic=\"\" payload=2 alias=2")
			t.handed("b=1", "b=2")
			p.cut()
			p = t.again(present + " alias-max=5")
			p.publish("q1 topic=some/topic payload=x dup") // with its topic
			p.send("PUBLISH q0 topic=\"\" payload=3 alias=2")
			p.dropped()
			t.handed("b=1", "b=2")
		}, broken: map[string]fault{
			"those of the client stay": fromClient(func(l *link, p *packet.Publish) packet.Packet {
				if l.count > 2 {
					p.Topic, p.Properties.TopicAlias = nil, 1
					p.Properties.Mark(packet.PropTopicAlias)
				}
				return p
			}),
			"those of the server stay": edit(func(p *packet.Publish) {
				if len(p.Topic) == 0 {
					p.Topic = []byte("b")
				}
			}),
		}},
		{name: "every-alias-up-to-the-maximum-is-taken", v5: "3.3.2-10", run: func(t *trial) {
			for _, most := range []uint16{1, 10, 65535} {
				_, p := t.connect(client.Options{TopicAliasMax: most}, "")
				for _, alias := range []uint16{1, most/2 + 1, most} {
					p.send("PUBLISH q0 topic=b/%d payload=1 alias=%d", alias, alias)
				}
				want := t.messages()
				for _, alias := range []uint16{1, most/2 + 1, most} {
					p.send("PUBLISH q0 topic=\"\" payload=1 alias=%d", alias)
				}
				if got := t.messages(); len(want) != 3 || strings.Join(got[3:], " ") != strings.Join(want, " ") {
					t.fail("the application has %q, then %q, expected the same messages twice", want, got)
				}
				p.quiet()
				t.got = nil
			}
		}, broken: map[string]fault{"the highest is refused": edit(func(p *packet.Publish) {
			if p.Properties.TopicAlias > 1 {
				p.Properties.TopicAlias++
			}
		}), "the first is refused": edit(func(p *packet.Publish) { p.Properties.TopicAlias-- })}},
	}
}
