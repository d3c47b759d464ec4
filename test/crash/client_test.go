package crash

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// world is what all clients share.
type world struct {
	address  string
	ledger   *ledger
	patience time.Duration // to wait for what has to come
	cutEvery int           // ticks between two cuts of a connection, on average
	quiet    atomic.Bool   // publishers send nothing new
	awake    atomic.Bool   // the client that connects only now and then does
	complete atomic.Bool   // nobody cuts a connection or stays away any more
	killed   atomic.Int64  // unix nanoseconds of the last signal to the broker
}

// peer is what a client does on its connections; client calls one method at a time.
type peer interface {
	greet(l *link, ack *packet.Connack) // resume, or start anew without Session Present
	receive(l *link, p packet.Packet)
	tick(l *link) // every few milliseconds
}

// client keeps a persistent session connected to a broker that comes and goes.
type client struct {
	*world
	name       string
	version    packet.Version
	receiveMax uint16 // 0 is none
	lazy       bool   // what it answers leaves with the next tick, not with the next read
	rng        *rand.Rand

	// Of these each may be nil.
	wanted  func() bool // whether to connect, or to stay connected
	will    func() *packet.Will
	lost    func(since time.Time) // the connection has ended, not before since
	session func()                // there is no session any more
	ending  func()                // a CONNECT with Clean Start is about to be sent

	fresh bool // the next CONNECT ends the session by Clean Start
	brief bool // and the new one ends with its connection

	who    uint8
	known  bool // a CONNACK has come: the broker has the session
	none   bool // the broker can have no session
	conn   uint16
	cut    time.Time // when ticks closed the latest connection; zero if it did not
	online atomic.Bool
	mu     sync.Mutex // guards the peer's state and the link's buffer
}

func newClient(w *world, name string, v packet.Version, seed uint64) *client {
	who := w.ledger.join(name)
	return &client{world: w, name: name, version: v, who: who, rng: rand.New(rand.NewPCG(seed, uint64(who)))}
}

func (c *client) witness() witness { return witness{c.who, c.conn} }

// timing of the clients.
const (
	tickTime      = 4 * time.Millisecond
	retryTime     = 4 * time.Millisecond
	answerTime    = 15 * time.Second // for a CONNACK
	forever       = 0xFFFFFFFF       // Session Expiry Interval
	writePatience = 15 * time.Second
)

// keep lets p talk to the broker until ctx ends.
func (c *client) keep(ctx context.Context, p peer) {
	for ctx.Err() == nil {
		if c.wanted == nil || c.wanted() {
			c.talk(ctx, p)
		}
		pause(ctx, retryTime)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// talk is one connection from its dial to its end.
func (c *client) talk(ctx context.Context, p peer) {
	d := net.Dialer{Timeout: time.Second}
	nc, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return
	}
	began := time.Now()
	c.conn++
	c.cut = time.Time{}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	l := &link{c: c, nc: nc}
	l.r = packet.NewReader(l, c.version, 0)
	none := c.none
	c.none = false // unless a CONNACK says so, once the CONNECT is out
	l.send(c.connect())
	if c.lost != nil {
		defer func() { c.lost(c.end(began)) }()
	}
	ack := c.admitted(l, none)
	if ack == nil {
		return
	}
	c.mu.Lock()
	p.greet(l, ack)
	c.mu.Unlock()
	c.online.Store(true)
	defer c.online.Store(false)
	var wg sync.WaitGroup
	ticking, stop := context.WithCancel(ctx)
	wg.Go(func() { c.ticks(ticking, l, p) })
	c.read(l, p)
	stop()
	wg.Wait()
}

// end returns a time that is not after the end of a connection that has begun at a time.
func (c *client) end(began time.Time) time.Time {
	if killed := time.Unix(0, c.killed.Load()); killed.After(began) {
		return killed
	}
	if !c.cut.IsZero() {
		return c.cut
	}
	return time.Now()
}

func (c *client) connect() *packet.Connect {
	p := &packet.Connect{Version: c.version, ClientID: []byte(c.name), CleanStart: c.fresh}
	if c.fresh {
		c.ending()
	}
	if c.version == packet.V5 {
		if !c.brief {
			p.Properties.SessionExpiry = forever
			p.Properties.Mark(packet.PropSessionExpiry)
		}
		if c.receiveMax > 0 {
			p.Properties.ReceiveMax = c.receiveMax
			p.Properties.Mark(packet.PropReceiveMax)
		}
	}
	if c.will != nil {
		p.Will = c.will()
	}
	return p
}

// admitted waits for the CONNACK and judges it; nil is none.
func (c *client) admitted(l *link, none bool) *packet.Connack {
	_ = l.nc.SetReadDeadline(time.Now().Add(answerTime))
	p, err := l.r.ReadPacket()
	_ = l.nc.SetReadDeadline(time.Time{})
	if err != nil {
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			c.ledger.fail(faultStuck, nil, "%s waited %v for its CONNACK", c.name, answerTime)
		}
		return nil
	}
	ack, ok := packet.Clone(p).(*packet.Connack)
	if !ok {
		c.ledger.fail(faultProtocol, nil, "%s got %v before its CONNACK", c.name, p)
		return nil
	}
	switch {
	case ack.Code == packet.ServerUnavailable || ack.Code == packet.ServerShuttingDown:
		return nil // it is starting or stopping
	case ack.Code != packet.Success:
		c.ledger.fail(faultProtocol, nil, "%s was refused: %v", c.name, ack.Code)
		return nil
	}
	c.resumed(ack.SessionPresent, none)
	return ack
}

