package conform

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// badUTF8 are strings that no packet may hold: a surrogate, an overlong form, a byte that
// never occurs, a sequence cut short.
var badUTF8 = []string{`\xed\xa0\x80`, `\xc0\xaf`, `\xff`, `a\xe2\x82`}

// stringChecks are those of UTF-8 strings and variable byte integers.
func stringChecks() []check {
	return []check{
		{name: "utf8-connect", v311: "1.5.3-1 3.1.3-4", v5: "1.5.4-1 3.1.3-4", run: func(t *trial) {
			for i, bad := range badUTF8 {
				c := t.dial(fmt.Sprint("a", i))
				c.send(`CONNECT %s clean id="~%s"`, versionWord(t.v), bad)
				c.refused()
			}
		}},
		{name: "utf8-will-topic", v311: "3.1.3-10", v5: "3.1.3-11", run: func(t *trial) {
			for i, bad := range badUTF8 {
				c := t.dial(fmt.Sprint("a", i))
				c.send("%s", t.connectLine("a", `clean will{topic="~/`+bad+`" payload=x}`))
				c.refused()
			}
		}},
		{name: "utf8-username", v311: "3.1.3-11", v5: "3.1.3-12", run: func(t *trial) {
			for i, bad := range badUTF8 {
				c := t.dial(fmt.Sprint("a", i))
				c.send("%s", t.connectLine("a", `clean username="`+bad+`"`))
				c.refused()
			}
		}},
		{name: "utf8-topic-name", v311: "1.5.3-1 3.3.2-1", v5: "1.5.4-1 3.3.2-1", run: func(t *trial) {
			for _, bad := range badUTF8 {
				t.violate(`PUBLISH q0 topic="~/` + bad + `" payload=x`)
			}
		}},
		{name: "utf8-subscribe", v311: "3.8.3-1 1.5.3-1", v5: "3.8.3-1 1.5.4-1", run: func(t *trial) {
			for _, bad := range badUTF8 {
				t.violate(`SUBSCRIBE id=1 filter="~/` + bad + `" q0`)
			}
		}},
		{name: "utf8-unsubscribe", v311: "3.10.3-1 1.5.3-1", v5: "3.10.3-1 1.5.4-1", run: func(t *trial) {
			for _, bad := range badUTF8 {
				t.violate(`UNSUBSCRIBE id=1 filter="~/` + bad + `"`)
			}
		}},
		{name: "utf8-properties", v5: "1.5.4-1 3.3.2-13 3.3.2-19", run: func(t *trial) {
			for _, bad := range badUTF8 {
				t.violate(`PUBLISH q0 topic=~/a payload=x response-topic="`+bad+`"`, `PUBLISH q0 topic=~/a payload=x content-type="`+bad+`"`)
			}
		}},
		{name: "user-property-strings", v5: "1.5.7-1", run: func(t *trial) {
			for _, bad := range append(slices.Clone(badUTF8), `a\x00b`) {
				t.violate(`PUBLISH q0 topic=~/a payload=x user="`+bad+`":v`, `PUBLISH q0 topic=~/a payload=x user=k:"`+bad+`"`)
			}
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q0")
			a.publish(`q0 topic=~/a payload=x user="ключ":"значение"`)
			a.take(`q0 topic=~/a payload=x user="ключ":"значение"`)
		}},
		{name: "nul", v311: "1.5.3-2 4.7.3-2", v5: "1.5.4-2 4.7.3-2", run: func(t *trial) {
			t.violate(`PUBLISH q0 topic="~/a\x00b" payload=x`, `SUBSCRIBE id=1 filter="~/a\x00b" q0`, `UNSUBSCRIBE id=1 filter="~/a\x00b"`)
			c := t.dial("a")
			c.send(`CONNECT %s clean id="~\x00"`, versionWord(t.v))
			c.refused()
		}},
		{name: "byte-order-mark", v311: "1.5.3-3", v5: "1.5.4-3", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe(`filter="~/\ufeffx" q0 filter="\ufeff~" q0 filter=~/x q0`)
			a.publish(`q0 topic="~/\ufeffx" payload=1`)
			a.take(`q0 topic="~/\ufeffx" payload=1`)
			a.publish(`q0 topic="\ufeff~" payload=2`)
			a.take(`q0 topic="\ufeff~" payload=2`)
			a.publish(`q0 topic=~/x payload=3`)
			a.take(`q0 topic=~/x payload=3`)
			a.ping()
		}},
		{name: "overlong-integer", v5: "1.5.5-1", run: func(t *trial) {
			t.violateBytes("PINGREQ with a length of two bytes", []byte{0xC0, 0x80, 0x00}, packet.MalformedPacket, packet.ProtocolError)
			t.violateBytes("SUBSCRIBE with a property length of two bytes",
				[]byte{0x82, 8, 0, 1, 0x80, 0x00, 0, 1, 'a', 0}, packet.MalformedPacket, packet.ProtocolError)
		}},
		{name: "shortest-integer", v5: "1.5.5-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q0")
			overhead := len(t.text("~/a")) + 3
			for _, size := range []int{0, 127 - overhead, 128 - overhead, 16383 - overhead, 16384 - overhead} {
				a.publish("q0 topic=~/a payload=%d*x", size)
				a.message("q0 topic=~/a payload=%d*x", size)
				if want := 1 + packet.VarintLen(uint32(size+overhead)) + size + overhead; len(a.raw) != want {
					t.fail("a< PUBLISH of %d bytes, expected %d: the length is not written in the fewest bytes", len(a.raw), want)
				}
			}
		}},
	}
}

