package conform

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

// fault is what a proxy does to the packets of one connection. Both functions return
// what goes on in the place of the packet.
type fault struct {
	fromBroker func(l *link, p packet.Packet, b []byte) [][]byte
	fromClient func(l *link, p packet.Packet, b []byte) [][]byte // p is nil when b breaks the format
	// ended is called when the broker has closed, before the client sees it.
	ended func(l *link)
	// deaf hides the end of a connection from the checks of clients.
	deaf bool
	// head, frame and answer change what clients send and get over WebSocket: the request
	// for the upgrade, a frame of the client, a frame of the server.
	head          func(request string) string
	frame, answer func(f wsFrame) wsFrame
}

// link is one connection through a proxy. Each field belongs to one direction.
type link struct {
	v      packet.Version // set by the CONNECT, before the broker says anything
	id     string         // client identifier, as v
	client net.Conn
	count  int             // for fromBroker
	kept   [][]byte        // for fromBroker
	seen   int             // for fromClient
	held   [][]byte        // for fromClient
	known  map[string]byte // for fromClient
}

// reply sends the client a packet that the broker has not sent.
func (l *link) reply(p packet.Packet) { l.client.Write(p.Append(nil, l.v)) }

// is tells whether the connection is the one that a check calls name, which ends its
// client identifier.
func (l *link) is(name string) bool { return strings.HasSuffix(l.id, name) }

// topic is the topic that a check calls ~/name.
func (l *link) topic(name string) []byte { return []byte(l.id[:len(l.id)-1] + "/" + name) }

// breakBroker puts a proxy with a fault before a broker and returns its address.
func breakBroker(t *testing.T, broker string, f fault) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { f.carry(client.(*net.TCPConn), broker) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func (f fault) carry(client *net.TCPConn, address string) {
	defer client.Close()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	broker := nc.(*net.TCPConn)
	defer broker.Close()
	l := &link{v: packet.V311, client: client, known: map[string]byte{}}
	known := make(chan struct{}) // closed when l.v is
	var wg sync.WaitGroup
	wg.Go(func() {
		var once sync.Once
		defer once.Do(func() { close(known) })
		relay(client, broker, func(b []byte) [][]byte {
			if v, ok := versionOf(b); ok {
				l.v = v
			}
			p, _, err := packet.Parse(l.v, b)
			if err != nil {
				p = nil
			}
			if c, ok := p.(*packet.Connect); ok && l.id == "" {
				l.id = string(c.ClientID)
			}
			once.Do(func() { close(known) })
			if f.fromClient == nil {
				return [][]byte{b}
			}
			return f.fromClient(l, p, b)
		})
		broker.CloseWrite()
	})
	<-known
	relay(broker, client, func(b []byte) [][]byte {
		p, _, err := packet.Parse(l.v, b)
		if err != nil || p == nil || f.fromBroker == nil {
			return [][]byte{b}
		}
		return f.fromBroker(l, p, b)
	})
	if f.ended != nil {
		f.ended(l)
	}
	client.Close()
	wg.Wait()
}

// versionOf reads the version of a CONNECT named MQTT.
func versionOf(b []byte) (packet.Version, bool) {
	if b[0]>>4 != byte(packet.CONNECT) {
		return 0, false
	}
	_, n, err := packet.ParseVarint(b[1:])
	if err != nil || n == 0 {
		return 0, false
	}
	level, ok := bytes.CutPrefix(b[1+n:], []byte("\x00\x04MQTT"))
	if !ok || len(level) == 0 {
		return 0, false
	}
	return packet.Version(level[0]), true
}

// relay copies packets, each as fn wants it, until the end of src.
func relay(src, dst net.Conn, fn func(b []byte) [][]byte) {
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := src.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			size := frameSize(buf)
			if size == 0 || size > len(buf) {
				break
			}
			for _, b := range fn(append([]byte(nil), buf[:size]...)) {
				dst.Write(b)
			}
			buf = buf[size:]
		}
		if err != nil {
			return
		}
	}
}

// frameSize is the length of the packet at the start of b, 0 if too little is there. What
// is no packet counts as one as long as it is.
func frameSize(b []byte) int {
	remaining := 0
	for i := 1; i < len(b); i++ {
		remaining |= int(b[i]&0x7F) << (7 * (i - 1))
		if b[i] < 0x80 {
			return 1 + i + remaining
		}
		if i == 4 {
			return len(b)
		}
	}
	return 0
}
