package conform

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// conn is a connection of a check.
type conn struct {
	t    *trial
	name string
	v    packet.Version
	nc   net.Conn
	buf  []byte          // read and not yet a whole packet
	left []received      // received while something else was waited for
	raw  []byte          // the bytes of the last packet read
	ack  *packet.Connack // nil before
	id   uint16          // the last packet identifier used by publish and subscribe
	gone bool            // the broker has closed
}

// received is a packet with its bytes.
type received struct {
	packet.Packet
	raw []byte
}

// dial opens a network connection and sends nothing of MQTT.
func (t *trial) dial(name string) *conn {
	nc, err := t.o.dial()
	if err != nil {
		t.connRefused = true
		t.fail("cannot connect: %v", err)
	}
	c := &conn{t: t, name: name, v: t.v, nc: nc}
	t.conns = append(t.conns, c)
	return c
}

// connectLine is a CONNECT with the client identifier of a name.
func (t *trial) connectLine(name, words string) string {
	return "CONNECT " + versionWord(t.v) + " id=~" + name + " " + t.credentials(words) + words
}

func (t *trial) credentials(words string) string {
	if t.o.Username == "" || strings.Contains(words, "username=") || strings.Contains(words, "auth") {
		return ""
	}
	line := fmt.Sprintf("username=%q ", t.o.Username)
	if t.o.Password != "" {
		line += fmt.Sprintf("password=%q ", t.o.Password)
	}
	return line
}

func versionWord(v packet.Version) string {
	return map[packet.Version]string{packet.V31: "v3.1", packet.V311: "v3.1.1", packet.V5: "v5"}[v]
}

// connect opens a connection that the broker accepts.
func (t *trial) connect(name, words string) *conn {
	c := t.dial(name)
	c.send("%s", t.connectLine(name, words))
	c.accepted()
	return c
}

// session is connect for a session that outlives the connection.
func (t *trial) session(name, words string) *conn {
	return t.connect(name, t.keep()+" "+words)
}

// accepted wants a CONNACK that accepts.
func (c *conn) accepted() *packet.Connack {
	p := c.next("CONNACK success")
	ack, ok := p.(*packet.Connack)
	switch {
	case !ok:
		c.t.fail("%s< %s came, expected CONNACK success", c.name, describe(p))
	case ack.Code == packet.NotAuthorized || ack.Code == packet.BadUserNameOrPassword:
		c.t.skip("the broker does not let us in (%v); try --user and --password", ack.Code)
	case ack.Code >= 0x80:
		c.t.fail("%s< %s came, expected CONNACK success", c.name, describe(p))
	}
	c.ack = ack
	return ack
}

// send sends the packet that a line of the script language describes.
func (c *conn) send(format string, args ...any) {
	line := c.t.text(fmt.Sprintf(format, args...))
	p, err := script.ParsePacket(line)
	if err != nil {
		c.t.fail("the check itself is wrong: %s: %v", brief(line), err)
	}
	c.write(p)
}

func (c *conn) write(p packet.Packet) {
	switch p := p.(type) {
	case *packet.Connect:
		c.v = p.Version
		c.t.remember(p)
	case *packet.Publish:
		if p.Retain && len(p.Payload) > 0 && !slices.Contains(c.t.retained, string(p.Topic)) {
			c.t.retained = append(c.t.retained, string(p.Topic))
		}
	}
	c.transmit(describe(p), p.Append(nil, c.v), hidden(p).Append(nil, c.v))
}

// remember notes what a CONNECT may leave in the broker.
func (t *trial) remember(p *packet.Connect) {
	name, ours := strings.CutPrefix(string(p.ClientID), t.tag)
	kept := !p.CleanStart || p.Properties.SessionExpiry > 0
	if ours && kept && name != "" && !slices.Contains(t.sessions, name) {
		t.sessions = append(t.sessions, name)
	}
	if p.Will != nil && p.Will.Retain && !slices.Contains(t.retained, string(p.Will.Topic)) {
		t.retained = append(t.retained, string(p.Will.Topic))
	}
}

// bytes sends what need not be a packet. An error shows up when the answer is read.
func (c *conn) bytes(what string, b []byte) { c.transmit(what, b, b) }

