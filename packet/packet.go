// Package packet encodes and decodes MQTT Control Packets.
//
// It knows the bytes of MQTT 3.1, 3.1.1 and 5.0 and nothing else: it keeps no
// session, reads no clock and opens no connection. Clients and brokers share it.
// What it can judge from one packet alone it checks, and refuses with an [Error]
// that carries the reason code for the peer. The syntax of Topic Filters is left
// to package topic, everything that needs memory of earlier packets to a session.
//
// Decoding borrows memory: the byte slices of a packet point into the bytes it
// was decoded from and are valid as long as those are, the ones of a [Reader]
// until its next ReadPacket. [Clone] makes a packet that can be kept.
//
// Encoding has no errors. Strings and binary data hold at most [MaxString] bytes;
// longer ones are cut there. A whole packet holds at most [MaxSize] bytes; who
// builds larger ones checks first, because Append panics.
//
// [MQTT-x.y.z-n] cites a normative statement of MQTT 5.0, §x.y a section of it;
// statements of 3.1.1 are marked as such.
package packet

import "fmt"

const (
	// MaxString is the length in bytes of the longest string or binary data.
	MaxString = 65535
	// MaxSize is the length in bytes of the largest packet, fixed header included.
	MaxSize = 1 + 4 + MaxVarint
)

// Version is a protocol version, with the value of the level byte in CONNECT.
type Version byte

const (
	V31  Version = 3 // MQTT 3.1, protocol name MQIsdp
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return fmt.Sprintf("version %d", byte(v))
}

// Type is the type of a Control Packet: the upper half of its first byte.
type Type byte

const (
	CONNECT Type = 1 + iota
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH // only in 5.0
)

func (t Type) String() string {
	switch t {
	case CONNECT:
		return "CONNECT"
	case CONNACK:
		return "CONNACK"
	case PUBLISH:
		return "PUBLISH"
	case PUBACK:
		return "PUBACK"
	case PUBREC:
		return "PUBREC"
	case PUBREL:
		return "PUBREL"
	case PUBCOMP:
		return "PUBCOMP"
	case SUBSCRIBE:
		return "SUBSCRIBE"
	case SUBACK:
		return "SUBACK"
	case UNSUBSCRIBE:
		return "UNSUBSCRIBE"
	case UNSUBACK:
		return "UNSUBACK"
	case PINGREQ:
		return "PINGREQ"
	case PINGRESP:
		return "PINGRESP"
	case DISCONNECT:
		return "DISCONNECT"
	case AUTH:
		return "AUTH"
	}
	return fmt.Sprintf("type %d", byte(t))
}

// Packet is one Control Packet. The types of this package implement it with
// pointer receivers and can be decoded into again and again.
type Packet interface {
	Type() Type

	// Decode replaces the contents by those of body, which is exactly the
	// Remaining Length bytes after the fixed header; flags is the lower half of
	// the first byte. All byte slices point into body. After an error, which
	// has a reason code, the contents are unspecified.
	Decode(v Version, flags byte, body []byte) error

	// Append appends the whole packet, fixed header included, in its shortest
	// form. What the version has no place for is left out.
	Append(dst []byte, v Version) []byte

	// String describes the packet in one line for logs. It never contains a
	// password, authentication data or the payload.
	String() string
}

// New returns an empty packet of type t, or nil if there is no such type.
func New(t Type) Packet {
	switch t {
	case CONNECT:
		return new(Connect)
	case CONNACK:
		return new(Connack)
	case PUBLISH:
		return new(Publish)
	case PUBACK:
		return new(Puback)
	case PUBREC:
		return new(Pubrec)
	case PUBREL:
		return new(Pubrel)
	case PUBCOMP:
		return new(Pubcomp)
	case SUBSCRIBE:
		return new(Subscribe)
	case SUBACK:
		return new(Suback)
	case UNSUBSCRIBE:
		return new(Unsubscribe)
	case UNSUBACK:
		return new(Unsuback)
	case PINGREQ:
		return new(Pingreq)
	case PINGRESP:
		return new(Pingresp)
	case DISCONNECT:
		return new(Disconnect)
	case AUTH:
		return new(Auth)
	}
	return nil
}

// Parse decodes the packet at the start of b and returns its length. When b
// holds only the beginning of a packet, n is 0 and err nil. The packet is new,
// its byte slices point into b.
func Parse(v Version, b []byte) (p Packet, n int, err error) {
	h, n, err := ParseHeader(b)
	if err != nil || n == 0 || len(b)-n < h.Remaining {
		return nil, 0, err
	}
	p = New(h.Type)
	if err := p.Decode(v, h.Flags, b[n:n+h.Remaining]); err != nil {
		return nil, 0, err
	}
	return p, n + h.Remaining, nil
}