// resumed judges Session Present; none is whether there can be no session.
func (c *client) resumed(present, none bool) {
	c.ledger.connected(present)
	if present && (c.fresh || none) {
		c.ledger.fail(faultEnded, nil, "%s got Session Present 1 on connection %d, with Clean Start %v, after its session had ended",
			c.name, c.conn, c.fresh)
	}
	if c.known && !present {
		if !c.fresh {
			c.ledger.fail(faultSession, nil, "%s came back on connection %d with Session Present 0", c.name, c.conn)
		}
		if c.session != nil {
			c.session()
		}
	}
	c.known, c.none, c.fresh = !c.brief, c.brief, false
}

func (c *client) read(l *link, p peer) {
	for {
		in, err := l.r.ReadPacket()
		if err != nil {
			if code := packet.ReasonOf(err); code != packet.UnspecifiedError {
				c.ledger.fail(faultProtocol, nil, "%s cannot read a packet: %v", c.name, err)
			}
			return
		}
		if bye, ok := in.(*packet.Disconnect); ok {
			if bye.Code != packet.ServerShuttingDown {
				c.ledger.fail(faultProtocol, nil, "%s was disconnected: %v", c.name, bye.Code)
			}
			return
		}
		c.mu.Lock()
		p.receive(l, in)
		c.mu.Unlock()
	}
}

// ticks calls p.tick now and then, and seldom cuts the connection without a word.
func (c *client) ticks(ctx context.Context, l *link, p peer) {
	t := time.NewTicker(tickTime)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c.mu.Lock()
		p.tick(l)
		l.flush()
		c.mu.Unlock()
		// Now the acknowledgement of what has been sent gets lost.
		if !c.complete.Load() && !c.brief && c.rng.IntN(c.cutEvery) == 0 || c.wanted != nil && !c.wanted() {
			c.cut = time.Now()
			l.nc.Close()
			return
		}
	}
}

// link is one connection of a client. Its methods want client.mu held, but for Read.
type link struct {
	c       *client
	nc      net.Conn
	r       *packet.Reader
	out     []byte
	flushes int
}

// send puts a packet into the buffer.
func (l *link) send(p packet.Packet) { l.out = p.Append(l.out, l.c.version) }

// flush writes the buffer. An error ends the reading side as well.
func (l *link) flush() {
	if len(l.out) == 0 {
		return
	}
	_ = l.nc.SetWriteDeadline(time.Now().Add(writePatience))
	if _, err := l.nc.Write(l.out); err != nil {
		l.nc.Close()
	}
	l.out = l.out[:0]
	l.flushes++
}

// Read flushes before it waits for the broker. It takes client.mu itself.
func (l *link) Read(b []byte) (int, error) {
	l.c.mu.Lock()
	if !l.c.lazy || !l.c.online.Load() {
		l.flush()
	}
	l.c.mu.Unlock()
	return l.nc.Read(b)
}
