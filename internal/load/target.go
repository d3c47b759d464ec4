package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Target is a broker and how to reach it.
type Target struct {
	// URL is mqtt://, mqtts://, ws://, wss:// or unix://, as clients write it, with tcp
	// and tls for the first two.
	URL                string
	Username, Password string
	// TLS is for mqtts and wss. nil means the system's certificates.
	TLS *tls.Config

	network, address, host string
	path                   string // of the WebSocket
	secure, websocket      bool
}

// NewTarget takes a URL, or host:port, apart. User and password in it count
// when the other two are empty.
func NewTarget(address, username, password string, t *tls.Config) (*Target, error) {
	if !strings.Contains(address, "://") {
		address = "mqtt://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL; write mqtt://host:port", address)
	}
	g := &Target{URL: u.Redacted(), Username: username, Password: password, TLS: t}
	if u.User != nil && username == "" && password == "" {
		g.Username = u.User.Username()
		g.Password, _ = u.User.Password()
	}
	if u.Scheme == "unix" {
		g.network, g.address, g.host = "unix", u.Host+u.Path, "localhost"
		if g.address == "" {
			return nil, fmt.Errorf("%q has no path; write unix:///run/broker.sock", address)
		}
		return g, nil
	}
	port := ""
	switch u.Scheme {
	case "mqtt", "tcp":
		port = "1883"
	case "mqtts", "tls", "ssl":
		port, g.secure = "8883", true
	case "ws":
		port, g.websocket = "80", true
	case "wss":
		port, g.websocket, g.secure = "443", true, true
	default:
		return nil, fmt.Errorf("%q: unknown scheme %q; use mqtt, mqtts, ws, wss or unix", g.URL, u.Scheme)
	}
	g.host = u.Hostname()
	if g.host == "" {
		return nil, fmt.Errorf("%q has no host; write mqtt://host:port", g.URL)
	}
	g.network, g.address = "tcp", net.JoinHostPort(g.host, cmp.Or(u.Port(), port))
	if g.path = u.Path; g.websocket {
		g.path = cmp.Or(u.Path, "/mqtt")
	}
	return g, nil
}

// Transport names how bytes travel: tcp, tls, ws, wss or unix.
func (t *Target) Transport() string {
	switch {
	case t.network == "unix":
		return "unix"
	case t.websocket && t.secure:
		return "wss"
	case t.websocket:
		return "ws"
	case t.secure:
		return "tls"
	}
	return "tcp"
}

// Loopback tells whether the target is this machine, reached without a network:
// all addresses of a name must be loopback.
func (t *Target) Loopback(ctx context.Context) bool {
	if t.network == "unix" {
		return true
	}
	if a, err := netip.ParseAddr(t.host); err == nil {
		return a.IsLoopback()
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.host)
	for _, a := range addresses {
		if !a.Unmap().IsLoopback() {
			return false
		}
	}
	return err == nil && len(addresses) > 0
}

func (t *Target) tlsConfig() *tls.Config {
	c := t.TLS.Clone() // nil stays nil
	if c == nil {
		c = &tls.Config{}
	}
	c.ServerName = cmp.Or(c.ServerName, t.host)
	if c.ClientSessionCache == nil {
		// The handshake is whole each time, as that of clients that are new.
		c.SessionTicketsDisabled = true
	}
	return c
}
