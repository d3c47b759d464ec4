package transport_test

import (
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/transport"
)

const (
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2Header    = v2Signature + "\x21\x11\x00\x0C" + "\xC0\x00\x02\x01" + "\xC6\x33\x64\x01" + "\x30\x39" + "\x07\x5B"
	mqttConnect = "\x10\x0C\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00"
)

// feedProxy gives wire to a new filter in pieces of n bytes; 0 means whole.
func feedProxy(o transport.ProxyOptions, wire string, n int) (plain string, peer transport.Peer, err error) {
	f := transport.NewProxy(o)
	var dst []byte
	for err == nil && len(wire) > 0 {
		size := len(wire)
		if n > 0 {
			size = min(n, size)
		}
		piece := []byte(wire[:size])
		dst, err = f.In(dst, piece)
		clear(piece) // it was borrowed
		wire = wire[size:]
	}
	f.(transport.Info).Describe(&peer)
	return string(dst), peer, err
}

func TestProxyHeaders(t *testing.T) {
	type Peer = transport.Peer
	plain4 := Peer{Remote: "192.0.2.1:12345", Local: "198.51.100.1:1883"}
	long := strings.Repeat("x", 200)
	for name, tt := range map[string]struct {
		header  string
		peer    Peer
		noMatch bool   // there is no header: the bytes pass unless one is required
		err     string // "" none
	}{
		"version 1":                         {header: "PROXY TCP4 192.0.2.1 198.51.100.1 12345 1883\r\n", peer: plain4},
		"version 1, IPv6":                   {header: "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", peer: Peer{Remote: "[2001:db8::1]:1", Local: "[::1]:65535"}},
		"version 1, unknown":                {header: "PROXY UNKNOWN\r\n"},
		"version 1, longest":                {header: "PROXY UNKNOWN " + long[:91] + "\r\n"},
		"version 1, too long":               {header: "PROXY UNKNOWN " + long[:92] + "\r\n", err: "no line end"},
		"version 1, endless":                {header: "PROXY " + long, err: "no line end"},
		"version 1, bad address":            {header: "PROXY TCP4 192.0.2 198.51.100.1 12345 1883\r\n", err: "address"},
		"version 1, bad port":               {header: "PROXY TCP4 192.0.2.1 198.51.100.1 65536 1883\r\n", err: "port"},
		"version 1, line feed":              {header: "PROXY TCP4 192.0.2.1 198.51.100.1 12345 1883\n", err: `must end with \r\n`},
		"version 1, UDP":                    {header: "PROXY UDP4 192.0.2.1 198.51.100.1 12345 1883\r\n", err: "family"},
		"version 2":                         {header: v2Header, peer: plain4},
		"version 2, local":                  {header: v2Signature + "\x20\x00\x00\x00"},
		"version 2, local, block":           {header: strings.Replace(v2Header, "\x21\x11", "\x20\x11", 1)},
		"version 2, Unix socket":            {header: v2Signature + "\x21\x31\x00\xD8" + strings.Repeat("/", 216)},
		"version 2, extension":              {header: strings.Replace(v2Header, "\x00\x0C", "\x00\x10", 1) + "\x04\x00\x01x", peer: plain4},
		"version 2, extension past the end": {header: strings.Replace(v2Header, "\x00\x0C", "\x00\x10", 1) + "\x04\xFF\xFFx", peer: plain4},
		"version 2, half an extension":      {header: strings.Replace(v2Header, "\x00\x0C", "\x00\x0D", 1) + "\x04", peer: plain4},
		"version 2, bad checksum":           {header: strings.Replace(v2Header, "\x00\x0C", "\x00\x13", 1) + "\x03\x00\x04sums", peer: plain4},
		"version 2, largest":                {header: strings.Replace(v2Header, "\x00\x0C", "\x10\x00", 1) + "\x04\x0F\xF1" + strings.Repeat("x", 4081), peer: plain4},
		"version 2, too large":              {header: strings.Replace(v2Header, "\x00\x0C", "\x10\x01", 1), err: "the most is 4112"},
		"version 2, short":                  {header: strings.Replace(v2Header, "\x00\x0C", "\x00\x0B", 1), err: "length"},
		"version 2, version 3":              {header: strings.Replace(v2Header, "\x21\x11", "\x31\x11", 1), err: "version"},
		"nothing":                           {noMatch: true},
		"almost version 1":                  {header: "PROX", noMatch: true},
		"almost version 2":                  {header: v2Signature[:11], noMatch: true},
	} {
		for _, required := range []bool{false, true} {
			for _, n := range []int{0, 1, 7} {
				o := transport.ProxyOptions{Required: required}
				plain, peer, err := feedProxy(o, tt.header+mqttConnect, n)
				want, wantErr := mqttConnect, tt.err
				if tt.noMatch {
					want = tt.header + mqttConnect
				}
				if tt.noMatch && required {
					wantErr = "does not begin with a header"
				}
				if wantErr != "" {
					want = ""
				}
				if plain != want || peer != tt.peer || !errorHas(err, wantErr) {
					t.Errorf("%s, required %v, pieces of %d: %q, %+v, %v; want %q, %+v, %q", name, required, n, plain, peer, err, want, tt.peer, wantErr)
				}
			}
		}
	}
}

func TestProxyIsTransparentInTheOtherDirection(t *testing.T) {
	f := transport.NewProxy(transport.ProxyOptions{Required: true})
	wire := f.Close(f.Reply(f.Out([]byte("a"), []byte("b"))))
	f.Release()
	if string(wire) != "ab" {
		t.Errorf("got %q", wire)
	}
}

// FuzzProxy states that it does not matter how bytes are cut, and that what is
// not taken for a header passes unchanged.
func FuzzProxy(f *testing.F) {
	f.Add("PROXY TCP4 192.0.2.1 198.51.100.1 12345 1883\r\n"+mqttConnect, uint8(1), false)
	f.Add(v2Header+mqttConnect, uint8(13), true)
	f.Add(mqttConnect, uint8(3), false)
	f.Fuzz(func(t *testing.T, wire string, n uint8, required bool) {
		o := transport.ProxyOptions{Required: required}
		plain, peer, err := feedProxy(o, wire, 0)
		plain2, peer2, err2 := feedProxy(o, wire, int(n)+1)
		if plain != plain2 || peer != peer2 || !sameError(err, err2) {
			t.Errorf("whole: %q, %+v, %v; in pieces: %q, %+v, %v", plain, peer, err, plain2, peer2, err2)
		}
		if err == nil && !strings.HasSuffix(wire, plain) || err != nil && plain != "" {
			t.Errorf("%q became %q, %v", wire, plain, err)
		}
	})
}
