package client

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// conn is one network connection. Two goroutines serve it: read and write.
type conn struct {
	nc        net.Conn // a countingConn
	r         *packet.Reader
	version   packet.Version
	keepAlive time.Duration // 0 is none
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
	*alarm
}

// alarm wakes the writer of a connection. It holds nothing else, because a timer that
// was stopped may keep it for as long as the timer would have run.
type alarm struct {
	wake chan struct{} // room for one: there is something to write, or due
	due  atomic.Bool   // it is time to look at the keep alive
}

func (c *Client) newConn(nc net.Conn, v packet.Version) *conn {
	cn := &conn{
		version:  v,
		readDone: make(chan struct{}),
		ended:    make(chan struct{}),
		trace:    c.opts.Trace,
		out:      output{version: v, trace: c.opts.Trace != nil},
		born:     time.Now(),
		alarm:    &alarm{wake: make(chan struct{}, 1)},
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

// look makes the writer look at the keep alive.
func (a *alarm) look() {
	a.due.Store(true)
	a.kick()
}

// kick wakes the writer.
func (a *alarm) kick() {
	select {
	case a.wake <- struct{}{}:
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
	cn.kick()
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
