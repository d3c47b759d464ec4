// Package hostile throws at a broker, over real sockets, what no client should send, and
// watches that two well-behaved clients notice nothing of it.
package hostile

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/nodetest"
	"github.com/wirebird/wirebird/packet"
)

const (
	v31  = packet.V31
	v311 = packet.V311
	v5   = packet.V5
)

// patience is how long an answer may take before a test gives up; nothing waits for it
// unless something is wrong.
const patience = 60 * time.Second

// attack is one thing that no client should do, or may barely do.
type attack struct {
	name      string
	version   packet.Version // of the CONNECT before bytes; 0: there is none
	bytes     []byte
	endsEarly bool // the peer ends its side of the connection after bytes
	// want is what comes of it. "close" is the end of the connection without a word,
	// "DISCONNECT 0x81" or "CONNACK 0x84" the end after one; the number of an MQTT 3
	// CONNACK is its return code. "open" is a PINGREQ that is answered, with what came
	// before behind it, as in "open PUBCOMP 0x92".
	want string
}

// refused is the end of a connection with a reason code, which MQTT 3 cannot tell.
func refused(v packet.Version, code packet.ReasonCode) string {
	if v != v5 {
		return "close"
	}
	return fmt.Sprintf("DISCONNECT 0x%02X", byte(code))
}

// unhex reads hexadecimal digits; spaces between fields do not count.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", s, err))
	}
	return b
}

// frame is a packet of a first byte and a body, whatever they are.
func frame(first byte, body []byte) []byte {
	return append(packet.AppendVarint([]byte{first}, uint32(len(body))), body...)
}

var (
	clients atomic.Int64
	pingreq = []byte{byte(packet.PINGREQ) << 4, 0}
)

// observe does what a says to the broker at address and tells what came of it.
func (a *attack) observe(address string) (string, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	var out []byte
	if a.version != 0 {
		c := packet.Connect{Version: a.version, CleanStart: true, KeepAlive: 600, ClientID: fmt.Appendf(nil, "h%d", clients.Add(1))}
		out = c.Append(nil, 0)
	}
	out = append(out, a.bytes...)
	if strings.HasPrefix(a.want, "open") {
		out = append(out, pingreq...)
	}
	if _, err := nc.Write(out); err != nil {
		return "", err
	}
	if a.endsEarly {
		if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
			return "", err
		}
	}
	return watch(nc, a.version)
}

// watch reads packets to the end of the connection, or to a PINGRESP.
func watch(nc net.Conn, v packet.Version) (string, error) {
	var in []byte
	var seen []string
	buf := make([]byte, 4096)
	for {
		n, err := nc.Read(buf)
		in = append(in, buf[:n]...)
		for len(in) > 0 {
			h, at, headErr := packet.ParseHeader(in)
			if headErr != nil {
				return "", headErr
			}
			if at == 0 || len(in) < at+h.Remaining {
				break
			}
			body := in[at : at+h.Remaining]
			in = in[at+h.Remaining:]
			if h.Type == packet.PINGRESP {
				return strings.Join(append([]string{"open"}, seen...), " "), nil
			}
			if h.Type == packet.CONNACK && body[1] == 0 && len(seen) == 0 {
				if v == 0 && len(body) > 2 {
					v = v5
				}
				continue // the connection is open, which is what comes first
			}
			seen = append(seen, describe(h.Type, v, body))
		}
		switch {
		case errors.Is(err, io.EOF) && len(in) > 0:
			return "", fmt.Errorf("the broker ended in the midst of a packet: % X", in)
		case errors.Is(err, io.EOF) && len(seen) == 0:
			return "close", nil
		case errors.Is(err, io.EOF):
			return strings.Join(seen, " "), nil
		case err != nil:
			return "", fmt.Errorf("%w after %q", err, seen)
		}
	}
}

// describe names a packet and its code.
func describe(t packet.Type, v packet.Version, body []byte) string {
	code := -1
	switch {
	case t == packet.CONNACK && len(body) == 2:
		return fmt.Sprintf("CONNACK %d", body[1])
	case t == packet.CONNACK:
		code = int(body[1])
	case t == packet.DISCONNECT && len(body) > 0:
		code = int(body[0])
	case t >= packet.PUBACK && t <= packet.PUBCOMP && len(body) > 2:
		code = int(body[2])
	case (t == packet.SUBACK || t == packet.UNSUBACK) && v == v5:
		code = int(body[len(body)-1])
	}
	if code < 0 {
		return t.String()
	}
	return fmt.Sprintf("%v 0x%02X", t, code)
}

// serve starts a broker of two shards and returns the addresses of listeners, in order.
func serve(t *testing.T, l broker.Limits, listeners ...string) (*broker.Broker, []string) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	b := nodetest.Broker(t, broker.Options{Shards: 2, Limits: l})
	var addresses []string
	for _, url := range listeners {
		_, rest, _ := strings.Cut(nodetest.Listen(t, b, broker.ListenOptions{URL: url}), "://")
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, "?")
		addresses = append(addresses, host)
	}
	return b, addresses
}

// mostGrowth is how much larger the heap may be after the corpus has run again.
const mostGrowth = 4 << 20

// Every attack ends as it says. Meanwhile two well-behaved clients lose nothing and wait
// for nothing longer than their patience; and afterwards the broker holds no more memory
// than it did after the first time.
func TestHostileInputEndsAsItShould(t *testing.T) {
	b, at := serve(t, broker.Limits{}, "tcp://127.0.0.1:0", "ws://127.0.0.1:0/mqtt", "tcp://127.0.0.1:0?proxy=true")
	stop := neighbours(t, at[0])
	corpus := corpus()
	run := func(t *testing.T) {
		for _, a := range corpus {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				if got, err := a.observe(at[0]); got != a.want || err != nil {
					t.Errorf("% .60X\n got %q, %v\nwant %q", a.bytes, got, err, a.want)
				}
			})
		}
		for _, a := range handshakes() {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				address := at[1]
				if a.proxy {
					address = at[2]
				}
				a.check(t, address)
			})
		}
	}
	t.Run("first", run)
	before := heap()
	t.Run("again", run)
	after := heap()
	if after > before+mostGrowth {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := b.Stats(ctx)
	if err != nil || s.Balance() != 0 {
		t.Errorf("%d copies of messages are unaccounted for, %v", s.Balance(), err)
	}
	t.Logf("%d attacks, %d connections", len(corpus), s.ConnectionsOpened)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools held on to
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
