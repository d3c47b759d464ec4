// Package sim runs a broker and several clients in one goroutine, over a simulated
// network and clock, through schedules that a seed decides: which bytes arrive where and
// when, which connection breaks at which byte, who reads slowly, which shard turns next.
//
// It checks what must hold whatever the schedule: no acknowledged message is lost to a
// persistent session, QoS 2 arrives once, messages of one publisher and topic arrive in
// order, the Receive Maximum of each client is kept, a slow reader costs no more than its
// buffer, and every copy of a message is accounted for at every instant. The same seed
// always gives the same schedule, and the same bytes on every connection.
package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/shard"
)

// Result is what a run did.
type Result struct {
	Steps     int
	Published int
	Delivered int
	Cuts      int
	Crashes   int
	Trace     uint64 // hash of all bytes in their order, both directions
}

const (
	steps      = 1500
	settleMost = 200_000
	outbound   = 1 << 10 // the broker's OutboundBuffer: small, so that schedules reach it
	packetMost = 1 << 10
)

// world is one run.
type world struct {
	rng     *rand.Rand
	now     int64
	b       *broker.Broker
	loops   []*shard.Loop
	clients []*client
	books   *ledger
	disk    *disk // nil when state is in memory only
	log     []string
	trace   interface {
		Write([]byte) (int, error)
		Sum64() uint64
	}
	res Result
}

// Run plays the schedule of seed. The error tells which promise was broken and how the
// run came to it.
func Run(seed uint64) (Result, error) {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0x5eed)), now: 1_700_000_000e9, books: newLedger(), trace: fnv.New64a()}
	if err := w.build(); err != nil {
		return Result{}, err
	}
	err := w.play()
	w.res.Trace = w.trace.Sum64()
	if err != nil {
		tail := w.log[max(0, len(w.log)-40):]
		err = fmt.Errorf("seed %d, step %d: %w\nlast steps:\n  %s", seed, w.res.Steps, err, strings.Join(tail, "\n  "))
	}
	return w.res, err
}

func (w *world) build() error {
	if w.rng.IntN(2) == 0 {
		w.disk = newDisk()
	}
	if err := w.boot(); err != nil {
		return err
	}
	for i := range 3 + w.rng.IntN(5) {
		w.clients = append(w.clients, newClient(w, i))
	}
	return nil
}

// boot starts a broker, with what the journal holds.
func (w *world) boot() error {
	o := broker.Options{
		Shards: 1 + w.rng.IntN(3),
		Clock:  func() int64 { return w.now },
		Random: w.rng.Uint64,
		Limits: broker.Limits{OutboundBuffer: outbound, MaxPacketSize: packetMost, MaxInflight: 1 + w.rng.IntN(20)},
	}
	if w.disk != nil {
		o.Journal = w.disk
	}
	var err error
	if w.b, err = broker.New(o); err != nil {
		return err
	}
	if w.disk != nil {
		w.disk.booting = true
		defer func() { w.disk.booting = false }()
	}
	if _, err := w.b.Recover(); err != nil {
		return err
	}
	w.loops = w.b.Manual()
	return nil
}

// crash ends the broker at this instant: what the journal has not is lost, and so is
// what is under way on the network. The next one may have another number of shards.
func (w *world) crash() error {
	w.note("the broker crashes, %d submissions are lost", len(w.disk.pending))
	w.res.Crashes++
	w.disk.crash()
	for _, c := range w.clients {
		if c.link != nil {
			c.lost()
		}
	}
	w.books.crashes++
	return w.boot()
}

