package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// Disconnect says farewell with the given code and ends the client. Messages
// without an acknowledgement, and those not yet handed to a handler, are given
// up; what the outbox has stays there. It returns when the connection is closed,
// which does not wait for a callback that runs; Done does.
func (c *Client) Disconnect(ctx context.Context, code packet.ReasonCode) error {
	return c.DisconnectWith(ctx, &packet.Disconnect{Code: code})
}

// DisconnectWith is Disconnect with a packet of the caller's making, for its
// properties. A packet that a client must not send is an error, and the client
// goes on.
func (c *Client) DisconnectWith(ctx context.Context, p *packet.Disconnect) error {
	if err := c.checkDisconnect(p); err != nil {
		return fmt.Errorf("disconnect: %w", err)
	}
	c.mu.Lock()
	c.closing = true
	cn := c.conn
	if cn != nil {
		if l := c.flow.limits.maxPacketSize; l != 0 && len(p.Append(nil, cn.version)) > int(l) {
			p = &packet.Disconnect{Code: p.Code} // [MQTT-3.14.2-3]
		}
		cn.addLast(p)
	}
	c.mu.Unlock()
	c.lanes.finishAll(true)
	c.cancel() // an attempt to reconnect, and what handlers wait for
	if cn == nil {
		return nil
	}
	cn.kick()
	select {
	case <-cn.ended:
		return nil
	case <-ctx.Done():
		cn.nc.Close()
		return ctx.Err()
	}
}

// checkDisconnect refuses what no client may send [MQTT-3.14.2-1].
func (c *Client) checkDisconnect(p *packet.Disconnect) error {
	q, _, err := packet.Parse(packet.V5, p.Append(nil, packet.V5)) // as a server would
	if err != nil {
		return err
	}
	switch props := &q.(*packet.Disconnect).Properties; {
	case props.Has(packet.PropServerReference): // §3.14.2.2.5
		return errors.New("only a server sends a Server Reference")
	case props.SessionExpiry > 0 && c.opts.SessionExpiry == 0: // §3.14.2.2.2
		return errors.New("the session expiry was 0 in CONNECT and cannot be raised: set Options.SessionExpiry")
	}
	return nil
}

// Close disconnects and waits until nothing of the client runs any more, the
// handlers included: Message.Context tells them. It must not be called by a
// callback, which is part of the client; Disconnect may.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := c.Disconnect(ctx, packet.Success)
	<-c.done
	return err
}

// Drain ends the client when its work is done: when the server has all accepted
// messages, and the handlers have done with those received and acknowledged
// them. Handlers may still publish. Messages that arrive meanwhile are not
// handled and not acknowledged, so that the server keeps those of QoS 1 and 2
// for the session. When ctx ends first Drain disconnects all the same and
// returns its error. It must not be called by a callback.
func (c *Client) Drain(ctx context.Context) error {
	c.mu.Lock()
	c.flow.draining = true
	c.mu.Unlock()
	err := c.settled(ctx)
	if e := c.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}

// settled returns once nothing is under way in either direction.
func (c *Client) settled(ctx context.Context) error {
	for {
		if err := c.lanes.flush(ctx, c.stopped); err != nil {
			return err
		}
		var drained chan struct{}
		c.mu.Lock()
		if c.flow.busy() {
			drained = make(chan struct{})
			c.drained = drained
		}
		c.mu.Unlock()
		switch {
		case drained == nil && c.lanes.idle():
			return nil
		case drained == nil:
			continue
		}
		select {
		case <-drained:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.stopped:
			return ErrClosed
		}
	}
}

// busy reports whether a message of either direction waits for its
// acknowledgement.
func (f *flow) busy() bool {
	return f.head != nil || f.online && (f.unacked[1].head != nil || f.unacked[2].head != nil)
}

// delivered acknowledges d.
func (c *Client) delivered(d *delivery) {
	if d.in.qos == 0 {
		return
	}
	c.mu.Lock()
	cn := c.conn
	c.flow.delivered(d, c.out())
	c.checkDrainedLocked()
	c.mu.Unlock()
	if cn != nil {
		cn.kick()
	}
}

func (c *Client) checkDrainedLocked() {
	if c.drained != nil && !c.flow.busy() {
		close(c.drained)
		c.drained = nil
	}
}
