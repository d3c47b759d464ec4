package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/pires/go-proxyproto"
)

// ProxyOptions says how strict a listener is about the PROXY protocol.
type ProxyOptions struct {
	// Required refuses connections that do not begin with a PROXY header.
	Required bool
}

// NewProxy returns a filter that takes a PROXY protocol header, version 1 or 2,
// off the start of a connection. Whoever can connect can claim any address: put
// it only where load balancers alone reach the listener.
//
// What follows the addresses of version 2, its TLVs, is not used and not looked at,
// as the protocol asks of receivers that do not know a type: only its length counts.
func NewProxy(o ProxyOptions) Filter {
	return &proxy{required: o.Required}
}

const (
	proxyV1Start   = "PROXY "
	proxyV2Start   = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxyV1     = 107 // bytes, line end included
	proxyV2Fixed   = 16
	maxProxyV2Rest = 4 << 10 // bytes after the fixed part; balancers send certificates
)

type proxy struct {
	buf           []byte // the header as far as it has come
	remote, local string
	required      bool
	passed        bool // the header is over
	err           error
}

func (p *proxy) In(dst, src []byte) ([]byte, error) {
	if p.err != nil {
		return dst, p.err
	}
	if p.passed {
		return append(dst, src...), nil
	}
	if len(src) == 0 {
		return dst, nil
	}
	data := src
	if len(p.buf) > 0 {
		p.buf = append(p.buf, src...)
		data = p.buf
	}
	size, complete, err := proxyHeaderSize(data)
	switch {
	case err != nil:
		return p.fail(dst, err)
	case !complete && len(p.buf) == 0:
		p.buf = bytes.Clone(data)
		return dst, nil
	case !complete:
		return dst, nil
	case size == 0 && p.required:
		return p.fail(dst, errors.New("the connection does not begin with a header"))
	case size > 0:
		if err := p.read(data[:size]); err != nil {
			return p.fail(dst, err)
		}
	}
	p.passed, p.buf = true, nil
	return append(dst, data[size:]...), nil
}

func (p *proxy) fail(dst []byte, err error) ([]byte, error) {
	p.buf = nil
	p.err = fmt.Errorf("PROXY protocol: %w", err)
	return dst, p.err
}

// proxyHeaderSize finds the header at the start of b. A complete answer with
// size 0 means that there is none.
func proxyHeaderSize(b []byte) (size int, complete bool, err error) {
	switch {
	case startsLike(b, proxyV1Start):
		line := b[:min(len(b), maxProxyV1)]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			return i + 1, true, nil
		}
		if len(b) >= maxProxyV1 {
			return 0, false, fmt.Errorf("no line end in the first %d bytes", maxProxyV1)
		}
	case startsLike(b, proxyV2Start):
		if len(b) < proxyV2Fixed {
			return 0, false, nil
		}
		rest := int(binary.BigEndian.Uint16(b[proxyV2Fixed-2:]))
		if rest > maxProxyV2Rest {
			return 0, false, fmt.Errorf("a header of %d bytes, the most is %d", proxyV2Fixed+rest, proxyV2Fixed+maxProxyV2Rest)
		}
		size = proxyV2Fixed + rest
		return size, len(b) >= size, nil
	default:
		return 0, true, nil
	}
	return 0, false, nil
}

// startsLike reports whether b, as far as it has come, may begin with start.
func startsLike(b []byte, start string) bool {
	n := min(len(b), len(start))
	return string(b[:n]) == start[:n]
}

// read keeps the addresses of a header. A balancer's own connection (LOCAL) and
// one it knows nothing about (UNKNOWN) have none, like one from a Unix socket.
func (p *proxy) read(header []byte) error {
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(header)))
	if err != nil {
		return err
	}
	if h.Command.IsLocal() {
		return nil
	}
	if remote, ok := h.SourceAddr.(*net.TCPAddr); ok {
		p.remote = remote.String()
	}
	if local, ok := h.DestinationAddr.(*net.TCPAddr); ok {
		p.local = local.String()
	}
	return nil
}

func (p *proxy) Out(wire, src []byte) []byte { return append(wire, src...) }
func (p *proxy) Reply(wire []byte) []byte    { return wire }
func (p *proxy) Close(wire []byte) []byte    { return wire }
func (p *proxy) Release()                    {}

func (p *proxy) Describe(peer *Peer) {
	if p.remote != "" {
		peer.Remote = p.remote
	}
	if p.local != "" {
		peer.Local = p.local
	}
}
