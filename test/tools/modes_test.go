package tools

import (
	"bytes"
	"io"
	"net"

	"github.com/wirebird/wirebird/packet"
)

// modes are the servers that a command line can ask for, by name.
func modes(certs *certificates) map[string]func(*server) {
	return map[string]func(*server){
		"":           func(*server) {},
		"one":        func(s *server) { s.messages = usual()[:1] },
		"later":      func(s *server) { s.messages, s.after = usual()[:1], usual()[1:2] },
		"two":        func(s *server) { s.messages = usual()[:2] },
		"refused":    func(s *server) { s.code = packet.NotAuthorized },
		"badpass":    func(s *server) { s.code = packet.BadUserNameOrPassword },
		"oldversion": func(s *server) { s.code = packet.UnsupportedProtocolVersion },
		"badid":      func(s *server) { s.code = packet.ClientIdentifierNotValid },
		"denied":     func(s *server) { s.deny = true },
		"quota":      func(s *server) { s.refuse = packet.QuotaExceeded },
		"nomatch":    func(s *server) { s.refuse = packet.NoMatchingSubscribers },
		"hangup":     func(s *server) { s.hangUp = packet.CONNECT },
		"hangpub":    func(s *server) { s.hangUp = packet.PUBLISH },
		"hangpub1":   func(s *server) { s.hangUp, s.once = packet.PUBLISH, true },
		"hangsub1":   func(s *server) { s.hangUp, s.once = packet.SUBSCRIBE, true },
		"garbage":    func(s *server) { s.hangUp, s.farewell = packet.CONNECT, []byte("HTTP/1.1 400 Bad Request\r\n\r\n") },
		"kicked": func(s *server) {
			s.hangUp = packet.SUBSCRIBE
			s.farewell = (&packet.Disconnect{Code: packet.SessionTakenOver}).Append(nil, packet.V5)
			s.once = true
		},
		"kickedpub": func(s *server) {
			s.hangUp, s.farewell = packet.PUBLISH, (&packet.Disconnect{Code: packet.QuotaExceeded}).Append(nil, packet.V5)
		},
		"noretain": func(s *server) { s.connack.Mark(packet.PropRetainAvailable) },
		"small": func(s *server) {
			s.connack.MaxPacketSize = 20
			s.connack.Mark(packet.PropMaxPacketSize)
		},
		"none":        func(s *server) { s.messages, s.noUnsuback = []packet.Publish{}, true },
		"tlsnone":     func(s *server) { s.tls, s.messages = certs.server("good"), []packet.Publish{} },
		"hangsub1one": func(s *server) { s.hangUp, s.once, s.messages = packet.SUBSCRIBE, true, usual()[:1] },
		"socks1":      func(s *server) { s.socks = &socks{refuse: 1} },
		"socks2":      func(s *server) { s.socks = &socks{refuse: 2} },
		"socks3":      func(s *server) { s.socks = &socks{refuse: 3} },
		"socks5":      func(s *server) { s.socks = &socks{refuse: 5} },
		"socks6":      func(s *server) { s.socks = &socks{refuse: 6} },
		"socks7":      func(s *server) { s.socks = &socks{refuse: 7} },
		"ws":          func(s *server) { s.ws = true },
		"wss":         func(s *server) { s.ws, s.tls, s.messages = true, certs.webServer(), []packet.Publish{} },
		"bignumber": func(s *server) {
			s.messages = []packet.Publish{{Topic: []byte("a"), Payload: []byte(`{"n":12345678901234567890}`)}}
		},
		"keepalive": func(s *server) {
			s.connack.ServerKeepAlive = 1
			s.connack.Mark(packet.PropServerKeepAlive)
		},
		"quotaecho": func(s *server) { s.refuse, s.echo = packet.QuotaExceeded, true },
		"mute":      func(s *server) { s.mute = true },
		"tlsstall": func(s *server) {
			s.tls, s.hangUp, s.muteLater = certs.server("good"), packet.SUBSCRIBE, true
		},
		"many":       func(s *server) { s.messages = many(5000) },
		"forbidden":  func(s *server) { s.refuse = packet.NotAuthorized },
		"silent":     func(s *server) { s.silent = true },
		"echo":       func(s *server) { s.echo = true },
		"assigned":   func(s *server) { s.connack = assigned() },
		"receivemax": func(s *server) { s.connack = receiveMax(1) },
		"maxqos0":    func(s *server) { s.connack = maxQoS0() },
		"qos1":       func(s *server) { s.messages = withQoS(1) },
		"qos2":       func(s *server) { s.messages = withQoS(2) },
		"properties": func(s *server) { s.messages = withProperties() },
		"float":      func(s *server) { s.messages = numbers()[:1] },
		"double":     func(s *server) { s.messages = numbers()[1:] },
		"binary": func(s *server) {
			s.messages = []packet.Publish{{Topic: []byte("a"), Payload: []byte("\x00\xff\x10'\"\\")}}
		},
		"badjson": func(s *server) {
			s.messages = []packet.Publish{{Topic: []byte("a"), Payload: []byte("{")}, {Topic: []byte("a"), Payload: []byte("7")}}
		},
		"alias":     func(s *server) { s.messages = aliased() },
		"unix":      func(s *server) { s.unix = true },
		"unixone":   func(s *server) { s.unix, s.messages = true, usual()[:1] },
		"unixecho":  func(s *server) { s.unix, s.echo = true, true },
		"socksecho": func(s *server) { s.socks, s.echo = &socks{}, true },
		"tlsecho":   func(s *server) { s.tls, s.echo = certs.server("good"), true },
		"tls":       func(s *server) { s.tls = certs.server("good") },
		"tlsone":    func(s *server) { s.tls, s.messages = certs.server("good"), usual()[:1] },
		"tls12": func(s *server) {
			s.messages = []packet.Publish{}
			s.tls = certs.server("good")
			s.tls.MaxVersion = 0x0303
		},
		"tlsclient": func(s *server) { s.messages = []packet.Publish{}; s.tls = certs.demanding() },
		"expired":   func(s *server) { s.tls = certs.server("expired") },
		"otherhost": func(s *server) { s.messages = []packet.Publish{}; s.tls = certs.server("otherhost") },
		"socks":     func(s *server) { s.messages = []packet.Publish{}; s.socks = &socks{} },
		"socksuser": func(s *server) { s.socks = &socks{user: true} },
	}
}

