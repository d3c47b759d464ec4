package conform

import (
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/conform"
	"github.com/wirebird/wirebird/packet"
)

type wsMutation struct {
	wsFault
	must string
}

// whole tells whether b is made of whole packets.
func whole(b []byte) bool {
	for len(b) > 0 {
		size := frameSize(b)
		if size == 0 || size > len(b) {
			return false
		}
		b = b[size:]
	}
	return true
}

func data(f wsFrame) bool { return f.op&wsOpcode <= wsBinary }

// webSocketMutations are brokers that carry MQTT over WebSocket in a wrong way.
func webSocketMutations() map[string]wsMutation {
	from := func(fn func(f wsFrame) ([]wsFrame, bool)) wsFault { return wsFault{fromClient: fn} }
	return map[string]wsMutation{
		"another subprotocol is selected": {wsFault{answer: func(head string) string {
			return strings.Replace(head, "Sec-WebSocket-Protocol: mqtt\r\n", "Sec-WebSocket-Protocol: chat\r\n", 1)
		}}, "websocket-subprotocol"},
		"no subprotocol is selected": {wsFault{answer: func(head string) string {
			return strings.Replace(head, "Sec-WebSocket-Protocol: mqtt\r\n", "", 1)
		}}, "websocket-subprotocol"},
		"packets are sent in text frames": {wsFault{fromBroker: func(f wsFrame) ([]wsFrame, bool) {
			if f.op == wsFinal|wsBinary {
				f.op = wsFinal | wsText
			}
			return []wsFrame{f}, true
		}}, "websocket-binary"},
		"text frames are taken": {from(func(f wsFrame) ([]wsFrame, bool) {
			if f.op == wsFinal|wsText {
				f.op = wsFinal | wsBinary
			}
			return []wsFrame{f}, true
		}), "websocket-text"},
		"text frames are ignored": {from(func(f wsFrame) ([]wsFrame, bool) {
			return []wsFrame{f}, true
		}).without(wsText), "websocket-text"},
		"one packet is taken from a frame": {from(func(f wsFrame) ([]wsFrame, bool) {
			if size := frameSize(f.data); data(f) && size > 0 && size < len(f.data) {
				f.data = f.data[:size]
			}
			return []wsFrame{f}, true
		}), "websocket-several-packets-in-a-frame"},
		"a frame must hold whole packets": {from(func(f wsFrame) ([]wsFrame, bool) {
			return []wsFrame{f}, !data(f) || whole(f.data)
		}), "websocket-part-of-a-packet-in-a-frame"},
		"empty frames end the connection": {from(func(f wsFrame) ([]wsFrame, bool) {
			return []wsFrame{f}, !data(f) || len(f.data) > 0
		}), "websocket-empty-frames"},
		"fragments are ignored": {from(func(f wsFrame) ([]wsFrame, bool) {
			return []wsFrame{f}, true
		}).without(wsContinue), "websocket-fragments"},
	}
}

// without drops frames of an opcode before the fault sees them.
func (f wsFault) without(op byte) wsFault {
	then := f.fromClient
	f.fromClient = func(f wsFrame) ([]wsFrame, bool) {
		if f.op&wsOpcode == op {
			return nil, true
		}
		return then(f)
	}
	return f
}

func TestChecksSeeBrokenWebSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	broker := start(t, true)
	var all []broken
	for name, m := range webSocketMutations() {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			o := broker.options(v)
			o.WebSocket = breakWebSocket(t, broker.ws, m.wsFault)
			all = append(all, broken{name: name + " in " + v.String(), o: o, must: m.must})
		}
	}
	mustFail(t, all)
}

// Neither proxy breaks what it has no fault for.
func TestProxiesBreakNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	broker := start(t, true)
	for _, v := range conform.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			o := broker.options(v)
			o.Address, o.WebSocket = breakBroker(t, broker.tcp, fault{}), breakWebSocket(t, broker.ws, wsFault{})
			checks, err := conform.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range checks {
				if c.Outcome == conform.Fail {
					t.Errorf("%s: FAIL %s", c.Name, c.Reason)
				}
			}
		})
	}
}
