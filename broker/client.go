package broker

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/packet"
)

// client is what a Network Connection has beyond its session.
type client struct {
	conn      *shard.Conn
	s         *sess // nil until CONNECT is accepted
	rare      *rare
	traits    *traits
	backlog   *backlog // retained messages still to be sent
	due       int64    // when CONNECT, or the packet that has begun, must be complete, unix nanoseconds; 0 none has
	keepAlive uint32   // milliseconds of silence allowed; 0 any
	maxPacket uint32   // 0: any
	unacked   uint16   // QoS 1 messages whose PUBACK waits for the journal
	version   packet.Version
	state     connState
	quiet     bool // Request Problem Information 0
	watched   bool // without a Keep Alive: a timer runs for due
}

// traits are what some connections have for all their life.
type traits struct {
	username string
	aliasIn  *session.AliasIn
	aliasOut *session.AliasOut
}

func (c *client) own() *traits {
	if c.traits == nil {
		c.traits = new(traits)
	}
	return c.traits
}

func (c *client) username() string {
	if c.traits == nil {
		return ""
	}
	return c.traits.username
}

// setUsername notes who the client is; a name that was known before does not stay.
func (c *client) setUsername(name string) {
	if name != c.username() {
		c.own().username = name
	}
}

// aliases tells whether the client takes Topic Aliases.
func (c *client) aliases() bool { return c.traits != nil && c.traits.aliasOut != nil }

// silence is how long the client may be silent, in nanoseconds; 0 is for ever.
func (c *client) silence() int64 { return int64(c.keepAlive) * int64(time.Millisecond) }

type connState uint8

const (
	opening        connState = iota // waiting for CONNECT
	authenticating                  // enhanced authentication before CONNACK
	committing                      // accepted, CONNACK waits for the journal
	connected
	ended
)

// rare holds what few connections need, or each for a moment only.
type rare struct {
	answer    *Verdict // of a slow decision: for the packet that is parsed again
	deciding  bool     // ... which is under way
	admitted  bool     // the Connect hook has said yes, and the will is decided about
	exchange  Exchange // enhanced authentication
	method    string   // ... its method
	connect   []byte   // ... body of the CONNECT it belongs to
	again     bool     // ... is being repeated by a connected client
	held      []held   // packets that wait for the journal
	heldBytes int      // size of held
	holding   bool     // on keeper.holders
}

func (c *client) extra() *rare {
	if c.rare == nil {
		c.rare = &rare{}
	}
	return c.rare
}

// Open announces a new connection.
func (k *core) Open(conn *shard.Conn) {
	c := &client{conn: conn, due: k.l.Now() + int64(k.limits.HandshakeTimeout)}
	if conn.Over() {
		c.due = min(c.due, k.l.Now()+lobbyTime)
	}
	conn.User = c
	k.stats.connectionsOpened++
	k.l.At(c.due, timeConn, conn.Key())
}

// Adopt announces a connection whose CONNECT showed that its session lives here.
func (k *core) Adopt(conn *shard.Conn) {
	k.l.At(conn.User.(*client).due, timeConn, conn.Key())
}

// Gone is the end of a connection.
func (k *core) Gone(conn *shard.Conn, err error) {
	c := conn.User.(*client)
	k.stats.connectionsClosed++
	if c.state == connected || c.state == committing {
		if err != nil && !errors.Is(err, io.EOF) {
			k.b.log.Debug("connection lost", "client_id", c.s.id, "error", err)
		}
		k.stats.lostConnections++
		k.detach(c, false)
	}
	c.state = ended
}

