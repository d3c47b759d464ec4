package mosquitto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/wirebird/wirebird/client"
)

// dialTimeout is for opening a connection, TLS and WebSocket included.
const dialTimeout = 30 * time.Second

// errLookupFailed is for a host without an address.
var errLookupFailed = errors.New("lookup failed")

// proxyError is a refusal by the SOCKS server.
type proxyError struct {
	number int // libmosquitto's
	text   string
}

func (e *proxyError) Error() string { return e.text }

// dial opens the connection up to where MQTT begins.
func (c *config) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	o := client.Options{}
	if c.secure() || c.psk != "" {
		t, err := c.tls()
		if err != nil {
			return nil, err
		}
		o.TLS = t
	}
	d := &net.Dialer{}
	d.SetMultipathTCP(c.mptcp)
	if c.bind != "" {
		local, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(c.bind, "0"))
		if err != nil {
			return nil, errLookupFailed
		}
		d.LocalAddr = local
	}
	u, err := c.target(ctx)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "unix" {
		if o.TLS == nil {
			return client.Dial(ctx, client.Options{URL: u.String()})
		}
		u = &url.URL{Scheme: "mqtts", Host: "localhost"}
		o.Dial = func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "unix", c.host) }
		o.URL = u.String()
		return client.Dial(ctx, o)
	}
	o.URL = u.String()
	reached := false
	o.Dial = func(ctx context.Context) (nc net.Conn, err error) {
		if c.proxy != nil {
			nc, err = c.proxy.dial(ctx, d, u.Host)
		} else {
			nc, err = d.DialContext(ctx, "tcp", u.Host)
		}
		reached = err == nil
		return nc, err
	}
	nc, err := client.Dial(ctx, o)
	if err != nil && reached && u.Scheme == "mqtts" {
		return nil, &handshakeError{err}
	}
	return nc, err
}

// handshakeError is what ended the handshake of TLS.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// target is where to connect, with a scheme that tells the transport.
func (c *config) target(ctx context.Context) (*url.URL, error) {
	if c.unix {
		path, err := filepath.Abs(c.host)
		return &url.URL{Scheme: "unix", Path: filepath.ToSlash(path)}, err
	}
	host, port := c.host, c.portOrDefault()
	if c.srv {
		service := "mqtt"
		if c.secure() {
			service = "secure-mqtt"
		}
		_, list, err := net.DefaultResolver.LookupSRV(ctx, service, "tcp", host)
		if err != nil || len(list) == 0 {
			return nil, errLookupFailed
		}
		host, port = strings.TrimSuffix(list[0].Target, "."), int(list[0].Port)
	}
	u := &url.URL{Scheme: "mqtt", Host: net.JoinHostPort(host, strconv.Itoa(port))}
	if c.ws {
		u.Scheme = "ws"
		u.Path, u.RawQuery, _ = strings.Cut(c.wsPath, "?")
		if !strings.HasPrefix(u.Path, "/") {
			u.Path = "/" + u.Path
		}
	}
	if c.secure() {
		u.Scheme += "s"
	}
	return u, nil
}

func (c *config) portOrDefault() int {
	switch {
	case c.port != notGiven:
		return c.port
	case c.cafile != "" || c.capath != "" || c.cert != "" || c.psk != "" || c.osCerts:
		return 8883
	}
	return 1883
}

// proxyUnreachable is the failure to connect to the proxy itself.
type proxyUnreachable struct {
	address string
	error
}

func (e *proxyUnreachable) Unwrap() error { return e.error }

// dial connects to address through the proxy (RFC 1928, 1929). The proxy looks
// the name up.
func (p *proxy) dial(ctx context.Context, d *net.Dialer, address string) (net.Conn, error) {
	nc, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, &proxyUnreachable{p.address, err}
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	err = p.negotiate(nc, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

func (p *proxy) negotiate(nc net.Conn, address string) error {
	greeting := []byte{5, 1, 0} // no authentication
	if p.username != "" {
		greeting = []byte{5, 2, 0, 2} // or by user name and password
	}
	answer := make([]byte, 2)
	if err := ask(nc, greeting, answer); err != nil {
		return err
	}
	method := answer[1]
	if answer[0] != 5 || method != 0 && (method != 2 || p.username == "") {
		return &proxyError{errProxy, "the proxy wants another authentication"}
	}
	if method == 2 {
		if len(p.username) > 255 || len(p.password) > 255 {
			return &proxyError{errInvalid, "user name or password of the proxy is longer than 255 bytes"}
		}
		b := append([]byte{1, byte(len(p.username))}, p.username...)
		b = append(append(b, byte(len(p.password))), p.password...)
		if err := ask(nc, b, answer); err != nil {
			return err
		}
		if answer[1] != 0 {
			return &proxyError{errAuth, "the proxy refuses the user name or the password"}
		}
	}
	return connectThrough(nc, address)
}

// connectThrough sends CONNECT of SOCKS and reads its answer.
func connectThrough(nc net.Conn, address string) error {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || len(host) > 255 {
		return &proxyError{errInvalid, fmt.Sprintf("no address for a proxy: %q", address)}
	}
	b := []byte{5, 1, 0}
	if ip := net.ParseIP(host); ip == nil {
		b = append(append(b, 3, byte(len(host))), host...)
	} else if v4 := ip.To4(); v4 != nil {
		b = append(append(b, 1), v4...)
	} else {
		b = append(append(b, 4), ip...)
	}
	head := make([]byte, 5)
	if err := ask(nc, append(b, byte(port>>8), byte(port)), head); err != nil {
		return err
	}
	if head[0] != 5 || head[1] != 0 {
		return socksError(head[1])
	}
	rest := 4 + 2 - 1 // of an IPv4 address and a port
	switch head[3] {
	case 3:
		rest = int(head[4]) + 2
	case 4:
		rest = 16 + 2 - 1
	}
	_, err = io.ReadFull(nc, make([]byte, rest))
	return err
}

func ask(nc net.Conn, question, answer []byte) error {
	if _, err := nc.Write(question); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, answer)
	return err
}

// socksError is what the proxy's answer to CONNECT means.
func socksError(code byte) error {
	switch code {
	case 1:
		return &proxyError{errProxy, "the proxy has failed"}
	case 2:
		return &proxyError{errAuth, "the proxy's rules do not allow the connection"}
	case 3:
		return &proxyError{errNoConn, "the proxy finds the network unreachable"}
	case 4:
		return &proxyError{errNoConn, "the proxy finds the host unreachable"}
	case 5:
		return &proxyError{errNoConn, "the server refuses the proxy's connection"}
	case 6:
		return &proxyError{errProxy, "the proxy gave up"}
	}
	return &proxyError{errProxy, fmt.Sprintf("the proxy answers %d", code)}
}
