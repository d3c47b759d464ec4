package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/wirebird/wirebird/packet"
)

const handshakeTimeout = 5 * time.Second

// conn is a Network Connection to the broker under test. It is closed when the
// context it was dialed with ends.
type conn struct {
	net.Conn
	frames *frames
	stop   func() bool
}

// dial connects with MQTT 3.1.1, which all brokers speak.
func dial(ctx context.Context, address, clientID string, cleanSession bool) (*conn, error) {
	d := net.Dialer{Timeout: handshakeTimeout}
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, frames: newFrames(nc)}
	c.stop = context.AfterFunc(ctx, func() { _ = nc.Close() })
	connect := packet.Connect{Version: packet.V311, CleanStart: cleanSession, ClientID: []byte(clientID)}
	var ack packet.Connack
	if err := c.ask(&connect, &ack); err != nil {
		c.close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	if ack.Code != packet.Success {
		c.close()
		return nil, fmt.Errorf("connect: %w", &packet.Error{Code: ack.Code})
	}
	return c, nil
}

// ask sends a packet and reads the answer. Nothing else may be under way.
func (c *conn) ask(p, answer packet.Packet) error {
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(p.Append(nil, packet.V311)); err != nil {
		return err
	}
	for {
		h, body, err := c.frames.next()
		switch {
		case err != nil:
			return err
		case h.Type == answer.Type():
			return answer.Decode(packet.V311, h.Flags, body)
		case h.Type != 0:
			return fmt.Errorf("the broker answers with %v, not %v", h.Type, answer.Type())
		}
		if err := c.frames.fill(); err != nil {
			return err
		}
	}
}

func (c *conn) subscribe(filter string) error {
	var ack packet.Suback
	err := c.ask(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte(filter), QoS: 1}}}, &ack)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if len(ack.Codes) != 1 || ack.Codes[0] != packet.GrantedQoS1 {
		return fmt.Errorf("subscribe: the broker grants %v, not QoS 1", ack.Codes)
	}
	return nil
}

func (c *conn) close() {
	c.stop()
	_ = c.Close() // nothing more is wanted from it
}
