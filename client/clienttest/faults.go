package clienttest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// ErrCut is what Read and Write return after Faults have ended the connection.
var ErrCut = errors.New("connection cut by its faults")

// Faults say how a connection misbehaves. Bytes are counted from 1 in each direction,
// of what the owner of the connection writes (sent) and reads (received). The zero value
// is a connection without faults.
type Faults struct {
	// CutSent and CutReceived end the connection in front of this byte: as soon as those
	// before it have passed. 0 means never.
	CutSent, CutReceived int64
	// CorruptSent and CorruptReceived spoil this byte. 0 means none.
	CorruptSent, CorruptReceived int64
	// Mask is what the spoiled byte is combined with by exclusive or. 0 means 0xFF, which
	// turns every bit.
	Mask byte
	// DelaySent and DelayReceived are how long each Write, and each Read that got
	// something, takes. 0 means no time.
	DelaySent, DelayReceived time.Duration
	// Pieces is the most bytes that pass at once, in either direction. 0 means no limit.
	Pieces int
}

// Wrap returns nc with the faults. It is for one connection: the bytes are its own.
func (f Faults) Wrap(nc net.Conn) net.Conn {
	if f.Mask == 0 {
		f.Mask = 0xFF
	}
	return &faultyConn{
		Conn:   nc,
		faults: f,
		sent:   direction{turn: make(chan struct{}, 1), cut: f.CutSent, corrupt: f.CorruptSent, mask: f.Mask},
		rcvd:   direction{turn: make(chan struct{}, 1), cut: f.CutReceived, corrupt: f.CorruptReceived, mask: f.Mask},
		closed: make(chan struct{}),
	}
}

// Dialer returns a function for client.Options.Dial that gives connections faults: those
// of(n) returns, of the n-th connection, counted from 0.
func Dialer(dial func(context.Context) (net.Conn, error), of func(n int) Faults) func(context.Context) (net.Conn, error) {
	var mu sync.Mutex
	next := 0
	return func(ctx context.Context) (net.Conn, error) {
		nc, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		n := next
		next++
		mu.Unlock()
		return of(n).Wrap(nc), nil
	}
}

type faultyConn struct {
	net.Conn
	faults Faults
	once   sync.Once
	closed chan struct{}

	rcvd direction
	sent direction
}

// direction counts the bytes of one side.
type direction struct {
	turn                 chan struct{} // a lock; synctest's clock stands still while one waits for a mutex
	passed, cut, corrupt int64
	mask                 byte
}

// room is how many of n bytes may pass.
func (d *direction) room(n int) int {
	if d.cut == 0 {
		return n
	}
	return int(min(int64(n), d.cut-1-d.passed))
}

// over reports whether the next byte is the one that does not pass.
func (d *direction) over() bool { return d.cut != 0 && d.passed >= d.cut-1 }

// hits returns where in the next n bytes the one to spoil is, -1 for nowhere.
func (d *direction) hits(n int) int {
	if at := d.corrupt - 1 - d.passed; d.corrupt != 0 && at >= 0 && at < int64(n) {
		return int(at)
	}
	return -1
}

// Read ends the connection once all bytes before the cut were read.
func (c *faultyConn) Read(b []byte) (int, error) {
	c.rcvd.turn <- struct{}{}
	defer func() { <-c.rcvd.turn }()
	if c.rcvd.over() {
		return 0, c.end()
	}
	n := c.rcvd.room(len(b))
	if c.faults.Pieces > 0 {
		n = min(n, c.faults.Pieces)
	}
	n, err := c.Conn.Read(b[:n])
	if n > 0 {
		if at := c.rcvd.hits(n); at >= 0 {
			b[at] ^= c.rcvd.mask
		}
		c.rcvd.passed += int64(n)
		if c.rcvd.over() { // at once, whether or not the owner reads on
			_ = c.Close()
		} else if waited := c.wait(c.faults.DelayReceived); waited != nil {
			return 0, waited
		}
	}
	return n, err
}

// Write ends the connection at the cut, with the bytes before it written.
func (c *faultyConn) Write(b []byte) (int, error) {
	c.sent.turn <- struct{}{}
	defer func() { <-c.sent.turn }()
	done := 0
	for {
		if c.sent.over() {
			return done, c.end()
		}
		n := c.sent.room(len(b) - done)
		if c.faults.Pieces > 0 {
			n = min(n, c.faults.Pieces)
		}
		if err := c.wait(c.faults.DelaySent); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(c.spoiled(b[done : done+n]))
		c.sent.passed += int64(n)
		if done += n; err != nil || done == len(b) {
			if c.sent.over() {
				_ = c.Close()
			}
			return done, err
		}
	}
}

// spoiled is b, or a copy with the byte to spoil in it.
func (c *faultyConn) spoiled(b []byte) []byte {
	at := c.sent.hits(len(b))
	if at < 0 {
		return b
	}
	out := append([]byte(nil), b...)
	out[at] ^= c.sent.mask
	return out
}

func (c *faultyConn) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *faultyConn) end() error {
	_ = c.Close()
	return ErrCut
}

// Close may be called more than once.
func (c *faultyConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		err = c.Conn.Close()
	})
	return err
}
