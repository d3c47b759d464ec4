package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// DefaultPath is where MQTT over WebSocket is served unless a URL says otherwise.
const DefaultPath = "/mqtt"

// URL is a listen address: what to bind, and which filters stand behind it.
type URL struct {
	// Network is "tcp" or "unix".
	Network string
	// Address is what to bind: host:port, where an empty host means all
	// interfaces and IPv6 stands in brackets, or the path of a Unix socket.
	Address string
	// WebSocket, TLS and Proxy say which filters a connection gets.
	WebSocket, TLS, Proxy bool
	// Path is that of the WebSocket endpoint; empty without WebSocket.
	Path string
}

// ParseListen reads a listen address such as tcp://:1883,
// wss://[::1]:8084/mqtt or unix:///run/wirebird.sock.
//
// The schemes are tcp (or mqtt), tls (or mqtts, ssl), ws, wss and unix (or
// mqtt+unix); their ports, when none is given, 1883, 8883, 8083 and 8084. The
// path of ws and wss is /mqtt when none is given. The query ?proxy=true expects
// the PROXY protocol.
func ParseListen(s string) (URL, error) {
	u, err := parseListen(s)
	if err != nil {
		return URL{}, fmt.Errorf("listen address %q: %w", s, err)
	}
	return u, nil
}

func parseListen(s string) (URL, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return URL{}, errors.New("no scheme, write it like tcp://:1883")
	}
	u, port, err := parseScheme(strings.ToLower(scheme))
	if err != nil {
		return URL{}, err
	}
	if host, _, _ := strings.Cut(rest, "/"); strings.Count(host, ":") > 1 && !strings.Contains(host, "[") {
		return URL{}, errors.New("an IPv6 address needs brackets, write it like tcp://[::1]:1883")
	}
	raw, err := url.Parse(s)
	if err != nil {
		var urlErr *url.Error
		if errors.As(err, &urlErr) {
			err = urlErr.Err // the address is in our own message already
		}
		return URL{}, fmt.Errorf("%w, write it like tcp://host:port", err)
	}
	switch {
	case raw.User != nil:
		return URL{}, errors.New("a user name has no place here, write it like tcp://host:port")
	case raw.Fragment != "" || strings.Contains(s, "#"):
		return URL{}, errors.New("a fragment (#) has no place here, write it like tcp://host:port")
	}
	if u.Proxy, err = parseProxyOption(raw); err != nil {
		return URL{}, err
	}
	if u.Network == "unix" {
		return parseUnix(u, raw)
	}
	if u.Address, err = hostPort(raw, port); err != nil {
		return URL{}, err
	}
	switch {
	case u.WebSocket && raw.Path == "":
		u.Path = DefaultPath
	case u.WebSocket:
		u.Path = raw.Path
	case raw.Path != "" && raw.Path != "/":
		return URL{}, fmt.Errorf("only ws and wss have a path, leave out %q", raw.Path)
	}
	return u, nil
}

// parseScheme returns what a scheme alone says, and its default port.
func parseScheme(scheme string) (u URL, port string, err error) {
	switch scheme {
	case "tcp", "mqtt":
		return URL{Network: "tcp"}, "1883", nil
	case "tls", "mqtts", "ssl":
		return URL{Network: "tcp", TLS: true}, "8883", nil
	case "ws":
		return URL{Network: "tcp", WebSocket: true}, "8083", nil
	case "wss":
		return URL{Network: "tcp", WebSocket: true, TLS: true}, "8084", nil
	case "unix", "mqtt+unix":
		return URL{Network: "unix"}, "", nil
	}
	return URL{}, "", fmt.Errorf("unknown scheme %q, use one of tcp, tls, ws, wss and unix", scheme)
}

func parseProxyOption(raw *url.URL) (bool, error) {
	query, err := url.ParseQuery(raw.RawQuery)
	if err != nil {
		return false, fmt.Errorf("%w in the query, write it like ?proxy=true", err)
	}
	for key := range query {
		if key != "proxy" {
			return false, fmt.Errorf("unknown option %q, the only one is ?proxy=true", key)
		}
	}
	switch values := query["proxy"]; {
	case len(values) == 0:
		return false, nil
	case len(values) > 1:
		return false, errors.New("the option proxy is given more than once, write ?proxy=true")
	case values[0] == "true":
		return true, nil
	case values[0] == "false":
		return false, nil
	default:
		return false, fmt.Errorf("the option proxy is true or false, not %q", values[0])
	}
}

func parseUnix(u URL, raw *url.URL) (URL, error) {
	switch {
	case raw.Host != "":
		return URL{}, errors.New("the path of a Unix socket is absolute and follows three slashes, write it like unix:///run/wirebird.sock")
	case raw.Path == "" || strings.HasSuffix(raw.Path, "/"):
		return URL{}, errors.New("no file name for the Unix socket, write it like unix:///run/wirebird.sock")
	case strings.ContainsRune(raw.Path, 0):
		return URL{}, errors.New("a NUL byte in the path of the Unix socket, write it like unix:///run/wirebird.sock")
	}
	u.Address = raw.Path
	return u, nil
}

func hostPort(raw *url.URL, defaultPort string) (string, error) {
	host, port := raw.Hostname(), raw.Port()
	switch {
	case host == "" && port == "":
		return "", errors.New("no host and no port, write it like tcp://:1883 for all interfaces")
	case host == "*":
		return "", errors.New("* is not a host, leave the host out for all interfaces, like tcp://:1883")
	case !validHost(host):
		return "", fmt.Errorf("%q is neither an IP address nor a host name, write it like tcp://host:port", host)
	}
	if port == "" {
		port = defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("the port %s is not between 0 and 65535, write it like tcp://host:port", port)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// validHost accepts the empty host, IP addresses, and what resolvers take for a
// name; underscores appear in container networks. The zone of an IPv6 address is held
// to the same letters, so that String can write it.
func validHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Zone() // the name of a network interface
	}
	for _, c := range []byte(host) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}

// String returns the address so that ParseListen reads it back.
func (u URL) String() string {
	out := url.URL{Scheme: u.scheme()}
	if u.Network == "unix" {
		out.Path = u.Address
	} else {
		out.Host = u.Address
		out.Path = u.Path
	}
	if u.Proxy {
		out.RawQuery = "proxy=true"
	}
	return out.String()
}

func (u URL) scheme() string {
	switch {
	case u.Network == "unix":
		return "unix"
	case u.WebSocket && u.TLS:
		return "wss"
	case u.WebSocket:
		return "ws"
	case u.TLS:
		return "tls"
	}
	return "tcp"
}

// Loopback reports whether only this machine can connect: a loopback address,
// the name localhost, or a Unix socket, and no proxy that brings in the outside.
func (u URL) Loopback() bool {
	if u.Proxy {
		return false
	}
	if u.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(u.Address)
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
