package client

import (
	"cmp"
	"context"
	"errors"

	"github.com/wirebird/wirebird/packet"
)

// PublishOnce connects, publishes the messages in order, waits until the server
// has them all and disconnects. It does not reconnect.
func PublishOnce(ctx context.Context, o Options, messages ...Message) error {
	o.Reconnect.Off = true
	c, err := Connect(ctx, o)
	if err != nil {
		return err
	}
	tokens := make([]*Token, 0, len(messages))
	for _, m := range messages {
		t, e := c.PublishAsync(ctx, m)
		if e != nil {
			err = e
			break
		}
		tokens = append(tokens, t)
	}
	for i, t := range tokens {
		if e := t.Wait(ctx); err == nil {
			err = wrapPublish(messages[i].Topic, e)
		}
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
	o.Reconnect.Off = true
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
