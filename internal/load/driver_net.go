package load

import (
	"net"
	"sync"
	"time"
)

const (
	netReadBytes    = 64 << 10
	netWriteTimeout = 20 * time.Second
)

// netDriver gives each connection a goroutine that reads. Writes wait for the
// network, which they may: what comes in meanwhile is taken off and kept.
type netDriver struct {
	mu     sync.Mutex
	events []event       // guarded by mu
	ready  chan struct{} // holds a token while there are events
	taken  []event
	conns  map[*conn]struct{}
	wg     sync.WaitGroup
	pool   sync.Pool
}

type event struct {
	c   *conn
	buf *[]byte
	n   int
	err error
}

func newNetDriver() (driver, error) {
	d := &netDriver{ready: make(chan struct{}, 1), conns: map[*conn]struct{}{}}
	d.pool.New = func() any { b := make([]byte, netReadBytes); return &b }
	return d, nil
}

func (d *netDriver) adopt(c *conn, nc net.Conn) error {
	c.nc = nc
	d.conns[c] = struct{}{}
	d.wg.Go(func() { d.read(c, nc) })
	return nil
}

func (d *netDriver) read(c *conn, nc net.Conn) {
	for {
		buf := d.pool.Get().(*[]byte)
		n, err := nc.Read(*buf)
		d.mu.Lock()
		d.events = append(d.events, event{c, buf, n, err})
		d.mu.Unlock()
		select {
		case d.ready <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (d *netDriver) send(c *conn, b []byte) {
	if c.gone {
		return
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(netWriteTimeout)); err != nil {
		c.fail(err)
		return
	}
	if _, err := c.nc.Write(b); err != nil {
		c.fail(err)
	}
}

func (d *netDriver) turn(wait time.Duration) {
	if wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-d.ready:
		case <-timer.C:
		}
		timer.Stop()
	}
	d.mu.Lock()
	d.taken, d.events = d.events, d.taken[:0]
	d.mu.Unlock()
	for i, ev := range d.taken {
		if ev.n > 0 && !ev.c.gone {
			ev.c.input((*ev.buf)[:ev.n])
		}
		if ev.err != nil {
			ev.c.fail(ev.err)
		}
		d.pool.Put(ev.buf)
		d.taken[i] = event{}
	}
}

func (d *netDriver) drop(c *conn) {
	delete(d.conns, c)
	_ = c.nc.Close() // nothing more is wanted from it
}

func (d *netDriver) close() {
	for c := range d.conns {
		c.gone = true
		_ = c.nc.Close()
	}
	d.wg.Wait()
}
