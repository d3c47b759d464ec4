package transport

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// TLSOptions says how handshakes run.
type TLSOptions struct {
	// HandshakeTimeout is the time from NewTLS until the handshake must be
	// over. 0 means 10 s.
	HandshakeTimeout time.Duration

	// Wake asks the owner of the filter to call In without bytes and then
	// Reply, soon. It is called from other goroutines, may be called more often
	// than needed, and must not block. After Release one call that was under
	// way may still arrive. nil suits only a caller that polls anyway.
	Wake func()

	// Limit holds one element for each handshake that computes at the moment,
	// so its capacity bounds what handshakes take of the machine. A handshake
	// that waits for its peer holds none: silent peers cannot use it up. nil
	// means no limit.
	Limit chan struct{}
}

// NewTLS returns the server's end of a TLS connection. cfg is shared and not
// changed; see Certificates for one that can be reloaded.
func NewTLS(cfg *tls.Config, o TLSOptions) Filter {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultHandshakeTimeout
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	f := &tlsFilter{}
	f.wire.handshake = newHandshake(o)
	f.conn = tls.Server(&f.wire, cfg)
	return f
}

const (
	defaultHandshakeTimeout = 10 * time.Second

	// maxHandshakeBytes bounds what is kept for a handshake that is behind. A
	// ClientHello and a chain of certificates are far below; the rest is for a
	// client that sends right behind its Finished.
	maxHandshakeBytes = 1 << 20

	// minPlainRead is the least room offered to tls.Conn.Read, which hands out
	// a record in as many reads as it takes.
	minPlainRead = 512
)

// tlsFilter runs crypto/tls over a net.Conn that has only what one call of In
// brought. Two facts of tls.Conn make that work: a temporary net.Error from
// below is not remembered, so that Read goes on where it stopped; and Write and
// the alerts never need an answer.
type tlsFilter struct {
	conn *tls.Conn
	wire tlsWire
	err  error // why the connection is over
	slim bool  // what the handshake left in conn is gone
}

func (f *tlsFilter) In(dst, src []byte) ([]byte, error) {
	f.settle()
	if f.err != nil {
		return dst, f.err
	}
	if hs := f.wire.handshake; hs != nil {
		if len(src) > 0 {
			f.err = hs.feed(src, f.conn)
		}
		return dst, f.err
	}
	return f.pump(dst, src)
}

// pump decrypts what src completes. It goes on until tls.Conn asks for more:
// bytes left inside it would wait for the peer to send again.
func (f *tlsFilter) pump(dst, src []byte) ([]byte, error) {
	if len(f.wire.in) > 0 { // left over by the handshake
		src = append(f.wire.in, src...)
	}
	f.wire.in = src
	for {
		dst = slices.Grow(dst, minPlainRead)
		n, err := f.conn.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == nil {
			continue
		}
		f.wire.in = nil
		switch err {
		case errAgain:
			if !f.slim { // the handshake has left buffers
				f.slim = true
				slim(f.conn)
			}
		case io.EOF: // a close_notify: the wire itself never says it
			f.err = io.EOF
		default:
			f.err = fmt.Errorf("TLS record: %w", err)
		}
		return dst, f.err
	}
}

func (f *tlsFilter) Out(wire, src []byte) []byte {
	f.settle()
	switch {
	case len(src) == 0 || f.failed():
		return wire
	case f.wire.handshake != nil:
		f.wire.handshake.plain = append(f.wire.handshake.plain, src...)
		return wire
	}
	return f.encrypt(wire, func() error {
		_, err := f.conn.Write(src)
		return err
	})
}

// encrypt lets write append records to wire, behind what still waits to go out.
func (f *tlsFilter) encrypt(wire []byte, write func() error) []byte {
	f.wire.out = append(wire, f.wire.out...)
	if err := write(); err != nil && f.err == nil {
		f.err = fmt.Errorf("TLS record: %w", err)
	}
	wire, f.wire.out = f.wire.out, nil
	return wire
}

func (f *tlsFilter) Reply(wire []byte) []byte {
	f.settle()
	if hs := f.wire.handshake; hs != nil {
		return hs.takeOut(wire)
	}
	wire = append(wire, f.wire.out...)
	f.wire.out = nil
	return wire
}

func (f *tlsFilter) Close(wire []byte) []byte {
	wire = f.Reply(wire)
	if f.wire.handshake != nil || f.failed() {
		return wire
	}
	return f.encrypt(wire, f.conn.CloseWrite)
}

func (f *tlsFilter) Release() {
	if f.wire.handshake != nil {
		f.wire.handshake.stop(net.ErrClosed)
	}
	if f.err == nil {
		f.err = net.ErrClosed
	}
}

func (f *tlsFilter) Describe(p *Peer) {
	f.settle()
	if f.wire.handshake == nil && !f.failed() {
		state := f.conn.ConnectionState()
		p.TLS = &state
	}
}

// failed reports an end that leaves nothing to encrypt with. A peer that closed
// its direction in order can still be written to.
func (f *tlsFilter) failed() bool { return f.err != nil && f.err != io.EOF }

// settle notices that the handshake has ended and takes over its buffers. A
// handshake given up before its goroutine ended keeps them.
func (f *tlsFilter) settle() {
	hs := f.wire.handshake
	if hs == nil || f.err != nil {
		return
	}
	hs.mu.Lock()
	ended, err, in, out := hs.ended, hs.err, hs.in, hs.out
	hs.mu.Unlock()
	if ended {
		f.wire.handshake, f.wire.out = nil, out
		if len(in) > 0 {
			f.wire.in = in
		}
	}
	switch {
	case err != nil:
		f.err = fmt.Errorf("TLS handshake: %w", err)
	case ended && len(hs.plain) > 0:
		f.wire.out = f.Out(nil, hs.plain)
	}
}

// tlsWire is the net.Conn under tls.Conn: buffers, and no waiting once the
// handshake is over.
type tlsWire struct {
	handshake *handshake // nil once it is over
	in, out   []byte
}

func (w *tlsWire) Read(b []byte) (int, error) {
	if w.handshake != nil {
		return w.handshake.read(b)
	}
	if len(w.in) == 0 {
		return 0, errAgain
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	return n, nil
}

func (w *tlsWire) Write(b []byte) (int, error) {
	if w.handshake != nil {
		return w.handshake.write(b)
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

func (w *tlsWire) Close() error                     { return nil }
func (w *tlsWire) LocalAddr() net.Addr              { return wireAddr{} }
func (w *tlsWire) RemoteAddr() net.Addr             { return wireAddr{} }
func (w *tlsWire) SetDeadline(time.Time) error      { return nil }
func (w *tlsWire) SetReadDeadline(time.Time) error  { return nil }
func (w *tlsWire) SetWriteDeadline(time.Time) error { return nil }

// wireAddr stands for the address of the socket, which a filter does not know.
type wireAddr struct{}

func (wireAddr) Network() string { return "filter" }
func (wireAddr) String() string  { return "filter" }

// errAgain is the temporary net.Error that leaves a tls.Conn resumable.
const errAgain = againError("no more bytes for now")

type againError string

func (e againError) Error() string { return string(e) }
func (againError) Timeout() bool   { return true }
func (againError) Temporary() bool { return true }
