package packet_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/wirebird/wirebird/packet"
)

// stream is all samples of a version, one after the other.
func stream(t testing.TB, v packet.Version) (wire []byte, lines []string) {
	for _, s := range samples() {
		if s.version == v {
			wire = append(wire, unhex(t, s.wire)...)
			lines = append(lines, s.line)
		}
	}
	return wire, lines
}

func TestReaderGivesTheSamePacketsHoweverTheyArrive(t *testing.T) {
	for name, chop := range map[string]func(io.Reader) io.Reader{
		"at once":          func(r io.Reader) io.Reader { return r },
		"byte by byte":     iotest.OneByteReader,
		"in halves":        iotest.HalfReader,
		"end with data":    iotest.DataErrReader,
		"with empty reads": func(r io.Reader) io.Reader { return &stutter{src: iotest.OneByteReader(r)} },
	} {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			t.Run(name+" "+v.String(), func(t *testing.T) {
				wire, lines := stream(t, v)
				r := packet.NewReader(chop(bytes.NewReader(wire)), v, 0)
				for _, want := range lines {
					if p, err := r.ReadPacket(); err != nil || p.String() != want {
						t.Fatalf("ReadPacket = %v, %v; want %s", p, err, want)
					}
				}
				for range 2 {
					if p, err := r.ReadPacket(); err != io.EOF {
						t.Errorf("at the end: %v, %v", p, err)
					}
				}
			})
		}
	}
}

// stutter reads nothing every second time, as io.Reader allows.
type stutter struct {
	src   io.Reader
	pause bool
}

func (s *stutter) Read(b []byte) (int, error) {
	if s.pause = !s.pause; s.pause {
		return 0, nil
	}
	return s.src.Read(b)
}

func TestReaderErrorsAreFinal(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		src  io.Reader
		want error
		code packet.ReasonCode
	}{
		"end within a header":  {bytes.NewReader([]byte{0x30}), io.ErrUnexpectedEOF, packet.UnspecifiedError},
		"end within a body":    {bytes.NewReader([]byte{0x30, 3, 0}), io.ErrUnexpectedEOF, packet.UnspecifiedError},
		"the source's own":     {iotest.ErrReader(broken), broken, packet.UnspecifiedError},
		"no progress":          {silent{}, io.ErrNoProgress, packet.UnspecifiedError},
		"malformed, then good": {bytes.NewReader([]byte{0xC0, 1, 0, 0xC0, 0}), nil, packet.MalformedPacket},
		"too large":            {bytes.NewReader([]byte{0x30, 99, 0, 1, 'a'}), nil, packet.PacketTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := packet.NewReader(tt.src, packet.V311, 100)
			for range 2 {
				p, err := r.ReadPacket()
				if packet.ReasonOf(err) != tt.code || tt.want != nil && err != tt.want {
					t.Errorf("ReadPacket = %v, %v; want %v, %v", p, err, tt.code, tt.want)
				}
			}
		})
	}
}

// silent never gives anything.
type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestReaderTakesPacketsUpToTheLimit(t *testing.T) {
	wire := (&packet.Publish{Topic: []byte("a"), Payload: make([]byte, 95)}).Append(nil, packet.V311)
	if len(wire) != 100 {
		t.Fatalf("the packet has %d bytes", len(wire))
	}
	if _, err := packet.NewReader(bytes.NewReader(wire), packet.V311, 100).ReadPacket(); err != nil {
		t.Errorf("a packet of exactly the limit: %v", err)
	}
	_, err := packet.NewReader(bytes.NewReader(wire), packet.V311, 99).ReadPacket()
	if packet.ReasonOf(err) != packet.PacketTooLarge {
		t.Errorf("a packet over the limit: %v", err)
	}
}

// A peer that announces 256 MiB and sends ten bytes costs us a small buffer.
func TestReaderMemoryGrowsWithWhatArrives(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := packet.NewReader(bytes.NewReader([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, 'a', 1, 2}), packet.V311, 0)
	if _, err := r.ReadPacket(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated", got)
	}
}

func TestReaderReadsLargePacketsBetweenSmallOnes(t *testing.T) {
	small := (&packet.Publish{Topic: []byte("s"), Payload: []byte("x")}).Append(nil, packet.V311)
	large := (&packet.Publish{Topic: []byte("l"), Payload: bytes.Repeat([]byte("y"), 300_000)}).Append(nil, packet.V311)
	var parts []io.Reader // no read goes past the end of a packet
	for range 3 {
		parts = append(parts, bytes.NewReader(small), bytes.NewReader(large))
	}
	r := packet.NewReader(io.MultiReader(parts...), packet.V311, 0)
	for i := range 6 {
		p, err := r.ReadPacket()
		if err != nil {
			t.Fatal(err)
		}
		want := [][]byte{small, large}[i%2]
		if got := p.Append(nil, packet.V311); !bytes.Equal(got, want) {
			t.Errorf("packet %d has %d bytes, want %d", i, len(got), len(want))
		}
	}
}

func TestVersionChangesAfterConnect(t *testing.T) {
	wire := (&packet.Connect{Version: packet.V5}).Append(nil, 0)
	wire = (&packet.Publish{Topic: []byte("a")}).Append(wire, packet.V5)
	r := packet.NewReader(bytes.NewReader(wire), packet.V311, 0)
	p, err := r.ReadPacket()
	if err != nil {
		t.Fatal(err)
	}
	r.SetVersion(p.(*packet.Connect).Version)
	if p, err = r.ReadPacket(); err != nil || len(p.(*packet.Publish).Payload) != 0 {
		t.Errorf("ReadPacket = %v, %v", p, err)
	}
}

func TestReadyTellsWhetherAPacketIsThere(t *testing.T) {
	in := (&packet.Pingresp{}).Append(nil, packet.V5)
	in = (&packet.Puback{ID: 1}).Append(in, packet.V5)
	r := packet.NewReader(iotest.DataErrReader(bytes.NewReader(in[:5])), packet.V5, 0)
	if r.Ready() {
		t.Error("ready before anything was read")
	}
	for want := range 2 {
		if _, err := r.ReadPacket(); (err != nil) != (want == 1) {
			t.Fatal(err)
		}
	}
	r = packet.NewReader(bytes.NewReader(in), packet.V5, 0)
	for _, want := range []bool{true, false} {
		if _, err := r.ReadPacket(); err != nil {
			t.Fatal(err)
		}
		if r.Ready() != want {
			t.Errorf("ready %v, want %v", !want, want)
		}
	}
}