func assigned() (p packet.Properties) {
	p.AssignedClientID = []byte("chosen")
	p.Mark(packet.PropAssignedClientID)
	return p
}

func receiveMax(n uint16) (p packet.Properties) {
	p.ReceiveMax = n
	p.Mark(packet.PropReceiveMax)
	return p
}

func maxQoS0() (p packet.Properties) {
	p.Mark(packet.PropMaxQoS)
	return p
}

func withQoS(qos byte) []packet.Publish {
	m := usual()
	for i := range m {
		m[i].QoS, m[i].ID = qos, uint16(i+1)
	}
	return m
}

func many(n int) []packet.Publish {
	out := make([]packet.Publish, n)
	for i := range out {
		out[i] = packet.Publish{Topic: []byte("a"), Payload: bytes.Repeat([]byte("x"), 100)}
	}
	return out
}

func withProperties() []packet.Publish {
	m := packet.Publish{Topic: []byte("a/p"), Payload: []byte("hello")}
	p := &m.Properties
	p.PayloadFormat, p.MessageExpiry, p.ContentType, p.ResponseTopic = 1, 60, []byte("text/plain"), []byte("re/ply")
	p.CorrelationData, p.SubscriptionIDs = []byte("c0rr"), []uint32{7}
	p.User = []packet.User{{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("k2"), Value: []byte("v 2")}}
	for _, id := range []packet.PropertyID{
		packet.PropPayloadFormat, packet.PropMessageExpiry, packet.PropContentType, packet.PropResponseTopic,
		packet.PropCorrelationData, packet.PropSubscriptionID, packet.PropUser,
	} {
		p.Mark(id)
	}
	return []packet.Publish{m, {Topic: []byte("a/none"), Payload: []byte("x")}}
}

// numbers are a float and a double, little-endian.
func numbers() []packet.Publish {
	return []packet.Publish{
		{Topic: []byte("f"), Payload: []byte{0, 0, 0x48, 0x41}},
		{Topic: []byte("d"), Payload: []byte{0, 0, 0, 0, 0, 0, 0x29, 0x40}},
	}
}

func aliased() []packet.Publish {
	var out []packet.Publish
	for _, name := range []string{"a/alias", ""} {
		m := packet.Publish{Topic: []byte(name), Payload: []byte("x")}
		m.Properties.TopicAlias = 3
		m.Properties.Mark(packet.PropTopicAlias)
		out = append(out, m)
	}
	return out
}

// socks is the server's end of SOCKS5. The connection goes nowhere else: the
// server speaks MQTT on it.
type socks struct {
	user   bool // user name and password are asked for
	refuse byte // what it answers to CONNECT
}

func (s *socks) accept(nc net.Conn, record func(string, ...any)) bool {
	b := make([]byte, 512)
	if _, err := io.ReadFull(nc, b[:2]); err != nil {
		return false
	}
	methods := b[2 : 2+b[1]]
	if _, err := io.ReadFull(nc, methods); err != nil {
		return false
	}
	record("SOCKS methods %v", methods)
	if !s.user {
		nc.Write([]byte{5, 0})
	} else {
		nc.Write([]byte{5, 2})
		n, err := nc.Read(b)
		if err != nil {
			return false
		}
		record("SOCKS user %q", b[:n])
		nc.Write([]byte{1, 0})
	}
	n, err := nc.Read(b)
	if err != nil || n < 7 {
		return false
	}
	record("SOCKS connect %q", b[:n-2]) // without the port
	if s.refuse != 0 {
		nc.Write([]byte{5, s.refuse, 0, 1, 0, 0, 0, 0, 0, 0})
		return false
	}
	nc.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 80})
	return true
}
