package broker

import (
	"errors"
	"syscall"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/packet"
)

// keeper gathers a turn's changes of durable state and holds back, in order, the packets
// that acknowledge them until the journal has them.
type keeper struct {
	recording bool // false when the journal keeps nothing
	ops       []journal.Op
	targets   []journal.Target // that ops refer to
	spare     []recorded       // to be used again
	turn      uint64           // number of submissions so far
	holders   []*client
	others    []waiter
	endings   map[string]uint64 // submissions, by Client Identifier, that end a session
	ended     []ending          // ... in their order, until they are complete
}

// ending is the end of a session that is not safe yet.
type ending struct {
	clientID string
	turn     uint64
}

// ends notes that this turn ends a stored session: the client's next CONNACK says so.
func (k *core) ends(clientID string) {
	if k.endings == nil {
		k.endings = map[string]uint64{}
	}
	k.endings[clientID] = k.turn + 1
	k.ended = append(k.ended, ending{clientID, k.turn + 1})
}

// endedUntil forgets the ends of sessions that are complete.
func (k *core) endedUntil(turn uint64) {
	for len(k.ended) > 0 && k.ended[0].turn <= turn {
		if e := k.ended[0]; k.endings[e.clientID] == e.turn {
			delete(k.endings, e.clientID)
		}
		k.ended = k.ended[1:]
	}
	if len(k.ended) == 0 {
		k.ended, k.endings = nil, nil
	}
}

// recorded is what a turn has recorded.
type recorded struct {
	ops     []journal.Op
	targets []journal.Target
}

// What is kept of turns, to be used again.
const (
	spareTurns = 4
	spareOps   = 4096
)

// reuse takes back what the journal has done with.
func (k *core) reuse(r recorded) {
	if len(k.spare) == spareTurns || cap(r.ops) > spareOps || cap(r.targets) > spareOps {
		return
	}
	clear(r.ops)
	clear(r.targets)
	k.spare = append(k.spare, recorded{r.ops[:0], r.targets[:0]})
}

// waiter is somebody else who waits for a submission.
type waiter struct {
	turn uint64
	done func(error)
}

// afterCommit runs done when this turn's operations are safe, or cannot be.
func (k *core) afterCommit(done func(error)) {
	k.others = append(k.others, waiter{k.turn + 1, done})
}

// held is a packet that waits for a submission.
type held struct {
	turn  uint64
	bytes []byte // nil for an acknowledgement, which id and code make
	then  func()
	id    uint16
	code  packet.ReasonCode
	t     packet.Type
}

// size counts against what may be held.
func (h *held) size() int { return max(len(h.bytes), ackBytes) }

const ackBytes = 5 // with a reason code, which not all have

// heldKept is how many places for packets a connection keeps when it holds none.
const heldKept = 64

// committed is the journal's completion, as mail.
type committed struct {
	turn uint64
	err  error
	recorded
}

// record notes a change of durable state.
func (k *core) record(op journal.Op) {
	if k.recording {
		k.ops = append(k.ops, op)
	}
}

// recordFor notes a change of s's state, if the journal knows s.
func (k *core) recordFor(s *sess, op journal.Op) {
	if k.recording && s.durable {
		op.SID = uint64(s.h)
		k.ops = append(k.ops, op)
	}
}

// mark and changed tell whether operations were recorded in between.
func (k *core) mark() int               { return len(k.ops) }
func (k *core) changed(before int) bool { return len(k.ops) > before }

// hold sends bytes, a whole packet, when this turn's operations are safe; when there are
// none so far, when those of earlier turns are.
func (k *core) hold(c *client, bytes []byte, t packet.Type, then func()) {
	k.holdBack(c, held{bytes: bytes, t: t, then: then})
}

func (k *core) holdBack(c *client, h held) {
	x := c.extra()
	h.turn = k.turn
	if len(k.ops) > 0 {
		h.turn++
	}
	x.held = append(x.held, h)
	x.heldBytes += h.size()
	if !x.holding {
		x.holding = true
		k.holders = append(k.holders, c)
	}
	if c.state == connected && (k.holdsTooMuch(c) || k.behind()) {
		k.stall(c)
	}
}

// full tells whether the connection has as many bytes to send as it may, those that wait
// for the journal among them.
func (k *core) full(c *client) bool {
	n := c.conn.Pending()
	if c.rare != nil {
		n += c.rare.heldBytes
	}
	return n > k.limits.OutboundBuffer
}

