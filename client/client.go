// Package client is an MQTT client for 3.1, 3.1.1 and 5.0.
//
// A Client keeps one session with one server. It connects again when the
// connection is lost, sends again what was not acknowledged, in order, and
// subscribes again when the server has forgotten the session. The session lives
// in memory: it ends with the Client.
//
// It knows what a session needs and nothing about what messages mean. Received
// messages are the application's to keep; a payload given to Publish must not
// change until the call, or the Token, has completed.
//
// Callbacks run one at a time on one goroutine that never reads the network, so
// they may publish, subscribe and wait. Messages wait for OnMessage in a queue
// of Options.QueueSize. While it is full nothing more is read from the server,
// which then holds its messages back; unless some call waits for an answer of
// the server: then reading goes on, and QoS 0 messages that find no room are
// dropped and counted in Stats.
package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// closeTimeout is how long Close waits for the DISCONNECT to leave.
const closeTimeout = 5 * time.Second

// Errors that callers branch on.
var (
	// ErrClosed is what calls return after Disconnect, Close, or the end of a
	// Client that does not reconnect.
	ErrClosed = errors.New("client is closed")
	// ErrNotConnected is for a QoS 0 message while there is no connection: it
	// would not be sent later.
	ErrNotConnected = errors.New("not connected")
)

// Client is one end of one MQTT session. Its methods may be called from any
// goroutine.
type Client struct {
	opts    Options
	target  *target
	queue   *queue
	slots   chan struct{} // one for each message accepted and not completed
	cancel  context.CancelFunc
	stopped chan struct{} // closed when no call can succeed any more
	done    chan struct{} // closed when nothing runs any more

	mu       sync.Mutex
	flow     *flow
	step     output // of the flow, emptied by applyLocked
	conn     *conn  // nil while there is none
	clientID string
	connack  Connack
	reauth   *Token // of Reauthenticate
	closing  bool
	err      error
}

// Stats counts what a Client did.
type Stats struct {
	// Dropped is how many received QoS 0 messages found the queue full.
	Dropped uint64
}

// Connect connects and returns once the server has accepted. A refusal is a
// *packet.Error with the server's code. ctx is for this call only.
func Connect(ctx context.Context, o Options) (*Client, error) {
	t, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	t.credentials(&o)
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	c := &Client{
		opts:     o,
		target:   t,
		queue:    newQueue(o.QueueSize),
		slots:    make(chan struct{}, o.MaxQueued),
		stopped:  make(chan struct{}),
		done:     make(chan struct{}),
		flow:     newFlow(&o),
		clientID: o.ClientID,
	}
	cn, ack, err := c.open(ctx, false)
	if err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.attach(cn, ack)
	go c.run(ctx, cn)
	return c, nil
}

// ClientID is the Client Identifier, the server's choice if Options had none.
func (c *Client) ClientID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clientID
}

// Connack is what the server answered to the latest connection.
func (c *Client) Connack() Connack {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connack
}

// Stats returns the counters.
func (c *Client) Stats() Stats { return Stats{Dropped: c.queue.drops()} }

// Done is closed when the client has ended for good.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the client has ended: nil before that, and after Disconnect or
// Close.
func (c *Client) Err() error {
	select {
	case <-c.done:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.err
	default:
		return nil
	}
}

// Publish sends m and returns when the server has it: after PUBACK or PUBCOMP,
// or for QoS 0 when it was written. While there is no connection a QoS 0
// message fails and the others wait for the next. When ctx ends first, a message
// that was sent stays under way and one that was not is withdrawn.
func (c *Client) Publish(ctx context.Context, m Message) error {
	t, err := c.PublishAsync(ctx, m)
	if err != nil {
		return err
	}
	defer c.queue.wait()()
	if err := t.Wait(ctx); err == nil || t.Err() != nil {
		return wrapPublish(m.Topic, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.message != nil {
		c.flow.withdraw(t.message, ctx.Err())
	}
	return wrapPublish(m.Topic, ctx.Err())
}

func wrapPublish(topic string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("publish to %q: %w", topic, err)
}

// PublishAsync sends m without waiting for the server. It waits only while
// Options.MaxQueued messages are under way. Messages go out in the order of the
// calls.
func (c *Client) PublishAsync(ctx context.Context, m Message) (*Token, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	select {
	case c.slots <- struct{}{}:
	default:
		if err := c.slot(ctx); err != nil {
			return nil, wrapPublish(m.Topic, err)
		}
	}
	t := newToken(c.slots)
	p := m.publishPacket(c.opts.Version)
	c.mu.Lock()
	cn := c.conn
	if err := c.publishLocked(p, t); err != nil {
		t.complete(packet.ReasonOf(err), err)
	}
	c.mu.Unlock()
	if cn != nil {
		cn.kick()
	}
	return t, nil
}

// slot waits for room for one more message.
func (c *Client) slot(ctx context.Context) error {
	defer c.queue.wait()()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return ErrClosed
	}
}

func (c *Client) publishLocked(p packet.Publish, t *Token) error {
	switch {
	case c.closing:
		return ErrClosed
	case p.QoS > 0:
		t.message = c.flow.publish(p, t, &c.step)
		c.applyLocked(c.conn)
		return nil
	case c.conn == nil || c.conn.last:
		return ErrNotConnected
	}
	if err := c.flow.allows(&p); err != nil {
		return err
	}
	c.conn.add(&p)
	c.conn.tokens = append(c.conn.tokens, t)
	return nil
}

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
	codes, err := c.ask(ctx, subscribeRequests(c.opts.Version, subs))
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
		s := Subscription{Filter: f}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("unsubscribe: %w", err)
		}
	}
	codes, err := c.ask(ctx, []*request{unsubscribeRequest(c.opts.Version, user, filters)})
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
		c.flow.request(r, &c.step)
	}
	c.applyLocked(cn)
	c.mu.Unlock()
	if cn != nil {
		cn.kick()
	}
	defer c.queue.wait()()
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

// Disconnect says farewell with the given code and ends the client. Messages
// without an acknowledgement, and those not yet handed to OnMessage, are given
// up. It returns when the connection is closed, which does not wait for a
// callback that runs; Done does.
func (c *Client) Disconnect(ctx context.Context, code packet.ReasonCode) error {
	return c.DisconnectWith(ctx, &packet.Disconnect{Code: code})
}

// DisconnectWith is Disconnect with a packet of the caller's making, for its
// properties.
func (c *Client) DisconnectWith(ctx context.Context, p *packet.Disconnect) error {
	c.mu.Lock()
	c.closing = true
	cn := c.conn
	if cn != nil {
		cn.addLast(p)
	}
	c.mu.Unlock()
	c.queue.finish(true)
	c.cancel() // an attempt to reconnect
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

// Close disconnects and waits until nothing of the client runs any more. It
// must not be called by a callback, which is part of the client.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := c.Disconnect(ctx, packet.Success)
	<-c.done
	return err
}

// applyLocked moves the output of the flow to cn, and empties it. c.mu must be
// held; the caller kicks cn.
func (c *Client) applyLocked(cn *conn) {
	for _, p := range c.step.send {
		cn.add(p)
	}
	clear(c.step.send)
	c.step = output{send: c.step.send[:0]}
}

// handled acknowledges in.
func (c *Client) handled(in *inbound) {
	if in.msg.QoS == 0 {
		return
	}
	c.mu.Lock()
	cn := c.conn
	c.flow.handled(in, &c.step)
	c.applyLocked(cn)
	c.mu.Unlock()
	if cn != nil {
		cn.kick()
	}
}
