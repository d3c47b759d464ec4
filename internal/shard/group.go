package shard

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// Options of a Group.
type Options struct {
	// Loops is the number of event loops, from 1 to 256. On Linux they cost least when the
	// Go runtime has more processors than that (GOMAXPROCS): then a Loop that waits for a
	// moment keeps its own.
	Loops int
	// Clock gives the time in unix nanoseconds. It is read once a turn.
	Clock func() int64
	// Handler makes the Handler of each Loop.
	Handler func(l *Loop) Handler
	// MaxConns is the largest number of open connections; 0 is no limit. Connections
	// above it are closed as soon as they are accepted, and counted.
	MaxConns int
	// Lobby is how many connections above MaxConns are opened nonetheless, so that the
	// Handler can tell them; Conn.Over knows them. They are counted, too.
	Lobby int
	// MaxUnsent is how many bytes may wait for a peer, after what the network takes,
	// before nothing more is read from it until they have left; 0 is no limit. A peer
	// that asks and never reads the answers cannot fill the memory with them.
	MaxUnsent int
}

// Group is a set of Loops that share listeners and exchange connections and mail.
type Group struct {
	o       Options
	loops   []*Loop
	conns   atomic.Int64
	refused atomic.Uint64
	sys     system
	once    sync.Once // of Stop
}

// NewGroup makes Loops that do not run yet; Start starts them.
func NewGroup(o Options) (*Group, error) {
	if o.Loops < 1 || o.Loops > 256 {
		return nil, errors.New("shard: Loops must be between 1 and 256")
	}
	g := &Group{o: o, loops: newLoops(o.Loops)}
	for _, l := range g.loops {
		l.maxUnsent = o.MaxUnsent
		l.h = o.Handler(l)
	}
	return g, nil
}

// Loops are the group's Loops by ID.
func (g *Group) Loops() []*Loop { return g.loops }

// Conns is the number of connections that drivers hold open.
func (g *Group) Conns() int { return int(g.conns.Load()) }

// Refused is the number of connections above MaxConns.
func (g *Group) Refused() uint64 { return g.refused.Load() }

// admit counts a new connection, or refuses it. flags are those that it begins with.
func (g *Group) admit() (flags uint16, ok bool) {
	n, most := g.conns.Add(1), int64(g.o.MaxConns)
	if most == 0 || n <= most {
		return 0, true
	}
	g.refused.Add(1)
	if n <= most+int64(g.o.Lobby) {
		return flagOver, true
	}
	g.conns.Add(-1)
	return 0, false
}

// Start runs the Loops.
func (g *Group) Start() error { return g.sys.start(g) }

// Listen accepts connections from ln, which it closes in CloseListeners or Stop.
func (g *Group) Listen(ln net.Listener, o *Origin) error { return g.sys.listen(g, ln, o) }

// CloseListeners stops accepting.
func (g *Group) CloseListeners() { g.sys.closeListeners() }

// Stop ends the Loops and closes what is still open, without a word to the peers. It
// returns when everything that the group started has ended.
func (g *Group) Stop() {
	g.once.Do(func() {
		g.sys.closeListeners()
		g.sys.stop(g)
	})
}

// Manual makes the group one whose Loops are turned by the caller: with OpenPort, Feed,
// Writable, Hangup, Begin and End. It takes the place of Start.
func (g *Group) Manual() {
	for _, l := range g.loops {
		l.drv = portDriver{}
	}
}

// OpenPort adds a connection over p, in l's turn.
func (l *Loop) OpenPort(p Port, o *Origin) *Conn { return l.openPort(p, o, 0) }

func (l *Loop) openPort(p Port, o *Origin, flags uint16) *Conn {
	c := newConn(o)
	c.flags = flags
	c.ext = &ext{port: p}
	l.filterFor(c)
	l.open(c)
	return c
}

func newConn(o *Origin) *Conn { return &Conn{origin: o, fd: -1} }

// filterFor gives c the filter that its listener asks for.
func (l *Loop) filterFor(c *Conn) {
	c.tick = tickOf(l.now)
	if c.origin == nil || c.origin.NewFilter == nil {
		return
	}
	if c.ext == nil {
		c.ext = &ext{}
	}
	// The slot is known only after add. The mail carries the key and not c, which may
	// belong to another Loop by the time the mail is read.
	key := new(atomic.Uint64)
	c.ext.key = key
	c.ext.filter = c.origin.NewFilter(func() { l.Post(func() { l.poked(key.Load()) }) })
}

// poked polls a filter that asked for it, if its connection is still here.
func (l *Loop) poked(key uint64) {
	if c := l.Find(key); c != nil && c.ext != nil && c.ext.filter != nil && c.flags&(flagGone|flagMoving) == 0 {
		l.filtered(c, nil)
	}
}

// portDriver writes to Ports and watches nothing.
type portDriver struct{}

func (portDriver) write(c *Conn, b []byte) (int, error) {
	c.loop.writes++
	return c.ext.port.Write(b)
}
func (portDriver) shutdown(c *Conn)   { c.ext.port.Shutdown() }
func (portDriver) close(c *Conn)      { c.ext.port.Close() }
func (portDriver) detach(*Conn)       {}
func (portDriver) attach(*Conn) error { return nil }
func (portDriver) rewatch(*Conn)      {}
func (portDriver) wake()              {}
func (portDriver) help(int64) bool    { return false }

// portAddr asks a Port for its peer's address.
func portAddr(c *Conn) string {
	if c.ext == nil {
		return ""
	}
	if p, ok := c.ext.port.(interface{ RemoteAddr() string }); ok {
		return p.RemoteAddr()
	}
	return ""
}
