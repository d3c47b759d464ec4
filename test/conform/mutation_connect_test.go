package conform

import (
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// connackFor is the answer to a CONNECT that no broker has seen, in the format of v.
func connackFor(v packet.Version, code packet.ReasonCode) []byte {
	return (&packet.Connack{Code: code}).Append(nil, v)
}

// welcoming is a broker that accepts whatever comes first.
func welcoming(v packet.Version) fault {
	return fault{fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
		c, ok := p.(*packet.Connect)
		good := ok && c.Version == v && len(c.ClientID) > 0 && (c.Will == nil || !strings.ContainsAny(string(c.Will.Topic), "#+"))
		if l.seen++; l.seen == 1 && !good {
			l.client.Write(connackFor(v, packet.Success))
			return nil
		}
		return [][]byte{b}
	}}
}

// rawFirst changes the bytes of the broker's first packet.
func rawFirst(fn func(l *link, b []byte) []byte) fault {
	return fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
		if l.count++; l.count == 1 {
			b = fn(l, b)
		}
		return [][]byte{b}
	}}
}

// heedless is a broker that goes on with a connection that it has refused.
func heedless(v packet.Version) fault {
	var f fault
	f.fromClient = func(l *link, p packet.Packet, b []byte) [][]byte {
		c, ok := p.(*packet.Connect)
		switch {
		case b[0]>>4 == byte(packet.CONNECT) && (!ok || len(c.ClientID) == 0):
			l.client.Write(connackFor(v, map[bool]packet.ReasonCode{true: packet.UnsupportedProtocolVersion, false: packet.ClientIdentifierNotValid}[!ok]))
			l.v, l.seen = v, 1
			return [][]byte{(&packet.Connect{Version: v, CleanStart: true, ClientID: []byte("heedless")}).Append(nil, v)}
		case l.seen == 1:
			return [][]byte{b, (&packet.Disconnect{}).Append(nil, v)}
		}
		return [][]byte{b}
	}
	f.fromBroker = func(l *link, p packet.Packet, b []byte) [][]byte {
		if p.Type() == packet.CONNACK && l.id == "" {
			return nil
		}
		return [][]byte{b}
	}
	return f
}

// connectMutations are brokers that answer CONNECT in a wrong way.
func connectMutations() map[string]mutation {
	v5, v311 := packet.V5, packet.V311
	return map[string]mutation{
		"every first packet is accepted": {welcoming(v5), v5, "first-packet-is-connect protocol-name protocol-level " +
			"will-flag-0-with-fields user-name-without-flag password-without-flag wildcards-in-a-will-topic " +
			"maximum-packet-size-0 receive-maximum-0"},
		"every first packet is accepted in 3.1.1": {welcoming(v311), v311, "first-packet-is-connect protocol-name protocol-level " +
			"will-flag-0-with-fields user-name-without-flag password-without-flag wildcards-in-a-will-topic client-id-empty-and-kept"},
		"a second CONNECT is ignored": {fromClient(func(l *link, p *packet.Connect) packet.Packet {
			if l.seen++; l.seen > 1 {
				return nil
			}
			return p
		}), v5, "second-connect"},
		"will topic and payload change places": {alter(func(p *packet.Connect) {
			if p.Will != nil {
				p.Will.Topic, p.Will.Payload = p.Will.Payload, p.Will.Topic
			}
		}), v311, "payload-order"},
		"CONNACK comes after SUBACK": {fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			if p.Type() == packet.CONNACK && l.is("a") {
				l.kept = append(l.kept, b)
				return nil
			}
			out := append([][]byte{b}, l.kept...)
			l.kept = nil
			return out
		}}, v5, "connect-accepted"},
		"messages of a session come before CONNACK": {fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			if c, ok := p.(*packet.Connack); ok && c.SessionPresent {
				l.kept = append(l.kept, b)
				return nil
			}
			out := append([][]byte{b}, l.kept...)
			l.kept = nil
			return out
		}}, v5, "connack-is-first-of-a-resumed-session"},
		"refusals give another reason": {edit(func(p *packet.Connack) {
			if p.Code >= 0x80 {
				p.Code = packet.ServerUnavailable
			}
		}), v5, "bad-credentials"},
		"refused connections go on":          {heedless(v5), v5, "after-a-refusal-nothing-is-processed"},
		"refused connections go on in 3.1.1": {heedless(v311), v311, "after-a-refusal-nothing-is-processed"},
		"letters are missing in the alphabet": {fault{fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
			if c, ok := p.(*packet.Connect); ok && strings.Contains(string(c.ClientID), "Q") {
				l.reply(&packet.Connack{Code: packet.ClientIdentifierNotValid})
				return nil
			}
			return [][]byte{b}
		}}, v5, "client-id-letters"},
		"an identifier is made up for a kept session": {alter(func(p *packet.Connect) {
			if len(p.ClientID) == 0 {
				p.ClientID = []byte("made-up")
			}
		}), v311, "client-id-empty-and-kept"},
		"refusals have Session Present": {rawFirst(func(_ *link, b []byte) []byte {
			if b[0]>>4 == byte(packet.CONNACK) && b[3] >= 0x80 {
				b[2] = 1
			}
			return b
		}), v5, "client-id-refused"},
		"CONNACK has a code of another packet": {rawFirst(func(_ *link, b []byte) []byte {
			if b[0]>>4 == byte(packet.CONNACK) && b[3] >= 0x80 {
				b[3] = byte(packet.PacketIdentifierNotFound)
			}
			return b
		}), v5, "connack-codes"},
		"QoS 2 is not there, and CONNACK does not say so": {alter(func(p *packet.Subscribe) {
			for i := range p.Filters {
				p.Filters[i].QoS = min(p.Filters[i].QoS, 1)
			}
		}), v5, "maximum-qos"},
		"CONNACK names an authentication method": {edit(func(p *packet.Connack) {
			p.Properties.AuthMethod = []byte("any")
			p.Properties.Mark(packet.PropAuthMethod)
		}), v5, "no-auth-without-method"},
		"a keep alive of 0 is one second": {alter(func(p *packet.Connect) { p.KeepAlive = max(p.KeepAlive, 1) }), v5, "keep-alive-0"},
	}
}

