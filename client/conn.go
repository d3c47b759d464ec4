package client

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wirebird/wirebird/packet"
)

const (
	writeTimeout  = 30 * time.Second // for one write to make progress
	lingerTimeout = time.Second      // for the server to close after our DISCONNECT
	maxWrite      = 256 << 10        // bytes of one write
	keptBuffer    = 64 << 10         // larger write buffers are let go
)

// conn is one network connection. Two goroutines serve it: read and write.
type conn struct {
	nc        net.Conn
	r         *packet.Reader
	version   packet.Version
	keepAlive time.Duration // 0 is none
	wake      chan struct{} // room for one: there is something to write
	readDone  chan struct{} // closed when read has returned
	ended     chan struct{} // closed when nothing serves the connection any more
	trace     func(sent bool, p packet.Packet)

	// Guarded by Client.mu.
	out    []byte
	tokens []*Token        // of QoS 0 messages in out
	traced []packet.Packet // what is in out
	last   bool            // DISCONNECT is in out; nothing may follow
	pinged time.Time       // when the oldest unanswered PINGREQ was sent
	heard  time.Time       // when a packet came last
	cause  error           // what ended the connection, if it was a packet
}

func (c *Client) newConn(nc net.Conn) *conn {
	return &conn{
		nc:       nc,
		r:        packet.NewReader(nc, c.opts.Version, int(c.opts.MaxPacketSize)),
		version:  c.opts.Version,
		wake:     make(chan struct{}, 1),
		readDone: make(chan struct{}),
		ended:    make(chan struct{}),
		trace:    c.opts.Trace,
	}
}

// add appends p to what is going to be written. Client.mu must be held.
func (cn *conn) add(p packet.Packet) {
	if cn.last {
		return
	}
	cn.out = p.Append(cn.out, cn.version)
	if cn.trace != nil {
		cn.traced = append(cn.traced, packet.Clone(p))
	}
}

// addLast appends the packet that ends the connection. Client.mu must be held.
func (cn *conn) addLast(p *packet.Disconnect) {
	cn.add(p)
	cn.last = true
}

// kick wakes the writer.
func (cn *conn) kick() {
	select {
	case cn.wake <- struct{}{}:
	default: // it is awake, or about to be
	}
}

// send writes p at once; only before the connection has its goroutines.
func (cn *conn) send(p packet.Packet) error {
	if cn.trace != nil {
		cn.trace(true, p)
	}
	_, err := cn.nc.Write(p.Append(nil, cn.version))
	return err
}

// next reads one packet, which is valid until the next call.
func (cn *conn) next() (packet.Packet, error) {
	p, err := cn.r.ReadPacket()
	if err == nil && cn.trace != nil {
		cn.trace(false, p)
	}
	return p, err
}

// serve runs the connection until it ends and returns what ended it, nil for
// our own DISCONNECT. Nothing of it is left then.
func (c *Client) serve(cn *conn) error {
	written := make(chan error, 1)
	go func() {
		err := c.write(cn)
		cn.nc.Close() // read ends, if it had not
		written <- err
	}()
	readErr := c.read(cn)
	close(cn.readDone)
	writeErr := <-written
	close(cn.ended)

	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case cn.cause != nil:
		return cn.cause
	case cn.last:
		return nil
	case writeErr != nil:
		return writeErr
	}
	return readErr
}

