// Package shard runs event loops: connections, their buffers, timers and mailboxes.
//
// A Loop owns everything that belongs to its connections. Whatever touches a Conn
// runs in that Loop's turn, one turn at a time, so nothing here needs a lock but the
// mailbox. A turn reads what is ready, lets the Handler work on it, runs mail and
// timers, and then writes each dirty connection once.
//
// The package knows bytes and no MQTT. It opens no connection by itself: a driver
// owns the descriptors and calls Begin, Feed, Writable, Hangup and End. Three drivers
// exist: epoll (Linux), goroutines over net.Conn (everywhere), and none at all, for
// tests and the simulation, which call these methods themselves.
//
// Bytes passed to a Handler are borrowed until it returns.
package shard

import (
	"sync"
	"sync/atomic"
)

// Handler is what a Loop serves. Its methods run in the Loop's turn and must not block.
type Handler interface {
	// Open announces a new connection.
	Open(c *Conn)
	// Adopt announces a connection that another Loop gave away with Move.
	Adopt(c *Conn)
	// Input offers the plain bytes at hand and returns how many were used up. The
	// rest is offered again, with more behind it.
	Input(c *Conn, b []byte) int
	// Drained says that all that was written has left, after SetWantDrain.
	Drained(c *Conn)
	// Gone is the last call about a connection. err is nil when this side closed it.
	Gone(c *Conn, err error)
	// Mail brings what another Loop or goroutine has sent.
	Mail(m any)
	// Timer fires what At has set.
	Timer(kind uint8, key uint64)
	// EndTurn runs when all input of a turn is done and nothing is written yet.
	EndTurn()
}

// Filter stands between the socket's bytes and the Handler's; see package transport.
type Filter interface {
	In(dst, src []byte) (plain []byte, err error)
	Out(wire, src []byte) []byte
	Reply(wire []byte) []byte
	Close(wire []byte) []byte
	Release()
}

// driver moves bytes for a Loop and never blocks.
type driver interface {
	write(c *Conn, b []byte) (int, error) // short without an error: would block
	shutdown(c *Conn)                     // no more bytes from us
	close(c *Conn)
	detach(c *Conn) // stop watching: another Loop takes over
	attach(c *Conn) error
	rewatch(c *Conn) // reading was paused and goes on
	wake()
	help(now int64) bool // runs a turn if the Loop sleeps; false: wake it
}

// Loop is one shard's event loop.
type Loop struct {
	id  int
	h   Handler
	drv driver

	now   int64 // unix nanoseconds, one reading a turn
	conns []*Conn
	gens  []uint32
	free  []uint32
	live  int
	dirty []*Conn
	last  []*Conn // those with nothing that is urgent
	ready []*Conn // to be read again without an event
	spare []*Conn
	again []*Conn // to be told Drained in the next turn
	plain []byte  // scratch for filters
	late  bool    // Gone was called after EndTurn

	maxUnsent int    // see Options
	clogs     uint64 // see Clogs
	reads     uint64 // see Calls
	writes    uint64

	pool   pool
	timers wheel
	trimAt int64

	peers   []*Loop
	out     [][]any // mail for the other Loops, posted at the end of the turn
	helping []*Loop // that sleep, and have a turn of theirs run by this one
	helped  uint64

	mu     sync.Mutex
	inbox  []any // guarded by mu
	work   []any
	asleep atomic.Bool
}

// newLoops makes n Loops that know each other. Handlers and drivers are set later.
func newLoops(n int) []*Loop {
	ls := make([]*Loop, n)
	for i := range ls {
		ls[i] = &Loop{id: i, out: make([][]any, n)}
	}
	for _, l := range ls {
		l.peers = ls
	}
	return ls
}

// ID is the Loop's number, from 0.
func (l *Loop) ID() int { return l.id }

// Now is the time of this turn in unix nanoseconds.
func (l *Loop) Now() int64 { return l.now }

// Timers is the number of timers that have not fired.
func (l *Loop) Timers() int { return l.timers.n }

// Live is the number of connections.
func (l *Loop) Live() int { return l.live }

// Clogs counts the connections that were not read for a while because of MaxUnsent.
func (l *Loop) Clogs() uint64 { return l.clogs }

// Calls counts the system calls that read from connections, and those that wrote to them.
func (l *Loop) Calls() (reads, writes uint64) { return l.reads, l.writes }

