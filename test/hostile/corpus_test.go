package hostile

import (
	"bytes"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// corpus are all attacks on the broker's MQTT.
func corpus() []attack {
	var all []attack
	for _, s := range samples() {
		all = append(all, s.attacks()...)
	}
	for _, v := range []packet.Version{v31, v311, v5} {
		all = append(all, lengths(v)...)
		all = append(all, types(v)...)
		all = append(all, texts(v)...)
		all = append(all, connects(v)...)
		all = append(all, requests(v)...)
	}
	all = append(all, properties()...)
	all = append(all, versions()...)
	return append(all, requests5()...)
}

// sample is a packet that a client may send. What is done to it ends as malformed but
// where the sample says otherwise.
type sample struct {
	version packet.Version
	first   byte
	body    string         // hexadecimal
	cut     map[int]string // outcomes of a body of so many bytes
	longer  string         // ... of one byte more, "" is malformed
	flags   map[byte]string
}

const open = "open"

// Their subscriptions are to s/b and their messages go to a/b, since the attacks run at the same
// time on one broker and an acknowledgement of 5.0 tells whether there was a subscriber.
func samples() []sample {
	dup := map[byte]string{10: open} // 3.1 knows DUP there
	protocol := refused(v5, packet.ProtocolError)
	var all []sample
	for _, v := range []packet.Version{v31, v311} {
		repeat := map[byte]string(nil)
		if v == v31 {
			repeat = dup
		}
		all = append(all,
			sample{version: v, first: 0x30, body: "0003 612F62 6869", cut: map[int]string{5: open, 6: open}, longer: open},
			sample{version: v, first: 0x32, body: "0003 612F62 0001 6869", cut: map[int]string{7: "open PUBACK", 8: "open PUBACK"}, longer: "open PUBACK"},
			sample{version: v, first: 0x34, body: "0003 612F62 0001", longer: "open PUBREC"},
			sample{version: v, first: 0x40, body: "0001"},
			sample{version: v, first: 0x50, body: "0001"},
			sample{version: v, first: 0x62, body: "0001", flags: repeatWith(repeat, "open PUBCOMP")},
			sample{version: v, first: 0x70, body: "0001"},
			sample{version: v, first: 0x82, body: "0001 0003 732F62 01 0001 63 00", cut: map[int]string{8: "open SUBACK"}, flags: repeatWith(repeat, "open SUBACK")},
			sample{version: v, first: 0xA2, body: "0001 0003 732F62 0001 63", cut: map[int]string{7: "open UNSUBACK"}, flags: repeatWith(repeat, "open UNSUBACK")},
			sample{version: v, first: 0xC0},
			sample{version: v, first: 0xE0},
		)
	}
	return append(all,
		sample{version: v5, first: 0x30, body: "0003 612F62 00 6869", cut: map[int]string{6: open, 7: open}, longer: open},
		sample{version: v5, first: 0x32, body: "0003 612F62 0001 05 020000000A 68", cut: map[int]string{13: "open PUBACK 0x10"}, longer: "open PUBACK 0x10"},
		sample{version: v5, first: 0x34, body: "0003 612F62 0001 00", longer: "open PUBREC 0x10"},
		sample{version: v5, first: 0x40, body: "0001 10 04 1F 0001 78", cut: map[int]string{2: open, 3: open}},
		sample{version: v5, first: 0x50, body: "0001 10 04 1F 0001 78", cut: map[int]string{2: "open PUBREL 0x92", 3: "open PUBREL 0x92"}},
		sample{version: v5, first: 0x62, body: "0001 92 04 1F 0001 78", cut: map[int]string{2: "open PUBCOMP 0x92", 3: "open PUBCOMP 0x92"}},
		sample{version: v5, first: 0x70, body: "0001 92 04 1F 0001 78", cut: map[int]string{2: open, 3: open}},
		sample{version: v5, first: 0x82, body: "0001 02 0B05 0003 732F62 01 0001 63 2D", cut: map[int]string{5: protocol, 11: "open SUBACK 0x01"}},
		sample{version: v5, first: 0xA2, body: "0001 00 0003 732F62 0001 63", cut: map[int]string{3: protocol, 8: "open UNSUBACK 0x11"}},
		sample{version: v5, first: 0xC0},
		sample{version: v5, first: 0xE0, body: "04 05 1100000000", cut: map[int]string{0: "close", 1: "close"}},
		sample{version: v5, first: 0xF0, body: "18 04 15 0001 4D", cut: map[int]string{0: protocol}},
	)
}

// repeatWith gives the outcomes of repeat another text.
func repeatWith(repeat map[byte]string, want string) map[byte]string {
	out := map[byte]string{}
	for flags := range repeat {
		out[flags] = want
	}
	return out
}

// attacks cuts the sample at every byte, in two ways, makes it longer, and sets every
// reserved bit.
func (s *sample) attacks() []attack {
	body := unhex(s.body)
	t := packet.Type(s.first >> 4)
	malformed := refused(s.version, packet.MalformedPacket)
	var all []attack
	add := func(what string, bytes []byte, want string) {
		if want == "" {
			want = malformed
		}
		all = append(all, attack{name: fmt.Sprintf("%v/%v q%d/%s", s.version, t, s.first>>1&3, what), version: s.version, bytes: bytes, want: want})
	}
	for n := range body {
		want := s.cut[n]
		if n < 2 && (t == packet.SUBSCRIBE || t == packet.UNSUBSCRIBE) || want == "" {
			want = s.cut[n]
		}
		if n == 2 && s.version != v5 && (t == packet.SUBSCRIBE || t == packet.UNSUBSCRIBE) {
			want = "close" // no filter is a protocol error, which 3.x cannot tell either
		}
		add(fmt.Sprintf("body of %d bytes", n), frame(s.first, body[:n]), want)
	}
	whole := frame(s.first, body)
	for n := 1; n < len(whole); n++ {
		add(fmt.Sprintf("ends after %d bytes", n), whole[:n], "close")
		all[len(all)-1].endsEarly = true
	}
	add("a byte more", frame(s.first, append(bytes.Clone(body), 0)), s.longer)
	if t == packet.PUBLISH {
		return all
	}
	for flags := range byte(16) {
		if flags != s.first&15 {
			add(fmt.Sprintf("flags %04b", flags), frame(s.first&0xF0|flags, body), s.flags[flags])
		}
	}
	return all
}

// lengths are Remaining Lengths of four and five bytes, and in forms that are too long.
func lengths(v packet.Version) []attack {
	var all []attack
	add := func(name, bytes string, code packet.ReasonCode) {
		all = append(all, attack{name: fmt.Sprintf("%v/length/%s", v, name), version: v, bytes: unhex(bytes), want: refused(v, code)})
	}
	for name, first := range map[string]string{"PUBLISH": "30", "SUBSCRIBE": "82", "PINGREQ": "C0", "PUBACK": "40", "PUBREL": "62", "DISCONNECT": "E0"} {
		add(name+" of two bytes for 0", first+" 80 00", packet.MalformedPacket)
		add(name+" of three bytes for 1", first+" 81 80 00 00", packet.MalformedPacket)
		add(name+" of four bytes for 2", first+" 82 80 80 00 0001", packet.MalformedPacket)
		add(name+" of five bytes", first+" FF FF FF FF 01", packet.MalformedPacket)
		add(name+" of five bytes for 0", first+" 80 80 80 80 00", packet.MalformedPacket)
		add(name+" of 268,435,455", first+" FF FF FF 7F", packet.PacketTooLarge)
		add(name+" of 1 MiB", first+" 80 80 40", packet.PacketTooLarge)
	}
	for name, bytes := range map[string]string{
		"268 MB": "10 FF FF FF 7F", "five bytes": "10 FF FF FF FF 01", "not minimal": "10 8D 00", "1 MiB": "10 80 80 40",
	} {
		if v == v311 { // once is enough: the version is not known yet
			all = append(all, attack{name: "CONNECT/length/" + name, bytes: unhex(bytes), want: "close"})
		}
	}
	return all
}

// types are packets that no client sends, or not now.
func types(v packet.Version) []attack {
	var all []attack
	add := func(name, bytes, want string) {
		all = append(all, attack{name: fmt.Sprintf("%v/type/%s", v, name), version: v, bytes: unhex(bytes), want: want})
	}
	protocol := refused(v, packet.ProtocolError)
	add("0", "00 00", refused(v, packet.MalformedPacket))
	add("CONNACK", "20 02 00 00", protocol)
	add("SUBACK", "90 03 0001 00", protocol)
	add("UNSUBACK", "B0 02 0001", protocol)
	add("PINGRESP", "D0 00", protocol)
	add("a second CONNECT", "10 0D 0004 4D515454 04 02 003C 0001 63", protocol)
	add("a second CONNECT that is none", "10 01 00", protocol)
	if v == v5 {
		add("AUTH without a method", "F0 00", protocol)
		add("AUTH to continue", "F0 06 18 04 15 0001 4D", protocol)
		add("AUTH to authenticate again", "F0 06 19 04 15 0001 4D", protocol)
	} else {
		add("AUTH", "F0 00", "close")
		add("DISCONNECT with a reason", "E0 01 00", "close")
	}
	if v != v311 {
		return all
	}
	for first := packet.CONNACK; first <= packet.AUTH; first++ { // before CONNECT the version does not matter
		b := byte(first) << 4
		if first == packet.PUBREL || first == packet.SUBSCRIBE || first == packet.UNSUBSCRIBE {
			b |= 2
		}
		all = append(all, attack{name: fmt.Sprintf("first is %v", first), bytes: frame(b, []byte{0, 1}), want: "close"})
	}
	return append(all, attack{name: "first is type 0", bytes: unhex("00 00"), want: "close"},
		attack{name: "first is HTTP", bytes: []byte("GET / HTTP/1.1\r\n\r\n"), want: "close"},
		attack{name: "first is TLS", bytes: unhex("16 03 01 00 05 01 00 00 01 00"), want: "close"},
		attack{name: "nothing", endsEarly: true, want: "close"})
}

// badTexts are no strings of MQTT [MQTT-1.5.4-1] [MQTT-1.5.4-2].
var badTexts = map[string]string{
	"U+0000": "61 00 62", "overlong U+0000": "C0 80", "overlong slash": "C0 AF", "overlong of three bytes": "E0 80 AF",
	"overlong of four bytes": "F0 80 80 AF", "first surrogate": "ED A0 80", "last surrogate": "ED BF BF",
	"a pair of surrogates": "ED A0 BD ED B8 80", "above U+10FFFF": "F4 90 80 80", "five bytes": "F8 88 80 80 80",
	"continuation alone": "80", "cut character": "61 E2 82", "FF": "FF", "FE": "FE",
}

// binary is data with a length of two bytes before it.
func binary(b []byte) []byte { return append([]byte{byte(len(b) >> 8), byte(len(b))}, b...) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// texts are strings that are not well-formed, at every place for one.
func texts(v packet.Version) []attack {
	var all []attack
	none := []byte{} // an empty property length, where there is one
	if v == v5 {
		none = []byte{0}
	}
	id := []byte{0, 1}
	for name, text := range badTexts {
		s := binary(unhex(text))
		for where, bytes := range map[string][]byte{
			"topic":               frame(0x30, join(s, none, []byte("x"))),
			"topic at QoS 1":      frame(0x32, join(s, id, none)),
			"filter":              frame(0x82, join(id, none, s, []byte{0})),
			"second filter":       frame(0x82, join(id, none, unhex("0001 61 00"), s, []byte{0})),
			"filter unsubscribed": frame(0xA2, join(id, none, s)),
		} {
			all = append(all, attack{name: fmt.Sprintf("%v/%s/%s", v, where, name), version: v, bytes: bytes, want: refused(v, packet.MalformedPacket)})
		}
		for where, body := range map[string][]byte{
			"client id":  connectBody(v, 0x02, none, s),
			"user name":  connectBody(v, 0x82, none, unhex("0001 61"), s),
			"will topic": connectBody(v, 0x06, none, unhex("0001 61"), none, s, unhex("0000")),
		} {
			all = append(all, attack{name: fmt.Sprintf("%v/CONNECT %s/%s", v, where, name), bytes: frame(0x10, body), want: refusedConnect(v, packet.MalformedPacket)})
		}
	}
	return all
}

// connectBody is a CONNECT's body from its flags on.
func connectBody(v packet.Version, flags byte, rest ...[]byte) []byte {
	name := "0004 4D515454"
	if v == v31 {
		name = "0006 4D5149736470"
	}
	return join(unhex(name), []byte{byte(v), flags, 0, 60}, join(rest...))
}

// refusedConnect is the answer to a CONNECT whose version is known.
func refusedConnect(v packet.Version, code packet.ReasonCode) string {
	if v != v5 {
		return "close"
	}
	return fmt.Sprintf("CONNACK 0x%02X", byte(code))
}
