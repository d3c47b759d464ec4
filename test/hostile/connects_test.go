package hostile

import (
	"bytes"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// connects are CONNECTs that are wrong, with outcomes by version.
func connects(v packet.Version) []attack {
	var all []attack
	add := func(name, want string, body []byte) {
		all = append(all, attack{name: fmt.Sprintf("%v/CONNECT/%s", v, name), bytes: frame(0x10, body), want: want})
	}
	none := []byte{}
	if v == v5 {
		none = []byte{0}
	}
	id := unhex("0001 61")
	malformed := refusedConnect(v, packet.MalformedPacket)
	topicInvalid := refusedConnect(v, packet.TopicNameInvalid)

	// Every beginning of one with all fields.
	whole := connectBody(v, 0xCE, none, id, none, unhex("0001 77 0001 21 0001 75 0001 70"))
	level := bytes.IndexByte(whole, byte(v))
	for n := range whole {
		want := malformed
		switch {
		case n <= level:
			want = "close" // the version is not known
		case v == v31 && (n == len(whole)-3 || n == len(whole)-6):
			want = open // 3.1: user name and password may be missing
		}
		add(fmt.Sprintf("body of %d bytes", n), want, whole[:n])
	}
	add("a byte more", malformed, append(bytes.Clone(whole), 0))
	for flags := byte(1); flags < 16; flags++ {
		all = append(all, attack{name: fmt.Sprintf("%v/CONNECT/header flags %04b", v, flags), bytes: frame(0x10|flags, whole), want: "close"})
	}

	add("reserved flag", malformed, connectBody(v, 0x03, none, id))
	add("will QoS 3", malformed, connectBody(v, 0x1E, none, id, none, unhex("0001 77 0000")))
	add("will QoS without a will", malformed, connectBody(v, 0x0A, none, id))
	add("will retain without a will", malformed, connectBody(v, 0x22, none, id))
	add("will topic empty", topicInvalid, connectBody(v, 0x06, none, id, none, unhex("0000 0000")))
	add("will topic with +", topicInvalid, connectBody(v, 0x06, none, id, none, unhex("0003 612F2B 0000")))
	add("will topic with #", topicInvalid, connectBody(v, 0x06, none, id, none, unhex("0001 23 0000")))
	add("will to $SYS", topicInvalid, connectBody(v, 0x06, none, id, none, binary([]byte("$SYS/broker/x")), unhex("0000")))
	add("will of too many levels", topicInvalid, connectBody(v, 0x06, none, id, none, binary(bytes.Repeat([]byte("/"), 65_535)), unhex("0000")))
	add("huge will", open, connectBody(v, 0x06, none, id, none, unhex("0001 77"), binary(make([]byte, 65_535))))
	add("will past the end", malformed, connectBody(v, 0x06, none, id, none, unhex("0001 77 FFFF 00")))
	add("will a byte too long", malformed, connectBody(v, 0x06, none, id, none, unhex("0001 77 0002 21")))
	add("will a byte too short", malformed, connectBody(v, 0x06, none, id, none, unhex("0001 77 0001 21 21")))
	add("client id a byte too long", malformed, connectBody(v, 0x02, none, unhex("0002 61")))
	add("client id a byte too short", malformed, connectBody(v, 0x02, none, unhex("0001 61 61")))
	add("client id too long for us", longID(v), connectBody(v, 0x02, none, binary(bytes.Repeat([]byte("x"), 1025))))
	if v == v5 {
		add("password alone", open, connectBody(v, 0x42, none, id, unhex("0001 70")))
		add("empty client id", open, connectBody(v, 0x00, none, unhex("0000")))
		return all
	}
	add("password without a user name", "close", connectBody(v, 0x42, none, id, unhex("0001 70")))
	add("empty client id, session kept", "CONNACK 2", connectBody(v, 0x00, none, unhex("0000")))
	want := open
	if v == v31 {
		want = "CONNACK 2"
	}
	add("empty client id", want, connectBody(v, 0x02, none, unhex("0000")))
	add("client id of 24 bytes", want, connectBody(v, 0x02, none, binary(bytes.Repeat([]byte("x"), 24))))
	return all
}

func longID(v packet.Version) string {
	if v == v5 {
		return refusedConnect(v, packet.ClientIdentifierNotValid)
	}
	return "CONNACK 2"
}

// versions are names and levels of protocols that nobody speaks here.
func versions() []attack {
	var all []attack
	add := func(name, want string, body []byte) {
		all = append(all, attack{name: "version/" + name, bytes: frame(0x10, body), want: want})
	}
	rest := unhex("02 003C 0001 61")
	for _, level := range []byte{0, 1, 2, 6, 7, 127} {
		add(fmt.Sprintf("MQTT level %d", level), "CONNACK 1", join(unhex("0004 4D515454"), []byte{level}, rest))
		add(fmt.Sprintf("MQIsdp level %d", level), "CONNACK 1", join(unhex("0006 4D5149736470"), []byte{level}, rest))
	}
	add("MQTT level 3", "CONNACK 1", join(unhex("0004 4D515454 03"), rest))
	add("MQIsdp level 4", "CONNACK 1", join(unhex("0006 4D5149736470 04"), rest))
	add("MQIsdp level 5", "CONNACK 0x84", join(unhex("0006 4D5149736470 05"), rest))
	for name, text := range map[string]string{"mqtt": "mqtt", "AMQP": "AMQP", "nothing": "", "MQTT and more": "MQTTX", "MQT": "MQT", "not text": "\xff\xfe"} {
		add(name+" level 4", "CONNACK 1", join(binary([]byte(text)), []byte{4}, rest))
		add(name+" level 5", "CONNACK 0x84", join(binary([]byte(text)), []byte{5}, rest))
	}
	add("name past the end", "close", unhex("FFFF 4D515454 04 02"))
	add("name a byte too long", "CONNACK 1", join(unhex("0005 4D51545404 04"), rest))
	return all
}

// requests are wrong in what they ask for, in every version.
func requests(v packet.Version) []attack {
	var all []attack
	add := func(name string, code packet.ReasonCode, first byte, parts ...[]byte) {
		all = append(all, attack{name: fmt.Sprintf("%v/%s", v, name), version: v, bytes: frame(first, join(parts...)), want: refused(v, code)})
	}
	none := []byte{}
	if v == v5 {
		none = []byte{0}
	}
	id, zero := []byte{0, 1}, []byte{0, 0}
	topic := unhex("0001 61")
	add("PUBLISH QoS 3", packet.MalformedPacket, 0x36, topic, id, none)
	add("PUBLISH DUP at QoS 0", packet.MalformedPacket, 0x38, topic, none)
	for _, qos := range []byte{1, 2} {
		add(fmt.Sprintf("PUBLISH QoS %d with id 0", qos), packet.ProtocolError, 0x30|qos<<1, topic, zero, none)
	}
	for _, first := range []byte{0x40, 0x50, 0x62, 0x70} {
		add(fmt.Sprintf("%v with id 0", packet.Type(first>>4)), packet.ProtocolError, first, zero)
	}
	add("SUBSCRIBE with id 0", packet.ProtocolError, 0x82, zero, none, topic, []byte{0})
	add("UNSUBSCRIBE with id 0", packet.ProtocolError, 0xA2, zero, none, topic)
	for _, name := range []string{"+", "#", "a/+", "a/#", "a+b", "/#"} {
		add("PUBLISH to "+name, packet.TopicNameInvalid, 0x30, binary([]byte(name)), none)
		add("PUBLISH at QoS 1 to "+name, packet.TopicNameInvalid, 0x32, binary([]byte(name)), id, none)
	}
	for _, filter := range []string{"a#", "#a", "a/#/b", "#/", "a+", "+a", "a/+b", "a+/b", "++", "##", "+#", "$share//a", "$share/g", "$share/g/",
		"$share/", "$share/+/a", "$share/g#/a", "$share/g/a#", "$share/g/#/a"} {
		add("SUBSCRIBE to "+filter, packet.MalformedPacket, 0x82, id, none, binary([]byte(filter)), []byte{0})
		add("UNSUBSCRIBE from "+filter, packet.MalformedPacket, 0xA2, id, none, binary([]byte(filter)))
	}
	add("SUBSCRIBE to nothing", packet.TopicFilterInvalid, 0x82, id, none, zero, []byte{0})
	add("UNSUBSCRIBE from nothing", packet.TopicFilterInvalid, 0xA2, id, none, zero)
	for _, options := range []byte{3, 0x40, 0x80, 0xC0, 0xFF, 0x43} {
		add(fmt.Sprintf("SUBSCRIBE with options %08b", options), packet.MalformedPacket, 0x82, id, none, topic, []byte{options})
	}
	add("SUBSCRIBE, topic a byte too long", packet.MalformedPacket, 0x82, id, none, unhex("0003 6100"))
	add("PUBLISH, topic past the end", packet.MalformedPacket, 0x30, unhex("FFFF 61"), none)
	if v != v5 {
		add("PUBLISH to nothing", packet.TopicNameInvalid, 0x30, zero)
		for _, options := range []byte{4, 8, 16, 32} {
			add(fmt.Sprintf("SUBSCRIBE with options %08b", options), packet.MalformedPacket, 0x82, id, topic, []byte{options})
		}
	}
	return append(all, unknownIDs(v)...)
}

// unknownIDs are acknowledgements of what was never sent, which end nothing.
func unknownIDs(v packet.Version) []attack {
	want := map[byte]string{0x40: "open", 0x50: "open PUBREL", 0x62: "open PUBCOMP", 0x70: "open"}
	if v == v5 {
		want[0x50], want[0x62] = "open PUBREL 0x92", "open PUBCOMP 0x92"
	}
	var all []attack
	for first, want := range want {
		for _, id := range []string{"0001", "7FFF", "FFFF"} {
			all = append(all, attack{name: fmt.Sprintf("%v/%v of unknown %s", v, packet.Type(first>>4), id), version: v,
				bytes: frame(first, unhex(id)), want: want})
		}
	}
	return all
}

// requests5 are wrong in what only 5.0 has.
func requests5() []attack {
	var all []attack
	add := func(name string, code packet.ReasonCode, bytes []byte) {
		all = append(all, attack{name: "5.0/" + name, version: v5, bytes: bytes, want: refused(v5, code)})
	}
	add("PUBLISH with neither topic nor alias", packet.ProtocolError, unhex("30 03 0000 00"))
	add("PUBLISH with alias 0", packet.TopicAliasInvalid, unhex("30 07 0001 61 03 230000"))
	add("PUBLISH with alias 33", packet.TopicAliasInvalid, unhex("30 07 0001 61 03 230021"))
	add("PUBLISH with alias 65535", packet.TopicAliasInvalid, unhex("30 07 0001 61 03 23FFFF"))
	add("PUBLISH with alias 33 alone", packet.TopicAliasInvalid, unhex("30 06 0000 03 230021"))
	add("PUBLISH with an alias that nobody gave", packet.ProtocolError, unhex("30 06 0000 03 230001"))
	add("PUBLISH with a Subscription Identifier", packet.ProtocolError, unhex("30 06 0001 61 02 0B01"))
	add("SUBSCRIBE with Subscription Identifier 0", packet.ProtocolError, unhex("82 09 0001 02 0B00 0001 61 00"))
	add("SUBSCRIBE with two Subscription Identifiers", packet.ProtocolError, unhex("82 0B 0001 04 0B01 0B02 0001 61 00"))
	add("SUBSCRIBE with an identifier of five bytes", packet.MalformedPacket, unhex("82 0D 0001 06 0BFFFFFFFF01 0001 61 00"))
	add("SUBSCRIBE with an identifier not minimal", packet.MalformedPacket, unhex("82 0A 0001 03 0B8100 0001 61 00"))
	add("SUBSCRIBE with Retain Handling 3", packet.ProtocolError, unhex("82 07 0001 00 0001 61 30"))
	add("SUBSCRIBE with No Local and shared", packet.ProtocolError,
		frame(0x82, join(unhex("0001 00"), binary([]byte("$share/g/a")), []byte{4})))
	add("DISCONNECT with a Session Expiry Interval after 0", packet.ProtocolError, unhex("E0 07 00 05 1100000001"))
	for _, c := range []struct {
		first byte
		codes []byte
	}{
		{0x40, []byte{1, 0x11, 0x7F, 0x81, 0x92, 0xFF}}, {0x50, []byte{1, 0x11, 0x81, 0x92, 0xFF}}, {0x62, []byte{0x10, 0x80, 0x91, 0xFF}},
		{0x70, []byte{0x10, 0x80, 0x97, 0xFF}},
	} {
		for _, code := range c.codes {
			add(fmt.Sprintf("%v with reason 0x%02X", packet.Type(c.first>>4), code), packet.ProtocolError, frame(c.first, []byte{0, 1, code}))
		}
	}
	for _, code := range []byte{1, 2, 5, 0x84, 0x86, 0xFF} {
		add(fmt.Sprintf("DISCONNECT with reason 0x%02X", code), packet.ProtocolError, frame(0xE0, []byte{code}))
		add(fmt.Sprintf("AUTH with reason 0x%02X", code), packet.ProtocolError, frame(0xF0, []byte{code, 0}))
	}
	flood := unhex("")
	for id := range 1025 { // Receive Maximum is 1024
		flood = append(flood, frame(0x34, join(unhex("0001 61"), []byte{byte((id + 1) >> 8), byte(id + 1)}, []byte{0}))...)
	}
	all = append(all, attack{name: "5.0/more than Receive Maximum", version: v5, bytes: flood, want: floodAnswers(1024)})
	return all
}

// floodAnswers are n PUBRECs without a subscriber, and the end.
func floodAnswers(n int) string {
	var b []byte
	for range n {
		b = append(b, "PUBREC 0x10 "...)
	}
	return string(b) + refused(v5, packet.ReceiveMaximumExceeded)
}