// waits tells whether a packet without changes of its own must wait for earlier ones:
// acknowledgements keep their order.
func (c *client) waits() bool { return c.rare != nil && len(c.rare.held) > 0 }

// reply sends p, after the journal when something was recorded since before.
func (k *core) reply(c *client, p packet.Packet, before int) {
	if !k.changed(before) && !c.waits() {
		k.send(c, p)
		return
	}
	k.trim(c, p)
	b := p.Append(nil, c.version)
	if c.maxPacket > 0 && len(b) > int(c.maxPacket) { // [MQTT-3.1.2-24]
		k.stats.oversized++
		return
	}
	k.hold(c, b, p.Type(), nil)
}

// submit hands this turn's operations to the journal.
func (k *core) submit() {
	if len(k.ops) == 0 {
		return
	}
	r := recorded{k.ops, k.targets}
	k.ops, k.targets = nil, nil
	if n := len(k.spare); n > 0 {
		k.ops, k.targets = k.spare[n-1].ops, k.spare[n-1].targets
		k.spare = k.spare[:n-1]
	}
	k.turn++
	turn, loop := k.turn, k.l
	k.b.o.Journal.Submit(k.id, r.ops, func(err error) { loop.Post(committed{turn, err, r}) })
}

// committed lets go of what waited for a submission.
func (k *core) committed(m committed) {
	k.reuse(m.recorded)
	if m.err != nil && k.b.failed.CompareAndSwap(false, true) {
		k.b.log.Error("cannot store: QoS 1 and 2 messages are no longer acknowledged, QoS 0 goes on", "error", m.err)
	}
	for len(k.others) > 0 && k.others[0].turn <= m.turn {
		k.others[0].done(m.err)
		k.others = k.others[1:]
	}
	k.endedUntil(m.turn)
	list := k.holders
	k.holders = nil
	for _, c := range list {
		x := c.rare
		if c.state == ended {
			x.held, x.holding = nil, false
			continue
		}
		if m.err != nil {
			k.notStored(c, m)
			continue
		}
		n := 0
		for n < len(x.held) && x.held[n].turn <= m.turn {
			h := x.held[n]
			n++
			x.heldBytes -= h.size()
			if h.bytes == nil {
				k.ackNow(c, h.t, h.id, h.code)
			} else {
				c.conn.Write(h.bytes)
				k.sent(h.t, len(h.bytes))
			}
			if h.t == packet.PUBACK {
				c.unacked--
			}
			if h.then != nil {
				h.then()
			}
			if c.state == ended { // by what then has read; unhold was here
				break
			}
		}
		if c.state == ended {
			x.held, x.holding = nil, false
			continue
		}
		rest := copy(x.held, x.held[n:])
		clear(x.held[rest:])
		x.held = x.held[:rest]
		if x.holding = rest > 0; x.holding {
			k.holders = append(k.holders, c)
		} else if cap(x.held) > heldKept {
			x.held = nil
		}
		if c.state == connected && c.s.out != nil && c.s.out.Waiting() {
			k.pump(c)
		}
	}
}

// unhold forgets what a closed connection waited for; the client will ask again.
func (k *core) unhold(c *client) {
	if c.rare != nil {
		c.rare.held, c.rare.heldBytes = nil, 0
	}
}

// notStored answers those who wait for a submission that failed. Nothing of theirs may be
// acknowledged: MQTT 5.0 publishers are told so, others lose their connection.
func (k *core) notStored(c *client, m committed) {
	code := packet.UnspecifiedError
	if errors.Is(m.err, syscall.ENOSPC) {
		code = packet.QuotaExceeded
	}
	x := c.rare
	list := x.held
	x.held, x.holding = nil, false
	for i, h := range list {
		switch {
		case h.turn > m.turn: // its own completion is still to come
			x.held, x.holding = list[i:], true
			k.holders = append(k.holders, c)
			return
		case c.version == packet.V5 && (h.t == packet.PUBACK || h.t == packet.PUBREC):
			if h.t == packet.PUBACK {
				c.unacked--
			} else if c.s.in != nil {
				c.s.in.Release(h.id)
			}
			k.stats.notStored++
			k.ackNow(c, h.t, h.id, code)
		default:
			k.stats.notStored++
			k.disconnect(c, code, "not stored")
			return
		}
	}
}
