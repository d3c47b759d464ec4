package client

import (
	"context"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// maxCallbacks is how many calls of OnPublish may wait.
const maxCallbacks = 100_000

// Publish sends m and returns when the server has it: after PUBACK or PUBCOMP,
// or for QoS 0 when it was written. While there is no connection a QoS 0
// message fails and the others wait for the next. When ctx ends first, a message
// that was sent stays under way and one that was not is withdrawn; with an
// outbox, one that is on disk stays.
func (c *Client) Publish(ctx context.Context, m Message) error {
	_, err := c.publish(ctx, &m)
	return err
}

// publish is Publish with the server's Reason Code.
func (c *Client) publish(ctx context.Context, m *Message) (packet.ReasonCode, error) {
	if err := c.prepare(ctx, m); err != nil {
		return packet.ReasonOf(err), err
	}
	o := c.newOutbound(m)
	if err := c.accept(ctx, o); err != nil {
		return packet.ReasonOf(err), err
	}
	counted := c.lanes.wait()
	defer c.lanes.waited(counted)
	select {
	case <-o.signal:
		code, err := o.code, o.err
		if c.opts.OnPublish == nil {
			c.recycle(o)
		}
		return code, wrapPublish(m.Topic, err)
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.qos > 0 {
		c.flow.withdraw(o, ctx.Err())
	}
	return packet.UnspecifiedError, wrapPublish(m.Topic, ctx.Err())
}

// newOutbound returns m on its way to the server, from the pool of messages that
// nobody knows any more.
func (c *Client) newOutbound(m *Message) *outbound {
	o, ok := c.pool.Get().(*outbound)
	if !ok {
		o = &outbound{Token: Token{signal: make(chan struct{}, 1)}}
	}
	m.fill(o)
	return o
}

func (c *Client) recycle(o *outbound) {
	signal := o.signal
	*o = outbound{Token: Token{signal: signal}}
	c.pool.Put(o)
}

func wrapPublish(topic string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("publish to %q: %w", topic, err)
}

// PublishAsync sends m without waiting for the server. It waits only while
// Options.MaxQueued messages are under way and, with an outbox, for the disk.
// Messages go out in the order of the calls.
func (c *Client) PublishAsync(ctx context.Context, m Message) (*Token, error) {
	if err := c.prepare(ctx, &m); err != nil {
		return nil, err
	}
	o := &outbound{}
	m.fill(o)
	if err := c.accept(ctx, o); err != nil {
		return nil, err
	}
	return &o.Token, nil
}

// prepare checks m and adds the Trace Context of ctx.
func (c *Client) prepare(ctx context.Context, m *Message) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	c.addTrace(ctx, m)
	return nil
}

// accept takes o into the flow, as soon as there is room for it. Its token may
// complete at once.
func (c *Client) accept(ctx context.Context, o *outbound) error {
	select {
	case c.slots <- struct{}{}:
	default:
		if err := c.slot(ctx); err != nil {
			return wrapPublish(o.topic, err)
		}
	}
	o.client = c
	if c.outbox != nil && o.qos > 0 {
		return c.acceptStored(ctx, o)
	}
	c.mu.Lock()
	cn := c.conn
	if err := c.publishLocked(o); err != nil {
		o.finished = true // nobody withdraws it any more
		o.complete(packet.ReasonOf(err), err)
	}
	c.mu.Unlock()
	if cn != nil {
		cn.kick()
	}
	return nil
}

// slot waits for room for one more message.
func (c *Client) slot(ctx context.Context) error {
	counted := c.lanes.wait()
	defer c.lanes.waited(counted)
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return ErrClosed
	}
}

func (c *Client) publishLocked(o *outbound) error {
	switch {
	case c.closing:
		return ErrClosed
	case o.qos > 0:
		c.flow.publish(o, c.out())
		return nil
	case c.conn == nil || c.conn.out.closed:
		return ErrNotConnected
	}
	if err := c.flow.publish0(o, c.out()); err != nil {
		return err
	}
	c.conn.written = append(c.conn.written, o)
	return nil
}

// complete ends o. Whoever waits for it may use it again at once, so that
// nothing of o is touched after. Client.mu is held, or the writer alone has o.
func (o *outbound) complete(code packet.ReasonCode, err error) {
	c := o.client
	if c == nil { // in tests of the flow
		o.Token.complete(code, err)
		return
	}
	<-c.slots
	if o.seq != 0 {
		c.outbox.completed(o, err)
	}
	tell := c.opts.OnPublish != nil
	o.Token.complete(code, err)
	if tell {
		c.tellPublished(o)
	}
}

func (c *Client) tellPublished(o *outbound) {
	if c.main.size.Load() >= maxCallbacks+int64(c.main.Queue) {
		c.counts.callbacks.Add(1)
		return
	}
	c.lanes.tell(c.main, func() { c.opts.OnPublish(c, &o.Token) })
}
