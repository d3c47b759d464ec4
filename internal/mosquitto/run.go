package mosquitto

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/wirebird/wirebird/internal/fault"
	"github.com/wirebird/wirebird/packet"
)

const (
	lingerTimeout = time.Second // for the server to close after our DISCONNECT
	reconnectWait = time.Second // between a lost connection and the next attempt
	maxPending    = 256 << 10   // bytes to write above which nothing more is published
	maxQueued     = 1000        // QoS 1 and 2 messages that wait, likewise
	writeTimeout  = 2 * time.Minute
)

// run is one call of pub, sub or rr. One goroutine owns it; two others read
// and write the connection.
type run struct {
	Call
	cfg *config
	out *bufio.Writer // of standard output

	id       string // client identifier, the server's choice if there is none
	lastMid  uint16
	quota    int         // messages that may go out before an acknowledgement
	outgoing []*outgoing // QoS 1 and 2, in order, until they are acknowledged
	incoming map[uint16]*packet.Publish
	aliases  map[uint16]string

	link         *link
	pending      []byte // to be written
	lastIn, sent time.Time
	keep         time.Duration // the server's Keep Alive, or ours
	keepTimer    *time.Timer
	pinged       bool
	accepted     bool // by the server, at least once
	ending       bool // DISCONNECT was sent
	refusal      int  // code of a CONNACK that refused
	exit         int  // status when the connection itself ends well, or there is none

	maxQoS        byte // of the server
	noRetain      bool
	maxPacketSize uint32 // bytes; 0 for no limit
	timedOut      bool

	on     handlers
	events events
}

// outgoing is a QoS 1 or 2 message on its way.
type outgoing struct {
	pub      *packet.Publish
	sent     bool // on this connection
	released bool // PUBREC came
}

// handlers is what a tool does when something happens. They may be nil.
type handlers struct {
	connected    func()
	message      func(*packet.Publish)
	published    func(mid uint16, code packet.ReasonCode, p *packet.Properties)
	subscribed   func(*packet.Suback)
	unsubscribed func(*packet.Unsuback)
}

// events is what can happen beside packets. A nil channel never does.
type events struct {
	lines    chan []byte // of standard input; closed at its end
	onLine   func(line []byte, ok bool)
	timer    <-chan time.Time
	onTimer  func()
	deadline <-chan time.Time // of -W
	signals  <-chan os.Signal
}

// link is a network connection with its two goroutines.
type link struct {
	nc      net.Conn
	packets chan packet.Packet
	readErr error // after packets is closed
	writes  chan []byte
	written chan error
}

// prepare makes what CONNECT will say, or says why that is not possible.
func (r *run) prepare() bool {
	r.incoming, r.aliases = map[uint16]*packet.Publish{}, map[uint16]string{}
	switch c := r.cfg; {
	case c.idPrefix != nil:
		r.id = *c.idPrefix + strconv.Itoa(os.Getpid())
	case c.id != nil && *c.id == "":
		text := "Error: Invalid id.\n"
		if r.Tool != Pub {
			text = "Error: Invalid id and/or clean_session.\n"
		}
		r.complain("%s", r.name(text, "Error: --id must not be empty; leave it out for one that the server chooses.\n"))
		return false
	case c.id != nil:
		r.id = *c.id
	case c.version == packet.V31:
		r.id = "mosq-" + rand.Text()[:18]
	}
	c := r.cfg
	if c.password != nil && c.username == nil && c.version != packet.V5 {
		r.complain("Error: Problem setting username and/or password.\n") // ours has been checked
		return false
	}
	return true
}

// complain prints an error unless --quiet is given.
func (r *run) complain(format string, args ...any) {
	if !r.cfg.quiet {
		r.flush()
		fmt.Fprintf(r.Err, format, args...)
	}
}

// flush writes standard output. When nobody reads it any more there is nothing
// left to do.
func (r *run) flush() {
	if r.out.Flush() != nil && r.link != nil {
		r.disconnect(packet.Success)
	}
}

