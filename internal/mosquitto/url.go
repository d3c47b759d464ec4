package mosquitto

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// url takes -L apart by hand: its path is a topic, in which # and ? mean what
// they mean in MQTT.
func (p *parser) url(v string) error {
	c := p.config
	scheme, rest, ok := strings.Cut(v, "://")
	secure := false
	switch strings.ToLower(scheme) {
	case "mqtt":
	case "mqtts":
		secure = true
	case "ws":
		c.ws = true
	case "wss":
		c.ws, secure = true, true
	default:
		ok = false
	}
	if !ok {
		return usagef("Error: unsupported URL scheme.\n\n").ours("--url %q: the scheme must be mqtt, mqtts, ws or wss, as in mqtt://host/topic.", v)
	}
	c.port = 1883
	if secure {
		c.port, c.osCerts = 8883, true
	}
	authority, name, ok := strings.Cut(rest, "/")
	if !ok {
		return usagef("Error: Invalid URL for -L argument specified - topic missing.\n").ours("--url %q has no topic, as in mqtt://host/topic.", v)
	}
	if err := p.addTopic(name, "-L topic"); err != nil {
		return err
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, has := strings.Cut(authority[:i], ":")
		if p.ours { // Mosquitto's tools take it as it is
			user, password = unescape(user), unescape(password)
		}
		c.username = &user
		if has {
			c.password = &password
		}
		authority = authority[i+1:]
	}
	if c.host, c.unix = strings.Trim(authority, "[]"), false; authority == "" && p.ours {
		return usagef("").ours("--url %q has no host, as in mqtt://host/topic.", v)
	}
	if host, port, err := net.SplitHostPort(authority); err == nil {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return usagef("Error: Invalid port given: %s\n", port).ours("--url: the port must be from 1 to 65535, not %q.", port)
		}
		c.host, c.port = host, n
	}
	return nil
}

// unescape decodes %xx, and leaves alone what is no such thing.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// proxy is a SOCKS5 server.
type proxy struct {
	address            string // host:port
	username, password string
}

const socksScheme = "socks5h://"

// proxy reads --proxy.
func (p *parser) proxy(v string) error {
	rest, ok := strings.CutPrefix(v, socksScheme)
	if !ok {
		return usagef("Error: Unsupported proxy protocol: %s\n", v).ours("--proxy %q: the scheme must be socks5h, as in socks5h://host:1080.", v)
	}
	s := &proxy{}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, password, _ := strings.Cut(rest[:i], ":")
		s.username, s.password = unescape(user), unescape(password)
		rest = rest[i+1:]
		if s.username == "" {
			return usagef("Error: Invalid proxy.\n")
		}
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.Trim(rest, "[]"), "1080"
	}
	if host == "" {
		return usagef("Error: Invalid proxy.\n")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return usagef("Error: Invalid proxy port %s\n", port).ours("--proxy: the port must be from 1 to 65535, not %q.", port)
	}
	s.address = net.JoinHostPort(host, port)
	p.config.proxy = s
	return nil
}
