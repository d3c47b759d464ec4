package load

import (
	"encoding/binary"
	"errors"

	"github.com/wirebird/wirebird/packet"
)

// StampBytes begin each payload: the number of the stream, the number of the
// message in it and the instant it was due, in nanoseconds of the engine, all
// big-endian. They are the least payload.
const StampBytes = 4 + 4 + 8

// template is a PUBLISH but for its Packet Identifier and its stamp.
type template struct {
	bytes  []byte
	idAt   int // -1 at QoS 0
	stamp  int // where the payload begins
	stream uint32
}

func newTemplate(v packet.Version, qos byte, retain bool, topic string, stream uint32, payloadBytes int) template {
	payload := make([]byte, payloadBytes)
	for i := StampBytes; i < len(payload); i++ {
		payload[i] = byte(i * 131) // no run of zeros that a broker could pack
	}
	flags := qos << 1
	if retain {
		flags |= packet.FlagRetain
	}
	b, idAt := packet.AppendPublish(nil, v, flags, topic, 1, nil, payload)
	return template{bytes: b, idAt: idAt, stamp: len(b) - payloadBytes, stream: stream}
}

// appendTo appends a message.
func (t *template) appendTo(dst []byte, id uint16, number uint32, due int64) []byte {
	at := len(dst)
	dst = append(dst, t.bytes...)
	if t.idAt >= 0 {
		binary.BigEndian.PutUint16(dst[at+t.idAt:], id)
	}
	s := dst[at+t.stamp : at+t.stamp+StampBytes]
	binary.BigEndian.PutUint32(s, t.stream)
	binary.BigEndian.PutUint32(s[4:], number)
	binary.BigEndian.PutUint64(s[8:], uint64(due))
	return dst
}

// stamp is what a payload begins with.
type stamp struct {
	stream, number uint32
	due            int64
}

var errPublish = errors.New("the broker sends a PUBLISH that ends too early")

// readPublish returns Packet Identifier, 0 at QoS 0, and payload of a PUBLISH.
// packet.Publish checks more and costs more; the broker's syntax is tested elsewhere.
func readPublish(v packet.Version, first byte, body []byte) (id uint16, payload []byte, err error) {
	if len(body) < 2 {
		return 0, nil, errPublish
	}
	at := 2 + int(binary.BigEndian.Uint16(body))
	if first&0x06 != 0 {
		if len(body) < at+2 {
			return 0, nil, errPublish
		}
		id = binary.BigEndian.Uint16(body[at:])
		at += 2
	}
	if v == packet.V5 {
		if len(body) < at {
			return 0, nil, errPublish
		}
		n, head, err := packet.ParseVarint(body[at:])
		if err != nil || head == 0 {
			return 0, nil, errPublish
		}
		at += head + int(n)
	}
	if len(body) < at {
		return 0, nil, errPublish
	}
	return id, body[at:], nil
}

func readStamp(payload []byte) (s stamp, ok bool) {
	if len(payload) < StampBytes {
		return s, false
	}
	return stamp{
		stream: binary.BigEndian.Uint32(payload),
		number: binary.BigEndian.Uint32(payload[4:]),
		due:    int64(binary.BigEndian.Uint64(payload[8:])),
	}, true
}

// topic reads the Topic Name back.
func (t *template) topic() []byte {
	_, at, _ := packet.ParseHeader(t.bytes) // it was encoded well
	n := int(binary.BigEndian.Uint16(t.bytes[at:]))
	return t.bytes[at+2 : at+2+n]
}
