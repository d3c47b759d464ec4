package conform

import (
	"net"
	"net/http"
	"strings"

	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// upgraded opens a WebSocket with the subprotocols offered, one header line each, and
// returns the raw connection, to send frames, and what reads it.
func (t *trial) upgraded(name string, offers ...string) (*conn, net.Conn, *http.Response) {
	address := t.o.webSocket()
	if address == "" {
		t.skip("no address of a WebSocket is given; add --ws HOST:PORT/PATH")
	}
	host, _, _ := strings.Cut(address, "/")
	nc, err := net.DialTimeout("tcp", host, t.o.Timeout)
	if err != nil {
		t.fail("cannot connect: %v", err)
	}
	c := &conn{t: t, name: name, v: t.v, nc: nc}
	t.conns = append(t.conns, c)
	c.note("network", "upgrade to WebSocket, offering "+strings.Join(offers, " and "), nil)
	resp, ws, err := upgrade(nc, address, offers, t.o.Timeout)
	if err != nil {
		t.fail("%s< %v", name, err)
	}
	if ws == nil {
		t.fail("%s< the upgrade is answered with %s, expected 101", name, resp.Status)
	}
	c.nc = ws
	return c, nc, resp
}

// frames sends the bytes of frames as they are.
func (c *conn) frames(nc net.Conn, what string, frames ...[]byte) {
	c.note("sent", what, nil)
	nc.SetWriteDeadline(c.t.patience())
	for _, f := range frames {
		nc.Write(f)
	}
}

// plainConnect is the bytes of a CONNECT.
func (t *trial) plainConnect(name string) []byte {
	p, err := script.ParsePacket(t.text(t.connectLine(name, "clean")))
	if err != nil {
		t.fail("the check itself is wrong: %v", err)
	}
	return p.Append(nil, t.v)
}

// webSocketChecks are those of chapter 6.
func webSocketChecks() []check {
	binary := func(b []byte) []byte { return appendFrame(nil, opFinal|opBinary, b) }
	ping := []byte{0xC0, 0}
	return []check{
		{name: "websocket-subprotocol", v311: "6.0.0-4 6.0.0-3", v5: "6.0.0-4 6.0.0-3", run: func(t *trial) {
			for _, offers := range [][]string{{"mqtt"}, {"chat, mqtt"}, {"chat", "mqtt"}, {"mqtt,chat"}, {"chat,mqtt , superchat"}} {
				_, _, resp := t.upgraded("a", offers...)
				if got := resp.Header.Values("Sec-WebSocket-Protocol"); len(got) != 1 || got[0] != "mqtt" {
					t.fail("a< the subprotocols offered were %q, the broker selects %q, expected mqtt", offers, got)
				}
			}
		}},
		{name: "websocket-binary", v311: "6.0.0-1", v5: "6.0.0-1", run: func(t *trial) {
			// An answer in a frame that is not binary would end the check.
			c, _, _ := t.upgraded("a", "mqtt")
			c.send("%s", t.connectLine("a", "clean"))
			c.accepted()
			c.subscribe("filter=~/a q1")
			c.publish("q1 topic=~/a payload=70000*x")
			c.take("q1 topic=~/a payload=70000*x")
			c.ping()
		}},
		{name: "websocket-text", v311: "6.0.0-1", v5: "6.0.0-1", run: func(t *trial) {
			c, nc, _ := t.upgraded("a", "mqtt")
			c.send("%s", t.connectLine("a", "clean"))
			c.accepted()
			c.frames(nc, "PINGREQ in a text frame", appendFrame(nil, opFinal|opText, ping))
			// The PINGREQ must not be answered and the connection ends.
			for {
				p, err := c.read(t.patience())
				if err == errSilent {
					t.fail("a< the broker keeps the connection open, expected it to close")
				}
				if err != nil {
					return
				}
				if _, ok := p.(*packet.Disconnect); !ok || !t.is5() {
					t.fail("a< %s came, expected the broker to close the connection", describe(p))
				}
			}
		}},
		{name: "websocket-several-packets-in-a-frame", v311: "6.0.0-2", v5: "6.0.0-2", run: func(t *trial) {
			c, nc, _ := t.upgraded("a", "mqtt")
			hello := t.plainConnect("a")
			c.frames(nc, "CONNECT, PINGREQ and PINGREQ in one frame", binary(append(append(hello, ping...), ping...)))
			c.accepted()
			c.want("PINGRESP")
			c.want("PINGRESP")
		}},
		{name: "websocket-part-of-a-packet-in-a-frame", v311: "6.0.0-2", v5: "6.0.0-2", run: func(t *trial) {
			c, nc, _ := t.upgraded("a", "mqtt")
			var bytewise [][]byte
			for _, b := range t.plainConnect("a") {
				bytewise = append(bytewise, binary([]byte{b}))
			}
			c.frames(nc, "CONNECT, each byte in a frame of its own", bytewise...)
			c.accepted()
			c.frames(nc, "the end of a packet and the beginning of the next in one frame", binary(ping[:1]), binary([]byte{0, 0xC0}), binary(ping[1:]))
			c.want("PINGRESP")
			c.want("PINGRESP")
		}},
		{name: "websocket-empty-frames", v311: "6.0.0-2", v5: "6.0.0-2", run: func(t *trial) {
			c, nc, _ := t.upgraded("a", "mqtt")
			c.frames(nc, "an empty frame, CONNECT, an empty frame", binary(nil), binary(t.plainConnect("a")), binary(nil))
			c.accepted()
			c.frames(nc, "PINGREQ with an empty frame between its bytes", binary(ping[:1]), binary(nil), binary(ping[1:]))
			c.want("PINGRESP")
		}},
		{name: "websocket-fragments", v311: "6.0.0-2", v5: "6.0.0-2", run: func(t *trial) {
			c, nc, _ := t.upgraded("a", "mqtt")
			hello := t.plainConnect("a")
			c.frames(nc, "CONNECT in three fragments", appendFrame(nil, opBinary, hello[:5]), appendFrame(nil, opContinue, nil),
				appendFrame(nil, opFinal|opContinue, hello[5:]))
			c.accepted()
			c.frames(nc, "PINGREQ in two fragments with a ping between them", appendFrame(nil, opBinary, ping[:1]),
				appendFrame(nil, opFinal|opPing, []byte("hi")), appendFrame(nil, opFinal|opContinue, ping[1:]))
			c.want("PINGRESP")
		}},
	}
}
