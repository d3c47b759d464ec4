package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/internal/transport"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// ListenOptions say where and how to accept clients.
type ListenOptions struct {
	// URL is tcp://host:port, ws://host:port/path, tls://…, wss://… or unix:///path;
	// ?proxy=true expects the PROXY protocol. Port 0 picks a free port.
	URL string
	// TLS is for tls and wss.
	TLS *tls.Config
	// AllowAnonymous is for hooks: this listener takes clients without a user name.
	AllowAnonymous bool
	// Origins are the allowed origins of WebSocket clients in browsers; none is any.
	Origins []string
}

// Listener is one place where clients come in.
type Listener struct {
	// Options are those it was made with.
	Options ListenOptions
	// URL is where it listens, the port filled in.
	URL string

	handshakes chan struct{}
}

// tlsHandshakes is how many TLS handshakes a listener runs at a time.
const tlsHandshakes = 64

// Listen begins to accept clients.
func (b *Broker) Listen(o ListenOptions) (*Listener, error) {
	u, err := transport.ParseListen(o.URL)
	if err != nil {
		return nil, err
	}
	if u.TLS && o.TLS == nil {
		return nil, fmt.Errorf("%s needs a certificate", o.URL)
	}
	if u.Network == "unix" {
		removeStale(u.Address)
	}
	ln, err := net.Listen(u.Network, u.Address)
	if err != nil {
		return nil, err
	}
	if u.Network != "unix" {
		u.Address = ln.Addr().String()
	}
	li := &Listener{Options: o, URL: u.String(), handshakes: make(chan struct{}, tlsHandshakes)}
	origin := &shard.Origin{Tag: li}
	if u.Proxy || u.TLS || u.WebSocket {
		origin.NewFilter = func(wake func()) shard.Filter { return b.filter(li, u, wake) }
	}
	if err := b.group.Listen(ln, origin); err != nil {
		_ = ln.Close()
		return nil, err
	}
	b.mu.Lock()
	b.listeners = append(b.listeners, li)
	b.mu.Unlock()
	return li, nil
}

// filter makes a connection's filters, the one nearest to the wire first.
func (b *Broker) filter(li *Listener, u transport.URL, wake func()) shard.Filter {
	var f transport.Filter
	if u.WebSocket {
		f = transport.NewWebSocket(transport.WebSocketOptions{Path: u.Path, Origins: li.Options.Origins})
	}
	if u.TLS {
		f = transport.Chain(transport.NewTLS(li.Options.TLS, transport.TLSOptions{
			HandshakeTimeout: b.o.Limits.HandshakeTimeout, Wake: wake, Limit: li.handshakes,
		}), f)
	}
	if u.Proxy {
		f = transport.Chain(transport.NewProxy(transport.ProxyOptions{Required: true}), f)
	}
	return f
}

// removeStale removes a Unix socket that nobody listens on any more.
func removeStale(path string) {
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	if nc, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = nc.Close()
		return
	}
	_ = os.Remove(path)
}

// Listeners are where clients come in.
func (b *Broker) Listeners() []*Listener {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*Listener(nil), b.listeners...)
}

// Running tells whether clients are served.
func (b *Broker) Running() bool { return b.state.Load() == stateRunning }

// errNotRunning is for calls before Start or after Shutdown.
var errNotRunning = errors.New("broker: not running")

// shutdownPoll is how often Shutdown looks whether all have left.
const shutdownPoll = 20 * time.Millisecond

// Shutdown stops accepting, tells MQTT 5.0 clients (0x8B), lets what is written leave
// and ends the shards. Wills of sessions that the shutdown ends go out first. When ctx
// ends, connections that still have bytes to send are cut.
func (b *Broker) Shutdown(ctx context.Context) error {
	if !b.state.CompareAndSwap(stateRunning, stateStopping) {
		return errNotRunning
	}
	b.group.CloseListeners()
	b.cancel()
	err := b.each(ctx, (*core).sayGoodbye)
	for err == nil {
		var open atomic.Int64
		if err = b.each(ctx, func(k *core) { open.Add(int64(k.unsent())) }); err != nil || open.Load() == 0 {
			break
		}
		select {
		case <-time.After(shutdownPoll):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	b.group.Stop()
	b.work.Wait()
	b.state.Store(stateStopped)
	return err
}

// sayGoodbye ends all connections of a shard.
func (k *core) sayGoodbye() {
	k.l.Conns(func(conn *shard.Conn) {
		c := conn.User.(*client)
		if conn.Closed() {
			return
		}
		if c.state == connected || c.state == committing {
			k.disconnect(c, packet.ServerShuttingDown, "")
			return
		}
		k.refuse(c, packet.ServerShuttingDown, "")
	})
}

// unsent is the number of connections with bytes that have not left.
func (k *core) unsent() int {
	n := 0
	k.l.Conns(func(conn *shard.Conn) {
		if conn.Pending() > 0 {
			n++
		}
	})
	return n
}

// Message is an Application Message published from inside the process.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	// Properties travel with the message; Message Expiry Interval counts from now.
	Properties packet.Properties
}

// Publish routes m like a client's message. It returns when it is on its way to all who
// subscribe; with a journal, when it is durable.
func (b *Broker) Publish(ctx context.Context, m Message) error {
	if err := topic.CheckName(m.Topic); err != nil {
		return err
	}
	if m.QoS > 2 {
		return fmt.Errorf("broker: QoS %d", m.QoS)
	}
	if !b.Running() {
		return errNotRunning
	}
	msg := &session.Message{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain}
	if p := m.Properties; !p.Empty() {
		if p.Has(packet.PropMessageExpiry) {
			msg.Expires = b.o.Clock() + int64(p.MessageExpiry)*1e9
		}
		msg.Props = packet.ForwardProperties(nil, p.AppendTo(nil))
	}
	k := b.cores[b.home([]byte(m.Topic))]
	done := make(chan error, 1)
	k.l.Post(func() {
		before := k.mark()
		k.publishMessage(msg, 0)
		if !k.changed(before) {
			done <- nil
			return
		}
		k.afterCommit(func(err error) { done <- err })
	})
	select {
	case err := <-done:
		return err
	case <-b.ctx.Done():
		return errNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
}
