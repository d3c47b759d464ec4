package bench

import (
	"io"
	"net"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

// loop is a connection that reads the same bytes for ever and takes all writes.
type loop struct {
	net.Conn // nil: nothing else may be called
	bytes    []byte
}

func (l loop) Read(b []byte) (int, error)  { return copy(b, l.bytes), nil }
func (l loop) Write(b []byte) (int, error) { return len(b), nil }

func newLoop(bytes []byte) *conn {
	l := loop{bytes: bytes}
	return &conn{Conn: l, frames: newFrames(l)}
}

const batch = 16

// publisherTurn returns what a publisher does for each read.
func publisherTurn(tb testing.TB) func() {
	var acks []byte
	for id := range uint16(batch) {
		acks = packet.AppendAck(acks, packet.PUBACK, id+1)
	}
	p, w := newPublisher(newLoop(acks), 0, batch, 256), new(watch)
	w.measuring.Store(true)
	for id := range uint16(batch) {
		if err := p.queue(id+1, 0); err != nil {
			tb.Fatal(err)
		}
	}
	return func() {
		if err := p.flush(); err != nil {
			tb.Fatal(err)
		}
		if err := p.conn.frames.fill(); err != nil {
			tb.Fatal(err)
		}
		if err := p.answer(w); err != nil {
			tb.Fatal(err)
		}
	}
}

// subscriberTurn returns what the subscriber does for each read.
func subscriberTurn(tb testing.TB) func() {
	var messages []byte
	for id := range uint16(batch) {
		messages, _ = packet.AppendPublish(messages, packet.V311, qos1, "bench/0", id+1, nil, make([]byte, 256))
	}
	s := newSubscriber(newLoop(messages), 1)
	return func() {
		if err := s.conn.frames.fill(); err != nil {
			tb.Fatal(err)
		}
		if n, err := s.answer(); n != batch || err != nil {
			tb.Fatal(n, err)
		}
		if _, err := s.conn.Write(s.out); err != nil && err != io.EOF {
			tb.Fatal(err)
		}
		s.out = s.out[:0]
	}
}

func TestALoadAllocatesNothingPerMessage(t *testing.T) {
	for name, turn := range map[string]func(){"publisher": publisherTurn(t), "subscriber": subscriberTurn(t)} {
		turn() // buffers grow once
		if n := testing.AllocsPerRun(100, turn); n > 0 {
			t.Errorf("the %s allocates %v times for %d messages", name, n, batch)
		}
	}
}

// An operation is a read of 16 packets and the write that answers it.
func BenchmarkPublisher(b *testing.B) {
	turn := publisherTurn(b)
	b.ReportAllocs()
	for b.Loop() {
		turn()
	}
}

func BenchmarkSubscriber(b *testing.B) {
	turn := subscriberTurn(b)
	b.ReportAllocs()
	for b.Loop() {
		turn()
	}
}