// connectInTime connects; the time of -W runs from here on. It returns the exit
// status if that fails.
func (r *run) connectInTime(ctx context.Context) int {
	if r.cfg.timeout > 0 {
		r.events.deadline = time.After(r.cfg.timeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.cfg.timeout)
		defer cancel()
	}
	rc := r.connect(ctx)
	switch {
	case rc == 0:
		return 0
	case ctx.Err() != nil:
		r.timedOut = true
		return r.outcome(0)
	}
	return cmp.Or(r.exit, exitFailed)
}

// connect opens a connection and sends CONNECT. It returns libmosquitto's
// number of what failed.
func (r *run) connect(ctx context.Context) int {
	nc, err := r.cfg.dial(ctx)
	if err != nil && ctx.Err() != nil {
		return errTimeout // the caller says so
	}
	if err != nil {
		return r.dialFailed(err)
	}
	l := &link{nc: nc, packets: make(chan packet.Packet), writes: make(chan []byte), written: make(chan error, 1)}
	r.link, r.pending, r.pinged = l, nil, false
	r.lastIn, r.sent = time.Now(), time.Now()
	go l.read(packet.NewReader(nc, r.cfg.version, 0))
	go l.write()
	r.send(r.connectPacket())
	return 0
}

func (l *link) read(in *packet.Reader) {
	defer close(l.packets)
	for {
		p, err := in.ReadPacket()
		if err != nil {
			l.readErr = err
			return
		}
		l.packets <- packet.Clone(p)
	}
}

func (l *link) write() {
	for b := range l.writes {
		err := l.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = l.nc.Write(b)
		}
		if err != nil {
			l.written <- err
			l.nc.Close()
			for range l.writes { // whoever sends must not block
			}
			return
		}
	}
	l.written <- nil
}

// close ends the connection and both goroutines.
func (l *link) close() {
	l.nc.Close()
	for range l.packets {
	}
}

// stop leaves nothing behind.
func (r *run) stop() {
	if l := r.link; l != nil {
		l.nc.Close()
		close(l.writes)
		for range l.packets {
		}
		r.link = nil
	}
	r.flush()
}

func (r *run) connectPacket() *packet.Connect {
	c := r.cfg
	p := &packet.Connect{
		Version: c.version, CleanStart: !c.keepSession, KeepAlive: uint16(c.keepAlive / time.Second), ClientID: []byte(r.id),
	}
	if c.username != nil {
		p.HasUsername, p.Username = true, []byte(*c.username)
	}
	if c.password != nil {
		p.HasPassword, p.Password = true, []byte(*c.password)
	}
	if c.willTopic != "" {
		p.Will = &packet.Will{Topic: []byte(c.willTopic), QoS: c.willQoS, Retain: c.willRetain}
		if c.willPayload != nil {
			p.Will.Payload = []byte(*c.willPayload)
		}
		p.Will.Properties = c.properties.will
	}
	if c.version == packet.V5 {
		p.Properties = c.properties.connect
		if !p.Properties.Has(packet.PropReceiveMax) {
			p.Properties.ReceiveMax = 20
			if c.count > 0 && c.count < 20 {
				p.Properties.ReceiveMax = uint16(c.count) // no more than are wanted
			}
			p.Properties.Mark(packet.PropReceiveMax)
		}
	}
	return p
}

// send appends p to what is written next.
func (r *run) send(p packet.Packet) {
	if r.ending || r.link == nil {
		return
	}
	mid := uint16(0)
	if pub, ok := p.(*packet.Publish); ok {
		if mid = pub.ID; pub.QoS == 0 {
			mid, pub.ID = pub.ID, 0
		}
	}
	r.debug(true, p, mid)
	r.pending = p.Append(r.pending, r.cfg.version)
	r.sent = time.Now()
}

