package client

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// proxy opens connections through a SOCKS5 (RFC 1928, 1929) or HTTP proxy.
type proxy struct {
	url     *url.URL
	address string
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// newProxy reads Options.Proxy; nil is none.
func newProxy(s string) (*proxy, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("options: Proxy: %w", err)
	}
	port := map[string]string{"socks5": "1080", "socks5h": "1080", "http": "80", "https": "443"}[u.Scheme]
	if port == "" || u.Hostname() == "" {
		return nil, fmt.Errorf("options: Proxy %q must be socks5://, socks5h://, http:// or https:// and a host", u.Redacted())
	}
	user := u.User.Username()
	if pw, _ := u.User.Password(); len(user) > 255 || len(pw) > 255 {
		return nil, errors.New("options: Proxy: user name and password have at most 255 bytes each")
	}
	return &proxy{u, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))}, nil
}

// dial opens a connection to address. ctx ends it while it is being opened.
func (p *proxy) dial(ctx context.Context, open dialFunc, address string) (net.Conn, error) {
	nc, err := open(ctx, "tcp", p.address)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	through := nc
	switch p.url.Scheme {
	case "http":
		through, err = p.connectHTTP(nc, address)
	case "https":
		secure := tls.Client(nc, &tls.Config{ServerName: p.url.Hostname()})
		if err = secure.HandshakeContext(ctx); err == nil {
			through, err = p.connectHTTP(secure, address)
		}
	default:
		err = p.connectSOCKS(ctx, nc, address)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("proxy %s: %w", p.address, err)
	}
	return through, nil
}

func (p *proxy) connectHTTP(nc net.Conn, address string) (net.Conn, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: make(http.Header)}
	if p.url.User != nil {
		pw, _ := p.url.User.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(p.url.User.Username()+":"+pw)))
	}
	if err := req.Write(nc); err != nil {
		return nil, err
	}
	r := bufio.NewReader(io.LimitReader(nc, 64<<10)) // no honest answer is longer
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("CONNECT %s: %s", address, resp.Status)
	}
	if r.Buffered() > 0 { // an MQTT server waits for CONNECT
		return nil, errors.New("proxy sent more than its answer")
	}
	return nc, nil
}

// connectSOCKS speaks SOCKS5.
func (p *proxy) connectSOCKS(ctx context.Context, nc net.Conn, address string) error {
	const noAuth, userPassword = 0, 2
	methods := []byte{5, 1, noAuth}
	if p.url.User != nil {
		methods = []byte{5, 2, noAuth, userPassword}
	}
	answer, err := exchange(nc, methods, 2)
	if err != nil {
		return err
	}
	switch {
	case answer[0] != 5:
		return fmt.Errorf("not SOCKS5, but version %d", answer[0])
	case answer[1] == userPassword && p.url.User != nil:
		user := p.url.User.Username()
		pw, _ := p.url.User.Password()
		login := append([]byte{1, byte(len(user))}, user...)
		login = append(append(login, byte(len(pw))), pw...)
		if answer, err = exchange(nc, login, 2); err != nil {
			return err
		}
		if answer[1] != 0 {
			return errors.New("user name or password is wrong")
		}
	case answer[1] != noAuth:
		return errors.New("it asks for a login; put user:password@ into Proxy")
	}
	to, err := p.socksAddress(ctx, address)
	if err != nil {
		return err
	}
	return socksConnect(nc, to)
}

// socksConnect asks for a connection and reads the answer, whose length depends
// on the kind of address in it.
func socksConnect(nc net.Conn, to []byte) error {
	head, err := exchange(nc, append([]byte{5, 1, 0}, to...), 5)
	if err != nil {
		return err
	}
	if head[1] != 0 {
		return fmt.Errorf("it cannot connect: %s", socksReply(head[1]))
	}
	rest := map[byte]int{1: 4 - 1 + 2, 4: 16 - 1 + 2, 3: int(head[4]) + 2}[head[3]]
	if rest == 0 {
		return fmt.Errorf("unknown kind of address %d", head[3])
	}
	_, err = io.ReadFull(nc, make([]byte, rest))
	return err
}

func socksReply(code byte) string {
	replies := []string{"", "general failure", "not allowed", "network unreachable", "host unreachable",
		"connection refused", "TTL expired", "command not supported", "address type not supported"}
	if int(code) < len(replies) {
		return replies[code]
	}
	return "code " + strconv.Itoa(int(code))
}

// socksAddress is kind, address and port. With socks5 names are resolved here.
func (p *proxy) socksAddress(ctx context.Context, address string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", portText, err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && p.url.Scheme == "socks5" {
		found, e := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if e != nil {
			return nil, e
		}
		ip, err = found[0], nil
	}
	var out []byte
	switch ip = ip.Unmap(); {
	case err != nil && len(host) > 255:
		return nil, fmt.Errorf("host name of %d bytes is over 255", len(host))
	case err != nil:
		out = append([]byte{3, byte(len(host))}, host...)
	case ip.Is4():
		out = append([]byte{1}, ip.AsSlice()...)
	default:
		out = append([]byte{4}, ip.AsSlice()...)
	}
	return binary.BigEndian.AppendUint16(out, uint16(port)), nil
}

// exchange writes out and reads n bytes.
func exchange(nc net.Conn, out []byte, n int) ([]byte, error) {
	if err := nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return nil, err
	}
	if _, err := nc.Write(out); err != nil {
		return nil, err
	}
	in := make([]byte, n)
	_, err := io.ReadFull(nc, in)
	return in, err
}
