package conform

import (
	"bytes"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// connectBytes is the CONNECT that a client must send: flags and payload fields; keep
// alive and, in MQTT 5.0, properties are empty.
func connectBytes(v packet.Version, flags byte, fields ...string) []byte {
	text := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	body := text("MQTT")
	if v == packet.V31 {
		body = text("MQIsdp")
	}
	body += string([]byte{byte(v), flags, 0, 0})
	if v == packet.V5 {
		body += "\x00"
	}
	for i, f := range fields {
		if v == packet.V5 && flags&4 != 0 && i == 1 {
			body += "\x00" // the properties of the will come before its topic
		}
		body += text(f)
	}
	return append(packet.AppendVarint([]byte{0x10}, uint32(len(body))), body...)
}

// connects wants a client with the options to send these bytes first.
func (t *trial) connects(o client.Options, want []byte) {
	p, _ := t.dial(o)
	if p.expect(packet.CONNECT); !bytes.Equal(p.raw, want) {
		t.fail("CONNECT is % X, expected % X", p.raw, want)
	}
	p.send("CONNACK success")
}

// flagged sets and clears Connect Flags.
func flagged(set, clear byte) fault {
	return sent(packet.CONNECT, func(b []byte) []byte {
		at := 9
		if bytes.HasPrefix(b[4:], []byte("MQIsdp")) {
			at = 11
		}
		b[at] = b[at]&^clear | set
		return b
	})
}

// clientConnectChecks are those of CONNECT.
func clientConnectChecks() []clientCheck {
	will := func(qos byte, retain bool) *client.Message {
		return &client.Message{Topic: "w", Payload: []byte("gone"), QoS: qos, Retain: retain}
	}
	return []clientCheck{
		{name: "connect-is-first", v311: "3.1.0-1", v5: "3.1.0-1", run: func(t *trial) {
			// Even when something else waits to be sent.
			c, err := client.Start(t.options(client.Options{}))
			if err != nil {
				t.fail("start: %v", err)
			}
			t.clients = append(t.clients, c)
			t.send(c, "a", 1, "x")
			t.subscribe(c, client.Subscription{Filter: "a"})
			p := t.next()
			p.expect(packet.CONNECT)
			p.quiet()
			p.send("CONNACK success")
			p.expect(packet.SUBSCRIBE)
			p.publish("q1 topic=a payload=x")
		}, broken: map[string]fault{"PINGREQ is first": fromClient(func(l *link, p *packet.Connect) packet.Packet { return &packet.Pingreq{} })}},
		{name: "protocol-name-and-level", v31: "3.1-name", v5: "3.1.2-1", run: func(t *trial) {
			t.connects(client.Options{CleanStart: true}, connectBytes(t.v, 2, "c"))
		}, broken: map[string]fault{
			"another name":  replaced("MQTT", "MQTX"),
			"another level": sent(packet.CONNECT, func(b []byte) []byte { b[8] = 6; return b }),
		}},
		{name: "clean-start-is-said", v311: "3.1.2-6 3.1.2-4", v5: "3.1.2-4", run: func(t *trial) {
			t.connects(client.Options{CleanStart: true}, connectBytes(t.v, 2, "c"))
			t.connects(client.Options{}, connectBytes(t.v, 0, "c"))
		}, broken: map[string]fault{"never": flagged(0, 2), "always": flagged(2, 0)}},
		{name: "will-fields", v311: "3.1.2-9 3.1.2-14 3.1.3-1", v5: "3.1.2-9 3.1.2-12 3.1.3-1", run: func(t *trial) {
			for qos := range byte(3) {
				t.connects(client.Options{Will: will(qos, false)}, connectBytes(t.v, 4|qos<<3, "c", "w", "gone"))
				t.connects(client.Options{Will: will(qos, true)}, connectBytes(t.v, 4|qos<<3|0x20, "c", "w", "gone"))
			}
			t.connects(client.Options{Will: will(1, false), Username: "u", Password: []byte("p")},
				connectBytes(t.v, 4|1<<3|3<<6, "c", "w", "gone", "u", "p"))
		}, broken: map[string]fault{
			"they are missing":      sent(packet.CONNECT, func(b []byte) []byte { return connectBytes(packet.Version(b[8]), b[9], "c") }),
			"they change places":    alter(func(p *packet.Connect) { p.Will.Topic, p.Will.Payload = p.Will.Payload, p.Will.Topic }),
			"QoS is 3":              flagged(3<<3, 0),
			"user name is password": alter(func(p *packet.Connect) { p.Username, p.Password = p.Password, p.Username }),
		}},
		{name: "no-will-no-flags", v311: "3.1.2-11 3.1.2-13 3.1.2-15", v5: "3.1.2-11 3.1.2-13", run: func(t *trial) {
			t.connects(client.Options{}, connectBytes(t.v, 0, "c"))
			t.connects(client.Options{Username: "u"}, connectBytes(t.v, 0x80, "c", "u"))
		}, broken: map[string]fault{"will QoS 1": flagged(1<<3, 0), "will retain": flagged(0x20, 0), "will fields": sent(packet.CONNECT, func(b []byte) []byte {
			return connectBytes(packet.Version(b[8]), b[9], "c", "w", "gone")
		})}},
		{name: "credentials", v311: "3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21 3.1.2-22", v5: "3.1.2-16 3.1.2-17 3.1.2-18 3.1.2-19", run: func(t *trial) {
			t.connects(client.Options{}, connectBytes(t.v, 0, "c"))
			t.connects(client.Options{Username: "u"}, connectBytes(t.v, 0x80, "c", "u"))
			t.connects(client.Options{Username: "u", Password: []byte{}}, connectBytes(t.v, 0xC0, "c", "u", ""))
			t.connects(client.Options{Username: "u", Password: []byte("p")}, connectBytes(t.v, 0xC0, "c", "u", "p"))
			o := client.Options{Password: []byte("p")}
			if t.is5() {
				t.connects(o, connectBytes(t.v, 0x40, "c", "p"))
				return
			}
			_, err := client.Connect(t.soon(), t.options(o))
			t.refused("a password without a user name", err)
		}, broken: map[string]fault{
			"the user name is missing": alter(func(p *packet.Connect) { p.HasUsername = false }),
			"the password is missing":  alter(func(p *packet.Connect) { p.HasPassword = false }),
			"user name flag":           flagged(0x80, 0), "password flag": flagged(0x40, 0),
			"no user name flag": flagged(0, 0x80), "no password flag": flagged(0, 0x40),
		}},
		{name: "client-id-is-first", v311: "3.1.3-3 3.1.3-7 3.1.3-1", v5: "3.1.3-3 3.1.3-1", run: func(t *trial) {
			t.connects(client.Options{ClientID: "first", Will: will(0, false)}, connectBytes(t.v, 4, "first", "w", "gone"))
			o := t.options(client.Options{})
			o.ClientID = ""
			p, _ := t.dialAs(o)
			flags := byte(2) // an empty one goes with Clean Session 1 only
			if t.is5() {
				flags = 0
			}
			if p.expect(packet.CONNECT); !bytes.Equal(p.raw, connectBytes(t.v, flags, "")) {
				t.fail("CONNECT is % X, expected % X", p.raw, connectBytes(t.v, flags, ""))
			}
			p.send("CONNACK success")
		}, broken: map[string]fault{"it is missing": sent(packet.CONNECT, func(b []byte) []byte {
			return connectBytes(packet.Version(b[8]), b[9])
		}), "the will is first": sent(packet.CONNECT, func(b []byte) []byte {
			return connectBytes(packet.Version(b[8]), b[9], "w", "gone", "first")
		})}},
		{name: "client-id-of-3.1", v31: "3.1-client-id", run: func(t *trial) {
			o := t.options(client.Options{})
			o.ClientID = ""
			p, _ := t.dialAs(o)
			if n := len(p.expect(packet.CONNECT).(*packet.Connect).ClientID); n < 1 || n > 23 {
				t.fail("the client identifier made up has %d characters, expected 1 to 23", n)
			}
			p.send("CONNACK success")
		}, broken: map[string]fault{"it is empty": alter(func(p *packet.Connect) { p.ClientID = nil }),
			"it is long": alter(func(p *packet.Connect) { p.ClientID = append(p.ClientID, "xxxx"...) })}},
		{name: "client-id-stays", v311: "3.1.3-2", v5: "3.1.3-2", run: func(t *trial) {
			o := t.options(client.Options{SessionExpiry: -1})
			if t.is5() {
				o.ClientID = ""
			}
			p, done := t.dialAs(o)
			p.expect(packet.CONNECT)
			p.send("CONNACK success%s", t.pick("", " assigned-id=c"))
			<-done
			p.cut()
			p = t.next()
			if got := string(p.expect(packet.CONNECT).(*packet.Connect).ClientID); got != "c" {
				t.fail("the client comes back as %q, expected c", got)
			}
			p.send("CONNACK success session-present")
		}, broken: map[string]fault{"it changes": fromClient(func(l *link, p *packet.Connect) packet.Packet {
			if l.count > 1 {
				p.ClientID = []byte("other")
			}
			return p
		})}},
		{name: "session-present-without-a-session", v5: "3.2.2-4", run: func(t *trial) {
			p, done := t.dial(client.Options{CleanStart: true, Reconnect: client.ReconnectOptions{Off: true}})
			p.expect(packet.CONNECT)
			p.send("CONNACK success session-present")
			p.dropped()
			if err := <-done; packet.ReasonOf(err) != packet.ProtocolError {
				t.fail("Connect returns %v, expected a protocol error", err)
			}
		}, broken: map[string]fault{
			"it is ignored": edit(func(p *packet.Connack) { p.SessionPresent = false }),
			"it stays":      {deaf: true},
		}},
		{name: "refusal-closes", v311: "4.8.0-1", v5: "4.13.2-1", run: func(t *trial) {
			p, done := t.dial(client.Options{})
			p.expect(packet.CONNECT)
			p.send("CONNACK not-authorized")
			p.closed()
			if <-done == nil {
				t.fail("Connect returns no error, expected not authorized")
			}
			if t.is5() {
				_, p = t.connect(client.Options{Reconnect: client.ReconnectOptions{Off: true}}, "")
				p.send("DISCONNECT server-busy")
				p.closed()
			}
		}, broken: map[string]fault{"it stays": {deaf: true}}},
	}
}

// clientKeepAliveChecks are those of Keep Alive.
func clientKeepAliveChecks() []clientCheck {
	// pings wants PINGREQ after no more than the limit, again and again, and also beside
	// what the server sends.
	pings := func(limit time.Duration, keepAlive time.Duration, ack string) func(t *trial) {
		return func(t *trial) {
			c, p := t.connect(client.Options{KeepAlive: keepAlive}, ack)
			last := time.Now()
			for i := range 4 {
				if i == 2 {
					t.send(c, "a", 0, "x")
					p.publish("q0 topic=a payload=x")
					last = p.at
				}
				p.expect(packet.PINGREQ)
				if late := p.at.Sub(last); late > limit {
					t.fail("PINGREQ came after %v of silence, expected it within %v", late, limit)
				}
				last = p.at
				p.send("PINGRESP")
				time.Sleep(limit / 2)
				p.send("PUBLISH q0 topic=b payload=x")
			}
		}
	}
	broken := map[string]fault{"no PINGREQ": unsent(packet.PINGREQ), "a longer keep alive": {fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
		if p != nil && p.Type() == packet.PINGREQ {
			if l.seen++; l.seen == 1 { // the server answers one that the check does not see
				l.client.Write([]byte{0xD0, 0})
				return nil
			}
		}
		return [][]byte{b}
	}}}
	return []clientCheck{
		{name: "pings-in-time", v311: "3.1.2-23", v5: "3.1.2-20", run: pings(10*time.Second, 10*time.Second, ""), broken: broken},
		{name: "server-keep-alive-is-used", v5: "3.1.2-21 3.2.2-21", run: pings(7*time.Second, 20*time.Second, "CONNACK success server-keepalive=7"),
			broken: map[string]fault{"it is ignored": edit(func(p *packet.Connack) { p.Properties.Unmark(packet.PropServerKeepAlive) })}},
		{name: "server-keep-alive-of-0-is-used", v5: "3.2.2-21", run: func(t *trial) {
			_, p := t.connect(client.Options{KeepAlive: 10 * time.Second}, "CONNACK success server-keepalive=0")
			time.Sleep(time.Hour)
			p.quiet()
		}, broken: map[string]fault{"it is ignored": edit(func(p *packet.Connack) { p.Properties.Unmark(packet.PropServerKeepAlive) })}},
	}
}
