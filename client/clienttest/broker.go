package clienttest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// Broker is a broker inside a test. Its methods may be called from any goroutine.
type Broker struct {
	t       testing.TB
	options broker.Options
	work    sync.WaitGroup // of connections and the listener

	mu       sync.Mutex
	engine   *engine // nil after Kill
	down     bool    // connections are refused
	ended    bool    // the test is over
	held     chan struct{}
	conns    map[*conn]struct{}
	opened   int
	listener net.Listener // of URL
	received []Record
	sent     []Record
	changed  chan struct{} // closed when a record is added
}

// Record is a packet that a Broker got or sent.
type Record struct {
	Conn     int           // number of the connection, from 0
	ClientID string        // as CONNECT says, or CONNACK; "" until then
	Packet   packet.Packet // a copy, the caller's to keep
}

// NewBroker returns a broker with the defaults of package broker. It ends with the test.
// It keeps its state in memory, takes any client and refuses none.
func NewBroker(t testing.TB) *Broker {
	t.Helper()
	return NewBrokerWith(t, broker.Options{})
}

// NewBrokerWith is NewBroker with options, such as limits and hooks. It has one shard and
// the clock of the test, and no journal, whatever the options say.
func NewBrokerWith(t testing.TB, o broker.Options) *Broker {
	t.Helper()
	b := &Broker{t: t, options: o, conns: make(map[*conn]struct{}), changed: make(chan struct{})}
	b.held = make(chan struct{})
	close(b.held) // not held
	b.start()
	t.Cleanup(b.close)
	return b
}

// start makes the broker itself, without a session.
func (b *Broker) start() {
	b.t.Helper()
	e, err := newEngine(b.options)
	if err != nil {
		b.t.Fatalf("clienttest: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.engine, b.down = e, false
}

// close ends everything. It is called when the test ends.
func (b *Broker) close() {
	b.mu.Lock()
	b.ended = true
	if b.listener != nil {
		_ = b.listener.Close()
	}
	b.mu.Unlock()
	b.Kill()
	b.work.Wait()
}

// Dial opens a connection to the broker. It is for client.Options.Dial.
func (b *Broker) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	if !b.serve(far) {
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: syscall.ECONNREFUSED}
	}
	return near, nil
}

// Dialer is Dial with faults: those of(n) returns for the n-th connection that it opens,
// counted from 0.
func (b *Broker) Dialer(of func(n int) Faults) func(context.Context) (net.Conn, error) {
	return Dialer(b.Dial, of)
}

// URL is where the broker can be reached by TCP, on the loopback address. The first call
// opens the port. It is not for use inside testing/synctest.
func (b *Broker) URL() string {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatalf("clienttest: %v", err)
		}
		b.listener = l
		b.work.Go(func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				b.serve(nc)
			}
		})
	}
	return "mqtt://" + b.listener.Addr().String()
}

// serve takes a connection, unless it is refused.
func (b *Broker) serve(nc net.Conn) bool {
	b.mu.Lock()
	if b.down || b.ended {
		b.mu.Unlock()
		_ = nc.Close()
		return false
	}
	c := newConn(b, b.engine, nc, b.opened)
	b.opened++
	b.conns[c] = struct{}{}
	c.sides.Go(c.read)
	c.sides.Go(c.write)
	b.work.Go(func() { c.sides.Wait(); b.forget(c) })
	b.mu.Unlock()
	return true
}

func (b *Broker) forget(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
}

// Hold makes the broker hang: it takes connections, and nothing that comes on them is
// handled, nor anything sent, until Release.
func (b *Broker) Hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.held:
		b.held = make(chan struct{})
	default: // it is held
	}
}

// Release ends Hold: the broker goes on where it was.
func (b *Broker) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.held:
	default:
		close(b.held)
	}
}

// gate is closed while the broker is not held.
func (b *Broker) gate() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// Cut ends every connection that there is, without a word, and takes new ones. Sessions
// stay, and wills are published as after any lost connection.
func (b *Broker) Cut() {
	b.mu.Lock()
	open := make([]*conn, 0, len(b.conns))
	for c := range b.conns {
		open = append(open, c)
	}
	b.mu.Unlock()
	for _, c := range open {
		c.cut()
	}
	for _, c := range open {
		c.sides.Wait()
	}
}

// Stop is Cut, and refuses connections until Restart. Sessions stay, as those of a broker
// that keeps them on disk.
func (b *Broker) Stop() {
	b.mu.Lock()
	b.down = true
	b.mu.Unlock()
	b.Cut()
}

// Kill is Stop, and forgets everything: sessions, retained messages, what was queued.
func (b *Broker) Kill() {
	b.Stop()
	b.mu.Lock()
	e := b.engine
	b.engine = nil
	b.mu.Unlock()
	if e != nil {
		e.stop()
	}
}

// Restart takes connections again, after Stop or Kill.
func (b *Broker) Restart() {
	b.t.Helper()
	b.mu.Lock()
	forgotten := b.engine == nil
	if !forgotten {
		b.down = false
	}
	b.mu.Unlock()
	if forgotten {
		b.start()
	}
}

// Received lists the packets that clients sent and the broker has handled, in order, of
// all connections since the test began.
func (b *Broker) Received() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Record(nil), b.received...)
}

// Sent lists the packets of the broker, in order. They may not have left yet.
func (b *Broker) Sent() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Record(nil), b.sent...)
}

// Await returns once enough reports that what was received and sent will do, or with the
// error of ctx. It is asked again after each packet.
func (b *Broker) Await(ctx context.Context, enough func(received, sent []Record) bool) error {
	for {
		b.mu.Lock()
		received, sent, changed := b.received, b.sent, b.changed
		b.mu.Unlock()
		if enough(received[:len(received):len(received)], sent[:len(sent):len(sent)]) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("clienttest: await: %w after %d packets received and %d sent", ctx.Err(), len(received), len(sent))
		}
	}
}

func (b *Broker) record(list *[]Record, c *conn, p packet.Packet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch p := p.(type) {
	case *packet.Connect:
		c.clientID = string(p.ClientID)
	case *packet.Connack:
		if p.Properties.Has(packet.PropAssignedClientID) {
			c.clientID = string(p.Properties.AssignedClientID)
		}
	}
	*list = append(*list, Record{Conn: c.number, ClientID: c.clientID, Packet: p})
	close(b.changed)
	b.changed = make(chan struct{})
}

// patience bounds a write to a client that does not read, once its connection is to end.
const patience = 2 * time.Second