// headerChecks are those of the fixed header.
func headerChecks() []check {
	// wrong are packets with flags that their type does not have.
	wrong := func(v5 bool) map[string][]byte {
		ack := []byte{2, 0, 1}
		m := map[string][]byte{
			"PUBACK":  append([]byte{0x41}, ack...),
			"PUBREC":  append([]byte{0x58}, ack...),
			"PUBCOMP": append([]byte{0x72}, ack...),
			"PINGREQ": {0xC1, 0},
		}
		if v5 {
			m["AUTH"] = []byte{0xF1, 0}
		}
		return m
	}
	flags := func(what string, b ...byte) func(t *trial) {
		return func(t *trial) {
			if !t.is5() {
				t.violateBytes(what+" with other flags", b)
				return
			}
			t.violateBytes(what+" with other flags", b, packet.MalformedPacket, packet.ProtocolError)
		}
	}
	// withProps inserts a property length in 5.0.
	subscribe := func(first byte, tail ...byte) func(t *trial) {
		return func(t *trial) {
			body := []byte{0, 1}
			if t.is5() {
				body = append(body, 0)
			}
			body = append(append(body, 0, 1, 'a'), tail...)
			flags("the packet", append([]byte{first, byte(len(body))}, body...)...)(t)
		}
	}
	return []check{
		{name: "reserved-flags", v311: "2.2.2-2 2.2.2-1", v5: "2.1.3-1", run: func(t *trial) {
			for what, b := range wrong(t.is5()) {
				t.violateBytes(what+" with other flags", b)
			}
			c := t.dial("a")
			b := []byte("\x11\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
			if t.is5() {
				b = []byte("\x11\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a")
			}
			c.bytes("CONNECT with other flags", b)
			c.refused()
		}},
		{name: "flags-of-the-broker", v311: "2.2.2-1", v5: "2.1.3-1", run: func(t *trial) {
			// Each packet is read strictly: one with other flags would end the check.
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q2")
			a.publish("q1 topic=~/a payload=1")
			a.take("q1 topic=~/a payload=1")
			a.publish("q2 topic=~/a payload=2")
			a.take("q2 topic=~/a payload=2")
			a.unsubscribe("~/a")
			a.ping()
		}},
		{name: "pubrel-flags", v311: "3.6.1-1", v5: "3.6.1-1", run: flags("PUBREL", 0x60, 2, 0, 1)},
		{name: "subscribe-flags", v311: "3.8.1-1", v5: "3.8.1-1", run: subscribe(0x80, 0)},
		{name: "unsubscribe-flags", v311: "3.10.1-1", v5: "3.10.1-1", run: subscribe(0xA0)},
		{name: "disconnect-flags", v311: "3.14.1-1", v5: "3.14.1-1", run: func(t *trial) {
			// As an error: the will is published.
			w := t.connect("w", "clean")
			w.subscribe("filter=~/w q1")
			a := t.connect("a", "clean will{topic=~/w payload=gone q1}")
			a.bytes("DISCONNECT with other flags", []byte{0xE1, 0})
			a.dropped()
			w.take("q1 topic=~/w payload=gone")
		}},
		{name: "auth-flags", v5: "3.15.1-1", run: flags("AUTH", 0xF2, 0)},
		{name: "pubrel-flags-sent", v311: "3.6.1-1", v5: "3.6.1-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q2")
			a.publish("q2 topic=~/a payload=x")
			m := a.message("q2 topic=~/a payload=x")
			a.send("PUBREC id=%d", m.ID)
			a.want(fmt.Sprintf("PUBREL id=%d", m.ID))
			if a.raw[0] != 0x62 {
				t.fail("a< PUBREL begins with %02X, expected 62", a.raw[0])
			}
		}},
		{name: "qos-3", v311: "3.3.1-4", v5: "3.3.1-4", run: func(t *trial) {
			b := publishBytes(t.v, 6, t.text("~/a"), 1, nil, []byte("x"))
			t.violateBytes("PUBLISH with QoS 3", b)
		}},
		{name: "property-length-is-there", v5: "2.2.2-1", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q1")
			a.publish("q1 topic=~/a payload=x")
			m := a.message("q1 topic=~/a payload=x")
			want := publishBytes(t.v, 2, t.text("~/a"), m.ID, nil, []byte("x"))
			if !bytes.Equal(a.raw, want) {
				t.fail("a< PUBLISH is %s, expected %s: no properties are a length of 0", hexOf(a.raw), hexOf(want))
			}
		}},
		{name: "property-length-is-missed", v5: "2.2.2-1", run: func(t *trial) {
			t.violateBytes("UNSUBSCRIBE that ends where its property length should be", []byte{0xA2, 2, 0, 1})
			t.violateBytes("PUBLISH without a property length", []byte{0x30, 3, 0, 1, 'a'})
		}},
	}
}

