package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wirebird/wirebird/packet"
)

const (
	handshakeTimeout = 20 * time.Second
	handshakesAtOnce = 32
	connackBytes     = 64 << 10
	keepAlive        = 0 // none: a measurement ends before it would matter

	// sources are loopback addresses that connections come from, so that the
	// ports of one do not run out.
	sources = 8
)

// hello is what a client says first.
type hello struct {
	version   packet.Version
	clientID  string
	clean     bool
	keepAlive uint16
}

// link is a connection that the broker has accepted, not yet on a driver.
type link struct {
	nc      net.Conn
	layer   layer  // nil for bytes as they are
	rest    []byte // plain bytes behind the CONNACK
	connack packet.Connack
	took    time.Duration // from dialing to CONNACK
}

// dialer opens connections to one target.
type dialer struct {
	*Target
	next atomic.Uint32
}

// open connects up to the CONNACK.
func (d *dialer) open(ctx context.Context, h hello) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	began := time.Now()
	nd := net.Dialer{LocalAddr: d.source(), KeepAlive: -1, Control: portLater}
	nc, err := nd.DialContext(ctx, d.network, d.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	l, err := d.greet(nc, h)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("connect to %s: %w", d.URL, err)
	}
	l.took = time.Since(began)
	return l, nil
}

// source is the next loopback address to connect from; nil is the system's choice.
func (d *dialer) source() net.Addr {
	host, _, err := net.SplitHostPort(d.address)
	if runtime.GOOS != "linux" || d.network != "tcp" || err != nil {
		return nil
	}
	if ip := net.ParseIP(host).To4(); ip == nil || !ip.IsLoopback() {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+d.next.Add(1)%sources))}
}

// greet runs all handshakes over nc.
func (d *dialer) greet(nc net.Conn, h hello) (*link, error) {
	l := &link{nc: nc}
	if err := nc.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	if err := d.layers(l); err != nil {
		return nil, err
	}
	if _, err := nc.Write(outward(l.layer, nil, h.encode(d.Target))); err != nil {
		return nil, err
	}
	err := l.readConnack(h.version)
	if err == nil && l.connack.Code != packet.Success {
		err = &packet.Error{Code: l.connack.Code}
	}
	if err != nil {
		return nil, err
	}
	return l, nc.SetDeadline(time.Time{})
}

// layers puts TLS and WebSocket on the link, as the target has them.
func (d *dialer) layers(l *link) error {
	if d.secure {
		t, err := newTLSLayer(l.nc, d.tlsConfig())
		if err != nil {
			return err
		}
		l.layer = t
	}
	if !d.websocket {
		return nil
	}
	ws := &wsLayer{below: l.layer}
	if err := ws.upgrade(l, bufio.NewReader(l), d.address, d.path); err != nil {
		return err
	}
	l.layer = ws
	return nil
}

// Read lets a handshake read plain bytes from the layers there are.
func (l *link) Read(b []byte) (int, error) {
	for len(l.rest) == 0 {
		if err := l.more(); err != nil {
			return 0, err
		}
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// more reads once from the network and appends what comes to rest.
func (l *link) more() error {
	buf := make([]byte, 4096)
	n, err := l.nc.Read(buf)
	if n == 0 {
		return err
	}
	plain, reply, err := inward(l.layer, buf[:n])
	l.rest = append(l.rest, plain...)
	if err == nil && len(reply) > 0 {
		_, err = l.nc.Write(reply)
	}
	return err
}

func (l *link) readConnack(v packet.Version) error {
	for {
		h, n, err := packet.ParseHeader(l.rest)
		switch {
		case err != nil:
			return err
		case n > 0 && h.Type != packet.CONNACK:
			return fmt.Errorf("the broker answers CONNECT with %v", h.Type)
		case n+h.Remaining > connackBytes:
			return fmt.Errorf("the broker's CONNACK has %d bytes", n+h.Remaining)
		case n > 0 && len(l.rest) >= n+h.Remaining:
			body := append([]byte(nil), l.rest[n:n+h.Remaining]...)
			l.rest = l.rest[n+h.Remaining:]
			return l.connack.Decode(v, h.Flags, body)
		}
		if err := l.more(); err != nil {
			return err
		}
	}
}

func (h hello) encode(t *Target) []byte {
	c := packet.Connect{
		Version: h.version, CleanStart: h.clean, KeepAlive: h.keepAlive, ClientID: []byte(h.clientID),
		HasUsername: t.Username != "", Username: []byte(t.Username),
		HasPassword: t.Password != "", Password: []byte(t.Password),
	}
	if h.version == packet.V5 && !h.clean {
		c.Properties.SessionExpiry = 3600
		c.Properties.Mark(packet.PropSessionExpiry)
	}
	return c.Append(nil, h.version)
}

// openAll opens n connections, some at a time. With an error none is left open.
func (d *dialer) openAll(ctx context.Context, n int, who func(i int) hello) ([]*link, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	links := make([]*link, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, handshakesAtOnce) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				l, err := d.open(ctx, who(i))
				if err != nil {
					cancel(err)
					return
				}
				links[i] = l
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		for _, l := range links {
			if l != nil {
				_ = l.nc.Close()
			}
		}
		return nil, err
	}
	return links, nil
}
