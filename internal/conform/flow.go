package conform

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/packet"
)

func (c *conn) nextID() uint16 {
	c.id++
	return c.id
}

// subscribe subscribes and wants what was asked for granted.
func (c *conn) subscribe(words string) {
	id := c.nextID()
	c.send("SUBSCRIBE id=%d %s", id, words)
	granted := ""
	for _, w := range strings.Fields(words) {
		if w == "q0" || w == "q1" || w == "q2" {
			granted += " " + w
		}
	}
	c.await(fmt.Sprintf("SUBACK id=%d%s", id, granted))
}

// unsubscribe unsubscribes from one filter that exists.
func (c *conn) unsubscribe(filter string) {
	id := c.nextID()
	c.send("UNSUBSCRIBE id=%d filter=%s", id, filter)
	c.await(fmt.Sprintf("UNSUBACK id=%d", id) + c.t.pick("", " success"))
}

// publish sends a message, q0 to q2 being the first word, and completes its handshake.
func (c *conn) publish(format string, args ...any) {
	words := fmt.Sprintf(format, args...)
	if strings.HasPrefix(words, "q0") {
		c.send("PUBLISH %s", words)
		return
	}
	id := c.nextID()
	c.send("PUBLISH %s id=%d", words, id)
	c.published(words[:2], id)
}

// published completes the handshake of a message on its way.
func (c *conn) published(qos string, id uint16) {
	if qos == "q1" {
		c.awaitAck("PUBACK", id)
		return
	}
	c.awaitAck("PUBREC", id)
	c.send("PUBREL id=%d", id)
	c.await(fmt.Sprintf("PUBCOMP id=%d", id))
}

func (c *conn) awaitAck(name string, id uint16) {
	line := fmt.Sprintf("%s id=%d", name, id)
	c.await(line, line+" no-matching-subscribers")
}

// message wants a PUBLISH next, q0 to q2 being the first word. It is not acknowledged.
func (c *conn) message(format string, args ...any) *packet.Publish {
	words := fmt.Sprintf(format, args...)
	if !strings.HasPrefix(words, "q0") && !strings.Contains(words, " id=") {
		words = "id=* " + words
	}
	return c.want("PUBLISH " + words).(*packet.Publish)
}

// take wants a PUBLISH next and completes its handshake.
func (c *conn) take(format string, args ...any) *packet.Publish {
	m := c.message(format, args...)
	c.acknowledge(m)
	return m
}

func (c *conn) acknowledge(m *packet.Publish) {
	switch m.QoS {
	case 1:
		c.send("PUBACK id=%d", m.ID)
	case 2:
		c.send("PUBREC id=%d", m.ID)
		c.await(fmt.Sprintf("PUBREL id=%d", m.ID))
		c.send("PUBCOMP id=%d", m.ID)
	}
}

// nothingFrom shows that of what from has published nothing more comes: a marker that it
// publishes now comes next.
func (c *conn) nothingFrom(from *conn, qos int) {
	c.subscribe(fmt.Sprintf("filter=~/marker q%d", qos))
	from.publish("q%d topic=~/marker payload=marker", qos)
	c.take("q%d topic=~/marker payload=marker", qos)
}

// cut ends the connection without DISCONNECT and returns when the broker has seen it.
func (c *conn) cut() {
	c.note("network", "closed without DISCONNECT", nil)
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		c.nc.Close()
		return
	}
	c.drain()
}

// disconnect ends the connection with DISCONNECT and returns when the broker has seen it.
func (c *conn) disconnect(words ...string) {
	c.send("DISCONNECT %s", strings.Join(words, " "))
	c.drain()
}

// drain reads to the end, whatever comes.
func (c *conn) drain() {
	c.nc.SetReadDeadline(c.t.patience())
	io.Copy(io.Discard, c.nc)
	c.nc.Close()
	c.gone = true
}

// suspicion is the silence after which a broker is asked whether it is still there.
const suspicion = 250 * time.Millisecond

// dropped wants the broker to close an open connection, after a DISCONNECT at most, with
// one of the codes if any are given.
func (c *conn) dropped(codes ...packet.ReasonCode) {
	deadline := c.t.patience()
	asked := c.ack == nil // PINGREQ would be an error of its own
	told := false
	for {
		until := deadline
		if !asked {
			until = time.Now().Add(suspicion)
		}
		p, err := c.read(until)
		switch d, ok := p.(*packet.Disconnect); {
		case err == errSilent && !asked:
			asked = true
			c.send("PINGREQ")
		case err == errSilent:
			c.t.fail("%s< the broker keeps the connection open, expected it to close", c.name)
		case err != nil:
			return
		case !ok || told || c.v != packet.V5 || c.ack == nil:
			c.t.fail("%s< %s came, expected the broker to close the connection", c.name, describe(p))
		case d.Code < 0x80:
			c.t.fail("%s< %s came, expected a reason code of 0x80 or above", c.name, describe(p))
		case len(codes) > 0 && !slices.Contains(codes, d.Code):
			c.t.fail("%s< %s came, expected DISCONNECT with %v, or none, and a close", c.name, describe(p), codes)
		default:
			told = true
		}
	}
}

// refused wants the broker to close a connection whose CONNECT it does not like, after a
// CONNACK at most, with one of the codes if any are given. It returns that CONNACK.
func (c *conn) refused(codes ...packet.ReasonCode) *packet.Connack {
	p, err := c.read(c.t.patience())
	if err == errSilent {
		c.t.fail("%s< nothing came, expected the broker to refuse the CONNECT and close", c.name)
	}
	if err != nil {
		return nil
	}
	ack, ok := p.(*packet.Connack)
	switch {
	case !ok || ack.Code < 0x80:
		c.t.fail("%s< %s came, expected a refusal or a close", c.name, describe(p))
	case ack.SessionPresent:
		c.t.fail("%s< %s came, a refusal has Session Present 0", c.name, describe(p))
	case len(codes) > 0 && !slices.Contains(codes, ack.Code):
		c.t.fail("%s< %s came, expected CONNACK with %v", c.name, describe(p), codes)
	}
	c.closed()
	return ack
}

// closed wants the end of the connection and nothing before it.
func (c *conn) closed() {
	switch p, err := c.read(c.t.patience()); {
	case err == errSilent:
		c.t.fail("%s< the broker keeps the connection open, expected it to close", c.name)
	case err == nil:
		c.t.fail("%s< %s came, expected the broker to close the connection", c.name, describe(p))
	}
}

// violate opens a connection for each of the packets, sends it and wants the broker to
// close.
func (t *trial) violate(lines ...string) {
	for i, line := range lines {
		c := t.connect(fmt.Sprintf("v%d", i), "clean")
		c.send("%s", line)
		c.dropped()
	}
}

// violateBytes is violate for bytes, which are named.
func (t *trial) violateBytes(what string, b []byte, codes ...packet.ReasonCode) {
	c := t.connect("v", "clean")
	c.bytes(what, b)
	c.dropped(codes...)
}
