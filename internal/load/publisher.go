package load

import (
	"encoding/binary"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// publisher is a client that publishes.
type publisher struct {
	f         *flow
	c         *conn
	number    int
	templates []template
	at        int      // the next template
	free      []uint16 // Packet Identifiers that may be used
	dueAt     []int64  // by Packet Identifier, when acknowledgements are timed
	unacked   int
	sent      uint64
	quota     uint64 // messages to send; 0 is no end
	delivered uint64 // copies that have come
	forgiven  uint64 // messages given up after a stall
	pings     []ping // of QoS 0 without subscribers
	due       []int64
	dueHead   int // due[dueHead:] wait for room
	dirty     bool
}

// ping is a PINGREQ: its answer says that the messages before it have been read.
type ping struct {
	messages int
	due      int64
}

// underWay is how many messages count against the window.
func (p *publisher) underWay() int {
	f := p.f
	if f.copies == 0 {
		return p.unacked
	}
	n := int(int64(p.sent) - int64(p.delivered/uint64(f.copies)) - int64(p.forgiven))
	return max(n, p.unacked)
}

// mark asks for a look at the publisher at the end of the turn.
func (p *publisher) mark() {
	if !p.dirty {
		p.dirty = true
		p.f.dirty = append(p.f.dirty, p)
	}
}

func (p *publisher) packet(c *conn, first byte, body []byte) error {
	f := p.f
	t := packet.Type(first >> 4)
	if t == packet.PINGRESP {
		return p.pong()
	}
	if len(body) < 2 {
		return fmt.Errorf("the broker sends %v of %d bytes to a publisher", t, len(body))
	}
	id := binary.BigEndian.Uint16(body)
	failed := len(body) > 2 && body[2] >= 0x80
	if failed {
		f.refused++
	}
	switch {
	case t == packet.PUBACK && f.work.QoS == 1, t == packet.PUBCOMP && f.work.QoS == 2, t == packet.PUBREC && failed:
		return p.acked(id)
	case t == packet.PUBREC && f.work.QoS == 2:
		c.acks = append(c.acks, byte(packet.PUBREL)<<4|2, 2, body[0], body[1])
		return nil
	case t == packet.DISCONNECT:
		return fmt.Errorf("the broker disconnects a publisher: %v", packet.ReasonCode(body[0]))
	}
	return fmt.Errorf("the broker sends %v to a publisher", t)
}

func (p *publisher) acked(id uint16) error {
	if int(id) >= len(p.dueAt) || p.dueAt[id] < 0 {
		return fmt.Errorf("the broker acknowledges packet identifier %d, which is not under way", id)
	}
	p.f.acks++
	if p.f.copies == 0 {
		p.f.took(1, p.dueAt[id])
	}
	p.dueAt[id] = -1
	p.free = append(p.free, id)
	p.unacked--
	p.mark()
	return nil
}

func (p *publisher) pong() error {
	if len(p.pings) == 0 {
		return fmt.Errorf("the broker sends a PINGRESP that nobody asked for")
	}
	g := p.pings[0]
	p.pings = p.pings[:copy(p.pings, p.pings[1:])]
	p.unacked -= g.messages
	p.f.took(g.messages, g.due)
	p.mark()
	return nil
}

func (p *publisher) answered(c *conn) {
	p.f.readAt = 0
	c.flushAcks()
}

// pump sends what there is room for: whole batches of a closed loop, or what
// was due and had to wait.
func (p *publisher) pump() {
	f := p.f
	if p.c.gone {
		return
	}
	if f.schedule != nil {
		for p.dueHead < len(p.due) && p.room() {
			p.send(1, p.due[p.dueHead])
			p.dueHead++
		}
		if p.dueHead == len(p.due) {
			p.due, p.dueHead = p.due[:0], 0
		}
		return
	}
	if f.stopped {
		return
	}
	room := f.window - p.underWay()
	for n := f.work.Batch; room >= n; room -= n {
		if p.quota > 0 {
			n = int(min(uint64(n), p.quota-p.sent))
		}
		if n == 0 {
			return
		}
		p.send(n, f.e.now())
	}
}

// room tells whether a message that is due may leave.
func (p *publisher) room() bool { return p.unacked < p.f.window && len(p.c.out) < maxUnsent }

// send writes n messages. There are Packet Identifiers for them.
func (p *publisher) send(n int, due int64) {
	f := p.f
	buf := f.scratch[:0]
	for range n {
		t := &p.templates[p.at]
		if p.at++; p.at == len(p.templates) {
			p.at = 0
		}
		var id uint16
		if t.idAt >= 0 {
			last := len(p.free) - 1
			id = p.free[last]
			p.free = p.free[:last]
			p.dueAt[id] = due
			p.unacked++
		}
		buf = t.appendTo(buf, id, f.numbers[t.stream], due)
		f.numbers[t.stream]++
	}
	p.sent += uint64(n)
	f.sent += uint64(n)
	if f.work.QoS == 0 && f.copies == 0 {
		buf = append(buf, byte(packet.PINGREQ)<<4, 0)
		p.pings = append(p.pings, ping{n, due})
		p.unacked += n
	}
	f.scratch = buf
	p.c.write(buf)
}
