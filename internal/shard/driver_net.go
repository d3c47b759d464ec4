//go:build !linux || wirebird_goroutine

package shard

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Driver names the way that Loops are driven.
const Driver = "goroutine"

const (
	netReadBytes  = 4 << 10
	netWriteBytes = 256 << 10 // what a connection's writer holds before it counts as blocked
	netWriteTime  = 30 * time.Second
	netCloseTime  = 2 * time.Second
	acceptRest    = 100 * time.Millisecond
)

// system drives Loops with goroutines over net.Conn: a reader and a writer each. Whoever
// has something for a Loop takes its lock and so becomes its owner for a turn.
type system struct {
	mu        sync.Mutex
	listeners []net.Listener // guarded by mu
	loops     []*netLoop
	next      atomic.Uint32
	wg        sync.WaitGroup
}

// netLoop is the driver of one Loop.
type netLoop struct {
	portDriver
	g       *Group
	l       *Loop
	mu      sync.Mutex // held for a turn
	wakes   chan struct{}
	stopped chan struct{}
	over    bool // guarded by mu
}

func (s *system) start(g *Group) error {
	for _, l := range g.loops {
		n := &netLoop{g: g, l: l, wakes: make(chan struct{}, 1), stopped: make(chan struct{})}
		l.drv = n
		l.asleep.Store(true)
		s.loops = append(s.loops, n)
	}
	for _, n := range s.loops {
		s.wg.Go(n.run)
	}
	return nil
}

// turn runs fn as the Loop's owner.
func (n *netLoop) turn(fn func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return
	}
	n.l.asleep.Store(false)
	n.l.Begin(n.g.o.Clock())
	n.l.runMail() // a connection that has just moved here comes before its bytes
	if fn != nil {
		fn()
	}
	for n.l.End() || n.l.HasMail() {
		n.l.ready = n.l.ready[:0]
		n.l.Begin(n.g.o.Clock())
	}
	n.l.asleep.Store(true)
	if n.l.HasMail() {
		n.wake()
	}
}

// run turns the Loop for mail and timers.
func (n *netLoop) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n.mu.Lock()
		next := n.l.NextTimer()
		n.mu.Unlock()
		wait := time.Second
		if next != 0 {
			wait = min(wait, max(0, time.Duration(next-n.g.o.Clock())))
		}
		timer.Reset(wait)
		select {
		case <-n.wakes:
		case <-timer.C:
		case <-n.stopped:
			n.release()
			return
		}
		n.turn(nil)
	}
}

func (n *netLoop) wake() {
	select {
	case n.wakes <- struct{}{}:
	default:
	}
}

func (n *netLoop) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.l.runMail()
	for _, c := range n.l.conns {
		if c != nil {
			n.l.finish(c, nil)
		}
	}
	n.over = true
}

func (n *netLoop) rewatch(c *Conn) { c.ext.port.(*netPort).resume() }

func (s *system) listen(g *Group, ln net.Listener, o *Origin) error {
	s.mu.Lock()
	s.listeners = append(s.listeners, ln)
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil: // out of descriptors, most likely
				g.refused.Add(1)
				time.Sleep(acceptRest)
			default:
				if flags, ok := g.admit(); ok {
					s.serve(g, nc, o, flags)
				} else {
					_ = nc.Close()
				}
			}
		}
	})
	return nil
}

// serve opens a connection on the next Loop.
func (s *system) serve(g *Group, nc net.Conn, o *Origin, flags uint16) {
	n := s.loops[int(s.next.Add(1))%len(s.loops)]
	p := &netPort{nc: nc, g: g, paused: make(chan struct{}, 1), more: make(chan struct{}, 1), done: make(chan struct{})}
	opened := false
	n.turn(func() {
		p.c = n.l.openPort(p, o, flags)
		p.loop.Store(n.l)
		opened = true
	})
	if !opened {
		_ = nc.Close()
		g.conns.Add(-1)
		return
	}
	s.wg.Go(p.read)
	s.wg.Go(p.writeAll)
}

func (s *system) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ln := range s.listeners {
		_ = ln.Close()
	}
	s.listeners = nil
}

