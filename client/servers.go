package client

import (
	"cmp"
	"fmt"
	"net"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// maxReferences is how often one attempt to connect is sent elsewhere.
const maxReferences = 5

// servers are where to connect to. Guarded by Client.mu.
type servers struct {
	origin    *target   // from Options.URL
	moved     []*target // instead of it, for good
	elsewhere []*target // instead of both, until a connection there has ended
}

// A reference is a refusal, or a DISCONNECT, with a Server Reference.
type reference struct {
	cause *packet.Error
	to    string
}

func (r *reference) Error() string { return fmt.Sprintf("%v: server points to %q", r.cause, r.to) }
func (r *reference) Unwrap() error { return r.cause }

// targets are the servers to try, in order.
func (c *Client) targets() []*target {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.servers
	switch {
	case len(s.elsewhere) > 0:
		return s.elsewhere
	case len(s.moved) > 0:
		return append(s.moved[:len(s.moved):len(s.moved)], s.origin)
	}
	return []*target{s.origin}
}

// refer follows r, which came from the server at from, and reports whether it
// leads anywhere. Use another server (0x9C) is for the next connection, Server
// moved (0x9D) for all (§4.11).
func (c *Client) refer(from *target, r *reference) bool {
	if c.opts.NoServerReference || c.opts.Dial != nil {
		return false
	}
	var to []*target
	for _, ref := range strings.Fields(r.to) {
		t, err := from.referenced(ref)
		if err != nil {
			c.opts.Logger.Warn("server reference not followed", "reference", ref, "error", err)
			continue
		}
		to = append(to, t)
	}
	if len(to) == 0 {
		return false
	}
	c.opts.Logger.Info("server points to another", "reference", r.to, "code", r.cause.Code.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.cause.Code {
	case packet.UseAnotherServer:
		c.servers.elsewhere = to
	case packet.ServerMoved:
		c.servers.moved, c.servers.elsewhere = to, nil
	default:
		return false
	}
	return true
}

// forgetElsewhere goes back to the server that the references began with.
func (c *Client) forgetElsewhere() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers.elsewhere = nil
}

// referenced is the server that ref names: a URL, or host or host:port with the
// scheme of t. The credentials go with it, so that it must be no less secure.
func (t *target) referenced(ref string) (*target, error) {
	url := ref
	if !strings.Contains(ref, "://") {
		if t.network == "unix" {
			return nil, fmt.Errorf("%q needs a scheme, because this server is at a Unix socket", ref)
		}
		if _, _, err := net.SplitHostPort(ref); err != nil {
			ref = net.JoinHostPort(strings.Trim(ref, "[]"), t.port)
		}
		url = t.scheme + "://" + ref + t.path
	}
	to, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if t.tls && !to.tls {
		return nil, fmt.Errorf("%q has no TLS, which the connection had", ref)
	}
	to.user = cmp.Or(to.user, t.user)
	return to, nil
}
