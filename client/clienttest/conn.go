package clienttest

import (
	"net"
	"sync"
	"time"

	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/packet"
)

// maxUnsent is how many bytes may wait for a client before the shard is told so.
const maxUnsent = 256 << 10

// conn is the broker's end of one connection, with a goroutine for each direction. It is
// the shard.Port of its shard.Conn.
type conn struct {
	b        *Broker
	e        *engine
	nc       net.Conn
	number   int
	clientID string      // guarded by Broker.mu
	c        *shard.Conn // belongs to the turns
	in, out  sniffer     // belong to the turns
	more     chan struct{}
	ended    chan struct{}  // closed when the shard has let go, or the test cuts
	sides    sync.WaitGroup // read and write

	mu       sync.Mutex
	pending  []byte
	blocked  bool // the shard waits for Writable
	shut     bool // no more bytes come
	finished bool // ended is closed
}

func newConn(b *Broker, e *engine, nc net.Conn, number int) *conn {
	c := &conn{b: b, e: e, nc: nc, number: number,
		more: make(chan struct{}, 1), ended: make(chan struct{})}
	c.in.version, c.out.version = packet.V311, packet.V311 // until CONNECT says
	return c
}

// RemoteAddr is what the broker knows of the client.
func (c *conn) RemoteAddr() string { return c.nc.RemoteAddr().String() }

// read feeds the shard until the connection ends.
func (c *conn) read() {
	e := c.e
	e.turn(func() { c.c = e.loop.OpenPort(c, nil) })
	buf := make([]byte, 4096)
	for {
		n, err := c.nc.Read(buf)
		select {
		case <-c.b.gate():
		case <-c.ended:
			n = 0 // what a broker that hangs has not read is lost
		}
		e.turn(func() {
			if n > 0 {
				c.sniff(buf[:n])
				e.loop.Feed(c.c, buf[:n])
			}
			if err != nil {
				e.loop.Hangup(c.c, err)
			}
		})
		if err != nil {
			c.Close() // the shard may have been stopped
			return
		}
	}
}

// sniff records the packets of the client.
func (c *conn) sniff(b []byte) {
	c.in.add(b, func(p packet.Packet) {
		if connect, ok := p.(*packet.Connect); ok {
			c.in.version, c.out.version = connect.Version, connect.Version
		}
		c.b.record(&c.b.received, c, p)
	})
}

// Write takes bytes for the writer. The shard calls it in its turn.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= maxUnsent {
		c.blocked = true
		return 0, nil
	}
	c.out.add(b, func(p packet.Packet) { c.b.record(&c.b.sent, c, p) })
	c.pending = append(c.pending, b...)
	c.signal()
	return len(b), nil
}

func (c *conn) signal() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// Shutdown says that no more bytes come.
func (c *conn) Shutdown() {
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
	c.signal()
}

// Close ends the connection once its bytes have left.
func (c *conn) Close() {
	c.mu.Lock()
	if !c.finished {
		c.finished = true
		close(c.ended)
		_ = c.nc.SetWriteDeadline(time.Now().Add(patience)) // ends a write that hangs
	}
	c.mu.Unlock()
	c.signal()
}

// cut ends the connection at once.
func (c *conn) cut() {
	_ = c.nc.Close()
	c.Close()
}

// write sends what comes until the connection ends, then closes it.
func (c *conn) write() {
	defer c.nc.Close()
	var batch []byte
	for range c.more {
		select {
		case <-c.b.gate():
		case <-c.ended:
		}
		c.mu.Lock()
		batch, c.pending = c.pending, batch[:0]
		blocked, shut, finished := c.blocked, c.shut, c.finished
		c.blocked = false
		c.mu.Unlock()
		if len(batch) > 0 {
			if _, err := c.nc.Write(batch); err != nil {
				_ = c.nc.Close() // read notices and tells the shard
			}
		}
		switch half, ok := c.nc.(interface{ CloseWrite() error }); {
		case finished:
			return
		case shut && ok:
			_ = half.CloseWrite()
		case shut:
			_ = c.nc.Close()
		case blocked:
			c.e.turn(func() { c.e.loop.Writable(c.c) })
		}
	}
}

// sniffer finds the packets in a stream of bytes.
type sniffer struct {
	version packet.Version
	rest    []byte // of a packet that is not complete
	lost    bool   // after bytes that are no packet
}

func (s *sniffer) add(b []byte, found func(packet.Packet)) {
	if s.lost {
		return
	}
	s.rest = append(s.rest, b...)
	for {
		p, n, err := packet.Parse(s.version, s.rest)
		if err != nil {
			s.lost, s.rest = true, nil
			return
		}
		if n == 0 {
			return
		}
		found(packet.Clone(p))
		s.rest = s.rest[n:]
	}
}
