package hostile

import (
	"fmt"
	"slices"

	"github.com/wirebird/wirebird/packet"
)

// property is one of 5.0 with a value, and the packets of a client that may carry it.
type property struct {
	name, value string // hexadecimal, its identifier first
	in          string // letters: C CONNECT, W will, P PUBLISH, A the four acknowledgements, S, U, D, X AUTH
	bad         string // a value out of range, "" when there is none
}

// table is that of §2.2.2.2.
var table = []property{
	{"Payload Format Indicator", "01 01", "PW", "01 02"},
	{"Message Expiry Interval", "02 00000001", "PW", ""},
	{"Content Type", "03 0001 61", "PW", ""},
	{"Response Topic", "08 0001 61", "PW", "08 0001 2B"},
	{"Correlation Data", "09 0001 00", "PW", ""},
	{"Session Expiry Interval", "11 00000000", "CD", ""},
	{"Assigned Client Identifier", "12 0001 61", "", ""},
	{"Server Keep Alive", "13 0001", "", ""},
	{"Will Delay Interval", "18 00000001", "W", ""},
	{"Request Problem Information", "17 01", "C", "17 02"},
	{"Request Response Information", "19 01", "C", "19 02"},
	{"Response Information", "1A 0001 61", "", ""},
	{"Server Reference", "1C 0001 61", "D", ""}, // only servers send it; a client that does harms nobody
	{"Reason String", "1F 0001 61", "ADX", ""},
	{"Receive Maximum", "21 0001", "C", "21 0000"},
	{"Topic Alias Maximum", "22 0001", "C", ""},
	{"Maximum QoS", "24 01", "", ""},
	{"Retain Available", "25 01", "", ""},
	{"User Property", "26 0001 61 0001 62", "CWPASUDX", ""},
	{"Maximum Packet Size", "27 00001000", "C", "27 00000000"},
	{"Wildcard Subscription Available", "28 01", "", ""},
	{"Subscription Identifier Available", "29 01", "", ""},
	{"Shared Subscription Available", "2A 01", "", ""},
}

// carriers make packets of a client around properties, which come with their length.
var carriers = []struct {
	letter  byte
	name    string
	connect bool
	make    func(props []byte) []byte
}{
	{'C', "CONNECT", true, func(p []byte) []byte { return frame(0x10, connectBody(v5, 2, p, unhex("0001 61"))) }},
	{'W', "will", true, func(p []byte) []byte {
		return frame(0x10, connectBody(v5, 6, []byte{0}, unhex("0001 61"), p, unhex("0001 77 0000")))
	}},
	{'P', "PUBLISH", false, func(p []byte) []byte { return frame(0x30, join(unhex("0001 61"), p)) }},
	{'A', "PUBACK", false, func(p []byte) []byte { return frame(0x40, join(unhex("0001 00"), p)) }},
	{'A', "PUBREC", false, func(p []byte) []byte { return frame(0x50, join(unhex("0001 00"), p)) }},
	{'A', "PUBREL", false, func(p []byte) []byte { return frame(0x62, join(unhex("0001 00"), p)) }},
	{'A', "PUBCOMP", false, func(p []byte) []byte { return frame(0x70, join(unhex("0001 00"), p)) }},
	{'S', "SUBSCRIBE", false, func(p []byte) []byte { return frame(0x82, join(unhex("0001"), p, unhex("0001 61 00"))) }},
	{'U', "UNSUBSCRIBE", false, func(p []byte) []byte { return frame(0xA2, join(unhex("0001"), p, unhex("0001 61"))) }},
	{'D', "DISCONNECT", false, func(p []byte) []byte { return frame(0xE0, join([]byte{0}, p)) }},
	{'X', "AUTH", false, func(p []byte) []byte { return frame(0xF0, join([]byte{0x18}, p)) }},
}

// properties are those that do not belong, come twice, are out of range or cut, in every
// packet that could carry them.
func properties() []attack {
	var all []attack
	for _, c := range carriers {
		add := func(name string, code packet.ReasonCode, props []byte) {
			a := attack{name: fmt.Sprintf("5.0/%s/%s", c.name, name), version: v5, bytes: c.make(props), want: refused(v5, code)}
			if c.connect {
				a.version, a.want = 0, refusedConnect(v5, code)
			}
			all = append(all, a)
		}
		list := func(b []byte) []byte { return append([]byte{byte(len(b))}, b...) }
		for _, p := range table {
			value := unhex(p.value)
			belongs := slices.Contains([]byte(p.in), c.letter)
			switch {
			case !belongs:
				add(p.name+" does not belong", packet.MalformedPacket, list(value))
				continue
			case p.name != "User Property":
				add(p.name+" twice", packet.ProtocolError, list(join(value, value)))
			}
			for n := 1; n < len(value); n++ {
				add(fmt.Sprintf("%s cut after %d bytes", p.name, n), packet.MalformedPacket, list(value[:n]))
			}
			if p.bad != "" {
				add(p.name+" out of range", packet.ProtocolError, list(unhex(p.bad)))
			}
		}
		for _, id := range []byte{0x00, 0x04, 0x07, 0x0A, 0x0C, 0x10, 0x14, 0x1B, 0x2B, 0x7F, 0x80, 0xFF} {
			add(fmt.Sprintf("unknown 0x%02X", id), packet.MalformedPacket, list([]byte{id, 0, 0}))
		}
		add("length past the end", packet.MalformedPacket, unhex("7F"))
		add("length of four bytes past the end", packet.MalformedPacket, unhex("FFFFFF7F"))
		add("length of five bytes", packet.MalformedPacket, unhex("FFFFFFFF01"))
		add("length not minimal", packet.MalformedPacket, unhex("8000"))
		for name, text := range badTexts {
			s := binary(unhex(text))
			add("User Property key/"+name, packet.MalformedPacket, list(join([]byte{0x26}, s, unhex("0001 61"))))
			add("User Property value/"+name, packet.MalformedPacket, list(join([]byte{0x26}, unhex("0001 61"), s)))
			switch c.letter {
			case 'P', 'W':
				add("Content Type/"+name, packet.MalformedPacket, list(join([]byte{0x03}, s)))
				add("Response Topic/"+name, packet.MalformedPacket, list(join([]byte{0x08}, s)))
			case 'A', 'D', 'X':
				add("Reason String/"+name, packet.MalformedPacket, list(join([]byte{0x1F}, s)))
			}
		}
		switch c.letter {
		case 'C', 'X':
			add("Authentication Data alone", packet.ProtocolError, list(unhex("16 0001 61")))
			add("Authentication Method twice", packet.ProtocolError, list(unhex("15 0001 61 15 0001 61")))
			add("Authentication Method cut", packet.MalformedPacket, list(unhex("15 0002 61")))
		}
	}
	add := func(name, props, want string) {
		all = append(all, attack{name: "5.0/CONNECT/" + name, bytes: carriers[0].make(unhex(props)), want: want})
	}
	add("Authentication Method unknown", "04 15 0001 61", "CONNACK 0x8C")
	return all
}
