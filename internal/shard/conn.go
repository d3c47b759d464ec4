package shard

import (
	"errors"
	"io"
	"slices"
	"sync/atomic"
)

const (
	flagDirty   uint16 = 1 << iota // on the Loop's dirty list
	flagBlocked                    // the socket takes no more bytes for now
	flagPaused                     // not read until Resume
	flagUnread                     // readable was signalled while paused
	flagReady                      // on the Loop's ready list
	flagClosing                    // closes once its bytes have left
	flagLinger                     // we said all; waiting for the peer's end
	flagGone                       // Gone was called
	flagDrain                      // the Handler waits for Drained
	flagAgain                      // on the Loop's again list
	flagMoving                     // on its way to another Loop
	flagQuick                      // close without lingering
	flagClogged                    // not read until what it was sent has left
	flagOver                       // accepted above MaxConns
	flagFresh                      // not watched yet
	flagLast                       // on the Loop's last list
)

// lingerNanos is how long a closed connection waits for the peer's end, so that a
// reset does not destroy our last packet before the peer has read it.
const lingerNanos = 2e9

// Port is the socket of a connection that a driver without descriptors serves.
type Port interface {
	Write(b []byte) (int, error) // never blocks; short without an error: would block
	Shutdown()                   // no more bytes from us
	Close()
}

// Conn is one network connection; only its Loop's turn may touch it.
type Conn struct {
	// User belongs to the Handler.
	User any

	loop   *Loop
	buf    *buffers // nil while there are no bytes at hand
	ext    *ext     // nil for plain TCP on epoll
	origin *Origin
	fd     int32
	idx    uint32
	gen    uint32
	tick   uint32 // of the last bytes in
	flags  uint16
}

// buffers are the bytes of a connection that is not idle.
type buffers struct {
	out []byte // plain bytes on their way out
	rem []byte // bytes in, of an incomplete packet
}

// ext holds what a plain TCP connection does not need.
type ext struct {
	filter Filter
	wire   []byte // filtered bytes on their way out
	port   Port
	err    error
	key    *atomic.Uint64 // Conn.Key while the first Loop has it, for the filter's wake
}

// Origin is the listener that a connection came through, or what a test puts there.
type Origin struct {
	// Tag belongs to the Handler.
	Tag any
	// NewFilter makes the filter of a new connection; nil for none. wake asks, from
	// any goroutine, that the filter be polled soon.
	NewFilter func(wake func()) Filter
}

// Loop is the connection's present owner.
func (c *Conn) Loop() *Loop { return c.loop }

// Key names the connection within its Loop; see Loop.Find.
func (c *Conn) Key() uint64 { return uint64(c.gen)<<32 | uint64(c.idx) }

// Origin tells which listener the connection came through.
func (c *Conn) Origin() *Origin { return c.origin }

// Filter is the connection's filter, nil when it has none.
func (c *Conn) Filter() Filter {
	if c.ext == nil {
		return nil
	}
	return c.ext.filter
}

// Port is the connection's Port, nil on epoll.
func (c *Conn) Port() Port {
	if c.ext == nil {
		return nil
	}
	return c.ext.port
}

// Quiet is how long nothing has come in, in nanoseconds, to about 70 ms. Of a clogged
// connection it is how long the peer has taken nothing.
func (c *Conn) Quiet() int64 { return int64(tickOf(c.loop.now)-c.tick) << tickShift }

// Pending is the number of bytes that wait to be written.
func (c *Conn) Pending() int {
	n := c.Unsent()
	if c.ext != nil {
		n += len(c.ext.wire)
	}
	return n
}

// Closed reports that the connection is closed or closing: what is appended now is lost.
func (c *Conn) Closed() bool { return c.flags&(flagClosing|flagGone) != 0 }

// Reserve returns the outgoing buffer with room for n more bytes. The caller appends
// and hands it back with Commit.
func (c *Conn) Reserve(n int) []byte {
	b := c.buffers()
	if cap(b.out)-len(b.out) < n {
		b.out = c.loop.pool.grow(b.out, n)
	}
	return b.out
}

// Commit takes the buffer back and marks the connection for this turn's write.
func (c *Conn) Commit(b []byte) {
	c.buffers().out = b
	c.dirty()
}

// CommitLast is Commit for bytes that can wait until the turn's others have left.
func (c *Conn) CommitLast(b []byte) {
	c.buffers().out = b
	if c.flags&(flagDirty|flagLast|flagGone) == 0 {
		c.flags |= flagLast
		c.loop.last = append(c.loop.last, c)
	}
}