// transmit sends b and tells of shown.
func (c *conn) transmit(what string, b, shown []byte) {
	c.note("sent", what, shown)
	c.nc.SetWriteDeadline(c.t.patience())
	if _, err := c.nc.Write(b); err != nil {
		c.note("network", "write: "+err.Error(), nil)
	}
}

func (c *conn) note(kind, text string, b []byte) {
	c.t.events = append(c.t.events, Event{Conn: c.name, Kind: kind, Text: text, Hex: hexOf(b)})
}

var errSilent = errors.New("silent")

// read returns the next packet, io.EOF when the broker has closed, or errSilent at the
// deadline. A packet that breaks the format ends the check.
func (c *conn) read(deadline time.Time) (packet.Packet, error) {
	if len(c.left) > 0 {
		p := c.left[0]
		c.left, c.raw = c.left[1:], p.raw
		return p.Packet, nil
	}
	for {
		p, n, err := packet.Parse(c.v, c.buf)
		if err != nil {
			c.note("received", "a packet that cannot be read: "+err.Error(), c.buf)
			c.t.fail("%s< the broker sends a packet that breaks the format: %v", c.name, err)
		}
		if n > 0 {
			c.raw = slices.Clone(c.buf[:n])
			p, _, _ = packet.Parse(c.v, c.raw)
			c.buf = c.buf[n:]
			c.note("received", describe(p), c.raw)
			return p, nil
		}
		if c.gone {
			return nil, io.EOF
		}
		c.nc.SetReadDeadline(deadline)
		chunk := make([]byte, 16<<10)
		k, err := c.nc.Read(chunk)
		c.buf = append(c.buf, chunk[:k]...)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSilent
		case err != nil:
			c.gone = true
			c.note("network", "closed by the broker", nil)
		}
	}
}

// next returns the next packet; want is for the message when none comes.
func (c *conn) next(want string) packet.Packet {
	p, err := c.read(c.t.patience())
	switch {
	case err == errSilent:
		c.t.fail("%s< nothing came within %v, expected %s", c.name, c.t.o.Timeout, want)
	case err != nil:
		c.t.fail("%s< the broker closed the connection, expected %s", c.name, want)
	}
	return p
}

// want expects one of several packets next.
func (c *conn) want(lines ...string) packet.Packet {
	for i := range lines {
		lines[i] = c.t.text(lines[i])
	}
	expected := brief(strings.Join(lines, ", or "))
	p := c.next(expected)
	for _, line := range lines {
		if c.matches(line, p) {
			return p
		}
	}
	c.t.fail("%s< %s came, expected %s", c.name, describe(p), expected)
	return nil
}

func (c *conn) matches(line string, p packet.Packet) bool {
	steps, err := script.Parse("c< " + line)
	if err != nil {
		c.t.fail("the check itself is wrong: %s: %v", line, err)
	}
	return steps[0].Matches(p)
}

// wantAll expects packets in any order and returns them in the order of the lines.
func (c *conn) wantAll(lines ...string) []packet.Packet {
	found := make([]packet.Packet, len(lines))
	for i := range lines {
		lines[i] = c.t.text(lines[i])
	}
	for range lines {
		p := c.next(brief(strings.Join(lines, " and ")))
		at := slices.IndexFunc(lines, func(line string) bool { return line != "" && c.matches(line, p) })
		if at < 0 {
			c.t.fail("%s< %s came, expected, in any order: %s", c.name, describe(p), brief(strings.Join(lines, "; ")))
		}
		found[at], lines[at] = p, ""
	}
	return found
}

// await reads until a packet matches and keeps what comes before it for later.
func (c *conn) await(lines ...string) packet.Packet {
	expected := c.t.text(strings.Join(lines, ", or "))
	var before []received
	for {
		p := c.next(expected)
		for _, line := range lines {
			if c.matches(c.t.text(line), p) {
				c.left = append(before, c.left...)
				return p
			}
		}
		before = append(before, received{p, c.raw})
	}
}

// putBack makes the packet read last the next to be read.
func (c *conn) putBack(p packet.Packet) {
	c.left = append([]received{{p, c.raw}}, c.left...)
}

// ping shows that nothing else has come: the answer to PINGREQ is next.
func (c *conn) ping() {
	c.send("PINGREQ")
	c.want("PINGRESP")
}
