package server

import (
	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/transport"
)

// Summary is what a server is, for people. Addresses are those really bound.
type Summary struct {
	Version   string
	Listeners []ListenerSummary // in the order of the configuration
	Data      string            // "" when nothing is kept on disk
	// Durability is fsync, os or none: what an acknowledgement promises.
	Durability string
	Admin      string // an URL, "" for none
}

// ListenerSummary is one address for clients.
type ListenerSummary struct {
	URL       string
	Transport transport.URL
	// Clients says who may connect.
	Clients string
	// Anonymous and Passwords are the ways to connect that CONNECT alone has.
	Anonymous, Passwords bool
}

func (s *Server) summarize(l *broker.Listener) ListenerSummary {
	out := ListenerSummary{URL: l.URL, Anonymous: l.Options.AllowAnonymous, Passwords: s.access.passwords != nil}
	u, err := transport.ParseListen(l.URL)
	if err != nil {
		panic("server: the broker listens on an address that nobody can read: " + err.Error())
	}
	out.Transport = u
	who, proof := "clients", ", with a password"
	switch {
	case out.Anonymous:
		who, proof = "anonymous clients", ""
	case !out.Passwords:
		proof += " by " + scramMethod
	}
	switch {
	case u.Proxy:
		who += " that the proxy lets in"
	case u.Loopback():
		who += " of this machine only"
	default:
		who += " of any machine"
	}
	out.Clients = who + proof
	return out
}

// dataText is the directory for the log.
func (s Summary) dataText() string {
	if s.Data == "" {
		return "none"
	}
	return s.Data
}

// adminText is the address for the log.
func (s Summary) adminText() string {
	if s.Admin == "" {
		return "off"
	}
	return s.Admin
}