// authMutations are brokers that authenticate in a wrong way.
func authMutations() map[string]mutation {
	v5 := packet.V5
	return map[string]mutation{
		"AUTH is ignored": {fromClient(func(*link, *packet.Auth) packet.Packet { return nil }), v5,
			"auth-without-method re-authentication-with-another-method re-authentication"},
		"AUTH has another method": {edit(func(p *packet.Auth) { p.Properties.AuthMethod = []byte("other") }), v5,
			"auth-succeeds re-authentication"},
		"whoever authenticates is accepted": {fromBroker(func(l *link, p *packet.Connack) packet.Packet {
			p.Code = packet.Success
			return p
		}), v5, "auth-unknown-method auth-fails auth-other-method-midway"},
	}
}

// v31Mutations are brokers that do in MQTT 3.1 what only later versions do.
func v31Mutations() map[string]mutation {
	v31 := packet.V31
	return map[string]mutation{
		"CONNACK has Session Present in 3.1":     {rawFirst(func(_ *link, b []byte) []byte { b[2] = 1; return b }), v31, "v31-protocol-name v31-no-session-present"},
		"every first packet is accepted in 3.1":  {welcoming(v31), v31, "v31-name-and-level v31-client-id-empty"},
		"an identifier of 23 characters is long": {alter(func(p *packet.Connect) { p.ClientID = append(p.ClientID, 'x') }), v31, "v31-client-id-of-23"},
		"clean session is ignored in 3.1":        {alter(func(p *packet.Connect) { p.CleanStart = false }), v31, "v31-clean-session"},
		"bad credentials are a bad version":      {rawFirst(func(_ *link, b []byte) []byte { b[3] = min(b[3], 1); return b }), v31, "v31-connack-codes"},
		"requests with DUP are ignored": {fault{fromClient: func(_ *link, _ packet.Packet, b []byte) [][]byte {
			if b[0]&0x08 != 0 {
				return nil
			}
			return [][]byte{b}
		}}, v31, "v31-dup-of-requests"},
		"a publisher without rights gets nothing": {fromBroker(func(*link, *packet.Puback) packet.Packet { return nil }), v31, "v31-publish-not-authorized"},
		"PINGREQ is not answered in 3.1":          {fromBroker(func(*link, *packet.Pingresp) packet.Packet { return nil }), v31, "v31-pingreq"},
	}
}
