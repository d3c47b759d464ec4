package load

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	wsGUID     = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	wsMask     = 0x5AC3967E // any but 0, which a server could skip
	wsMaxFrame = 16 << 20

	opContinuation, opBinary, opClose, opPing, opPong = 0, 2, 8, 9, 10
)

// wsLayer is the client's side of RFC 6455, perhaps over TLS.
type wsLayer struct {
	below        layer
	frame        []byte // bytes of an incomplete frame
	plain, reply []byte
	scratch      []byte
}

// upgrade asks the server to speak WebSocket. What it has sent behind its
// answer stays in l.rest.
func (w *wsLayer) upgrade(l *link, r *bufio.Reader, host, path string) error {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	ask := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", path, host, key)
	if _, err := l.nc.Write(outward(w.below, nil, []byte(ask))); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return fmt.Errorf("WebSocket: %w", err)
	}
	_ = resp.Body.Close()
	sum := sha1.Sum([]byte(key + wsGUID))
	if resp.StatusCode != http.StatusSwitchingProtocols ||
		resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("WebSocket: the server answers %s to GET %s", resp.Status, path)
	}
	if p := resp.Header.Get("Sec-WebSocket-Protocol"); p != "mqtt" {
		return fmt.Errorf("WebSocket: the server speaks %q, not mqtt", p)
	}
	early, _ := r.Peek(r.Buffered()) // never more than is there
	if len(early)+len(l.rest) > 0 {
		return errors.New("WebSocket: the server sends before it is asked")
	}
	return nil
}

func (w *wsLayer) in(wire []byte) (plain, reply []byte, err error) {
	w.plain, w.reply = w.plain[:0], w.reply[:0]
	wire, below, err := inward(w.below, wire)
	w.reply = append(w.reply, below...)
	if err != nil && len(wire) == 0 {
		return nil, w.reply, err
	}
	b := wire
	if len(w.frame) > 0 {
		w.frame = append(w.frame, wire...)
		b = w.frame
	}
	for {
		n, err := w.next(b)
		if err != nil {
			return w.plain, w.reply, err
		}
		if n == 0 {
			break
		}
		b = b[n:]
	}
	w.frame = append(w.frame[:0], b...)
	return w.plain, w.reply, err
}

// next takes the frame at the start of b and returns its length, 0 when it is
// not whole.
func (w *wsLayer) next(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	size, head := uint64(b[1]&0x7F), 2
	switch {
	case b[1]&0x80 != 0:
		return 0, errors.New("WebSocket: the server masks its frames")
	case size == 126:
		head = 4
	case size == 127:
		head = 10
	}
	if len(b) < head {
		return 0, nil
	}
	switch head {
	case 4:
		size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 10:
		size = binary.BigEndian.Uint64(b[2:])
	}
	if size > wsMaxFrame {
		return 0, fmt.Errorf("WebSocket: the server sends a frame of %d bytes", size)
	}
	if uint64(len(b)-head) < size {
		return 0, nil
	}
	body := b[head : head+int(size)]
	switch op := b[0] & 0x0F; op {
	case opContinuation, opBinary:
		w.plain = append(w.plain, body...)
	case opPing:
		w.reply = w.seal(w.reply, opPong, body)
	case opPong:
	case opClose:
		return 0, io.EOF
	default:
		return 0, fmt.Errorf("WebSocket: the server sends a frame of kind %d", op)
	}
	return head + int(size), nil
}

func (w *wsLayer) out(wire, plain []byte) []byte { return w.seal(wire, opBinary, plain) }

// seal appends one frame, masked [RFC 6455 §5.3].
func (w *wsLayer) seal(wire []byte, op byte, body []byte) []byte {
	if w.below != nil {
		w.scratch = maskedFrame(w.scratch[:0], op, body)
		return w.below.out(wire, w.scratch)
	}
	return maskedFrame(wire, op, body)
}

func maskedFrame(dst []byte, op byte, body []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(body); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = binary.BigEndian.AppendUint32(dst, wsMask)
	at := len(dst)
	dst = append(dst, body...)
	const wide = uint64(wsMask)<<32 | wsMask
	b := dst[at:]
	for ; len(b) >= 8; b = b[8:] {
		binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= byte(wide >> (56 - 8*i))
	}
	return dst
}