// disconnect says farewell; nothing can be sent after it.
func (r *run) disconnect(code packet.ReasonCode) {
	if r.ending {
		return
	}
	p := &packet.Disconnect{Code: code}
	if r.cfg.version == packet.V5 {
		p.Properties = r.cfg.properties.disconnect
	}
	r.send(p)
	r.ending = true
}

// newMid is the next packet identifier. QoS 0 messages use them up as well.
func (r *run) newMid() uint16 {
	if r.lastMid++; r.lastMid == 0 {
		r.lastMid = 1 // [MQTT-2.2.1-3]
	}
	return r.lastMid
}

// serve runs one connection to its end and returns libmosquitto's number for
// what ended it: 0 after our DISCONNECT.
func (r *run) serve() int {
	l := r.link
	r.keep = r.cfg.keepAlive
	r.keepTimer = time.NewTimer(r.keep)
	defer r.keepTimer.Stop()
	for {
		r.flush() // it may end the run
		if r.ending && len(r.pending) == 0 {
			r.farewell()
			return 0
		}
		var writes chan []byte
		if len(r.pending) > 0 {
			writes = l.writes
		}
		lines := r.events.lines
		if r.ending || len(r.pending) > maxPending || len(r.outgoing) > maxQueued {
			lines = nil
		}
		select {
		case writes <- r.pending:
			r.pending = nil
		case p, ok := <-l.packets:
			if !ok {
				return r.lost()
			}
			if rc := r.receive(p); rc != 0 {
				return rc
			}
		case <-l.written:
			return r.lost()
		case now := <-r.keepTimer.C:
			if !r.keepAlive(now) {
				return errKeep
			}
		case line, ok := <-lines:
			r.events.onLine(line, ok)
		case <-r.events.timer:
			r.events.timer = nil
			r.events.onTimer()
		case <-r.events.deadline:
			r.events.deadline = nil
			r.timedOut = true
			r.disconnect(packet.DisconnectWithWill)
		case <-r.events.signals:
			r.disconnect(packet.DisconnectWithWill)
		}
	}
}

// farewell lets what was written arrive before the connection closes: closing
// with unread packets would destroy it on its way.
func (r *run) farewell() {
	l := r.link
	close(l.writes)
	<-l.written
	if half, ok := l.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		timer := time.AfterFunc(lingerTimeout, func() { l.nc.Close() })
		for range l.packets {
		}
		timer.Stop()
	}
	l.close()
	r.link = nil
}

// lost ends a connection that the peer or the network ended.
func (r *run) lost() int {
	l := r.link
	r.drop()
	if r.ending {
		return 0
	}
	e, ok := errors.AsType[*packet.Error](l.readErr)
	malformed := ok && !errors.Is(l.readErr, io.ErrUnexpectedEOF)
	if malformed && r.cfg.debug {
		fmt.Fprintf(r.Out, "Error: %v\n", e)
	}
	place := r.cfg.place(nil)
	switch {
	case r.ours() && !r.accepted && malformed:
		r.complain("Error: what answers at %s is no MQTT server. Is the port right?\n", place)
		return errDismissed
	case r.ours() && !r.accepted:
		r.complain("Error: %s\n", fault.Explain(place, l.readErr))
		return errDismissed
	case malformed:
		return errProtocol
	}
	return errLost
}

// drop closes the connection without a word.
func (r *run) drop() {
	l := r.link
	l.nc.Close()
	close(l.writes)
	for range l.packets {
	}
	r.link = nil
}

// keepAlive pings when the connection was silent in either direction. It
// returns false when the last ping was not answered.
func (r *run) keepAlive(now time.Time) bool {
	silent := max(now.Sub(r.lastIn), now.Sub(r.sent))
	if silent < r.keep {
		r.keepTimer.Reset(r.keep - silent)
		return true
	}
	if r.pinged {
		r.drop()
		return false
	}
	r.pinged = true
	r.send(&packet.Pingreq{})
	r.lastIn = now
	r.keepTimer.Reset(r.keep)
	return true
}
