package packet_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

// FuzzDecode: whatever the bytes, they are refused with a reason, or say the
// same after having been encoded and decoded again.
func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		wire := unhex(f, s.wire)
		_, n, err := packet.ParseHeader(wire)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(s.version), wire[0], wire[n:])
	}
	for _, table := range []map[string]refusal{badConnects(), badPublishes(), badRequests()} {
		for _, tt := range table {
			if wire := unhex(f, tt.wire); len(wire) > 2 {
				f.Add(byte(tt.version), wire[0], wire[2:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, version, first byte, body []byte) {
		v := packet.V31 + packet.Version(version)%3
		typ := packet.Type(first >> 4)
		if typ == 0 {
			return
		}
		checkDecode(t, typ, v, first&0x0F, body)
		if p, ok := packet.New(typ).(*packet.Publish); ok && p.Decode(v, first&0x0F, body) == nil && v == packet.V5 {
			checkForward(t, p)
		}
	})
}

// checkForward: forwarding is decoding, leaving out, and encoding; but keeps the order.
func checkForward(t *testing.T, p *packet.Publish) {
	t.Helper()
	raw := packet.ForwardProperties(nil, p.RawProperties)
	want := p.Properties
	for _, id := range []packet.PropertyID{packet.PropTopicAlias, packet.PropSubscriptionID, packet.PropMessageExpiry} {
		want.Unmark(id)
	}
	var got packet.Properties
	if err := packet.DecodeProperties(packet.PUBLISH, false, raw, &got); err != nil {
		t.Fatalf("% X forwarded as % X: %v", p.RawProperties, raw, err)
	}
	if g, w := got.AppendTo(nil), want.AppendTo(nil); !bytes.Equal(g, w) || len(g) != len(raw) {
		t.Errorf("% X forwarded as % X; want % X in some order", p.RawProperties, raw, w)
	}
	if want.Size() == len(p.RawProperties) && !bytes.Equal(raw, p.RawProperties) {
		t.Errorf("% X has nothing to leave out but became % X", p.RawProperties, raw)
	}
}

func FuzzVarint(f *testing.F) {
	f.Add([]byte{0x80, 0x01})
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0x7F})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x01})
	f.Fuzz(func(t *testing.T, in []byte) {
		v, n, err := packet.ParseVarint(in)
		switch {
		case err != nil:
			if n != 0 || packet.ReasonOf(err) != packet.MalformedPacket {
				t.Errorf("% X: %d, %v", in, n, err)
			}
		case n == 0:
			if len(in) >= 4 {
				t.Errorf("% X is not enough", in)
			}
		default:
			if out := packet.AppendVarint(nil, v); !bytes.Equal(out, in[:n]) || packet.VarintLen(v) != n {
				t.Errorf("% X parsed to %d, which appends as % X", in[:n], v, out)
			}
		}
	})
}

func FuzzValidString(f *testing.F) {
	f.Add([]byte("factory/7/temperature"))
	f.Add([]byte("θερμο\x00κρασία"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if got := packet.ValidString(in); got != validText(in) {
			t.Errorf("ValidString(%q) = %v", in, got)
		}
	})
}

// FuzzReader: a stream gives the same packets and ends with the same reason
// whatever the chunks it arrives in, and they are what Parse finds in the bytes.
func FuzzReader(f *testing.F) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		wire, _ := stream(f, v)
		f.Add(byte(v), byte(7), wire)
	}
	f.Fuzz(func(t *testing.T, version, chunk byte, in []byte) {
		v := packet.V31 + packet.Version(version)%3
		const maxSize = 200
		r := packet.NewReader(&chunks{in: in, size: 1 + int(chunk)}, v, maxSize)
		for rest := in; ; {
			got, err := r.ReadPacket()
			want, n, parseErr := packet.Parse(v, rest)
			switch {
			case packet.ReasonOf(err) == packet.PacketTooLarge:
				if h, at, err := packet.ParseHeader(rest); err != nil || at+h.Remaining <= maxSize {
					t.Errorf("% X is too large", rest)
				}
				return
			case parseErr != nil:
				if packet.ReasonOf(err) != packet.ReasonOf(parseErr) {
					t.Errorf("ReadPacket: %v; Parse: %v", err, parseErr)
				}
				return
			case want == nil:
				if len(rest) == 0 && err != io.EOF || len(rest) > 0 && err != io.ErrUnexpectedEOF {
					t.Errorf("%d bytes at the end: %v", len(rest), err)
				}
				return
			case err != nil || !equal(got, want):
				t.Fatalf("ReadPacket = %v, %v; Parse gives %v", got, err, want)
			}
			rest = rest[n:]
		}
	})
}

// chunks is a stream that gives at most size bytes at a time.
type chunks struct {
	in   []byte
	size int
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.in[:min(len(c.in), c.size)])
	c.in = c.in[n:]
	return n, nil
}
