package bench

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wirebird/wirebird/packet"
)

// subscriber acknowledges and counts what comes for its session.
type subscriber struct {
	conn    *conn
	next    []uint64 // by publisher, the number of its next message
	message packet.Publish
	out     []byte

	received   atomic.Uint64
	disordered atomic.Uint64 // behind a later one of its publisher, or repeated

	wanted   atomic.Uint64 // messages that make complete close; 0 is not yet known
	complete chan struct{}
	once     sync.Once
}

func newSubscriber(c *conn, publishers int) *subscriber {
	return &subscriber{conn: c, next: make([]uint64, publishers), complete: make(chan struct{})}
}

// want closes complete as soon as n messages have come.
func (s *subscriber) want(n uint64) {
	s.wanted.Store(n)
	s.check()
}

// check runs after either number has grown, so whoever comes last sees both.
func (s *subscriber) check() {
	if n := s.wanted.Load(); n > 0 && s.received.Load() >= n {
		s.once.Do(func() { close(s.complete) })
	}
}

// run ends with the connection.
func (s *subscriber) run() error {
	for {
		if err := s.conn.frames.fill(); err != nil {
			return err
		}
		n, err := s.answer()
		if err != nil {
			return err
		}
		s.received.Add(n)
		s.check()
		if len(s.out) == 0 {
			continue
		}
		_, err = s.conn.Write(s.out)
		if s.out = s.out[:0]; err != nil {
			return err
		}
	}
}

// answer queues the acknowledgements of the messages at hand and counts them.
func (s *subscriber) answer() (n uint64, err error) {
	for {
		h, body, err := s.conn.frames.next()
		if err != nil || h.Type == 0 {
			return n, err
		}
		if h.Type != packet.PUBLISH {
			return n, fmt.Errorf("the broker sends %v to the subscriber", h.Type)
		}
		if err := s.message.Decode(packet.V311, h.Flags, body); err != nil {
			return n, err
		}
		if err := s.note(s.message.Payload); err != nil {
			return n, err
		}
		if s.message.QoS != 1 {
			return n, fmt.Errorf("the broker delivers at QoS %d, not 1", s.message.QoS)
		}
		s.out = packet.AppendAck(s.out, packet.PUBACK, s.message.ID)
		n++
	}
}

// note compares a message's stamp with the one that must come next.
func (s *subscriber) note(payload []byte) error {
	if len(payload) < stampBytes {
		return fmt.Errorf("the broker delivers a payload of %d bytes that nobody sent", len(payload))
	}
	publisher, number := binary.BigEndian.Uint32(payload), binary.BigEndian.Uint64(payload[4:])
	if int64(publisher) >= int64(len(s.next)) {
		return fmt.Errorf("the broker delivers a message of publisher %d, who does not exist", publisher)
	}
	if number < s.next[publisher] {
		s.disordered.Add(1)
		return nil
	}
	s.next[publisher] = number + 1
	return nil
}
