package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/wirebird/wirebird/packet"
)

// ErrNoResponder says that no one has subscribed to the topic of a request.
var ErrNoResponder = errors.New("nobody has subscribed to the request topic")

// replies are the requests that wait for a response.
type replies struct {
	mu      sync.Mutex
	topic   string // the Response Topic; "" until the first request
	ready   chan struct{}
	err     error // of the subscription
	last    uint64
	waiting map[string]chan *Message // by Correlation Data
}

// Request publishes payload to topic and returns the first response. It sets
// Response Topic and Correlation Data, and subscribes to the Response Topic with
// the first request. It needs MQTT 5.0. ctx should have a deadline: a responder
// may never answer.
func (c *Client) Request(ctx context.Context, topic string, payload []byte) (*Message, error) {
	return c.RequestWith(ctx, Message{Topic: topic, Payload: payload, QoS: 1})
}

// RequestWith is Request with a message of the caller's making.
func (c *Client) RequestWith(ctx context.Context, m Message) (*Message, error) {
	reply, err := c.request(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("request to %q: %w", m.Topic, err)
	}
	return reply, nil
}

func (c *Client) request(ctx context.Context, m Message) (*Message, error) {
	if err := c.AwaitConnection(ctx); err != nil {
		return nil, err
	}
	if c.Version() != packet.V5 {
		return nil, fmt.Errorf("MQTT %v has no Response Topic; connect with 5.0", c.Version())
	}
	topic, err := c.replyTopic(ctx)
	if err != nil {
		return nil, err
	}
	id, arrived := c.replies.expect()
	defer c.replies.forget(id)
	m.Properties.ResponseTopic, m.Properties.CorrelationData = topic, []byte(id)
	code, err := c.publish(ctx, &m)
	if err != nil {
		return nil, err
	}
	if code == packet.NoMatchingSubscribers {
		return nil, ErrNoResponder
	}
	select {
	case reply := <-arrived:
		return reply, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.stopped:
		return nil, ErrClosed
	}
}

// replyTopic subscribes to the Response Topic once. One caller does, the others
// wait for it.
func (c *Client) replyTopic(ctx context.Context) (string, error) {
	r := &c.replies
	r.mu.Lock()
	if r.topic == "" || r.err != nil {
		r.topic, r.err, r.ready = c.newReplyTopic(), nil, make(chan struct{})
		r.waiting = make(map[string]chan *Message)
		r.mu.Unlock()
		err := c.SubscribeHandler(ctx, Subscription{Filter: r.topic, QoS: 1}, Handler{Func: r.arrived, Overflow: DropNewest})
		r.mu.Lock()
		r.err = err
		close(r.ready)
		defer r.mu.Unlock()
		return r.topic, err
	}
	topic, ready := r.topic, r.ready
	r.mu.Unlock()
	select {
	case <-ready:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return topic, r.err
}

// newReplyTopic lies below the server's Response Information if there is one.
func (c *Client) newReplyTopic() string {
	prefix := "wirebird/reply"
	if info := c.Connack().Properties.ResponseInfo; len(info) > 0 {
		prefix = string(info)
	}
	return prefix + "/" + rand.Text()
}

func (r *replies) expect() (string, <-chan *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	id := string(binary.BigEndian.AppendUint64(nil, r.last))
	arrived := make(chan *Message, 1)
	r.waiting[id] = arrived
	return id, arrived
}

func (r *replies) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
}

// arrived is the handler of the Response Topic. What nobody waits for any more
// is forgotten.
func (r *replies) arrived(_ *Client, m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := string(m.Properties.CorrelationData)
	if to := r.waiting[id]; to != nil {
		delete(r.waiting, id)
		to <- m
	}
}

// Respond answers a request: it publishes payload to the Response Topic of m,
// with its Correlation Data and QoS.
func (c *Client) Respond(ctx context.Context, m *Message, payload []byte) error {
	return c.RespondWith(ctx, m, Message{Payload: payload, QoS: m.QoS})
}

// RespondWith is Respond with a message of the caller's making, whose topic and
// Correlation Data are replaced.
func (c *Client) RespondWith(ctx context.Context, m *Message, answer Message) error {
	if m.Properties.ResponseTopic == "" {
		return fmt.Errorf("respond to a message on %q: it has no Response Topic", m.Topic)
	}
	answer.Topic = m.Properties.ResponseTopic
	answer.Properties.CorrelationData = m.Properties.CorrelationData
	return c.Publish(ctx, answer)
}