// Helped counts the turns of sleeping Loops that this one has run.
func (l *Loop) Helped() uint64 { return l.helped }

// Conns calls fn for each connection.
func (l *Loop) Conns(fn func(c *Conn)) {
	for _, c := range l.conns {
		if c != nil {
			fn(c)
		}
	}
}

// Begin starts a turn at the given time.
func (l *Loop) Begin(now int64) {
	if now > l.now {
		l.now = now
	}
	l.timers.start(l.now)
	if l.now >= l.trimAt { // a burst's buffers go back to the collector, half at a time
		l.trimAt = l.now + trimEvery
		l.pool.trim()
	}
}

const trimEvery = 10e9 // nanoseconds

// End runs mail and timers, then writes. It reports whether there is more to do at once.
func (l *Loop) End() (more bool) {
	l.settle()
	l.helpOthers() // first: acknowledgements can wait for deliveries
	l.flush()
	return l.unsettled()
}

// settle runs mail and timers, and sends mail. Nothing is written yet.
func (l *Loop) settle() {
	l.runMail()
	l.timers.advance(l.now, l.h.Timer, lingerKind, l.lingered)
	again := l.again
	l.again = nil
	for _, c := range again {
		if c.flags&flagGone == 0 {
			c.flags &^= flagAgain
			if c.flags&flagDrain != 0 {
				c.flags &^= flagDrain
				l.h.Drained(c)
			}
			l.unclog(c)
		}
	}
	l.h.EndTurn()
	l.postOut()
	l.late = false
}

// unsettled tells whether there is more to do at once.
func (l *Loop) unsettled() bool { return l.late || len(l.again) > 0 || len(l.ready) > 0 }

// NextTimer is when the next timer may be due, in unix nanoseconds; 0 is never.
func (l *Loop) NextTimer() int64 { return l.timers.next() }

func (l *Loop) runMail() {
	l.mu.Lock()
	l.work, l.inbox = l.inbox, l.work[:0]
	l.mu.Unlock()
	for i, m := range l.work {
		l.work[i] = nil
		switch m := m.(type) {
		case func():
			m()
		case *Conn:
			l.adopt(m)
		default:
			l.h.Mail(m)
		}
	}
}

// add gives c a slot.
func (l *Loop) add(c *Conn) {
	if n := len(l.free); n > 0 {
		c.idx, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c.idx = uint32(len(l.conns))
		l.conns = append(l.conns, nil)
		l.gens = append(l.gens, 0)
	}
	l.gens[c.idx]++
	c.gen = l.gens[c.idx]
	c.loop = l
	l.conns[c.idx] = c
	l.live++
}

func (l *Loop) remove(c *Conn) {
	l.conns[c.idx] = nil
	l.free = append(l.free, c.idx)
	l.live--
}

// lookup finds a connection by slot and generation; nil when it is gone.
func (l *Loop) lookup(idx, gen uint32) *Conn {
	if int(idx) >= len(l.conns) || l.conns[idx] == nil || l.conns[idx].gen != gen {
		return nil
	}
	return l.conns[idx]
}

// Find returns the connection that Key names, or nil when it is gone.
func (l *Loop) Find(key uint64) *Conn { return l.lookup(uint32(key), uint32(key>>32)) }

// open announces a new connection to the Handler.
func (l *Loop) open(c *Conn) {
	l.add(c)
	if c.ext != nil && c.ext.key != nil {
		c.ext.key.Store(c.Key())
	}
	l.h.Open(c)
}

func (l *Loop) adopt(c *Conn) {
	l.add(c)
	c.flags &^= flagMoving
	if err := l.drv.attach(c); err != nil {
		l.h.Adopt(c)
		c.fail(err)
		return
	}
	l.h.Adopt(c)
	if c.Pending() > 0 { // written before it moved
		c.dirty()
	}
	if c.flags&(flagClosing|flagGone) == 0 {
		l.consume(c, nil)
	}
	if c.flags&(flagPaused|flagGone) == 0 {
		l.drv.rewatch(c)
	}
}

// readAgain asks the driver for a read without an event.
func (l *Loop) readAgain(c *Conn) {
	if c.flags&(flagReady|flagGone|flagMoving) == 0 {
		c.flags |= flagReady
		l.ready = append(l.ready, c)
	}
}