// dirty marks the connection for this turn's write.
func (c *Conn) dirty() {
	if c.flags&(flagDirty|flagGone) == 0 {
		c.flags |= flagDirty
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// Write appends b to the outgoing bytes.
func (c *Conn) Write(b []byte) { c.Commit(append(c.Reserve(len(b)), b...)) }

// Unsent is the number of plain bytes written and not flushed.
func (c *Conn) Unsent() int {
	if c.buf == nil {
		return 0
	}
	return len(c.buf.out)
}

// Unwrite takes back, and returns as a copy, what was written since Unsent was before.
func (c *Conn) Unwrite(before int) []byte {
	if c.Unsent() == before {
		return nil
	}
	b := append([]byte(nil), c.buf.out[before:]...)
	c.buf.out = c.buf.out[:before]
	return b
}

// WantDrain asks for one Drained call when all outgoing bytes have left.
func (c *Conn) WantDrain() {
	c.flags |= flagDrain
	if c.flags&flagDirty == 0 && c.flags&flagBlocked == 0 && c.Pending() == 0 {
		c.dirty()
	}
}

// Pause stops reading after the present Input returns; see Resume.
func (c *Conn) Pause() { c.flags |= flagPaused }

// Paused tells whether reading is paused.
func (c *Conn) Paused() bool { return c.flags&flagPaused != 0 }

// Clogged tells whether the peer has so much to take that it is not read; see
// Options.MaxUnsent.
func (c *Conn) Clogged() bool { return c.flags&flagClogged != 0 }

// Over tells whether the connection is one too many; see Options.Lobby.
func (c *Conn) Over() bool { return c.flags&flagOver != 0 }

// Resume offers what Input left, then reads on.
func (c *Conn) Resume() {
	if c.flags&flagPaused == 0 || c.flags&flagGone != 0 {
		return
	}
	c.flags &^= flagPaused
	if c.flags&flagMoving != 0 {
		return
	}
	c.loop.consume(c, nil)
	if c.flags&(flagPaused|flagClogged|flagGone|flagMoving) == 0 {
		c.loop.drv.rewatch(c)
	}
}

// Close ends the connection once its outgoing bytes have left. Nothing more is read.
func (c *Conn) Close() {
	if c.flags&(flagClosing|flagGone) != 0 {
		return
	}
	c.flags |= flagClosing
	c.dirty()
}

// CloseQuick is Close for a peer that will not send any more: it does not linger.
func (c *Conn) CloseQuick() {
	c.flags |= flagQuick
	c.Close()
}

// Move gives the connection to another Loop, with bytes that it has not used. It must
// be called from Input, which then returns len of its argument: rest is kept instead.
func (c *Conn) Move(to *Loop, rest []byte) {
	l := c.loop
	var kept []byte
	if len(rest) > 0 {
		kept = append(l.pool.get(len(rest)), rest...)
	}
	c.forget()
	if kept != nil {
		c.buffers().rem = kept
	}
	if c.flags&flagFresh == 0 {
		l.drv.detach(c)
	}
	c.flags = c.flags&^flagFresh | flagMoving
	l.remove(c)
	c.unlist(&l.dirty, flagDirty)
	c.unlist(&l.last, flagLast)
	c.unlist(&l.ready, flagReady)
	c.unlist(&l.again, flagAgain)
	l.Send(to, c)
}

// unlist takes the connection off a list that flag says it is on.
func (c *Conn) unlist(list *[]*Conn, flag uint16) {
	if c.flags&flag == 0 {
		return
	}
	c.flags &^= flag
	if i := slices.Index(*list, c); i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	}
}

// Moving tells whether the connection is leaving this Loop.
func (c *Conn) Moving() bool { return c.flags&flagMoving != 0 }

// fail ends the connection after a socket error.
func (c *Conn) fail(err error) {
	if c.flags&flagGone == 0 {
		c.loop.finish(c, err)
	}
}

// Feed processes bytes from the network. b is borrowed.
func (l *Loop) Feed(c *Conn, b []byte) {
	if c.flags&flagGone != 0 || c.flags&flagMoving != 0 {
		return
	}
	c.tick = tickOf(l.now)
	if c.flags&flagClosing != 0 {
		return // lingering: what still comes is discarded
	}
	if c.ext == nil || c.ext.filter == nil {
		l.consume(c, b)
		return
	}
	l.filtered(c, b)
}

func (l *Loop) filtered(c *Conn, b []byte) {
	f := c.ext.filter
	scratch := l.plain
	l.plain = nil // Input may come back here through another connection's poke
	plain, err := f.In(scratch[:0], b)
	l.reply(c)
	if len(plain) > 0 {
		l.consume(c, plain)
	}
	if cap(plain) <= 1<<20 {
		l.plain = plain[:0]
	}
	switch {
	case err == nil || c.flags&(flagClosing|flagGone) != 0:
	case errors.Is(err, io.EOF):
		c.ext.err = io.EOF
		l.hangup(c, io.EOF, true)
	default:
		l.hangup(c, err, true)
	}
}

// reply takes along what the filter itself has to say.
func (l *Loop) reply(c *Conn) {
	x := c.ext
	before := len(x.wire)
	x.wire = x.filter.Reply(x.wire)
	if len(x.wire) != before {
		c.dirty()
	}
}

// hangup tells the Handler that the connection ended by err, and lets last bytes leave.
func (l *Loop) hangup(c *Conn, err error, last bool) {
	if last && c.Pending() > 0 && c.flags&flagBlocked == 0 {
		l.flushOne(c)
	}
	c.fail(err)
}

// consume offers bytes to the Handler and keeps what it leaves.
func (l *Loop) consume(c *Conn, b []byte) {
	if c.flags&(flagPaused|flagClogged|flagClosing|flagGone|flagMoving) != 0 {
		if len(b) > 0 && c.flags&(flagClosing|flagGone) == 0 {
			l.keep(c, b)
		}
		return
	}
	kept := c.kept()
	if kept {
		l.keep(c, b)
		b = c.buf.rem
	}
	if len(b) == 0 {
		return
	}
	n := l.h.Input(c, b)
	if c.flags&(flagGone|flagMoving) != 0 {
		return
	}
	rest := b[n:]
	switch {
	case len(rest) == 0 || c.flags&flagClosing != 0:
		c.forget()
	case kept:
		if n > 0 {
			c.buf.rem = c.buf.rem[:copy(c.buf.rem, rest)]
		}
	default:
		l.keep(c, rest)
	}
}

func (l *Loop) keep(c *Conn, b []byte) {
	if len(b) == 0 {
		return
	}
	x := c.buffers()
	if cap(x.rem)-len(x.rem) < len(b) {
		x.rem = l.pool.grow(x.rem, len(b))
	}
	x.rem = append(x.rem, b...)
}

// buffers is c.buf, made when first needed.
func (c *Conn) buffers() *buffers {
	if c.buf == nil {
		c.buf = c.loop.pool.pair()
	}
	return c.buf
}

// kept tells whether bytes of an incomplete packet are at hand.
func (c *Conn) kept() bool { return c.buf != nil && len(c.buf.rem) > 0 }

// forget lets go of the bytes of an incomplete packet.
func (c *Conn) forget() {
	if c.buf == nil {
		return
	}
	c.loop.pool.put(c.buf.rem)
	c.buf.rem = nil
	c.spare()
}

// sent lets go of the outgoing bytes.
func (c *Conn) sent() {
	if c.buf == nil {
		return
	}
	c.loop.pool.put(c.buf.out)
	c.buf.out = nil
	c.spare()
}

// spare gives the pair of buffers back when both are gone.
func (c *Conn) spare() {
	if c.buf.out == nil && c.buf.rem == nil {
		c.loop.pool.putPair(c.buf)
		c.buf = nil
	}
}

// Writable says that a blocked socket takes bytes again.
func (l *Loop) Writable(c *Conn) {
	if c.flags&flagGone == 0 && c.flags&flagBlocked != 0 {
		c.flags &^= flagBlocked
		if c.flags&flagClogged != 0 {
			c.tick = tickOf(l.now)
		}
		c.dirty()
	}
}

// Hangup says that the peer has closed or the network failed.
func (l *Loop) Hangup(c *Conn, err error) {
	if c.flags&(flagGone|flagMoving) == 0 {
		if c.flags&flagClosing != 0 {
			err = nil
		}
		l.finish(c, err)
	}
}

// finish is the end of every connection.
func (l *Loop) finish(c *Conn, err error) {
	if c.flags&flagGone != 0 {
		return
	}
	c.flags |= flagGone
	l.late = true
	l.h.Gone(c, err)
	if c.ext != nil && c.ext.filter != nil {
		c.ext.filter.Release()
	}
	l.drv.close(c)
	l.remove(c)
	c.forget()
	c.sent()
	if c.ext != nil {
		l.pool.put(c.ext.wire)
		c.ext.wire = nil
	}
}
