package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	lanes   *lanes
	main    *lane         // of OnMessage and the other callbacks
	slots   chan struct{} // one for each message accepted and not completed
	life    context.Context
	cancel  context.CancelFunc // ends life
	stopped chan struct{}      // closed when no call can succeed any more
	done    chan struct{}      // closed when nothing runs any more
	replies replies
	counts  counts
	pool    sync.Pool // of *outbound, for Publish

	authLock sync.Mutex // for Options.Auth; taken before mu

	mu       sync.Mutex
	flow     *flow
	idle     output // of the flow while there is no connection
	conn     *conn  // nil while there is none
	up       chan struct{}
	version  packet.Version // 0 until it is known
	clientID string
	connack  Connack
	servers  servers
	reauth   *Token // of Reauthenticate
	closing  bool
	drained  chan struct{} // closed by the last acknowledgement Drain waits for; may be nil
	err      error

	// accepting orders messages on their way to the outbox and into the flow. It
	// is taken before mu.
	accepting sync.Mutex
	outbox    *diskOutbox // nil without Options.Outbox
}

// Connect connects and returns once the server has accepted. A refusal is a
// *packet.Error with the server's code. ctx is for this call only.
func Connect(ctx context.Context, o Options) (*Client, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	cn, ack, err := c.open(ctx)
	if err != nil {
		c.abort()
		return nil, err
	}
	c.attach(cn, ack)
	go c.run(cn)
	return c, nil
}

// Start returns at once and connects in the background, as often as it takes. A
// refusal that waiting does not change ends the client, and Err tells it. QoS 1
// and QoS 2 messages published before the first connection wait for it, and so
// do subscriptions.
func Start(o Options) (*Client, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	go c.run(nil)
	return c, nil
}

func newClient(o Options) (*Client, error) {
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
		lanes:    newLanes(o.QueueSize, o.ManualAck),
		slots:    make(chan struct{}, o.MaxQueued),
		stopped:  make(chan struct{}),
		done:     make(chan struct{}),
		up:       make(chan struct{}),
		flow:     newFlow(&o),
		version:  o.Version,
		clientID: o.ClientID,
		servers:  servers{origin: t},
	}
	c.idle.closed = true
	if _, err := newProxy(o.Proxy); err != nil {
		return nil, err
	}
	if o.Outbox != nil {
		if err := c.openOutbox(); err != nil {
			return nil, err
		}
	}
	c.life, c.cancel = context.WithCancel(context.Background())
	fn := o.OnMessage
	c.main = c.lanes.start(Handler{Func: fn, Overflow: o.Overflow}, c)
	if fn != nil {
		c.flow.router.fallback = c.main
	}
	for _, h := range o.Handlers {
		c.flow.router.add(c.lanes.start(h, c))
	}
	return c, nil
}

// abort ends a client that never ran.
func (c *Client) abort() {
	c.end(nil)
	c.lanes.finishAll(true)
	c.lanes.running.Wait()
	c.closeOutbox()
	close(c.done)
}

// ClientID is the Client Identifier, the server's choice if Options had none.
func (c *Client) ClientID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clientID
}

// Version is that of the protocol; 0 while it is being negotiated.
func (c *Client) Version() packet.Version {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// Connack is what the server answered to the latest connection.
func (c *Client) Connack() Connack {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connack
}

// Connected reports whether there is a connection at this moment.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// AwaitConnection returns once there is a connection, or an error when the
// client or ctx has ended.
func (c *Client) AwaitConnection(ctx context.Context) error {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-c.stopped:
		c.mu.Lock()
		defer c.mu.Unlock()
		return closedError(c.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closedError is ErrClosed with the cause, if there was one.
func closedError(cause error) error {
	if cause == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, cause)
}

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

// out is where the flow writes. c.mu must be held.
func (c *Client) out() *output {
	if c.conn == nil {
		return &c.idle
	}
	return &c.conn.out
}

// counts are what no lock guards.
type counts struct {
	connects, failures, lost, undecodable, callbacks atomic.Uint64
	bytesIn, bytesOut                                atomic.Uint64
}
