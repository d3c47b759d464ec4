package transport

import (
	"testing"
	"unsafe"
)

// An idle WebSocket is its struct and what Describe tells, no buffer.
func TestAnIdleWebSocketIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(webSocket{}); size > 72 {
		t.Errorf("a webSocket takes %d bytes", size)
	}
	w := NewWebSocket(WebSocketOptions{AllowNoSubprotocol: true}).(*webSocket)
	request := "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	const emptyPing = "\x89\x80mask"
	if _, err := w.In(nil, []byte(request+emptyPing)); err != nil {
		t.Fatal(err)
	}
	w.Reply(nil)
	if w.upgrade != nil || w.control != nil {
		t.Errorf("an idle webSocket keeps %+v, %+v", w.upgrade, w.control)
	}
}
