package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/wirebird/wirebird/packet"
)

var errHungUp = errors.New("the broker closed the connection")

const maxPacket = 16 << 20 // a longer packet is none of ours

// handler is told what comes on a connection. It runs on the engine's goroutine.
type handler interface {
	// packet gets one packet: its first byte and what follows the fixed header, valid
	// until it returns. An error ends the connection.
	packet(c *conn, first byte, body []byte) error
	// answered is called when all packets of a read have been given.
	answered(c *conn)
}

// conn is a connection on a driver.
type conn struct {
	e     *engine
	h     handler
	layer layer
	rem   []byte // bytes of an incomplete packet
	acks  []byte // to be sent when a read has been worked off
	wire  []byte // scratch for the layer
	gone  bool
	slot  int // the driver's

	fd   int    // epoll
	out  []byte // bytes that the socket did not take
	wait bool   // told when it can be written

	nc net.Conn // goroutines
}

// driver moves bytes between sockets and connections. It belongs to one goroutine.
type driver interface {
	// adopt takes nc over, which it closes in the end, also after an error.
	adopt(c *conn, nc net.Conn) error
	// send sends b, or keeps it until it can be sent.
	send(c *conn, b []byte)
	// turn hands what has come to the connections. It waits for at most d.
	turn(d time.Duration)
	drop(c *conn)
	// close ends all connections.
	close()
}

// engine is the connections of one measurement.
type engine struct {
	driver
	start time.Time
	fault error // the first that ended a connection
}

func newEngine(d func() (driver, error)) (*engine, error) {
	drv, err := d()
	if err != nil {
		return nil, err
	}
	return &engine{driver: drv, start: time.Now()}, nil
}

// now is nanoseconds since the engine was made, monotonic.
func (e *engine) now() int64 { return int64(time.Since(e.start)) }

// add puts an open connection on the driver and hands on what it has read.
func (e *engine) add(l *link, h handler) (*conn, error) {
	c := &conn{e: e, h: h, layer: l.layer}
	if err := e.adopt(c, l.nc); err != nil {
		return nil, err
	}
	if len(l.rest) > 0 {
		c.feed(l.rest)
		c.h.answered(c)
	}
	return c, nil
}

// fail ends a connection and, as it was not asked for, the measurement.
func (c *conn) fail(err error) {
	if c.gone {
		return
	}
	if err == io.EOF {
		err = errHungUp
	}
	c.close()
	if c.e.fault == nil {
		c.e.fault = err
	}
}

func (c *conn) close() {
	if !c.gone {
		c.gone = true
		c.e.drop(c)
	}
}

// write sends plain bytes.
func (c *conn) write(b []byte) {
	if c.gone || len(b) == 0 {
		return
	}
	if c.layer == nil {
		c.e.send(c, b)
		return
	}
	c.wire = c.layer.out(c.wire[:0], b)
	c.e.send(c, c.wire)
}

// flushAcks sends the acknowledgements of a read in one write.
func (c *conn) flushAcks() {
	if len(c.acks) > 0 {
		c.write(c.acks)
		c.acks = c.acks[:0]
	}
}

// input takes bytes of the network.
func (c *conn) input(wire []byte) {
	plain, reply, err := inward(c.layer, wire)
	if len(reply) > 0 {
		c.e.send(c, reply)
	}
	c.feed(plain)
	if err != nil {
		c.fail(err)
	}
	if !c.gone {
		c.h.answered(c)
	}
}

// feed cuts plain bytes into packets.
func (c *conn) feed(b []byte) {
	if len(c.rem) > 0 {
		c.rem = append(c.rem, b...)
		b = c.rem
	}
	for len(b) >= 2 && !c.gone {
		size, head := int(b[1]), 2
		if size >= 0x80 {
			v, n, err := packet.ParseVarint(b[1:])
			if err == nil && v > maxPacket {
				err = fmt.Errorf("the broker sends a packet of %d bytes", v)
			}
			if err != nil {
				c.fail(err)
				return
			}
			if n == 0 {
				break
			}
			size, head = int(v), 1+n
		}
		if len(b)-head < size {
			break
		}
		if err := c.h.packet(c, b[0], b[head:head+size]); err != nil {
			c.fail(err)
			return
		}
		b = b[head+size:]
	}
	c.rem = append(c.rem[:0], b...)
}