// identifierChecks are those of packet identifiers.
func identifierChecks() []check {
	return []check{
		{name: "identifier-0", v311: "2.3.1-1", v5: "2.2.1-3", run: func(t *trial) {
			t.violate("SUBSCRIBE id=0 filter=~/a q0", "UNSUBSCRIBE id=0 filter=~/a")
			for _, qos := range []byte{2, 4} {
				t.violateBytes("PUBLISH with packet identifier 0",
					publishBytes(t.v, qos, t.text("~/a"), 0, nil, []byte("x")))
			}
		}},
		{name: "identifiers-of-the-broker", v311: "2.3.1-4 2.3.1-1", v5: "2.2.1-4 4.3.2-1 4.3.3-1", run: func(t *trial) {
			a, p := t.connect("a", "clean"), t.connect("p", "clean")
			a.subscribe("filter=~/a q2")
			used := map[uint16]bool{}
			for i := range 20 {
				p.publish("q%d topic=~/a payload=%d", 1+i%2, i)
				m := a.message("q%d topic=~/a payload=%d", 1+i%2, i)
				if m.ID == 0 || used[m.ID] {
					t.fail("a< PUBLISH with packet identifier %d, which is 0 or in use", m.ID)
				}
				used[m.ID] = true
			}
		}},
		{name: "no-identifier-at-qos-0", v311: "2.3.1-5", v5: "2.2.1-2", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q2")
			a.publish("q0 topic=~/a payload=x")
			a.message("q0 topic=~/a payload=x")
			if want := publishBytes(t.v, 0, t.text("~/a"), 0, nil, []byte("x")); !bytes.Equal(a.raw, want) {
				t.fail("a< PUBLISH is %s, expected %s", hexOf(a.raw), hexOf(want))
			}
		}},
		{name: "acknowledgements-repeat-identifiers", v311: "2.3.1-6", v5: "2.2.1-5 4.3.2-4 4.3.3-8 4.3.3-11", run: func(t *trial) {
			a := t.connect("a", "clean")
			for _, id := range []uint16{1, 255, 256, 12345, 65535} {
				a.id = id - 1
				a.publish("q1 topic=~/a payload=x")
				a.id = id - 1
				a.publish("q2 topic=~/a payload=x")
			}
			a.ping()
		}},
		{name: "pubrel-repeats-identifier", v311: "2.3.1-6", v5: "2.2.1-5 4.3.3-4", run: func(t *trial) {
			a := t.connect("a", "clean")
			a.subscribe("filter=~/a q2")
			for i := range 3 {
				a.publish("q2 topic=~/a payload=%d", i)
			}
			var ids []uint16
			for i := range 3 {
				ids = append(ids, a.message("q2 topic=~/a payload=%d", i).ID)
			}
			for _, id := range ids {
				a.send("PUBREC id=%d", id)
				a.want(fmt.Sprintf("PUBREL id=%d", id))
				a.send("PUBCOMP id=%d", id)
			}
		}},
		{name: "suback-repeats-identifier", v311: "2.3.1-7 3.8.4-2", v5: "2.2.1-6 3.8.4-2", run: func(t *trial) {
			a := t.connect("a", "clean")
			for _, id := range []int{1, 255, 256, 65535} {
				a.send("SUBSCRIBE id=%d filter=~/a q1", id)
				a.want(fmt.Sprintf("SUBACK id=%d q1", id))
			}
		}},
		{name: "unsuback-repeats-identifier", v311: "2.3.1-7 3.10.4-4", v5: "2.2.1-6 3.10.4-5", run: func(t *trial) {
			a := t.connect("a", "clean")
			for _, id := range []int{1, 255, 256, 65535} {
				a.subscribe("filter=~/a q1")
				a.send("UNSUBSCRIBE id=%d filter=~/a", id)
				a.want(fmt.Sprintf("UNSUBACK id=%d", id) + t.pick("", " success"))
			}
		}},
	}
}

// rawConnect is a CONNECT put together by hand: name, level, flags and payload fields.
func rawConnect(name string, level, flags byte, keepAlive uint16, fields ...string) []byte {
	text := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	body := text(name) + string([]byte{level, flags, byte(keepAlive >> 8), byte(keepAlive)})
	if level == byte(packet.V5) {
		body += "\x00"
	}
	for i, f := range fields {
		// In 5.0 the properties of the will come before its topic.
		if level == byte(packet.V5) && flags&4 != 0 && i == 1 {
			body += "\x00"
		}
		body += text(f)
	}
	return append(packet.AppendVarint([]byte{0x10}, uint32(len(body))), body...)
}

// joined puts words together with one space between them.
func joined(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}
