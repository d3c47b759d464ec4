package shard

import "io"

// flush writes once every connection that has something to write. Those whose bytes are
// waited for elsewhere come first.
func (l *Loop) flush() {
	for len(l.dirty)+len(l.last) > 0 { // finish may add to the lists: its neighbours' wills
		l.flushList(&l.dirty, flagDirty)
		l.flushList(&l.last, flagLast)
	}
}

// flushList writes the connections of a list that flag says they are on.
func (l *Loop) flushList(list *[]*Conn, flag uint16) {
	for i := 0; i < len(*list); i++ {
		c := (*list)[i]
		(*list)[i] = nil
		if c.flags&flag == 0 {
			continue // written already, from the other list
		}
		c.flags &^= flagDirty | flagLast
		if c.flags&(flagGone|flagMoving) == 0 {
			l.flushConn(c)
		}
	}
	*list = (*list)[:0]
}

// Flush writes now, and not at the end of the turn, what the network takes. An error
// comes again at the end of the turn.
func (c *Conn) Flush() {
	if c.flags&(flagGone|flagMoving|flagBlocked|flagClosing) == 0 {
		_ = c.loop.flushOne(c)
	}
}

func (l *Loop) flushConn(c *Conn) {
	if c.flags&flagClosing != 0 && c.ext != nil && c.ext.filter != nil && c.ext.err == nil {
		if c.Unsent() > 0 {
			c.ext.wire = c.ext.filter.Out(c.ext.wire, c.buf.out)
		}
		c.sent()
		c.ext.wire = c.ext.filter.Close(c.ext.wire)
		c.ext.err = io.ErrClosedPipe
	}
	if c.flags&flagBlocked == 0 {
		if err := l.flushOne(c); err != nil {
			if c.flags&flagClosing != 0 {
				err = nil
			}
			l.finish(c, err)
			return
		}
	}
	switch {
	case c.flags&flagClosing != 0:
		l.closing(c)
	case c.flags&flagBlocked != 0:
		if l.maxUnsent > 0 && c.flags&flagClogged == 0 && c.Pending() > l.maxUnsent {
			c.flags |= flagClogged
			c.tick = tickOf(l.now)
			l.clogs++
		}
	case c.flags&(flagDrain|flagClogged) != 0 && c.Pending() == 0:
		if c.flags&flagAgain == 0 {
			c.flags |= flagAgain
			l.again = append(l.again, c)
		}
	}
}

// unclog reads again a connection that has taken all it was sent.
func (l *Loop) unclog(c *Conn) {
	if c.flags&flagClogged == 0 || c.Pending() > 0 {
		return
	}
	c.flags &^= flagClogged
	l.consume(c, nil)
	if c.flags&(flagPaused|flagGone|flagMoving) == 0 {
		l.drv.rewatch(c)
	}
}

// closing lets the last bytes leave, says our end, and waits a moment for the peer's.
func (l *Loop) closing(c *Conn) {
	blocked := c.flags&flagBlocked != 0
	switch {
	case !blocked && c.flags&flagQuick != 0:
		l.finish(c, nil)
	case c.flags&flagLinger == 0:
		c.flags |= flagLinger
		l.timers.set(l.now+lingerNanos, lingerKind, c.Key())
		if !blocked {
			l.drv.shutdown(c)
		}
	case !blocked:
		l.drv.shutdown(c)
	}
}

func (l *Loop) lingered(key uint64) {
	if c := l.Find(key); c != nil && c.flags&flagLinger != 0 {
		l.finish(c, nil)
	}
}

// flushOne writes what is there. A partial write blocks the connection until Writable.
func (l *Loop) flushOne(c *Conn) error {
	if c.ext != nil && c.ext.filter != nil {
		return l.flushWire(c)
	}
	if c.Unsent() == 0 {
		c.sent()
		return nil
	}
	n, err := l.drv.write(c, c.buf.out)
	switch {
	case err != nil:
		return err
	case n < len(c.buf.out):
		c.buf.out = c.buf.out[:copy(c.buf.out, c.buf.out[n:])]
		c.flags |= flagBlocked
	default:
		c.sent()
	}
	return nil
}

// flushWire is flushOne through a filter.
func (l *Loop) flushWire(c *Conn) error {
	x := c.ext
	if n := c.Unsent(); n > 0 && x.err == nil {
		if x.wire == nil {
			x.wire = l.pool.get(n + 64)
		}
		x.wire = x.filter.Out(x.wire, c.buf.out)
	}
	c.sent()
	n := 0
	if len(x.wire) > 0 {
		var err error
		if n, err = l.drv.write(c, x.wire); err != nil {
			return err
		}
	}
	if n < len(x.wire) {
		x.wire = x.wire[:copy(x.wire, x.wire[n:])]
		c.flags |= flagBlocked
		return nil
	}
	l.pool.put(x.wire)
	x.wire = nil
	return nil
}
