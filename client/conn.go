package client

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
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
	nc        net.Conn // a countingConn
	r         *packet.Reader
	version   packet.Version
	keepAlive time.Duration // 0 is none
	wake      chan struct{} // room for one: there is something to write
	readDone  chan struct{} // closed when read has returned
	ended     chan struct{} // closed when nothing serves the connection any more
	trace     func(sent bool, p packet.Packet)

	// Guarded by Client.mu.
	out     output
	written []*outbound // QoS 0 messages in out
	pinged  time.Time   // when the oldest unanswered PINGREQ was sent
	cause   error       // what ended the connection, if it was a packet

	born  time.Time
	heard atomic.Int64 // when bytes came last, in nanoseconds since born
}

func (c *Client) newConn(nc net.Conn, v packet.Version) *conn {
	cn := &conn{
		version:  v,
		wake:     make(chan struct{}, 1),
		readDone: make(chan struct{}),
		ended:    make(chan struct{}),
		trace:    c.opts.Trace,
		out:      output{version: v, trace: c.opts.Trace != nil},
		born:     time.Now(),
	}
	cn.nc = countingConn{nc, cn, &c.counts}
	cn.r = packet.NewReader(cn.nc, v, int(c.opts.MaxPacketSize))
	return cn
}

func (cn *conn) heardAt() time.Time { return cn.born.Add(time.Duration(cn.heard.Load())) }

// addLast appends the packet that ends the connection. Client.mu must be held.
func (cn *conn) addLast(p *packet.Disconnect) {
	cn.out.packet(p)
	cn.out.closed = true
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
	case cn.out.closed:
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
		if e, ok := errors.AsType[*packet.Error](err); ok && cn.cause == nil && !cn.out.closed {
			cn.cause = err
			if cn.version == packet.V5 { // in 3.x it would mean that all is well
				cn.addLast(&packet.Disconnect{Code: e.Code})
			}
		}
		return fmt.Errorf("read: %w", err)
	}
}

// receive handles one packet. It waits while a lane that says Block is full.
func (c *Client) receive(cn *conn, p packet.Packet) error {
	if p, ok := p.(*packet.Auth); ok {
		err := c.receiveAuth(cn, p)
		cn.kick()
		return err
	}
	c.mu.Lock()
	out := &cn.out
	var err error
	switch p := p.(type) {
	case *packet.Pingresp:
		cn.pinged = time.Time{}
	case *packet.Disconnect:
		err = c.receiveDisconnectLocked(cn, p)
	default:
		err = c.flow.receive(p, out)
	}
	deliver, refused, answered := out.deliver, out.refused, out.answered
	out.deliver, out.refused, out.answered = nil, nil, nil
	if deliver != nil {
		c.flow.settle(deliver, out) // if nobody wants it
	}
	c.checkDrainedLocked()
	owes := len(out.buf) > 0
	c.mu.Unlock()
	if owes && (deliver != nil || !cn.r.Ready()) { // else with what the next packet leads to
		cn.kick()
	}
	if deliver != nil && deliver.lane != nil {
		c.deliver(&deliver.delivery)
		for _, d := range deliver.more {
			c.deliver(d)
		}
	}
	if answered != nil {
		c.tellAnswer(answered)
	}
	c.warnRefused(refused)
	return err
}

func (c *Client) warnRefused(filters []string) {
	for _, filter := range filters {
		c.opts.Logger.Warn("subscription lost", "filter", filter)
	}
}

// deliver puts d into its lane.
func (c *Client) deliver(d *delivery) {
	dropped, first := c.lanes.push(d)
	if dropped == nil {
		return
	}
	if first {
		c.opts.Logger.Warn("handler too slow, messages dropped", "filter", d.lane.Filter, "queue", d.lane.Queue)
	}
	if dropped.msg.QoS > 0 {
		c.delivered(dropped) // its handler was taken away meanwhile
	}
}

// tellAnswer calls OnSubscribe or OnUnsubscribe.
func (c *Client) tellAnswer(r *request) {
	switch {
	case r.subs != nil && c.opts.OnSubscribe != nil:
		c.lanes.tell(c.main, func() { c.opts.OnSubscribe(c, r.subs, r.codes) })
	case r.filters != nil && c.opts.OnUnsubscribe != nil:
		c.lanes.tell(c.main, func() { c.opts.OnUnsubscribe(c, r.filters, r.codes) })
	}
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
	var w batch
	timer := time.NewTimer(0)
	defer timer.Stop()
	sent, readDone := time.Now(), false
	for {
		c.mu.Lock()
		w.take(cn)
		last := cn.out.closed
		c.mu.Unlock()
		if len(w.buf) > 0 {
			if err := w.write(cn); err != nil {
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
			runtime.Gosched() // whoever has more to send adds it to the same write
		case <-timer.C:
		case <-cn.readDone:
			readDone = true
		}
	}
}

// A batch is what goes out in one write. Its buffers change places with those
// of the connection.
type batch struct {
	buf     []byte
	written []*outbound
	traced  []packet.Packet
}

// take exchanges the batch, which is empty, for what is to be written. Client.mu
// must be held.
func (w *batch) take(cn *conn) {
	if cap(w.buf) > keptBuffer {
		w.buf = nil
	}
	cn.out.buf, w.buf = w.buf[:0], cn.out.buf
	cn.written, w.written = w.written[:0], cn.written
	w.traced, cn.out.traced = cn.out.traced, nil
}

// write sends the batch and completes the QoS 0 messages in it.
func (w *batch) write(cn *conn) error {
	for _, p := range w.traced {
		cn.trace(true, p)
	}
	var err error
	for out := w.buf; len(out) > 0 && err == nil; {
		n := min(len(out), maxWrite)
		if err = cn.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err == nil {
			_, err = cn.nc.Write(out[:n])
		}
		out = out[n:]
	}
	for i, o := range w.written {
		w.written[i] = nil
		o.complete(packet.ReasonOf(err), err)
	}
	return err
}

// linger gives the server the time to read our DISCONNECT and to close. Closing
// first, with packets unread, could destroy it on its way.
func (cn *conn) linger() error {
	if half, ok := cn.nc.(countingConn).Conn.(interface{ CloseWrite() error }); ok {
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
	blocked, heard := c.lanes.blocked(now), cn.heardAt() // until then an answer may have lain unread
	c.mu.Lock()
	defer c.mu.Unlock()
	if !cn.pinged.IsZero() {
		since := cn.pinged
		for _, t := range []time.Time{heard, blocked} {
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
	silent := max(now.Sub(sent), now.Sub(heard))
	if silent < cn.keepAlive {
		return cn.keepAlive - silent, nil
	}
	cn.out.packet(&packet.Pingreq{})
	cn.pinged = now
	return 0, nil
}

// countingConn counts bytes and notes when they came.
type countingConn struct {
	net.Conn
	cn     *conn
	counts *counts
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.counts.bytesIn.Add(uint64(n))
	c.cn.heard.Store(int64(time.Since(c.cn.born)))
	return n, err
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.counts.bytesOut.Add(uint64(n))
	return n, err
}
