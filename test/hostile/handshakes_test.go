package hostile

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// handshake is an attack below MQTT: on the WebSocket or the PROXY protocol.
type handshake struct {
	name  string
	proxy bool
	bytes string
	want  string // how the answer begins
	ends  string // ... and ends
	open  bool   // ... after which the connection stays: it is not read to its end
}

const (
	upgrade = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
	switched = "HTTP/1.1 101 "
)

// connectBytes is a CONNECT of 3.1.1 and a PINGREQ; its answers are pong.
var (
	connectBytes = string(frame(0x10, connectBody(v311, 2, unhex("0000")))) + string(pingreq)
	ponged       = "\xD0\x00"
)

// wsFrame is a frame from a client, masked with zeros.
func wsFrame(first byte, payload string) string {
	b := []byte{first, 0x80}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	default:
		b[1] |= 126
		b = append(b, byte(n>>8), byte(n))
	}
	return string(append(b, 0, 0, 0, 0)) + payload
}

// wsClosed is the broker's close frame.
func wsClosed(code uint16) string {
	return string([]byte{0x88, 2, byte(code >> 8), byte(code)})
}

func handshakes() []handshake {
	ws := func(name, frames string, code uint16) handshake {
		return handshake{name: "websocket/" + name, bytes: upgrade + frames, want: switched, ends: wsClosed(code)}
	}
	http := func(name, old, new, status string) handshake {
		return handshake{name: "upgrade/" + name, bytes: strings.Replace(upgrade, old, new, 1), want: "HTTP/1.1 " + status + " "}
	}
	good := wsFrame(0x82, connectBytes)
	half := len(connectBytes) / 2
	all := []handshake{
		ws("text frame", wsFrame(0x81, connectBytes), 1003),
		ws("text frame after CONNECT", good+wsFrame(0x81, "x"), 1003),
		ws("frame without a mask", "\x82\x02\xC0\x00", 1002),
		ws("reserved bit 1", wsFrame(0xC2, connectBytes), 1002),
		ws("reserved bit 2", wsFrame(0xA2, connectBytes), 1002),
		ws("reserved bit 3", wsFrame(0x92, connectBytes), 1002),
		ws("unknown data opcode", wsFrame(0x83, "x"), 1002),
		ws("unknown control opcode", wsFrame(0x8B, "x"), 1002),
		ws("fragmented ping", wsFrame(0x09, "x"), 1002),
		ws("ping over 125 bytes", wsFrame(0x89, strings.Repeat("x", 126)), 1002),
		ws("continuation of nothing", wsFrame(0x80, "x"), 1002),
		ws("message inside a message", wsFrame(0x02, connectBytes[:half])+wsFrame(0x82, "x"), 1002),
		ws("oversize frame", "\x82\xFF\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00", 1009),
		ws("length with its highest bit", "\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1002),
		ws("length of 16 bits for 1", "\x82\xFE\x00\x01\x00\x00\x00\x00x", 1002),
		ws("length of 64 bits for 1", "\x82\xFF\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x", 1002),
		ws("close with half a code", wsFrame(0x88, "\x03"), 1002),
		ws("close with a code of nobody", wsFrame(0x88, "\x03\xED"), 1002),
		ws("close with a bad reason", wsFrame(0x88, "\x03\xE8\xFF"), 1007),
		ws("close", wsFrame(0x88, "\x03\xE8"), 1000),
		ws("no MQTT", wsFrame(0x82, "hello"), 1000),
		ws("a packet of 268 MB", wsFrame(0x82, "\x10\xFF\xFF\xFF\x7F"), 1000),
		{name: "websocket/fragments", bytes: upgrade + wsFrame(0x02, connectBytes[:half]) + wsFrame(0x00, "") + wsFrame(0x89, "p") +
			wsFrame(0x80, connectBytes[half:]), want: switched, ends: ponged, open: true},
		{name: "websocket/empty frames", bytes: upgrade + strings.Repeat(wsFrame(0x82, ""), 1000) + good, want: switched, ends: ponged, open: true},
		http("no GET", "GET", "POST", "405"),
		http("another path", "/mqtt", "/other", "404"),
		http("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", "505"),
		http("no Upgrade", "Upgrade: websocket", "X: y", "426"),
		http("version 8", "Version: 13", "Version: 8", "426"),
		http("short key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhl", "400"),
		http("no key", "Sec-WebSocket-Key", "X-Key", "400"),
		http("no subprotocol", "Sec-WebSocket-Protocol: mqtt", "X: y", "400"),
		http("another subprotocol", "Protocol: mqtt", "Protocol: soap", "400"),
		http("a body", "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", "400"),
		http("no HTTP at all", "HTTP/1.1", "", "400"),
		http("a head too long", "Host: h", "Host: h\r\nX: "+strings.Repeat("y", 9000), "431"),
		{name: "upgrade/MQTT without WebSocket", bytes: connectBytes},
		{name: "upgrade/TLS", bytes: "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"},
		{name: "upgrade/zeros", bytes: "\x00\x00\x00\x00"},
	}
	return append(all, proxyLies()...)
}

// proxyLies are headers of the PROXY protocol that are not to be believed.
func proxyLies() []handshake {
	v2 := func(rest string) string { return "\r\n\r\n\x00\r\nQUIT\n" + rest }
	addresses := "\x7F\x00\x00\x01\x7F\x00\x00\x01\x00\x01\x07\x5B"
	var all []handshake
	for name, header := range map[string]string{
		"none":                       "",
		"without addresses":          "PROXY TCP4\r\n",
		"unknown family":             "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
		"no IP address":              "PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n",
		"IPv6 said to be IPv4":       "PROXY TCP4 ::1 ::1 1 1\r\n",
		"port above 65535":           "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
		"negative port":              "PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n",
		"line feed alone":            "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
		"no line end":                "PROXY TCP4 " + strings.Repeat("1", 200),
		"lower case":                 "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
		"v2 unknown version":         v2("\x11\x11\x00\x0C" + addresses),
		"v2 unknown command":         v2("\x2F\x11\x00\x0C" + addresses),
		"v2 addresses cut":           v2("\x21\x11\x00\x04\x7F\x00\x00\x01"),
		"v2 longer than any":         v2("\x21\x11\xFF\xFF"),
		"v2 IPv6 with IPv4's length": v2("\x21\x21\x00\x0C" + addresses),
	} {
		all = append(all, handshake{name: "proxy/" + name, proxy: true, bytes: header + connectBytes})
	}
	for name, header := range map[string]string{
		"v1":         "PROXY TCP4 192.0.2.1 192.0.2.2 1 1\r\n",
		"v1 unknown": "PROXY UNKNOWN\r\n",
		"v2":         v2("\x21\x11\x00\x0C" + addresses),
		"v2 local":   v2("\x20\x00\x00\x00"),
		"v2 with a TLV past the end, which nobody reads": v2("\x21\x11\x00\x0F" + addresses + "\x01\xFF\xFF"),
	} {
		all = append(all, handshake{name: "proxy/good " + name, proxy: true, bytes: header + connectBytes, want: "\x20\x02\x00\x00", ends: ponged, open: true})
	}
	return all
}

// check plays the handshake. The broker may end the connection while our bytes are under
// way, so that a reset is an end like any other where no answer is due.
func (h *handshake) check(t *testing.T, address string) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write([]byte(h.bytes)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 0, 4096)
	for !h.open || !strings.HasSuffix(string(got), h.ends) {
		n, readErr := nc.Read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		if readErr != nil {
			err = readErr
			break
		}
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() || h.open && err == io.EOF {
		t.Errorf("%v after %q", err, got)
	}
	if s := string(got); !strings.HasPrefix(s, h.want) || !strings.HasSuffix(s, h.ends) || h.want == "" && s != "" {
		t.Errorf("%q came, want %q to %q", s, h.want, h.ends)
	}
}