// play is the run: all subscribe, then chaos, then everything heals and the books are
// balanced.
func (w *world) play() error {
	for _, c := range w.clients {
		c.connect()
	}
	if err := w.settle(); err != nil {
		return fmt.Errorf("at the start: %w", err)
	}
	for w.res.Steps < steps {
		w.res.Steps++
		if err := w.step(); err != nil {
			return err
		}
		if err := w.check(); err != nil {
			return err
		}
	}
	for _, c := range w.clients {
		c.heal()
	}
	if err := w.settle(); err != nil {
		return fmt.Errorf("while healing: %w", err)
	}
	return w.books.settled(w)
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// step does one random thing.
func (w *world) step() error {
	c := w.clients[w.rng.IntN(len(w.clients))]
	if w.disk != nil {
		if w.rng.IntN(3) == 0 {
			w.disk.commit(1 + w.rng.IntN(4))
		}
		if w.rng.IntN(300) == 0 {
			return w.crash()
		}
	}
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.toBroker(c, 1+w.rng.IntN(200))
	case n < 60:
		w.toClient(c, 1+w.rng.IntN(300))
	case n < 70:
		w.turn(w.rng.IntN(len(w.loops)))
	case n < 85:
		c.publish()
	case n < 90:
		c.acknowledge(1 + w.rng.IntN(4))
	case n < 92:
		c.slow = !c.slow
		w.note("%s slow=%v", c.id, c.slow)
	case n < 95:
		if c.link == nil {
			c.connect()
		}
	case n < 97:
		if w.rng.IntN(2) == 0 {
			c.cut()
		} else {
			c.leave()
		}
	default:
		w.now += int64(w.rng.IntN(300)) * 1e6
	}
	return nil
}

// turn runs one shard's turn.
func (w *world) turn(i int) bool {
	l := w.loops[i]
	l.Begin(w.now)
	return l.End()
}

// toBroker lets n bytes of c's arrive.
func (w *world) toBroker(c *client, n int) bool {
	k := c.link
	if k == nil || len(k.up) == 0 || k.conn.Moving() || k.conn.Paused() {
		return false
	}
	n = min(n, len(k.up))
	l := k.conn.Loop()
	_, _ = w.trace.Write(k.up[:n])
	l.Begin(w.now)
	l.Feed(k.conn, k.up[:n])
	k.up = k.up[n:]
	l.End()
	return true
}

// toClient lets n bytes of the broker's arrive at c.
func (w *world) toClient(c *client, n int) bool {
	k := c.link
	if k == nil || c.slow || len(k.down) == 0 && !k.shut {
		return false
	}
	if len(k.down) == 0 {
		w.note("%s closed by the broker", c.id)
		c.lost()
		return true
	}
	n = min(n, len(k.down))
	_, _ = w.trace.Write(k.down[:n])
	got := k.down[:n]
	k.down = k.down[n:]
	if k.full && !k.conn.Moving() {
		k.full = false
		l := k.conn.Loop()
		l.Begin(w.now)
		l.Writable(k.conn)
		l.End()
	}
	c.receive(got)
	return true
}

// settle lets everything arrive until nothing is under way.
func (w *world) settle() error {
	for range settleMost {
		busy := w.disk != nil && w.disk.commit(1<<20)
		for i := range w.loops {
			busy = w.turn(i) || w.loops[i].HasMail() || busy
		}
		for _, c := range w.clients {
			busy = w.toBroker(c, 1<<20) || busy
			busy = w.toClient(c, 1<<20) || busy
			busy = c.acknowledge(1<<20) || busy
			if c.link == nil && c.wants {
				c.connect()
				busy = true
			}
		}
		if err := w.check(); err != nil {
			return err
		}
		if !busy {
			return nil
		}
	}
	return fmt.Errorf("no rest after %d rounds", settleMost)
}

// check looks at what must hold at every instant.
func (w *world) check() error {
	s := w.b.StatsNow()
	if rest := s.Balance(); rest != 0 {
		return fmt.Errorf("%d copies of %d are neither delivered, waiting nor dropped", rest, s.Routed)
	}
	if w.books.broken != nil {
		return w.books.broken
	}
	for _, c := range w.clients {
		if c.link != nil && !c.link.conn.Moving() && c.link.conn.Pending() > outbound+2*packetMost {
			return fmt.Errorf("%s: %d bytes wait for a slow reader", c.id, c.link.conn.Pending())
		}
	}
	return nil
}

// link is a simulated network connection.
type link struct {
	w    *world
	conn *shard.Conn
	up   []byte // on the way to the broker
	down []byte // on the way to the client
	room int    // what the network holds towards the client
	full bool   // the broker waits for Writable
	shut bool   // the broker has ended its side
}

// Write takes what the network has room for.
func (k *link) Write(b []byte) (int, error) {
	n := max(0, min(len(b), k.room-len(k.down)))
	k.down = append(k.down, b[:n]...)
	k.full = n < len(b)
	return n, nil
}

// Shutdown ends the broker's side.
func (k *link) Shutdown() { k.shut = true }

// Close ends both.
func (k *link) Close() { k.shut = true }
