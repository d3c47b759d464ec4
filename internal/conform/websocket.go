package conform

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Opcodes of WebSocket frames (RFC 6455 §5.2).
const (
	opContinue = 0
	opText     = 1
	opBinary   = 2
	opClose    = 8
	opPing     = 9
	opPong     = 10
	opFinal    = 0x80 // the frame is the last of its message
)

// acceptGUID goes into Sec-WebSocket-Accept (RFC 6455 §1.3).
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// mostFrame bounds what one frame of the broker makes us hold, in bytes.
const mostFrame = 64 << 20

// webSocket is the client's end of a WebSocket. What is written goes out as one binary
// frame; what is read are the contents of data frames, which must be binary.
type webSocket struct {
	nc    net.Conn
	in    *bufio.Reader
	frame []byte // unread contents of the frame that came last
	// partial is a frame that a deadline has cut off.
	partial []byte
}

// upgrade asks for a WebSocket with the offered subprotocols, one header line each, and
// returns the answer. The socket is nil when the answer is not 101.
func upgrade(nc net.Conn, address string, offers []string, timeout time.Duration) (*http.Response, *webSocket, error) {
	host, path, _ := strings.Cut(address, "/")
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	var b strings.Builder
	fmt.Fprintf(&b, "GET /%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n", path, host, key)
	for _, offer := range offers {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", offer)
	}
	b.WriteString("\r\n")
	nc.SetDeadline(time.Now().Add(timeout))
	defer nc.SetDeadline(time.Time{})
	if _, err := io.WriteString(nc, b.String()); err != nil {
		return nil, nil, err
	}
	in := bufio.NewReader(nc)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, nil, fmt.Errorf("answer to the upgrade: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, nil, nil
	}
	sum := sha1.Sum([]byte(key + acceptGUID))
	if want := base64.StdEncoding.EncodeToString(sum[:]); resp.Header.Get("Sec-WebSocket-Accept") != want {
		return nil, nil, fmt.Errorf("answer to the upgrade: Sec-WebSocket-Accept is %q, want %q", resp.Header.Get("Sec-WebSocket-Accept"), want)
	}
	return resp, &webSocket{nc: nc, in: in}, nil
}

// appendFrame appends a masked frame. op may have opFinal.
func appendFrame(dst []byte, op byte, data []byte) []byte {
	dst = append(dst, op)
	switch n := len(data); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	dst = append(dst, mask[:]...)
	for i, b := range data {
		dst = append(dst, b^mask[i%4])
	}
	return dst
}

func (w *webSocket) Write(b []byte) (int, error) {
	if _, err := w.nc.Write(appendFrame(nil, opFinal|opBinary, b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (w *webSocket) Read(b []byte) (int, error) {
	for len(w.frame) == 0 {
		op, data, err := w.next()
		if err != nil {
			return 0, err
		}
		switch op &^ opFinal {
		case opBinary, opContinue:
			w.frame = data
		case opText:
			return 0, errors.New("the broker sends a text frame")
		case opClose:
			return 0, io.EOF
		case opPing:
			w.nc.Write(appendFrame(nil, opFinal|opPong, data))
		}
	}
	n := copy(b, w.frame)
	w.frame = w.frame[n:]
	return n, nil
}

// next reads a frame. What has come before a deadline is kept for the next call.
func (w *webSocket) next() (op byte, data []byte, err error) {
	head, err := w.fill(2)
	if err != nil {
		return 0, nil, err
	}
	size, length := 2, uint64(head[1]&0x7F)
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if head, err = w.fill(size); err != nil {
		return 0, nil, err
	}
	switch size {
	case 4:
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 10:
		length = binary.BigEndian.Uint64(head[2:])
	}
	if head[1]&0x80 != 0 || length > mostFrame {
		return 0, nil, errors.New("the broker sends a frame that is masked or too large")
	}
	all, err := w.fill(size + int(length))
	if err != nil {
		return 0, nil, err
	}
	w.partial = nil
	return all[0], all[size:], nil
}

// fill reads until partial has n bytes.
func (w *webSocket) fill(n int) ([]byte, error) {
	for len(w.partial) < n {
		chunk := make([]byte, min(n-len(w.partial), 64<<10))
		k, err := w.in.Read(chunk)
		w.partial = append(w.partial, chunk[:k]...)
		if err != nil && len(w.partial) < n {
			return nil, err
		}
	}
	return w.partial[:n], nil
}

func (w *webSocket) CloseWrite() error {
	half, ok := w.nc.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("cannot close one direction")
	}
	return half.CloseWrite()
}

func (w *webSocket) Close() error                       { return w.nc.Close() }
func (w *webSocket) LocalAddr() net.Addr                { return w.nc.LocalAddr() }
func (w *webSocket) RemoteAddr() net.Addr               { return w.nc.RemoteAddr() }
func (w *webSocket) SetDeadline(t time.Time) error      { return w.nc.SetDeadline(t) }
func (w *webSocket) SetReadDeadline(t time.Time) error  { return w.nc.SetReadDeadline(t) }
func (w *webSocket) SetWriteDeadline(t time.Time) error { return w.nc.SetWriteDeadline(t) }
