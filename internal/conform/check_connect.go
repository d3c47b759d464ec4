package conform

import (
	"fmt"
	"strings"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// refuseRaw sends a CONNECT put together by hand, which the broker must not accept.
func (t *trial) refuseRaw(what string, flags byte, fields ...string) {
	c := t.dial("a")
	c.bytes(what, rawConnect("MQTT", byte(t.v), flags, 0, fields...))
	c.refused()
}

// connectChecks are those of CONNECT and its flags.
func connectChecks() []check {
	return []check{
		{name: "first-packet-is-connect", v311: "3.1.0-1 4.8.0-1", v5: "3.1.0-1", run: func(t *trial) {
			for i, line := range []string{"PINGREQ", "PUBLISH q0 topic=~/a payload=x", "SUBSCRIBE id=1 filter=~/a q0", "DISCONNECT"} {
				c := t.dial(fmt.Sprint("a", i))
				c.send("%s", line)
				c.closedBeforeConnack()
			}
		}},
		{name: "second-connect", v311: "3.1.0-2 4.8.0-1", v5: "3.1.0-2 3.2.0-2", run: func(t *trial) {
			c := t.connect("a", "clean")
			c.send("%s", t.connectLine("a", "clean"))
			c.dropped()
		}},
		{name: "protocol-name", v311: "3.1.2-1", v5: "3.1.2-1", run: func(t *trial) {
			for _, name := range []string{"MQTX", "mqtt", "MQT", "MQTTT", ""} {
				c := t.dial("a")
				c.bytes(fmt.Sprintf("CONNECT with the protocol name %q", name), rawConnect(name, byte(t.v), 2, 0, t.text("~a")))
				c.refusedAs311(packet.UnsupportedProtocolVersion)
			}
		}},
		{name: "protocol-level", v311: "3.1.2-2", v5: "3.1.2-2", run: func(t *trial) {
			for _, level := range []byte{2, 9} {
				c := t.dial("a")
				c.bytes(fmt.Sprintf("CONNECT with the protocol level %d", level), rawConnect("MQTT", level, 2, 0, t.text("~a")))
				ack := c.refusedAs311(packet.UnsupportedProtocolVersion)
				if ack == nil && t.v == packet.V311 {
					t.fail("a< a close came, expected CONNACK with return code 1 before it")
				}
			}
		}},
		{name: "reserved-connect-flag", v311: "3.1.2-3", v5: "3.1.2-3", run: func(t *trial) {
			t.refuseRaw("CONNECT with the reserved flag", 3, t.text("~a"))
		}},
		{name: "will-fields-missing", v311: "3.1.2-9", v5: "3.1.2-9", run: func(t *trial) {
			t.refuseRaw("CONNECT with Will Flag and no will", 6, t.text("~a"))
		}},
		{name: "will-flag-0-with-fields", v311: "3.1.2-11", v5: "3.1.4-1", run: func(t *trial) {
			t.refuseRaw("CONNECT without Will Flag and with a will", 2, t.text("~a"), t.text("~/w"), "gone")
		}},
		{name: "will-flag-0-with-qos", v311: "3.1.2-11 3.1.2-13", v5: "3.1.2-11", run: func(t *trial) {
			t.refuseRaw("CONNECT without Will Flag and with Will QoS 1", 2|1<<3, t.text("~a"))
			t.refuseRaw("CONNECT without Will Flag and with Will QoS 2", 2|2<<3, t.text("~a"))
		}},
		{name: "will-qos-3", v311: "3.1.2-14", v5: "3.1.2-12", run: func(t *trial) {
			t.refuseRaw("CONNECT with Will QoS 3", 6|3<<3, t.text("~a"), t.text("~/w"), "gone")
		}},
		{name: "will-flag-0-with-retain", v311: "3.1.2-11 3.1.2-15", v5: "3.1.2-13", run: func(t *trial) {
			t.refuseRaw("CONNECT without Will Flag and with Will Retain", 2|1<<5, t.text("~a"))
		}},
		{name: "user-name-without-flag", v311: "3.1.2-18", v5: "3.1.2-16", run: func(t *trial) {
			t.refuseRaw("CONNECT without User Name Flag and with a user name", 2, t.text("~a"), "user")
		}},
		{name: "user-name-missing", v311: "3.1.2-19", v5: "3.1.2-17", run: func(t *trial) {
			t.refuseRaw("CONNECT with User Name Flag and no user name", 2|1<<7, t.text("~a"))
		}},
		{name: "password-without-flag", v311: "3.1.2-20", v5: "3.1.2-18", run: func(t *trial) {
			t.refuseRaw("CONNECT without Password Flag and with a password", 2|1<<7, t.text("~a"), "user", "password")
		}},
		{name: "password-missing", v311: "3.1.2-21", v5: "3.1.2-19", run: func(t *trial) {
			t.refuseRaw("CONNECT with Password Flag and no password", 2|3<<6, t.text("~a"), "user")
		}},
		{name: "password-without-user-name", v311: "3.1.2-22", run: func(t *trial) {
			t.refuseRaw("CONNECT with a password and no user name", 2|1<<6, t.text("~a"), "password")
		}},
		{name: "client-id-missing", v311: "3.1.3-3", v5: "3.1.3-3", run: func(t *trial) {
			t.refuseRaw("CONNECT without a payload", 2)
		}},
		{name: "payload-order", v311: "3.1.3-1", v5: "3.1.3-1", run: func(t *trial) {
			// If the fields were read in another order the will would be another.
			w := t.connect("w", "clean")
			w.subscribe("filter=~/w q0")
			a := t.connect("a", "clean will{topic=~/w payload=gone}")
			a.cut()
			w.take("q0 topic=~/w payload=gone")
		}},
		{name: "connect-malformed", v311: "3.1.4-1", v5: "3.1.4-1", run: func(t *trial) {
			for what, b := range map[string][]byte{
				"CONNECT with bytes after its end": rawConnect("MQTT", byte(t.v), 2, 0, t.text("~a"), "extra"),
				"CONNECT with the reserved flag":   rawConnect("MQTT", byte(t.v), 3, 0, t.text("~a")),
				"CONNECT with Will QoS 3":          rawConnect("MQTT", byte(t.v), 6|3<<3, 0, t.text("~a"), "w", ""),
				"CONNECT with a string past its end": {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', byte(t.v), 2, 0, 0, 0,
					200, 'a'},
			} {
				c := t.dial("a")
				c.bytes(what, b)
				if t.is5() {
					c.refused()
				} else {
					c.closed()
				}
			}
		}},
		{name: "connect-accepted", v311: "3.1.4-4 3.2.0-1", v5: "3.1.4-5 3.2.0-1 3.2.0-2", run: func(t *trial) {
			// Also when a packet follows at once and matches a retained message.
			t.connect("p", "clean").publish("q1 topic=~/r payload=kept retain")
			c := t.dial("a")
			c.send("%s", t.connectLine("a", "clean"))
			c.send("SUBSCRIBE id=1 filter=~/r q0")
			c.accepted()
			c.wantAll("SUBACK id=1 q0", "PUBLISH q0 topic=~/r payload=kept retain")
			c.ping()
		}},
		{name: "connack-is-first-of-a-resumed-session", v311: "3.2.0-1", v5: "3.2.0-1", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			t.connect("p", "clean").publish("q1 topic=~/a payload=1")
			b := t.session("a", "")
			b.take("q1 topic=~/a payload=1")
		}},
		{name: "bad-credentials", v311: "3.2.2-5", v5: "3.1.4-2 3.2.2-7", run: func(t *trial) {
			c := t.dial("a")
			c.send(`CONNECT %s clean id=~a username="~nobody" password=wrong`, versionWord(t.v))
			p := c.next("a refusal")
			if ack, ok := p.(*packet.Connack); ok && ack.Code == packet.Success {
				t.skip("the broker lets everybody in")
			}
			c.putBack(p)
			c.refused(packet.BadUserNameOrPassword, packet.NotAuthorized)
		}},
		{name: "after-a-refusal-nothing-is-processed", v311: "3.1.4-5 3.2.2-5 3.2.2-4", v5: "3.1.4-6 3.2.2-7 3.2.2-6", run: func(t *trial) {
			w := t.connect("w", "clean")
			w.subscribe("filter=~/a q0")
			c := t.dial("a")
			if t.is5() {
				c.bytes("CONNECT with the protocol level 9, then PUBLISH", append(rawConnect("MQTT", 9, 2, 0, t.text("~a")),
					publishBytes(t.v, 0, t.text("~/a"), 0, nil, []byte("never"))...))
			} else {
				c.bytes("CONNECT with no id and Clean Session 0, then PUBLISH", append(rawConnect("MQTT", 4, 0, 0, ""),
					publishBytes(t.v, 0, t.text("~/a"), 0, nil, []byte("never"))...))
			}
			c.refusedAs311()
			w.nothingFrom(t.connect("p", "clean"), 0)
		}},
	}
}