// Input takes packets from b until it needs more bytes.
func (k *core) Input(conn *shard.Conn, b []byte) int {
	c := conn.User.(*client)
	used := 0
	for used < len(b) {
		rest := b[used:]
		h, n, err := packet.ParseHeader(rest)
		if err != nil {
			k.fail(c, err)
			return len(b)
		}
		total := n + h.Remaining
		switch {
		case n == 0:
			k.begun(c)
			return used
		case total > k.limits.MaxPacketSize:
			k.fail(c, &packet.Error{Code: packet.PacketTooLarge})
			return len(b)
		case len(rest) < total:
			k.begun(c)
			return used
		}
		switch k.packet(c, h, rest[n:total], rest) {
		case stepParked:
			return used
		case stepMoved:
			return len(b)
		}
		k.stats.packetsIn[h.Type]++
		k.stats.bytesIn += uint64(total)
		used += total
		if c.state == connected {
			c.due = 0
		}
		if conn.Closed() {
			return len(b)
		}
		if conn.Paused() {
			return used
		}
	}
	return used
}

// step tells what became of a packet.
type step uint8

const (
	stepDone   step = iota
	stepParked      // a decision is under way: the packet comes again
	stepMoved       // the connection goes to another shard, packet included
)

func (k *core) packet(c *client, h packet.Header, body, rest []byte) step {
	switch c.state {
	case opening:
		if h.Type != packet.CONNECT { // [MQTT-3.1.0-1]
			k.fail(c, &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.1.0-1"})
			return stepDone
		}
		return k.onConnect(c, body, rest)
	case authenticating:
		k.onEarlyAuth(c, h, body)
		return stepDone
	case connected:
		return k.dispatch(c, h, body)
	}
	return stepDone
}

func (k *core) dispatch(c *client, h packet.Header, body []byte) step {
	switch h.Type {
	case packet.PUBLISH:
		return k.onPublish(c, h.Flags, body)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		k.onAck(c, h, body)
	case packet.SUBSCRIBE:
		return k.onSubscribe(c, h.Flags, body)
	case packet.UNSUBSCRIBE:
		k.onUnsubscribe(c, h.Flags, body)
	case packet.PINGREQ:
		if len(body) != 0 {
			k.fail(c, &packet.Error{Code: packet.MalformedPacket})
			return stepDone
		}
		k.send(c, &packet.Pingresp{}) // [MQTT-3.12.4-1]
	case packet.DISCONNECT:
		k.onDisconnect(c, h.Flags, body)
	case packet.AUTH:
		k.onAuth(c, h.Flags, body)
	default: // a second CONNECT [MQTT-3.1.0-2], or a packet that only servers send
		k.fail(c, &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.1.0-2"})
	}
	return stepDone
}

// decide asks a hook. parked tells that the answer comes later: the packet at hand must
// be left and will be parsed again.
func (k *core) decide(c *client, ask func() Verdict) (v Verdict, parked bool) {
	if c.rare != nil && c.rare.answer != nil {
		v, c.rare.answer = *c.rare.answer, nil
		return v, false
	}
	v = ask()
	if v.work == nil {
		return v, false
	}
	c.conn.Pause()
	c.extra().deciding = true
	loop, key, work, ctx := k.l, c.conn.Key(), v.work, k.b.ctx
	k.stats.decisionsParked++
	k.b.execute(func() {
		v := runDecision(ctx, work)
		loop.Post(func() { k.decided(key, v) })
	})
	return Verdict{}, true
}

// runDecision runs a slow decision. One that returns another is run to its end.
func runDecision(ctx context.Context, work func(context.Context) Verdict) Verdict {
	for {
		v := work(ctx)
		if v.work == nil {
			return v
		}
		work = v.work
	}
}

// decided lets a parked connection go on.
func (k *core) decided(key uint64, v Verdict) {
	conn := k.l.Find(key)
	if conn == nil || conn.Closed() {
		return
	}
	c := conn.User.(*client)
	c.rare.answer, c.rare.deciding = &v, false
	conn.Resume()
}

// Drained goes on sending what was held back while the connection was full.
func (k *core) Drained(conn *shard.Conn) {
	c := conn.User.(*client)
	if c.state == connected {
		k.pump(c)
	}
}

// peer describes a client to hooks.
func (k *core) peer(c *client, clientID string) Peer {
	p := Peer{ClientID: clientID, Username: c.username(), Version: c.version}
	describe(c.conn, &p)
	return p
}
