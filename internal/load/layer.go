package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// layer turns bytes of the network into plain bytes and back.
type layer interface {
	// in takes bytes of the network and returns the plain ones they complete,
	// valid until the next call, and bytes to send back at once.
	in(wire []byte) (plain, reply []byte, err error)
	// out appends plain, as the network has it, to wire.
	out(wire, plain []byte) []byte
}

func inward(l layer, wire []byte) (plain, reply []byte, err error) {
	if l == nil {
		return wire, nil, nil
	}
	return l.in(wire)
}

func outward(l layer, wire, plain []byte) []byte {
	if l == nil {
		return append(wire, plain...)
	}
	return l.out(wire, plain)
}

// tlsLayer runs crypto/tls over bytes in memory. A temporary net.Error from
// below is not remembered by tls.Conn, so that Read goes on where it stopped.
type tlsLayer struct {
	conn  *tls.Conn
	wire  tlsWire
	plain []byte
}

// newTLSLayer shakes hands over nc and then lets go of it.
func newTLSLayer(nc net.Conn, cfg *tls.Config) (*tlsLayer, error) {
	t := &tlsLayer{wire: tlsWire{Conn: nc, handshake: true}}
	t.conn = tls.Client(&t.wire, cfg)
	if err := t.conn.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	t.wire.Conn, t.wire.handshake = nil, false
	return t, nil
}

const plainRead = 17 << 10 // more than a record

func (t *tlsLayer) in(wire []byte) (plain, reply []byte, err error) {
	t.wire.pending = wire
	if t.plain == nil {
		t.plain = make([]byte, 0, plainRead)
	}
	t.plain = t.plain[:0]
	for {
		if cap(t.plain)-len(t.plain) < plainRead/2 {
			t.plain = append(t.plain, make([]byte, plainRead)...)[:len(t.plain)]
		}
		n, err := t.conn.Read(t.plain[len(t.plain):cap(t.plain)])
		t.plain = t.plain[:len(t.plain)+n]
		if err == nil {
			continue
		}
		reply, t.wire.sent = t.wire.sent, nil
		if !errors.Is(err, errAgain) {
			return t.plain, reply, err
		}
		return t.plain, reply, nil
	}
}

func (t *tlsLayer) out(wire, plain []byte) []byte {
	t.wire.sent = wire
	_, _ = t.conn.Write(plain) // after a failed read nothing is written any more
	wire, t.wire.sent = t.wire.sent, nil
	return wire
}

// tlsWire is the network while the handshake lasts, and memory from then on.
type tlsWire struct {
	net.Conn
	handshake bool
	pending   []byte // read and not yet taken
	sent      []byte
}

// again is the error of a read that has to wait.
type again struct{}

func (again) Error() string   { return "no bytes at hand" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

var errAgain error = again{}

func (w *tlsWire) Read(b []byte) (int, error) {
	if w.handshake {
		return w.Conn.Read(b)
	}
	if len(w.pending) == 0 {
		return 0, errAgain
	}
	n := copy(b, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}

func (w *tlsWire) Write(b []byte) (int, error) {
	if w.handshake {
		return w.Conn.Write(b)
	}
	w.sent = append(w.sent, b...)
	return len(b), nil
}

func (w *tlsWire) Close() error { return io.ErrClosedPipe } // the driver closes the socket