// closedBeforeConnack wants the broker to close without a CONNACK that accepts.
func (c *conn) closedBeforeConnack() {
	p, err := c.read(c.t.patience())
	switch {
	case err == errSilent:
		c.t.fail("%s< the broker keeps the connection open, expected it to close", c.name)
	case err != nil:
	default:
		c.t.fail("%s< %s came, expected the broker to close the connection", c.name, describe(p))
	}
}

// refusedAs311 is refused for a CONNECT whose version leaves open in which format the
// answer comes: a CONNACK as in 3.1.1 is read as such.
func (c *conn) refusedAs311(codes ...packet.ReasonCode) *packet.Connack {
	deadline := c.t.patience()
	c.nc.SetReadDeadline(deadline)
	for len(c.buf) < 4 && !c.gone {
		chunk := make([]byte, 64)
		n, err := c.nc.Read(chunk)
		c.buf = append(c.buf, chunk[:n]...)
		if err != nil {
			break
		}
	}
	if strings.HasPrefix(string(c.buf), "\x20\x02") {
		c.v = packet.V311
		if len(c.buf) > 3 && c.buf[3] >= 0x80 { // the code of 5.0 in the format of 3.1.1
			c.note("received", "CONNACK", c.buf)
			code := packet.ReasonCode(c.buf[3])
			c.buf = nil
			c.closed()
			return &packet.Connack{Code: code}
		}
	}
	return c.refused(codes...)
}

