package conform

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Opcodes of WebSocket frames, RFC 6455 §5.2.
const (
	wsContinue = 0x0
	wsText     = 0x1
	wsBinary   = 0x2
	wsFinal    = 0x80 // the frame is the last of its message
	wsOpcode   = 0x0F
)

// wsFrame is a WebSocket frame; op may have wsFinal.
type wsFrame struct {
	op   byte
	data []byte
}

// wsFault is what a proxy does to a WebSocket. Its functions return what goes on in the
// place of the frame, or false to end the connection.
type wsFault struct {
	answer     func(head string) string // of the broker to the upgrade
	fromBroker func(f wsFrame) ([]wsFrame, bool)
	fromClient func(f wsFrame) ([]wsFrame, bool)
}

// breakWebSocket puts a proxy with a fault before a broker, HOST:PORT/PATH, and returns
// its address in the same form.
func breakWebSocket(t *testing.T, broker string, f wsFault) string {
	t.Helper()
	host, path, _ := strings.Cut(broker, "/")
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
			wg.Go(func() { f.carry(client, host) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String() + "/" + path
}

func (f wsFault) carry(client net.Conn, host string) {
	defer client.Close()
	broker, err := net.Dial("tcp", host)
	if err != nil {
		return
	}
	defer broker.Close()
	fromClient, fromBroker := bufio.NewReader(client), bufio.NewReader(broker)
	io.WriteString(broker, readHead(fromClient))
	answer := readHead(fromBroker)
	if f.answer != nil {
		answer = f.answer(answer)
	}
	io.WriteString(client, answer)
	var wg sync.WaitGroup
	wg.Go(func() {
		relayFrames(fromClient, broker, 0x80, f.fromClient)
		broker.Close()
	})
	relayFrames(fromBroker, client, 0, f.fromBroker)
	client.Close()
	wg.Wait()
}

// readHead reads the head of an HTTP message.
func readHead(in *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// relayFrames copies frames, each as fn wants it, until the end of src. masked is 0x80 in
// the direction in which frames are masked.
func relayFrames(src *bufio.Reader, dst io.Writer, masked byte, fn func(f wsFrame) ([]wsFrame, bool)) {
	for {
		frame, err := readFrame(src)
		if err != nil {
			return
		}
		out, ok := []wsFrame{frame}, true
		if fn != nil {
			out, ok = fn(frame)
		}
		for _, f := range out {
			dst.Write(appendFrame(nil, f, masked))
		}
		if !ok {
			return
		}
	}
}

func readFrame(in *bufio.Reader) (wsFrame, error) {
	head := make([]byte, 2, 14)
	if _, err := io.ReadFull(in, head); err != nil {
		return wsFrame{}, err
	}
	size := uint64(head[1] & 0x7F)
	extra := map[uint64]int{126: 2, 127: 8}[size]
	if head[1]&0x80 != 0 {
		extra += 4
	}
	rest := head[2 : 2+extra]
	if _, err := io.ReadFull(in, rest); err != nil {
		return wsFrame{}, err
	}
	switch size {
	case 126:
		size, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case 127:
		size, rest = binary.BigEndian.Uint64(rest), rest[8:]
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(in, data); err != nil {
		return wsFrame{}, err
	}
	for i := range data {
		if len(rest) == 4 {
			data[i] ^= rest[i%4]
		}
	}
	return wsFrame{head[0], data}, nil
}

// appendFrame masks with a key of zeros, which changes nothing.
func appendFrame(dst []byte, f wsFrame, masked byte) []byte {
	dst = append(dst, f.op)
	switch n := len(f.data); {
	case n < 126:
		dst = append(dst, masked|byte(n))
	case n <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(n))
	}
	if masked != 0 {
		dst = append(dst, 0, 0, 0, 0)
	}
	return append(dst, f.data...)
}

// switching is a server's answer to an upgrade that asks for the subprotocol mqtt.
func switching(head string) string {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 §1.3
	key := ""
	for line := range strings.SplitSeq(head, "\r\n") {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "Sec-WebSocket-Key") {
			key = value
		}
	}
	sum := sha1.Sum([]byte(key + guid))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}
