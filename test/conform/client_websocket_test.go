package conform

import (
	"bufio"
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// webSocketPeer is a server that speaks MQTT over WebSocket.
type webSocketPeer struct {
	t    *trial
	nc   net.Conn
	head string // of the upgrade
	in   chan wsFrame
	done chan struct{}
}

// upgrade takes a connection of the client over WebSocket.
func (t *trial) upgrade() (*webSocketPeer, <-chan error) {
	far := make(chan net.Conn, 1)
	o := t.options(client.Options{URL: "ws://server/mqtt", Reconnect: client.ReconnectOptions{Off: true}})
	o.Dial = func(context.Context) (net.Conn, error) {
		near, nc := net.Pipe()
		far <- nc
		return near, nil
	}
	connected := make(chan error, 1)
	t.wg.Go(func() {
		c, err := client.Connect(t.ctx, o)
		if err == nil {
			t.mu.Lock()
			t.clients = append(t.clients, c)
			t.mu.Unlock()
		}
		connected <- err
	})
	w := &webSocketPeer{t: t, nc: <-far, in: make(chan wsFrame, 1000), done: make(chan struct{})}
	t.sockets = append(t.sockets, w)
	in := bufio.NewReader(w.nc)
	w.head = readHead(in)
	w.nc.Write([]byte(switching(w.head)))
	if t.fault.head != nil {
		w.head = t.fault.head(w.head)
	}
	go func() {
		defer close(w.done)
		for {
			f, err := readFrame(in)
			if err != nil {
				break
			}
			if t.fault.frame != nil {
				f = t.fault.frame(f)
			}
			w.in <- f
		}
		if !t.fault.deaf {
			close(w.in)
		}
	}()
	return w, connected
}

// send sends frames of the server.
func (w *webSocketPeer) send(frames ...wsFrame) {
	for _, f := range frames {
		if w.t.fault.answer != nil {
			f = w.t.fault.answer(f)
		}
		w.nc.Write(appendFrame(nil, f, 0))
	}
}

// packet wants the client's next frames to hold a packet of this type.
func (w *webSocketPeer) packet(want packet.Type) {
	var b []byte
	for {
		f, ok := w.next()
		if !ok || f.op&wsOpcode != wsBinary && f.op&wsOpcode != wsContinue {
			w.t.fail("the client sends a frame with the opcode %X (open: %v), expected %v in a binary one", f.op&wsOpcode, ok, want)
		}
		b = append(b, f.data...)
		if size := frameSize(b); size > 0 && size <= len(b) {
			if b[0]>>4 != byte(want) {
				w.t.fail("% X came, expected %v", b, want)
			}
			return
		}
	}
}

func (w *webSocketPeer) next() (wsFrame, bool) {
	select {
	case f, ok := <-w.in:
		return f, ok
	case <-time.After(silence):
		w.t.fail("nothing came")
		return wsFrame{}, false
	}
}

// clientWebSocketChecks are those of chapter 6.
func clientWebSocketChecks() []clientCheck {
	connack := func(t *trial) []byte { return (&packet.Connack{}).Append(nil, t.v) }
	return []clientCheck{
		{name: "the-subprotocol-is-mqtt", v311: "6.0.0-3", v5: "6.0.0-3", run: func(t *trial) {
			w, _ := t.upgrade()
			if !strings.Contains(strings.ToLower(w.head), "\r\nsec-websocket-protocol: mqtt\r\n") {
				t.fail("the client asks %q, expected the subprotocol mqtt", w.head)
			}
			w.packet(packet.CONNECT)
			w.send(wsFrame{wsFinal | wsBinary, connack(t)})
		}, broken: map[string]fault{"another is": {head: func(s string) string { return strings.ReplaceAll(s, "mqtt\r\n", "chat\r\n") }}}},
		{name: "frames-are-binary", v311: "6.0.0-1", v5: "6.0.0-1", run: func(t *trial) {
			w, done := t.upgrade()
			w.packet(packet.CONNECT)
			w.send(wsFrame{wsFinal | wsBinary, connack(t)})
			if err := <-done; err != nil {
				t.fail("the client does not connect: %v", err)
			}
			t.send(t.clients[0], "a", 0, strings.Repeat("x", 70_000))
			w.packet(packet.PUBLISH)
			// A text frame of the server ends the connection, whatever it holds.
			w.send(wsFrame{wsFinal | wsText, []byte("x")})
			for {
				if f, ok := w.next(); !ok {
					return
				} else if f.op&wsOpcode == wsText {
					t.fail("the client sends a text frame")
				}
			}
		}, broken: map[string]fault{
			"they are text": {frame: func(f wsFrame) wsFrame { return wsFrame{f.op&^wsOpcode | wsText, f.data} }},
			"text is taken": {answer: func(f wsFrame) wsFrame {
				if f.op&wsOpcode == wsText {
					f = wsFrame{wsFinal | wsBinary, nil}
				}
				return f
			}},
		}},
		{name: "frames-align-with-nothing", v311: "6.0.0-2", v5: "6.0.0-2", run: func(t *trial) {
			w, done := t.upgrade()
			w.packet(packet.CONNECT)
			ack := connack(t)
			message := publishBytes(t.v, 0, "b", nil)
			var frames []wsFrame
			for _, b := range ack { // each byte in a frame of its own, with empty ones between
				frames = append(frames, wsFrame{wsFinal | wsBinary, []byte{b}}, wsFrame{wsFinal | wsBinary, nil})
			}
			frames = append(frames, wsFrame{wsFinal | wsBinary, slices.Concat(message, message, message[:3])}, // several and a part
				wsFrame{wsBinary, message[3:5]}, wsFrame{wsContinue, nil}, wsFrame{wsFinal | wsContinue, message[5:]})
			w.send(frames...)
			if err := <-done; err != nil {
				t.fail("the client does not connect: %v", err)
			}
			t.handed("b=x", "b=x", "b=x")
		}, broken: map[string]fault{
			"one packet is taken from a frame": {answer: func(f wsFrame) wsFrame {
				if size := frameSize(f.data); size > 0 && size < len(f.data) {
					f.data = f.data[:size]
				}
				return f
			}},
			"parts are ignored": {answer: func(f wsFrame) wsFrame {
				if !whole(f.data) {
					f.data = nil
				}
				return f
			}},
		}},
	}
}
