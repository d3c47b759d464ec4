package conform

import (
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// v31Checks are those of what only MQTT 3.1 does so.
func v31Checks() []check {
	return []check{
		{name: "v31-protocol-name", v31: "3.1-name", run: func(t *trial) {
			c := t.connect("a", "clean")
			if string(c.raw) != "\x20\x02\x00\x00" {
				t.fail("a< CONNACK is %s, expected 20020000", hexOf(c.raw))
			}
			c.ping()
		}},
		{name: "v31-name-and-level", v31: "3.1-level", run: func(t *trial) {
			for what, b := range map[string][]byte{
				"CONNECT with the name MQTT and the level 3":   rawConnect("MQTT", 3, 2, 0, t.text("~a")),
				"CONNECT with the name MQIsdp and the level 4": rawConnect("MQIsdp", 4, 2, 0, t.text("~a")),
				"CONNECT with the name MQIsdp and the level 2": rawConnect("MQIsdp", 2, 2, 0, t.text("~a")),
			} {
				c := t.dial("a")
				c.bytes(what, b)
				c.refusedAs311(packet.UnsupportedProtocolVersion)
			}
		}},
		{name: "v31-client-id-of-23", v31: "3.1-client-id", run: func(t *trial) {
			for _, n := range []int{1, 23} {
				c := t.dial("a")
				c.send("CONNECT v3.1 clean id=%s %s", t.text("~" + repeat("x", 23))[:n], t.credentials(""))
				c.accepted()
			}
		}},
		{name: "v31-client-id-of-24", v31: "3.1-client-id-long", run: func(t *trial) {
			c := t.dial("a")
			c.send("CONNECT v3.1 clean id=%s %s", t.text("~" + repeat("x", 24))[:24], t.credentials(""))
			if ack := c.refused(packet.ClientIdentifierNotValid); ack == nil {
				t.fail("a< a close came, expected CONNACK with return code 2 before it")
			}
		}},
		{name: "v31-client-id-empty", v31: "3.1-client-id-empty", run: func(t *trial) {
			for _, clean := range []string{"clean", ""} {
				c := t.dial("a")
				c.send(`CONNECT v3.1 id="" %s %s`, clean, t.credentials(""))
				if ack := c.refused(packet.ClientIdentifierNotValid); ack == nil {
					t.fail("a< a close came, expected CONNACK with return code 2 before it")
				}
			}
		}},
		{name: "v31-no-session-present", v31: "3.2-reserved", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			a = t.session("a", "")
			if string(a.raw) != "\x20\x02\x00\x00" {
				t.fail("a< CONNACK is %s, expected 20020000: MQTT 3.1 has no Session Present", hexOf(a.raw))
			}
			t.connect("p", "clean").publish("q1 topic=~/a payload=x")
			a.take("q1 topic=~/a payload=x") // the session is there all the same
		}},
		{name: "v31-clean-session", v31: "3.1-clean", run: func(t *trial) {
			a := t.session("a", "")
			a.subscribe("filter=~/a q1")
			a.disconnect()
			p := t.connect("p", "clean")
			p.publish("q1 topic=~/a payload=x")
			a = t.connect("a", "clean")
			a.nothingFrom(p, 1)
		}},
		{name: "v31-connack-codes", v31: "3.2-codes", run: func(t *trial) {
			c := t.dial("a")
			c.send("CONNECT v3.1 clean id=~a username=~nobody password=wrong")
			p, ok := c.next("CONNACK").(*packet.Connack)
			if !ok || p.Code == packet.Success {
				t.skip("the broker lets everybody in")
			}
			if c.raw[3] != 4 && c.raw[3] != 5 {
				t.fail("a< CONNACK has the return code %d, expected 4 or 5", c.raw[3])
			}
			c.closed()
		}},
		{name: "v31-no-failure-in-suback", v31: "3.9-no-failure", run: func(t *trial) {
			// What a broker does not serve it grants, or it closes: there is no 0x80.
			deep := t.tag + repeat("/x", 30000)
			for i, filter := range []string{deep, "$SYS/#", "$share/~/" + t.tag} {
				c := t.connect(fmt.Sprint("a", i), "clean")
				c.send("SUBSCRIBE id=1 filter=%s q1", filter)
				for {
					p, err := c.read(t.patience())
					if err == errSilent {
						t.fail("a< nothing came, expected SUBACK or a close")
					}
					if ack, ok := p.(*packet.Suback); ok && ack.Codes[0] > 2 {
						t.fail("a< SUBACK has the code %02X, expected 00 to 02", byte(ack.Codes[0]))
					} else if ok || err != nil {
						break
					}
				}
			}
		}},
		{name: "v31-dup-of-requests", v31: "2.1-dup", run: func(t *trial) {
			// SUBSCRIBE, UNSUBSCRIBE and PUBREL may carry DUP.
			a := t.connect("a", "clean")
			a.bytes("SUBSCRIBE with DUP", append([]byte{0x8A, byte(5 + len(t.tag)), 0, 1, 0, byte(len(t.tag))}, append([]byte(t.tag), 1)...))
			a.want("SUBACK id=1 q1")
			a.bytes("UNSUBSCRIBE with DUP", append([]byte{0xAA, byte(4 + len(t.tag)), 0, 2, 0, byte(len(t.tag))}, t.tag...))
			a.want("UNSUBACK id=2")
			a.send("PUBLISH q2 topic=~/a payload=x id=3")
			a.want("PUBREC id=3")
			a.bytes("PUBREL with DUP", []byte{0x6A, 2, 0, 3})
			a.want("PUBCOMP id=3")
		}},
		{name: "v31-publish-not-authorized", v31: "3.4-ack", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.send("PUBLISH q1 topic=$SYS/~ payload=x id=1")
			a.want("PUBACK id=1")
		}},
		{name: "v31-pingreq", v31: "3.12-ping", run: func(t *trial) { t.connect("a", "clean").ping() }},
	}
}