// clientIDChecks are those of client identifiers.
func clientIDChecks() []check {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return []check{
		{name: "client-id-letters", v311: "3.1.3-5", v5: "3.1.3-5", run: func(t *trial) {
			for i := 0; i < len(letters); i += 10 {
				id := t.tag + letters[i:min(i+10, len(letters))]
				id = id[:min(23, len(id))]
				c := t.dial("a")
				c.send("CONNECT %s clean id=%s %s", versionWord(t.v), id, t.credentials(""))
				c.accepted()
				c.disconnect()
			}
			c := t.dial("one")
			c.send("CONNECT %s clean id=Q %s", versionWord(t.v), t.credentials(""))
			c.accepted()
		}},
		{name: "client-id-empty", v311: "3.1.3-6", v5: "3.1.3-6 3.1.3-7 3.2.2-16", run: func(t *trial) {
			one, two := t.anonymous(), t.anonymous()
			// Were they one session, the second would have taken over the first.
			one.ping()
			two.ping()
			if !t.is5() {
				return
			}
			x, y := string(one.ack.Properties.AssignedClientID), string(two.ack.Properties.AssignedClientID)
			if x == "" || x == y {
				t.fail("CONNACK assigns %q and %q, expected two identifiers", x, y)
			}
			// It is used as if the client had sent it.
			c := t.dial("c")
			c.send("CONNECT v5 id=%q clean %s", x, t.credentials(""))
			c.accepted()
			one.dropped(packet.SessionTakenOver)
		}},
		{name: "client-id-empty-and-kept", v311: "3.1.3-8 3.1.3-9 3.2.2-5 3.2.2-4", run: func(t *trial) {
			c := t.dial("a")
			c.send(`CONNECT %s id="" %s`, versionWord(t.v), t.credentials(""))
			if ack := c.refused(packet.ClientIdentifierNotValid); ack == nil {
				t.fail("a< a close came, expected CONNACK with return code 2 before it")
			}
		}},
		{name: "client-id-refused", v5: "3.1.3-8 3.2.2-6 3.2.2-7", run: func(t *trial) {
			c := t.dial("a")
			c.send("CONNECT v5 clean id=65535*x %s", t.credentials(""))
			if p, err := c.read(t.patience()); err == nil {
				if ack, ok := p.(*packet.Connack); ok && ack.Code == packet.Success {
					c.disconnect()
					t.skip("the broker takes any client identifier")
				}
				c.putBack(p)
			}
			c.refused()
		}},
		{name: "client-id-is-the-session", v311: "3.1.3-2", v5: "3.1.3-2", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			b := t.session("b", "")
			if b.ack.SessionPresent {
				t.fail("b< the session of another client identifier was resumed")
			}
			b.disconnect()
			c := t.session("a", "")
			if !c.ack.SessionPresent {
				t.fail("a< Session Present is 0, expected the session of this client identifier")
			}
			t.connect("p", "clean").publish("q1 topic=~/a payload=x")
			c.take("q1 topic=~/a payload=x")
		}},
	}
}