// read handles packets until the connection ends. A violation by the server is
// answered with a DISCONNECT, which write sends.
func (c *Client) read(cn *conn) error {
	for {
		p, err := cn.next()
		if err == nil {
			err = c.receive(cn, p)
		}
		if err == nil {
			continue
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if e, ok := errors.AsType[*packet.Error](err); ok && cn.cause == nil && !cn.last {
			cn.cause = err
			if cn.version == packet.V5 { // in 3.x it would mean that all is well
				cn.addLast(&packet.Disconnect{Code: e.Code})
			}
		}
		return fmt.Errorf("read: %w", err)
	}
}

// receive handles one packet. It waits while the application is behind.
func (c *Client) receive(cn *conn, p packet.Packet) error {
	var deliver *inbound
	var refused []string
	err := func() error {
		if p, ok := p.(*packet.Auth); ok {
			return c.receiveAuth(cn, p)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		cn.heard = time.Now()
		switch p := p.(type) {
		case *packet.Pingresp:
			cn.pinged = time.Time{}
			return nil
		case *packet.Disconnect:
			return c.receiveDisconnectLocked(cn, p)
		}
		out := &c.step
		err := c.flow.receive(p, out)
		deliver, refused = out.deliver, out.refused
		c.applyLocked(cn)
		return err
	}()
	cn.kick()
	for _, filter := range refused {
		c.opts.Logger.Warn("subscription lost", "filter", filter)
	}
	if deliver != nil {
		deliver.msg.client = c
		c.queue.push(deliver)
	}
	return err
}

func (c *Client) receiveDisconnectLocked(cn *conn, p *packet.Disconnect) error {
	if cn.version != packet.V5 {
		return &packet.Error{Code: packet.ProtocolError, Err: errors.New("unexpected DISCONNECT")}
	}
	cn.cause = fmt.Errorf("server disconnected: %w", refusal(p.Code, &p.Properties))
	return cn.cause
}

// write sends what is added to the connection, and PINGREQ when nothing is. It
// returns when writing fails, when the server is silent for too long, after our
// DISCONNECT, or once read has returned.
func (c *Client) write(cn *conn) error {
	var spare []byte
	timer := time.NewTimer(0)
	defer timer.Stop()
	sent, readDone := time.Now(), false
	for {
		c.mu.Lock()
		out, tokens, traced, last := cn.out, cn.tokens, cn.traced, cn.last
		cn.out, cn.tokens, cn.traced = spare[:0], nil, nil
		c.mu.Unlock()
		spare = nil
		if cap(out) <= keptBuffer {
			spare = out
		}
		if len(out) > 0 {
			if err := cn.flush(out, tokens, traced); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			sent = time.Now()
			continue
		}
		if readDone {
			return nil
		}
		if last {
			return cn.linger()
		}
		wait, err := c.ping(cn, sent)
		if err != nil {
			return err
		}
		timer.Reset(wait)
		select {
		case <-cn.wake:
		case <-timer.C:
		case <-cn.readDone:
			readDone = true
		}
	}
}

// flush writes out and completes the tokens of what was in it.
func (cn *conn) flush(out []byte, tokens []*Token, traced []packet.Packet) error {
	for _, p := range traced {
		cn.trace(true, p)
	}
	var err error
	for len(out) > 0 && err == nil {
		n := min(len(out), maxWrite)
		if err = cn.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err == nil {
			_, err = cn.nc.Write(out[:n])
		}
		out = out[n:]
	}
	for _, t := range tokens {
		t.complete(packet.ReasonOf(err), err)
	}
	return err
}

// linger gives the server the time to read our DISCONNECT and to close. Closing
// first, with packets unread, could destroy it on its way.
func (cn *conn) linger() error {
	if half, ok := cn.nc.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return nil // the server was quicker
		}
	}
	timer := time.NewTimer(lingerTimeout)
	defer timer.Stop()
	select {
	case <-cn.readDone:
	case <-timer.C:
	}
	return nil
}

// ping adds a PINGREQ when the connection was silent in either direction for
// the keep alive time. It returns how long write may sleep.
func (c *Client) ping(cn *conn, sent time.Time) (time.Duration, error) {
	if cn.keepAlive == 0 {
		return time.Hour, nil
	}
	now := time.Now()
	blocked := c.queue.blocked(now) // until then an answer may have lain unread
	c.mu.Lock()
	defer c.mu.Unlock()
	if !cn.pinged.IsZero() {
		since := cn.pinged
		for _, t := range []time.Time{cn.heard, blocked} {
			if t.After(since) {
				since = t
			}
		}
		wait := cn.keepAlive - now.Sub(since)
		if wait <= 0 {
			cn.cause = &packet.Error{Code: packet.KeepAliveTimeout, Err: errors.New("no PINGRESP")}
			return 0, cn.cause
		}
		return wait, nil
	}
	silent := max(now.Sub(sent), now.Sub(cn.heard))
	if silent < cn.keepAlive {
		return cn.keepAlive - silent, nil
	}
	cn.add(&packet.Pingreq{})
	cn.pinged = now
	return 0, nil
}
