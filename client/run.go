package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// dispatch calls the application until the queue ends.
func (c *Client) dispatch() {
	for {
		e, ok := c.queue.pop()
		if !ok {
			return
		}
		switch {
		case e.in != nil:
			if c.opts.OnMessage != nil {
				c.opts.OnMessage(c, &e.in.msg)
			}
			c.handled(e.in)
		case e.connected != nil:
			if c.opts.OnConnect != nil {
				c.opts.OnConnect(c, *e.connected)
			}
		case c.opts.OnDisconnect != nil:
			c.opts.OnDisconnect(c, e.lost)
		}
	}
}

// run serves one connection after the other until the client ends.
func (c *Client) run(ctx context.Context, cn *conn) {
	var callbacks sync.WaitGroup
	callbacks.Go(c.dispatch)
	var err error
	for cn != nil {
		err = c.serve(cn)
		c.detach(cn, err)
		if err == nil || c.opts.Reconnect.Off || final(err) {
			break
		}
		c.opts.Logger.Warn("connection lost", "client_id", c.ClientID(), "error", err)
		c.queue.tell(event{lost: err})
		cn, err = c.reopen(ctx)
	}
	c.end(err)
	c.queue.finish(false)
	callbacks.Wait()
	if cn != nil && c.opts.OnDisconnect != nil {
		c.opts.OnDisconnect(c, err)
	}
	close(c.done)
}

// attach makes cn the connection of the session. It returns false, and closes
// cn, if the client is being closed.
func (c *Client) attach(cn *conn, ack *packet.Connack) bool {
	info := Connack{Code: ack.Code, SessionPresent: ack.SessionPresent, Properties: ack.Properties}
	if ack.SessionPresent {
		c.queue.forgetUnacked()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		cn.nc.Close()
		return false
	}
	c.conn, c.connack = cn, info
	if ack.Properties.Has(packet.PropAssignedClientID) {
		c.clientID = string(ack.Properties.AssignedClientID)
	}
	c.flow.connected(ack.SessionPresent, limitsOf(&ack.Properties), &c.step)
	c.applyLocked(cn)
	c.queue.tell(event{connected: &info})
	return true
}

// detach ends what depends on the connection.
func (c *Client) detach(cn *conn, err error) {
	if err == nil {
		err = ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
	c.flow.lost()
	for _, t := range cn.tokens {
		t.complete(packet.UnspecifiedError, err)
	}
	cn.tokens = nil
	if c.reauth != nil {
		c.reauth.complete(packet.ReasonOf(err), err)
		c.reauth = nil
	}
}

// end completes everything that waits.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		err = nil // whatever came of it, the end was asked for
	}
	c.closing, c.err = true, err
	cause := ErrClosed
	if err != nil {
		cause = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	c.flow.fail(cause)
	close(c.stopped)
	c.cancel()
}

// reopen tries to connect until it succeeds, ctx ends, or the server refuses in
// a way that waiting does not change.
func (c *Client) reopen(ctx context.Context) (*conn, error) {
	for attempt := 0; ; attempt++ {
		timer := time.NewTimer(c.opts.Reconnect.delay(attempt, rand.Float64()))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		cn, ack, err := c.open(ctx, true)
		switch {
		case err == nil:
			if !c.attach(cn, ack) {
				return nil, ErrClosed
			}
			return cn, nil
		case ctx.Err() != nil || final(err):
			return nil, err
		}
		c.opts.Logger.Info("reconnect refused", "client_id", c.ClientID(), "attempt", attempt+1, "error", err)
	}
}

// delay is the wait before an attempt, counted from 0; random is in [0,1).
func (r ReconnectOptions) delay(attempt int, random float64) time.Duration {
	limit := r.Max
	if d := r.Min << min(attempt+1, 30); d > 0 && d>>min(attempt+1, 30) == r.Min {
		limit = min(limit, d)
	}
	return r.Min + time.Duration(random*float64(limit-r.Min))
}

// final reports whether connecting again would only meet the same answer, or,
// with a session that another client took over, a fight over it.
func final(err error) bool {
	switch packet.ReasonOf(err) {
	case packet.SessionTakenOver, packet.UnsupportedProtocolVersion, packet.ClientIdentifierNotValid,
		packet.BadAuthenticationMethod, packet.Banned, packet.ServerMoved:
		return true
	}
	return false
}