// anonymous connects with an empty client identifier.
func (t *trial) anonymous() *conn {
	c := t.dial("")
	c.name = fmt.Sprintf("anonymous%d", len(t.conns))
	c.send(`CONNECT %s id="" clean %s`, versionWord(t.v), t.credentials(""))
	p := c.next("CONNACK")
	if ack, ok := p.(*packet.Connack); ok && ack.Code == packet.ClientIdentifierNotValid {
		t.skip("the broker takes no empty client identifiers")
	}
	c.putBack(p)
	c.accepted()
	return c
}

// connackChecks are those of CONNACK.
func connackChecks() []check {
	return []check{
		{name: "connack-flags", v5: "3.2.2-1", run: func(t *trial) {
			a := t.session("a", "")
			if a.raw[2] != 0 {
				t.fail("a< the flags of CONNACK are %02X, expected 00", a.raw[2])
			}
			a.disconnect()
			b := t.session("a", "")
			if b.raw[2] != 1 {
				t.fail("a< the flags of CONNACK are %02X, expected 01", b.raw[2])
			}
		}},
		{name: "connack-codes", v5: "3.2.2-8", run: func(t *trial) {
			// Each CONNACK is read strictly: another code would end the check.
			t.connect("a", "clean")
			for _, words := range []string{`auth-method="~"`, `will{topic="~/#" payload=x}`} {
				c := t.dial("b")
				c.send("%s", t.connectLine("b", "clean "+words))
				c.refused()
			}
		}},
		{name: "maximum-qos", v5: "3.2.2-9 3.2.2-10 3.2.2-12", run: func(t *trial) {
			a := t.connect("a", "clean")
			props := &a.ack.Properties
			if !props.Has(packet.PropMaxQoS) {
				a.subscribe("filter=~/a q2")
				a.publish("q1 topic=~/a payload=1")
				a.take("q1 topic=~/a payload=1")
				a.publish("q2 topic=~/a payload=2")
				a.take("q2 topic=~/a payload=2")
				b := t.connect("b", "clean will{topic=~/w payload=x q2}")
				b.disconnect()
				return
			}
			a.send("SUBSCRIBE id=1 filter=~/a q0 filter=~/b q1 filter=~/c q2")
			for _, code := range a.next("SUBACK").(*packet.Suback).Codes {
				if code > packet.ReasonCode(props.MaxQoS) {
					t.fail("a< SUBACK has %v, expected at most QoS %d", code, props.MaxQoS)
				}
			}
			b := t.dial("b")
			b.send("%s", t.connectLine("b", fmt.Sprintf("clean will{topic=~/w payload=x q%d}", props.MaxQoS+1)))
			b.refused(packet.QoSNotSupported)
		}},
		{name: "retained-will", v5: "3.2.2-13", run: func(t *trial) {
			a := t.connect("a", "clean")
			props := &a.ack.Properties
			if !props.Has(packet.PropRetainAvailable) || props.RetainAvailable == 1 {
				t.connect("b", "clean will{topic=~/w payload=x retain}").disconnect()
				a.publish("q1 topic=~/r payload=x retain")
				a.subscribe("filter=~/r q0")
				a.take("q0 topic=~/r payload=x retain")
				return
			}
			b := t.dial("b")
			b.send("%s", t.connectLine("b", "clean will{topic=~/w payload=x retain}"))
			b.refused(packet.RetainNotSupported)
		}},
		{name: "connack-fits", v5: "3.2.2-19 3.2.2-20 3.1.2-24", run: func(t *trial) {
			for _, words := range []string{"clean", `clean auth-method="~"`} {
				for _, most := range []int{5, 8, 12, 20, 30} {
					c := t.dial("a")
					c.send("%s", t.connectLine("a", fmt.Sprintf("max-packet=%d %s", most, words)))
					c.read(t.patience())
					if len(c.raw) > most {
						t.fail("a< a packet of %d bytes came, the client takes %d at most", len(c.raw), most)
					}
					c.nc.Close()
				}
			}
		}},
		{name: "no-auth-without-method", v5: "4.12.0-6", run: func(t *trial) {
			a := t.connect("a", "clean")
			if a.ack.Properties.Has(packet.PropAuthMethod) {
				t.fail("a< CONNACK has an authentication method, the CONNECT had none")
			}
			a.ping()
		}},
		{name: "no-response-information", v5: "3.1.2-28", run: func(t *trial) {
			for _, words := range []string{"", "request-response=0"} {
				a := t.connect("a", "clean "+words)
				if a.ack.Properties.Has(packet.PropResponseInfo) {
					t.fail("a< CONNACK has response information, which was not asked for")
				}
			}
		}},
	}
}

