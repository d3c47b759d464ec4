package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"
)

// handshake is a TLS handshake in its own goroutine, where it may wait, and
// what goroutine and shard exchange. The goroutine starts with the first bytes
// and ends with the handshake; a stop ends it while it waits.
type handshake struct {
	limit chan struct{}
	wake  func()
	timer *time.Timer
	more  chan struct{} // has one element after feed
	quit  chan struct{} // closed by stop

	started bool   // the shard's
	plain   []byte // given to Out meanwhile; the shard's
	inside  bool   // holds a place in limit; the goroutine's

	mu      sync.Mutex
	in, out []byte // guarded by mu; out leaves with takeOut
	flight  []byte // guarded by mu: written, and not yet said to be complete
	ended   bool   // guarded by mu: the goroutine has left tls.Conn
	stopped bool   // guarded by mu: quit is closed
	err     error  // guarded by mu: why it failed or was stopped
}

func newHandshake(o TLSOptions) *handshake {
	hs := &handshake{
		limit: o.Limit,
		wake:  o.Wake,
		more:  make(chan struct{}, 1),
		quit:  make(chan struct{}),
	}
	hs.mu.Lock() // the timer may fire before it is assigned
	defer hs.mu.Unlock()
	hs.timer = time.AfterFunc(o.HandshakeTimeout, func() {
		if hs.stop(fmt.Errorf("not finished after %v", o.HandshakeTimeout)) {
			hs.wake()
		}
	})
	return hs
}

// feed gives the handshake bytes of the peer, and starts it with the first.
func (hs *handshake) feed(src []byte, conn *tls.Conn) error {
	hs.mu.Lock()
	full := len(hs.in)+len(src) > maxHandshakeBytes
	if !full {
		hs.in = append(hs.in, src...)
	}
	hs.mu.Unlock()
	if full {
		err := fmt.Errorf("TLS handshake: the peer sent more than %d bytes ahead", maxHandshakeBytes)
		hs.stop(err)
		return err
	}
	if !hs.started {
		hs.started = true
		go hs.run(conn)
		return nil
	}
	select {
	case hs.more <- struct{}{}:
	default: // it is told already
	}
	return nil
}

// stop ends the handshake with err, unless it has ended by itself or was
// stopped before: then it reports false.
func (hs *handshake) stop(err error) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.ended || hs.stopped {
		return false
	}
	hs.stopped, hs.err = true, err
	close(hs.quit)
	hs.timer.Stop()
	return true
}

// takeOut moves what the handshake has to say to the end of wire.
func (hs *handshake) takeOut(wire []byte) []byte {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	wire = append(wire, hs.out...)
	hs.out = nil
	return wire
}

// run is the goroutine. It must not touch conn, or what is the shard's, after
// it has set ended.
func (hs *handshake) run(conn *tls.Conn) {
	err := hs.enter()
	if err == nil {
		err = conn.Handshake()
		hs.leave()
	}
	hs.mu.Lock()
	stopped := hs.stopped
	if !stopped {
		hs.ended, hs.err = true, err
		hs.publish()
		hs.timer.Stop()
	}
	hs.mu.Unlock()
	if !stopped {
		hs.wake()
	}
}

// errStopped is seen by crypto/tls only; the reason for a stop is in err.
var errStopped = errors.New("handshake stopped")

// enter takes a place among the handshakes that compute.
func (hs *handshake) enter() error {
	if hs.limit == nil {
		return nil
	}
	select {
	case hs.limit <- struct{}{}:
		hs.inside = true
		return nil
	case <-hs.quit:
		return errStopped
	}
}

func (hs *handshake) leave() {
	if hs.inside {
		<-hs.limit
		hs.inside = false
	}
}

// read is tlsWire's Read as long as the handshake runs: it waits for feed.
func (hs *handshake) read(b []byte) (int, error) {
	for {
		hs.mu.Lock()
		n := copy(b, hs.in)
		hs.in = hs.in[n:]
		if n == 0 {
			hs.publish()
		}
		speak, stopped := len(hs.out) > 0, hs.stopped
		hs.mu.Unlock()
		switch {
		case stopped:
			return 0, errStopped
		case n > 0:
			return n, nil
		}
		if err := hs.wait(speak); err != nil {
			return 0, err
		}
	}
}

// wait gives the place to another handshake until the peer has sent something.
func (hs *handshake) wait(speak bool) error {
	hs.leave()
	if speak {
		hs.wake()
	}
	select {
	case <-hs.more:
	case <-hs.quit:
	}
	return hs.enter()
}

func (hs *handshake) write(b []byte) (int, error) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.flight = append(hs.flight, b...)
	return len(b), nil
}

// publish lets the shard have what was written. That is when the peer's answer
// is waited for, or the handshake is over: so a flight is one write, and an
// alert never leaves before the reason for it is known. mu must be held.
func (hs *handshake) publish() {
	hs.out, hs.flight = append(hs.out, hs.flight...), nil
}
