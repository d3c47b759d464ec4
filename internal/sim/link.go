package sim

import (
	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/packet"
)

// link is a simulated network connection, with what each side knows about it.
type link struct {
	w    *world
	c    *client
	name string
	conn *shard.Conn

	toBroker []byte // on the way
	toClient []byte
	room     int  // what the network holds towards the client
	full     bool // the broker waits for Writable
	shut     bool // the broker has ended its side

	// The client's side.
	version    packet.Version
	up         bool // CONNACK has come
	buf        []byte
	aliasesIn  map[uint16]string
	aliasesOut map[uint16]string
	aliasMax   int // of the broker
	acks       []packet.Packet
	open       int // PUBLISH packets above QoS 0 whose last acknowledgement was not sent
	connect    *packet.Connect
	sent       []sentPacket // that the broker has not taken

	// The model's.
	state    *state
	present  bool    // the session was there
	before   []*will // that the session had had
	ended    bool
	changes  []change            // of the SUBSCRIBE or UNSUBSCRIBE at hand
	requests map[uint16][]change // that are not acknowledged
	fed      int                 // bytes that have arrived at the broker
	fedAt    int64
	openedAt int64
}

// sentPacket is a packet as the client meant it, and where its bytes end.
type sentPacket struct {
	p   packet.Packet
	end int
}

// asked notes a request by its identifier.
func (k *link) asked(id uint16) { k.requests[id], k.changes = k.changes, nil }

// Write takes what the network has room for.
func (k *link) Write(b []byte) (int, error) {
	n := max(0, min(len(b), k.room-len(k.toClient)))
	k.toClient = append(k.toClient, b[:n]...)
	k.full = n < len(b)
	return n, nil
}

// Shutdown ends the broker's side.
func (k *link) Shutdown() { k.shut = true }

// Close ends both.
func (k *link) Close() { k.shut = true }

// RemoteAddr names the connection to hooks.
func (k *link) RemoteAddr() string { return k.name }

// feed lets n bytes arrive at the broker.
func (w *world) feed(k *link, n int) bool {
	if len(k.toBroker) == 0 || k.conn.Moving() || k.conn.Paused() {
		return false
	}
	n = min(n, len(k.toBroker))
	l := k.conn.Loop()
	_, _ = w.trace.Write(k.toBroker[:n])
	l.Begin(w.now)
	b := k.toBroker[:n]
	k.toBroker = k.toBroker[n:]
	k.fed += n
	k.fedAt = w.now
	l.Feed(k.conn, b)
	w.end(l)
	return true
}

// hangup ends the connection below the broker.
func (w *world) hangup(k *link, err error) {
	for k.conn.Moving() { // it arrives first
		w.turnAll()
	}
	w.model.event++
	w.sweep(k)
	w.model.detach(k, false)
	l := k.conn.Loop()
	l.Begin(w.now)
	l.Hangup(k.conn, err)
	w.end(l)
	w.drop(k)
}

// taking is told by the broker's hooks which packet it has at hand: the model takes it
// first, and what came before it.
func (w *world) taking(name string, t packet.Type) {
	k := w.links[name]
	if k == nil {
		w.fail(Protocol, "the broker takes %v from %s, which is not there", t, name)
		return
	}
	w.sweepOthers(k)
	for len(k.sent) > 0 && k.sent[0].end <= k.fed {
		p := k.sent[0].p
		k.sent = k.sent[1:]
		pub, ok := p.(*packet.Publish)
		repeat := ok && pub.QoS == 2 && k.state != nil && k.state.accepted[pub.ID] != nil
		w.model.take(k, p)
		if p.Type() == t && !repeat {
			return
		}
	}
	w.fail(Published, "the broker takes %v from %s, which has sent none", t, name)
}

// sweepOthers lets the model take what the broker has of all connections, and only then
// notice which it has closed: packets come before timers in a turn.
func (w *world) sweepOthers(but *link) {
	for _, k := range w.order {
		if k != but {
			w.sweepPackets(k)
		}
	}
	w.model.leaving = nil
	for _, k := range w.order {
		if k != but {
			w.sweep(k)
		}
	}
}

// sweep lets the model take what the broker has, and notice that it has closed.
func (w *world) sweep(k *link) {
	w.sweepPackets(k)
	if !k.ended && !k.conn.Moving() && k.conn.Closed() {
		w.closedByBroker(k)
		w.model.detach(k, false)
	}
}

func (w *world) sweepPackets(k *link) {
	if k.ended || k.conn.Moving() {
		return
	}
	for !k.conn.Paused() && len(k.sent) > 0 && k.sent[0].end <= k.fed && !k.ended {
		p := k.sent[0].p
		k.sent = k.sent[1:]
		w.model.take(k, p)
	}
}

// closedByBroker looks for a reason: a client that says nothing.
func (w *world) closedByBroker(k *link) {
	const inexact = 2 * tick
	switch {
	case !k.up && w.now-k.openedAt >= 10e9:
	case k.connect.KeepAlive > 0 && w.now-k.fedAt > int64(k.connect.KeepAlive)*15e8-inexact:
	default:
		w.fail(Protocol, "%s is closed without a reason", k.name)
	}
}
