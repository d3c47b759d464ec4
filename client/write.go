package client

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/wirebird/wirebird/packet"
)

const (
	writeTimeout  = 30 * time.Second // for one write to make progress, or half of it
	lingerTimeout = time.Second      // for the server to close after our DISCONNECT
	maxWrite      = 256 << 10        // bytes of one write
	keptBuffer    = 64 << 10         // larger write buffers are let go
)

// write sends what is added to the connection, and PINGREQ when nothing is. It
// returns when writing fails, when the server is silent for too long, after our
// DISCONNECT, or once read has returned.
func (c *Client) write(cn *conn) error {
	w := batch{sent: time.Now()}
	timer := time.AfterFunc(0, cn.alarm.look)
	defer timer.Stop()
	for {
		if cn.due.Load() {
			cn.due.Store(false)
			wait, err := c.ping(cn, w.sent)
			if err != nil {
				return err
			}
			timer.Reset(wait)
		}
		over := cn.readOver() // before take: what read has left is still sent
		c.mu.Lock()
		w.take(cn)
		last := cn.out.closed
		c.mu.Unlock()
		switch {
		case len(w.buf) > 0:
			if err := w.write(cn); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		case over:
			return nil
		case last:
			return cn.linger()
		default:
			<-cn.wake
			runtime.Gosched() // whoever has more to send adds it to the same write
		}
	}
}

// readOver reports whether read has returned.
func (cn *conn) readOver() bool {
	select {
	case <-cn.readDone:
		return true
	default:
		return false
	}
}

// A batch is what goes out in one write. Its buffers change places with those
// of the connection.
type batch struct {
	buf      []byte
	written  []*outbound
	traced   []packet.Packet
	sent     time.Time // when the last write began
	deadline time.Time // of writes
}

// take exchanges the batch, which is empty, for what is to be written. Client.mu
// must be held.
func (w *batch) take(cn *conn) {
	if cap(w.buf) > keptBuffer {
		w.buf = nil
	}
	cn.out.buf, w.buf = w.buf[:0], cn.out.buf
	cn.written, w.written = w.written[:0], cn.written
	w.traced, cn.out.traced = cn.out.traced, nil
}

// write sends the batch and completes the QoS 0 messages in it.
func (w *batch) write(cn *conn) error {
	for _, p := range w.traced {
		cn.trace(true, p)
	}
	var err error
	for out := w.buf; len(out) > 0 && err == nil; {
		n := min(len(out), maxWrite)
		if err = w.renew(cn); err == nil {
			_, err = cn.nc.Write(out[:n])
		}
		out = out[n:]
	}
	for i, o := range w.written {
		w.written[i] = nil
		o.complete(packet.ReasonOf(err), err)
	}
	return err
}

// renew gives the next write its time. A deadline costs as much as a small write is
// worth, so one serves until half of it is over.
func (w *batch) renew(cn *conn) error {
	w.sent = time.Now()
	if w.deadline.Sub(w.sent) >= writeTimeout/2 {
		return nil
	}
	w.deadline = w.sent.Add(writeTimeout)
	return cn.nc.SetWriteDeadline(w.deadline)
}

// linger gives the server the time to read our DISCONNECT and to close. Closing
// first, with packets unread, could destroy it on its way.
func (cn *conn) linger() error {
	if half, ok := cn.nc.(countingConn).Conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return nil // the server was quicker
		}
	}
	timer := time.NewTimer(lingerTimeout)
	defer timer.Stop()
	select {
	case <-cn.readDone:
	case <-timer.C:
	}
	return nil
}

// ping adds a PINGREQ when the connection was silent in either direction for
// the keep alive time. It returns when to look again.
func (c *Client) ping(cn *conn, sent time.Time) (time.Duration, error) {
	if cn.keepAlive == 0 {
		return time.Hour, nil
	}
	now := time.Now()
	blocked, heard := c.lanes.blocked(now), cn.heardAt() // until then an answer may have lain unread
	c.mu.Lock()
	defer c.mu.Unlock()
	if !cn.pinged.IsZero() {
		since := cn.pinged
		for _, t := range []time.Time{heard, blocked} {
			if t.After(since) {
				since = t
			}
		}
		wait := cn.keepAlive - now.Sub(since)
		if wait <= 0 {
			cn.cause = &packet.Error{Code: packet.KeepAliveTimeout, Err: errors.New("no PINGRESP")}
			return 0, cn.cause
		}
		return wait, nil
	}
	silent := max(now.Sub(sent), now.Sub(heard))
	if silent < cn.keepAlive {
		return cn.keepAlive - silent, nil
	}
	cn.out.packet(&packet.Pingreq{})
	cn.pinged = now
	return cn.keepAlive, nil
}
