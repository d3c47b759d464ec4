// Package transport stands between a socket and MQTT: listen addresses, and
// the filters WebSocket, TLS and PROXY protocol.
//
// It knows how plain bytes are wrapped on the wire and refuses to know what
// they mean. A filter touches no socket, never blocks and reads no clock, except
// that a TLS handshake runs in a goroutine of its own with a timeout, because
// crypto/tls cannot be interrupted there. So any order and any cutting of the
// bytes can be tested without a network.
//
// Memory is the caller's. Bytes passed in are borrowed for the call; results
// are appended to the slice the caller gave. A filter holds buffers only while
// something is incomplete: an idle connection holds none of ours.
package transport

import "crypto/tls"

// Filter turns wire bytes into plain bytes and back. One shard owns it; it is
// not safe for concurrent use.
type Filter interface {
	// In takes bytes that arrived and appends to dst what they mean. src may be
	// empty: that is how a filter is polled that asked for it. An error ends
	// the connection, once what Out and Reply still have to say is written; the
	// plain bytes returned with it came before it and count. Later calls give an
	// error again. io.EOF is an orderly end: a WebSocket close frame or a TLS
	// close_notify.
	In(dst, src []byte) (plain []byte, err error)

	// Out appends to wire the bytes that carry src. A filter that is not ready
	// yet, as in a handshake, copies src and hands it out by Reply later.
	Out(wire, src []byte) []byte

	// Reply appends what the filter itself has to say since the last call: a
	// handshake's answer, a pong, an alert, a close frame. Call it after In.
	Reply(wire []byte) []byte

	// Close appends the farewell: a WebSocket close frame, a TLS close_notify.
	// It is called at most once, and nothing is sent after it.
	Close(wire []byte) []byte

	// Release gives back what the filter holds and ends a handshake that still
	// runs. It is called once, when the connection is gone; nothing follows.
	Release()
}

// Info is implemented by filters that learn something about the peer.
type Info interface {
	// Describe sets those fields of p that the filter knows by now. It may be
	// called at any time; before a handshake is over it knows nothing.
	Describe(p *Peer)
}

// Peer is what a chain of filters has learned about the other end.
type Peer struct {
	// Remote and Local are the ends of the connection as a PROXY header gave
	// them, as host:port. Empty means the socket knows best.
	Remote, Local string

	// TLS is nil on a connection without TLS.
	TLS *tls.ConnectionState

	// WebSocket is true after an upgrade; the fields below are then set from
	// the request. Subprotocol is the one agreed on. Host, Origin and
	// ForwardedFor are as the peer sent them, checked by nobody.
	WebSocket                                     bool
	Path, Subprotocol, Host, Origin, ForwardedFor string
}

// Chain joins two filters; outer is the one nearer to the wire. From the wire
// inwards the order is PROXY protocol, TLS, WebSocket. Either may be nil; then
// the chain is the other one.
func Chain(outer, inner Filter) Filter {
	switch {
	case outer == nil:
		return inner
	case inner == nil:
		return outer
	}
	return &chain{outer: outer, inner: inner}
}

type chain struct {
	outer, inner Filter
}

// In needs a place for what lies between the filters, and takes the end of dst
// for it, so that a chain holds no buffer. The result then moves down over it.
func (c *chain) In(dst, src []byte) ([]byte, error) {
	start := len(dst)
	mid, outerErr := c.outer.In(dst, src)
	plain, err := c.inner.In(mid, mid[start:])
	if err == nil {
		err = outerErr
	}
	return closeGap(plain, start, len(mid)), err
}

func (c *chain) Out(wire, src []byte) []byte {
	return c.through(c.inner.Out(wire, src), len(wire))
}

// Reply lets the outer filter speak first: what the inner one says goes through
// it, and may have to wait behind its handshake.
func (c *chain) Reply(wire []byte) []byte {
	wire = c.outer.Reply(wire)
	return c.through(c.inner.Reply(wire), len(wire))
}

func (c *chain) Close(wire []byte) []byte {
	wire = c.through(c.inner.Close(wire), len(wire))
	return c.outer.Close(wire)
}

func (c *chain) Release() {
	c.inner.Release()
	c.outer.Release()
}

func (c *chain) Describe(p *Peer) {
	for _, f := range [...]Filter{c.outer, c.inner} {
		if info, ok := f.(Info); ok {
			info.Describe(p)
		}
	}
}

// through puts what the inner filter appended to mid, from start on, through
// the outer filter.
func (c *chain) through(mid []byte, start int) []byte {
	if len(mid) == start {
		return mid
	}
	return closeGap(c.outer.Out(mid, mid[start:]), start, len(mid))
}

// closeGap removes b[start:end].
func closeGap(b []byte, start, end int) []byte {
	n := copy(b[start:], b[end:])
	return b[:start+n]
}
