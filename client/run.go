package client

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// run serves one connection after the other until the client ends. Without a
// connection to begin with it makes one.
func (c *Client) run(cn *conn) {
	var err error
	waits := -1 // of the next attempt, counted from 0; none before the first
	if cn == nil {
		cn, err = c.reopen(&waits)
	}
	for cn != nil {
		err = c.serve(cn)
		c.detach(cn, err)
		if err == nil || c.opts.Reconnect.Off || c.final(err) {
			break
		}
		c.counts.lost.Add(1)
		c.opts.Logger.Warn("connection lost", "client_id", c.ClientID(), "error", err)
		c.tellLost(err)
		if waits++; time.Since(cn.born) >= c.opts.Reconnect.Max {
			waits = 0 // a server that accepts and leaves starts nothing anew
		}
		cn, err = c.reopen(&waits)
	}
	c.end(err)
	told := true
	if cn != nil && c.opts.OnDisconnect != nil {
		told = false
		c.lanes.tell(c.main, func() { told = true; c.opts.OnDisconnect(c, err) })
	}
	c.lanes.finishAll(false)
	c.lanes.running.Wait()
	if !told { // Disconnect has emptied the lanes
		c.opts.OnDisconnect(c, err)
	}
	c.closeOutbox()
	close(c.done)
}

func (c *Client) tellLost(err error) {
	if c.opts.OnDisconnect != nil {
		c.lanes.tell(c.main, func() { c.opts.OnDisconnect(c, err) })
	}
}

// attach makes cn the connection of the session. It returns false, and closes
// cn, if the client is being closed.
func (c *Client) attach(cn *conn, ack *packet.Connack) bool {
	info := Connack{Code: ack.Code, SessionPresent: ack.SessionPresent, Properties: ack.Properties}
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		cn.nc.Close()
		return false
	}
	c.counts.connects.Add(1)
	c.conn, c.connack = cn, info
	close(c.up)
	if ack.Properties.Has(packet.PropAssignedClientID) {
		c.clientID = string(ack.Properties.AssignedClientID)
	}
	c.expireStored()
	if c.opts.OnConnect != nil {
		c.lanes.tell(c.main, func() { c.opts.OnConnect(c, info) })
	}
	c.flow.connected(ack.SessionPresent, limitsOf(&ack.Properties), &cn.out)
	refused := cn.out.refused
	cn.out.refused = nil
	clientID := c.clientID
	c.mu.Unlock()
	c.opts.Logger.Info("connected", "client_id", clientID, "version", cn.version.String(), "session_present", info.SessionPresent)
	c.warnRefused(refused)
	return true
}

// detach ends what depends on the connection.
func (c *Client) detach(cn *conn, err error) {
	if err == nil {
		err = ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.up = nil, make(chan struct{})
	c.flow.lost()
	for _, o := range cn.written {
		o.complete(packet.UnspecifiedError, err)
	}
	cn.written = nil
	c.servers.elsewhere = nil
	c.checkDrainedLocked()
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
	c.flow.fail(closedError(err))
	close(c.stopped)
	c.cancel()
}

// reopen tries to connect until it succeeds, the client is closed, or the server
// refuses in a way that waiting does not change. It waits before each attempt, as long
// as waits says, which it counts on; with -1 the first is at once.
func (c *Client) reopen(waits *int) (*conn, error) {
	ctx := c.life
	for attempt := 1; ; attempt, *waits = attempt+1, *waits+1 {
		if *waits >= 0 {
			timer := time.NewTimer(c.opts.Reconnect.delay(*waits, rand.Float64()))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil, ctx.Err()
			}
		}
		cn, ack, err := c.open(ctx)
		if err == nil {
			if !c.attach(cn, ack) {
				return nil, ErrClosed
			}
			return cn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.counts.failures.Add(1)
		if c.opts.OnConnectFail != nil {
			c.lanes.tell(c.main, func() { c.opts.OnConnectFail(c, err) })
		}
		if final(err) {
			return nil, err
		}
		c.opts.Logger.Info("no connection", "client_id", c.ClientID(), "attempt", attempt, "error", err)
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

// final reports whether a connection that ended with err is the last. A server
// that names another is not.
func (c *Client) final(err error) bool {
	if r, ok := errors.AsType[*reference](err); ok {
		c.mu.Lock()
		from := c.servers.origin
		c.mu.Unlock()
		if c.refer(from, r) {
			return false
		}
	}
	return final(err)
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
