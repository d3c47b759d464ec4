package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/wirebird/wirebird/packet"
)

// Subscribe asks for messages and returns the server's answer for each
// subscription. Refused ones also make an error, the first one's. What was
// granted is asked for again whenever the server forgets the session.
func (c *Client) Subscribe(ctx context.Context, subs ...Subscription) ([]packet.ReasonCode, error) {
	if len(subs) == 0 {
		return nil, errors.New("subscribe: no subscription given")
	}
	for i := range subs {
		if err := subs[i].check(); err != nil {
			return nil, err
		}
	}
	codes, err := c.ask(ctx, subscribeRequests(subs))
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	for i, code := range codes {
		if code >= packet.UnspecifiedError {
			return codes, fmt.Errorf("subscribe to %q: %w", subs[i].Filter, &packet.Error{Code: code})
		}
	}
	return codes, nil
}

// SubscribeFunc is Handle and Subscribe in one: fn gets the messages that match
// s.Filter, in a lane of its own. If the server refuses, the handler is taken
// away again.
func (c *Client) SubscribeFunc(ctx context.Context, s Subscription, fn func(*Client, *Message)) error {
	return c.SubscribeHandler(ctx, s, Handler{Func: fn})
}

// SubscribeHandler is SubscribeFunc with a choice of how the lane behaves. An
// empty h.Filter means s.Filter.
func (c *Client) SubscribeHandler(ctx context.Context, s Subscription, h Handler) error {
	if h.Filter == "" {
		h.Filter = s.Filter
	}
	if err := c.HandleWith(h); err != nil {
		return err
	}
	_, err := c.Subscribe(ctx, s)
	if err != nil {
		c.Unhandle(h.Filter)
	}
	return err
}

// Unsubscribe ends subscriptions and returns the server's answer for each
// filter; MQTT 3.x servers give none, which reads as Success.
func (c *Client) Unsubscribe(ctx context.Context, filters ...string) ([]packet.ReasonCode, error) {
	return c.UnsubscribeWith(ctx, nil, filters...)
}

// UnsubscribeWith is Unsubscribe with User Properties.
func (c *Client) UnsubscribeWith(ctx context.Context, user []User, filters ...string) ([]packet.ReasonCode, error) {
	if len(filters) == 0 {
		return nil, errors.New("unsubscribe: no filter given")
	}
	for _, f := range filters {
		s := Subscription{Filter: f, User: user}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("unsubscribe: %w", err)
		}
	}
	codes, err := c.ask(ctx, []*request{unsubscribeRequest(user, filters)})
	if err != nil {
		return nil, fmt.Errorf("unsubscribe: %w", err)
	}
	return codes, nil
}

// ask sends requests and waits for all answers.
func (c *Client) ask(ctx context.Context, rs []*request) ([]packet.ReasonCode, error) {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	cn := c.conn
	tokens := make([]*Token, len(rs))
	for i, r := range rs {
		tokens[i] = r.token
		c.flow.request(r, c.out())
	}
	c.mu.Unlock()
	if cn != nil {
		cn.kick()
	}
	counted := c.lanes.wait()
	defer c.lanes.waited(counted)
	var codes []packet.ReasonCode
	for i, t := range tokens {
		if err := t.Wait(ctx); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, r := range rs {
				c.flow.abandon(r, err)
			}
			return nil, err
		}
		codes = append(codes, rs[i].codes...)
	}
	return codes, nil
}