func (s *system) stop(*Group) {
	for _, n := range s.loops {
		close(n.stopped)
	}
	s.wg.Wait()
}

// netPort is the socket of one connection: a reader and a writer goroutine.
type netPort struct {
	nc   net.Conn
	g    *Group
	c    *Conn
	loop atomic.Pointer[Loop] // the connection's owner as the reader knows it

	paused chan struct{} // one token: go on reading
	more   chan struct{} // one token: there is something to write, or to end
	done   chan struct{} // closed when the Loop has let go of the connection

	mu       sync.Mutex
	pending  []byte // guarded by mu
	blocked  bool   // guarded by mu: the Loop waits for Writable
	shut     bool   // guarded by mu: no more bytes come
	finished bool   // guarded by mu: done is closed
}

func (p *netPort) RemoteAddr() string {
	if a := p.nc.RemoteAddr(); a != nil && a.Network() != "unix" {
		return a.String()
	}
	return "unix"
}

func (p *netPort) owner() *netLoop { return p.loop.Load().drv.(*netLoop) }

// read feeds the Loop until the connection ends.
func (p *netPort) read() {
	buf := make([]byte, netReadBytes)
	for {
		n, err := p.nc.Read(buf)
		wait := false
		p.owner().turn(func() {
			l := p.c.loop
			l.reads++
			if n > 0 {
				l.Feed(p.c, buf[:n])
			}
			if err != nil {
				l.Hangup(p.c, err)
				return
			}
			if wait = p.c.flags&(flagPaused|flagClogged|flagMoving) != 0 && p.c.flags&(flagGone|flagClosing) == 0; !wait {
				select { // a pause that has already ended
				case <-p.paused:
				default:
				}
			}
		})
		if err != nil {
			return
		}
		if wait {
			select {
			case <-p.paused:
			case <-p.done:
			}
		}
	}
}

// resume lets the reader go on; the Loop that calls it is the connection's owner.
func (p *netPort) resume() {
	p.loop.Store(p.c.loop)
	select {
	case p.paused <- struct{}{}:
	default:
	}
}

// Write takes bytes for the writer.
func (p *netPort) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) >= netWriteBytes {
		p.blocked = true
		return 0, nil
	}
	p.pending = append(p.pending, b...)
	p.signal()
	return len(b), nil
}

func (p *netPort) signal() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

func (p *netPort) Shutdown() {
	p.mu.Lock()
	p.shut = true
	p.mu.Unlock()
	p.signal()
}

func (p *netPort) Close() {
	p.mu.Lock()
	if !p.finished {
		p.finished = true
		close(p.done)
		_ = p.nc.SetWriteDeadline(time.Now().Add(netCloseTime)) // ends a write that hangs
	}
	p.mu.Unlock()
	p.signal()
}

// writeAll writes what comes until the connection ends, then closes it.
func (p *netPort) writeAll() {
	defer p.g.conns.Add(-1)
	defer p.nc.Close()
	var batch []byte
	for range p.more {
		p.mu.Lock()
		batch, p.pending = p.pending, batch[:0]
		blocked, shut, finished := p.blocked, p.shut, p.finished
		p.blocked = false
		p.mu.Unlock()
		if len(batch) > 0 {
			limit := netWriteTime
			if finished {
				limit = netCloseTime
			}
			_ = p.nc.SetWriteDeadline(time.Now().Add(limit))
			if _, err := p.nc.Write(batch); err != nil {
				_ = p.nc.Close() // the reader notices and tells the Loop
			}
		}
		if cap(batch) > netWriteBytes {
			batch = nil
		}
		if finished {
			return
		}
		if shut {
			if w, ok := p.nc.(interface{ CloseWrite() error }); ok {
				_ = w.CloseWrite()
			}
		}
		if blocked {
			p.owner().turn(func() { p.c.loop.Writable(p.c) })
		}
	}
}

var _ io.Writer = (*netPort)(nil)

// RemoteAddr is the peer's address as the socket knows it; "" when there is none.
func (c *Conn) RemoteAddr() string { return portAddr(c) }
