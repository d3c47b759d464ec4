package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

// Dial opens the network connection that o describes, up to where MQTT begins:
// TLS and the WebSocket handshake are done. It is for programs that speak MQTT
// by themselves; of o it uses URL, TLS, Dial and Header.
func Dial(ctx context.Context, o Options) (net.Conn, error) {
	t, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	return t.dial(ctx, &o)
}

// target is where and how to connect, from Options.URL.
type target struct {
	network, address string // for a net.Dialer
	host             string // for the certificate
	scheme, path     string // of the URL
	port             string // the scheme's
	srv              string // DNS service to look up for host, empty for none
	tls              bool
	websocket        string // URL of the handshake, empty for none
	user             *url.Userinfo
}

// scheme is what a URL scheme means.
type scheme struct {
	port, srv      string
	tls, websocket bool
}

func schemeOf(name string) (scheme, bool) {
	switch name {
	case "mqtt", "tcp":
		return scheme{port: "1883"}, true
	case "mqtts", "tls", "ssl":
		return scheme{port: "8883", tls: true}, true
	case "mqtt+srv":
		return scheme{port: "1883", srv: "mqtt"}, true
	case "mqtts+srv":
		return scheme{port: "8883", srv: "secure-mqtt", tls: true}, true
	case "ws":
		return scheme{port: "80", websocket: true}, true
	case "wss":
		return scheme{port: "443", tls: true, websocket: true}, true
	}
	return scheme{}, false
}

func parseURL(s string) (*target, error) {
	u, err := url.Parse(cmp.Or(s, "mqtt://localhost"))
	if err != nil {
		return nil, fmt.Errorf("options: URL: %w", err)
	}
	if u.Scheme == "unix" {
		path := u.Host + u.Path // unix:relative has no authority
		if path = cmp.Or(path, u.Opaque); path == "" {
			return nil, fmt.Errorf("options: URL %q has no path", u.Redacted())
		}
		return &target{network: "unix", address: path, host: "localhost", user: u.User}, nil
	}
	sc, ok := schemeOf(u.Scheme)
	if !ok {
		return nil, fmt.Errorf("options: URL %q: the scheme must be mqtt, mqtts, tcp, tls, ws, wss, unix, mqtt+srv or mqtts+srv", u.Redacted())
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("options: URL %q has no host", u.Redacted())
	}
	t := &target{
		network: "tcp",
		address: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), sc.port)),
		host:    u.Hostname(),
		scheme:  strings.TrimSuffix(u.Scheme, "+srv"),
		port:    sc.port,
		srv:     sc.srv,
		tls:     sc.tls,
		user:    u.User,
	}
	if sc.srv != "" && u.Port() != "" {
		return nil, fmt.Errorf("options: URL %q: DNS tells the port of %s; leave it out", u.Redacted(), u.Scheme)
	}
	if sc.websocket {
		ws := *u
		ws.User, ws.Path = nil, cmp.Or(u.Path, "/mqtt")
		t.path = ws.Path
		t.websocket = ws.String()
	}
	return t, nil
}

// credentials fills in what the URL says and the options do not.
func (t *target) credentials(o *Options) {
	if t.user == nil || o.Username != "" || o.Password != nil {
		return
	}
	o.Username = t.user.Username()
	if pw, ok := t.user.Password(); ok {
		o.Password = []byte(pw)
	}
}

// dial opens the connection up to where MQTT begins.
func (t *target) dial(ctx context.Context, o *Options) (net.Conn, error) {
	if t.srv != "" {
		return t.dialSRV(ctx, o)
	}
	open := o.Dial
	if open == nil {
		open = func(ctx context.Context) (net.Conn, error) { return t.dialNet(ctx, o) }
	}
	if t.websocket != "" {
		return t.dialWebSocket(ctx, o, open)
	}
	nc, err := open(ctx)
	if err != nil || !t.tls {
		return nc, err
	}
	secure := tls.Client(nc, t.tlsConfig(o))
	if err := secure.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", t.address, err)
	}
	return secure, nil
}

// dialNet opens the network connection, through the proxy if there is one.
func (t *target) dialNet(ctx context.Context, o *Options) (net.Conn, error) {
	open := o.DialContext
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	p, err := newProxy(o.Proxy)
	if err != nil {
		return nil, err
	}
	if p == nil || t.network == "unix" {
		return open(ctx, t.network, t.address)
	}
	return p.dial(ctx, open, t.address)
}

// dialSRV looks the servers up and takes the first that can be reached, in the
// order of their priority and weight.
func (t *target) dialSRV(ctx context.Context, o *Options) (net.Conn, error) {
	lookup := o.LookupSRV
	if lookup == nil {
		lookup = net.DefaultResolver.LookupSRV
	}
	_, found, err := lookup(ctx, t.srv, "tcp", t.host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, r := range found {
		host := strings.TrimSuffix(r.Target, ".")
		if host == "" {
			continue // "." says that there is no such service
		}
		at := *t
		at.srv, at.host, at.address = "", host, net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
		nc, err := at.dial(ctx, o)
		if err == nil {
			return nc, nil
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 0 {
		return nil, fmt.Errorf("DNS knows no server for _%s._tcp.%s", t.srv, t.host)
	}
	return nil, errors.Join(errs...)
}

func (t *target) tlsConfig(o *Options) *tls.Config {
	c := o.TLS.Clone() // nil stays nil
	if c == nil {
		c = &tls.Config{}
	}
	c.ServerName = cmp.Or(c.ServerName, t.host)
	return c
}

func (t *target) dialWebSocket(ctx context.Context, o *Options, open func(context.Context) (net.Conn, error)) (net.Conn, error) {
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return open(ctx) },
		TLSClientConfig: t.tlsConfig(o),
	}
	ws, _, err := websocket.Dial(ctx, t.websocket, &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: transport},
		HTTPHeader:   o.Header,
		Subprotocols: []string{"mqtt"}, // [MQTT-6.0.0-3]
	})
	transport.CloseIdleConnections()
	if err != nil {
		return nil, err
	}
	if ws.Subprotocol() != "mqtt" {
		ws.CloseNow()
		return nil, fmt.Errorf("server at %s did not choose the WebSocket subprotocol mqtt", t.websocket)
	}
	return webSocketConn{websocket.NetConn(context.WithoutCancel(ctx), ws, websocket.MessageBinary), ws}, nil
}

// webSocketConn closes at once: MQTT has its own farewell, and the closing
// handshake would wait for a peer that may be gone.
type webSocketConn struct {
	net.Conn
	ws *websocket.Conn
}

func (c webSocketConn) Close() error { return c.ws.CloseNow() }
