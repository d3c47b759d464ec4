package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/wirebird/wirebird/packet"
)

// PublishOnce connects, publishes the messages in order, waits until the server
// has them all and disconnects. It does not reconnect.
func PublishOnce(ctx context.Context, o Options, messages ...Message) error {
	return PublishMany(ctx, o, slices.Values(messages))
}

// PublishMany is PublishOnce for messages that need not all be in memory. They
// are under way together, up to Options.MaxQueued.
func PublishMany(ctx context.Context, o Options, messages iter.Seq[Message]) error {
	o.Reconnect.Off = true
	c, err := Connect(ctx, o)
	if err != nil {
		return err
	}
	type sent struct {
		topic string
		token *Token
	}
	var open []sent
	for m := range messages {
		t, e := c.PublishAsync(ctx, m)
		if e != nil {
			err = e
			break
		}
		for len(open) > 0 && open[0].token.Completed() && err == nil { // most complete in order
			err = wrapPublish(open[0].topic, open[0].token.Err())
			open = open[1:]
		}
		if open = append(open, sent{m.Topic, t}); err != nil {
			break
		}
	}
	for _, s := range open {
		if e := s.token.Wait(ctx); err == nil {
			err = wrapPublish(s.topic, e)
		}
	}
	return errors.Join(err, c.Close())
}

// Listen connects, subscribes and calls fn for each message until ctx ends,
// which is no error. It reconnects as Options say.
func Listen(ctx context.Context, o Options, fn func(*Client, *Message), filters ...Subscription) error {
	o.OnMessage = fn
	c, err := Connect(ctx, o)
	if err != nil {
		return err
	}
	if _, err = c.Subscribe(ctx, filters...); err == nil {
		select {
		case <-ctx.Done():
		case <-c.Done():
			err = closedError(c.Err())
		}
	}
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, c.Close())
}

// ReceiveN connects, subscribes and returns the first n messages. It returns
// those it has, and an error, when ctx or the connection ends before. It does
// not reconnect.
func ReceiveN(ctx context.Context, o Options, n int, filters ...Subscription) ([]*Message, error) {
	arrived := make(chan *Message)
	gone := make(chan struct{})
	seen := 0
	o.Reconnect.Off, o.Overflow, o.ManualAck = true, Block, false
	o.OnMessage = func(_ *Client, m *Message) {
		if seen++; seen > n {
			<-gone // too late to be acknowledged
			return
		}
		m.Ack() // before the disconnection that the last one leads to
		select {
		case arrived <- m:
		case <-gone:
		}
	}
	c, err := Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	_, err = c.Subscribe(ctx, filters...)
	var out []*Message
	for len(out) < n && err == nil {
		select {
		case m := <-arrived:
			out = append(out, m)
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.Done():
			err = cmp.Or(c.Err(), ErrClosed)
		}
	}
	err = errors.Join(err, c.Disconnect(context.WithoutCancel(ctx), packet.Success))
	close(gone)
	return out, errors.Join(err, c.Close())
}