// keepAliveChecks are those of Keep Alive.
func keepAliveChecks() []check {
	return []check{
		{name: "keep-alive", v31: "3.1-keep-alive", v311: "3.1.2-24", v5: "3.1.2-22 3.2.2-22", run: func(t *trial) {
			w := t.connect("w", "clean")
			w.subscribe("filter=~/w q0")
			a := t.connect("a", "clean keepalive=1 will{topic=~/w payload=gone}")
			limit := time.Second
			if p := &a.ack.Properties; p.Has(packet.PropServerKeepAlive) {
				limit = time.Duration(p.ServerKeepAlive) * time.Second
			}
			if limit > 10*time.Second {
				t.skip("the broker wants a keep alive of %v, too long to wait for", limit)
			}
			for range 4 { // with pings it stays
				time.Sleep(limit / 2)
				a.ping()
			}
			silent := time.Now()
			// The 1.5 intervals, and for a broker that looks at its clock now and then.
			deadline := silent.Add(limit*3/2 + max(t.o.Timeout, 4*time.Second))
			for {
				p, err := a.read(deadline)
				if err == errSilent {
					t.fail("a< the connection is open after %v of silence, expected a close after %v", time.Since(silent), limit*3/2)
				}
				if _, ok := p.(*packet.Disconnect); err == nil && (!ok || !t.is5()) {
					t.fail("a< %s came, expected a close", describe(p))
				}
				if err != nil {
					break
				}
			}
			if early := time.Since(silent); early < limit {
				t.fail("a< the connection was closed after %v of silence, expected it open for %v", early, limit*3/2)
			}
			w.take("q0 topic=~/w payload=gone")
		}},
		{name: "keep-alive-0", v311: "3.1.2-24", v5: "3.1.2-22", run: func(t *trial) {
			a := t.connect("a", "clean keepalive=0")
			if p := &a.ack.Properties; p.Has(packet.PropServerKeepAlive) {
				t.skip("the broker sets a keep alive of its own")
			}
			time.Sleep(2500 * time.Millisecond)
			a.ping()
		}},
		{name: "pingreq", v311: "3.12.4-1", v5: "3.12.4-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			for range 3 {
				a.send("PINGREQ")
			}
			for range 3 {
				a.want("PINGRESP")
			}
		}},
	}
}
