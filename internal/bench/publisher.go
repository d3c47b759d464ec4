package bench

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/wirebird/wirebird/packet"
)

const (
	qos1 = 1 << 1 // in the flags of a PUBLISH

	// stampBytes begin each payload: the publisher's number and that of the
	// message, from 0 on, both big-endian.
	stampBytes = 4 + 8

	writeBytes = 64 << 10 // a batch this long is written before it grows further

	notSent = time.Duration(-1)
)

// publisher keeps a window of messages unacknowledged. Packet Identifiers are
// 1 to the size of the window, each used again when it is acknowledged.
type publisher struct {
	conn     *conn
	template []byte // a PUBLISH but for its Packet Identifier and stamp
	idAt     int
	stampAt  int
	sentAt   []time.Duration // by Packet Identifier less 1; notSent
	inflight int
	sent     uint64
	out      []byte
	ack      packet.Puback

	acked     atomic.Uint64
	latencies histogram // read by others when run has returned
}

func newPublisher(c *conn, number, window, payloadBytes int) *publisher {
	payload := make([]byte, payloadBytes)
	binary.BigEndian.PutUint32(payload, uint32(number))
	for i := stampBytes; i < len(payload); i++ {
		payload[i] = byte(i * 131) // no run of zeros that a broker could pack
	}
	p := &publisher{conn: c, sentAt: make([]time.Duration, window), latencies: newHistogram()}
	p.template, p.idAt = packet.AppendPublish(nil, packet.V311, qos1, fmt.Sprintf("bench/%d", number), 1, nil, payload)
	p.stampAt = len(p.template) - payloadBytes + 4
	for i := range p.sentAt {
		p.sentAt[i] = notSent
	}
	return p
}

// run publishes until w tells to stop and all is acknowledged.
func (p *publisher) run(w *watch) error {
	now := w.now()
	for id := range p.sentAt {
		if err := p.queue(uint16(id+1), now); err != nil {
			return err
		}
	}
	for p.inflight > 0 {
		if err := p.flush(); err != nil {
			return err
		}
		if err := p.conn.frames.fill(); err != nil {
			return fmt.Errorf("wait for %d acknowledgements: %w", p.inflight, err)
		}
		if err := p.answer(w); err != nil {
			return err
		}
	}
	return nil
}

// answer takes the acknowledgements at hand and queues as many messages.
func (p *publisher) answer(w *watch) error {
	now, stopped, measuring := w.now(), w.stopped.Load(), w.measuring.Load()
	acked := uint64(0)
	defer func() { p.acked.Add(acked) }()
	for {
		h, body, err := p.conn.frames.next()
		if err != nil || h.Type == 0 {
			return err
		}
		if h.Type != packet.PUBACK {
			return fmt.Errorf("the broker sends %v to a publisher", h.Type)
		}
		if err := p.ack.Decode(packet.V311, h.Flags, body); err != nil {
			return err
		}
		slot := int(p.ack.ID) - 1
		if slot >= len(p.sentAt) || p.sentAt[slot] == notSent {
			return fmt.Errorf("the broker acknowledges %d, which is not under way", p.ack.ID)
		}
		if measuring {
			p.latencies.record(now - p.sentAt[slot])
		}
		p.sentAt[slot] = notSent
		p.inflight--
		acked++
		if stopped {
			continue
		}
		if err := p.queue(p.ack.ID, now); err != nil {
			return err
		}
	}
}

// queue appends the next message to the batch.
func (p *publisher) queue(id uint16, now time.Duration) error {
	at := len(p.out)
	p.out = append(p.out, p.template...)
	binary.BigEndian.PutUint16(p.out[at+p.idAt:], id)
	binary.BigEndian.PutUint64(p.out[at+p.stampAt:], p.sent)
	p.sentAt[id-1] = now
	p.sent++
	p.inflight++
	if len(p.out) < writeBytes {
		return nil
	}
	return p.flush()
}

func (p *publisher) flush() error {
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.conn.Write(p.out)
	p.out = p.out[:0]
	return err
}
