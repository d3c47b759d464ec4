package packet_test

import (
	"bytes"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

// benchPublish returns a PUBLISH as it comes from a device: a topic of 27
// bytes, 64 bytes of payload, and properties if asked for.
func benchPublish(withProps bool) *packet.Publish {
	p := &packet.Publish{QoS: 1, ID: 7, Topic: []byte("factory/7/line/12/temp/value"), Payload: bytes.Repeat([]byte("x"), 64)}
	if withProps {
		p.Properties.PayloadFormat = 1
		p.Properties.Mark(packet.PropPayloadFormat)
		p.Properties.MessageExpiry = 60
		p.Properties.Mark(packet.PropMessageExpiry)
		p.Properties.ContentType = []byte("application/json")
		p.Properties.Mark(packet.PropContentType)
		p.Properties.User = []packet.User{{Key: []byte("site"), Value: []byte("north")}}
		p.Properties.Mark(packet.PropUser)
	}
	return p
}

func BenchmarkPublishDecode(b *testing.B) {
	for name, bm := range map[string]struct {
		version packet.Version
		props   bool
	}{
		"3.1.1":          {packet.V311, false},
		"5.0":            {packet.V5, false},
		"5.0 properties": {packet.V5, true},
	} {
		b.Run(name, func(b *testing.B) {
			in := benchPublish(bm.props).Append(nil, bm.version)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var p packet.Publish
			for b.Loop() {
				h, n, err := packet.ParseHeader(in)
				if err == nil {
					err = p.Decode(bm.version, h.Flags, in[n:n+h.Remaining])
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPublishAppend(b *testing.B) {
	p := benchPublish(true)
	b.ReportAllocs()
	for dst := []byte(nil); b.Loop(); {
		dst = p.Append(dst[:0], packet.V5)
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	p := benchPublish(true)
	props := p.Properties.AppendTo(nil)
	topic := string(p.Topic)
	b.ReportAllocs()
	for dst := []byte(nil); b.Loop(); {
		dst, _ = packet.AppendPublish(dst[:0], packet.V5, 1<<1, topic, 7, props, p.Payload)
	}
}

func BenchmarkForwardProperties(b *testing.B) {
	p := benchPublish(true)
	raw := p.Properties.AppendTo(nil)
	b.ReportAllocs()
	for dst := []byte(nil); b.Loop(); {
		dst = packet.ForwardProperties(dst[:0], raw)
	}
}

func BenchmarkAck(b *testing.B) {
	b.ReportAllocs()
	var p packet.Puback
	for dst := []byte(nil); b.Loop(); {
		dst = packet.AppendAck(dst[:0], packet.PUBACK, 7)
		if err := p.Decode(packet.V5, 0, dst[2:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidString(b *testing.B) {
	for name, s := range map[string]string{
		"ASCII": "factory/7/line/12/temp/value",
		"Greek": "θερμοκρασία/αίθουσα",
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(s)
			b.ReportAllocs()
			for b.Loop() {
				packet.ValidString(in)
			}
		})
	}
}

func BenchmarkReader(b *testing.B) {
	in := benchPublish(false).Append(nil, packet.V311)
	r := packet.NewReader(&endless{in: in}, packet.V311, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadPacket(); err != nil {
			b.Fatal(err)
		}
	}
}

// endless is a stream of the same bytes over and over.
type endless struct {
	in   []byte
	next int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		c := copy(b[n:], e.in[e.next:])
		n, e.next = n+c, (e.next+c)%len(e.in)
	}
	return n, nil
}
