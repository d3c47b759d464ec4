package transport_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wirebird/wirebird/internal/transport"
)

const goodRequest = "GET /mqtt HTTP/1.1\r\nHost: broker.test:8083\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n" +
	"Origin: https://app.example.com\r\nX-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n\r\n"

// The value of Sec-WebSocket-Accept is the example of RFC 6455 §1.3.
const goodResponse = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

// frame builds a client's frame; first is its first byte.
func frame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{0x37, 0xFA, 0x21, 0x3D}
	b = append(b, mask...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

// feed gives wire to a new filter in pieces, and returns all it had to say.
func feed(o transport.WebSocketOptions, wire string, cut func(int) int) (plain, reply string, err error) {
	f := transport.NewWebSocket(o)
	defer f.Release()
	var dst []byte
	for src := []byte(wire); len(src) > 0 && err == nil; {
		n := min(cut(len(src)), len(src))
		piece := bytes.Clone(src[:n])
		dst, err = f.In(dst, piece)
		clear(piece) // it was borrowed
		src = src[n:]
	}
	return string(dst), string(f.Reply(nil)), err
}

func TestWebSocketFrames(t *testing.T) {
	long, longer := strings.Repeat("x", 126), strings.Repeat("y", 1<<16+3)
	closing := func(code int) string { return "\x88\x02" + string(binary.BigEndian.AppendUint16(nil, uint16(code))) }
	for name, tt := range map[string]struct {
		in, plain, reply string
		err              string // a part of it; "EOF" is io.EOF; "" none
	}{
		"one frame":                       {in: frame(0x82, "abc"), plain: "abc"},
		"several frames":                  {in: frame(0x82, "abc") + frame(0x82, "defghijklmnop"), plain: "abcdefghijklmnop"},
		"empty frame":                     {in: frame(0x82, "") + frame(0x82, "a"), plain: "a"},
		"16-bit length":                   {in: frame(0x82, long), plain: long},
		"64-bit length":                   {in: frame(0x82, longer), plain: longer},
		"fragments":                       {in: frame(0x02, "a") + frame(0x00, "b") + frame(0x00, "") + frame(0x80, "c") + frame(0x82, "d"), plain: "abcd"},
		"ping":                            {in: frame(0x89, "are you there"), reply: "\x8A\x0Dare you there"},
		"empty ping":                      {in: frame(0x89, ""), reply: "\x8A\x00"},
		"longest ping":                    {in: frame(0x89, long[:125]), reply: "\x8A\x7D" + long[:125]},
		"last of several pings":           {in: frame(0x89, "one") + frame(0x89, "two"), reply: "\x8A\x03two"},
		"ping inside a message":           {in: frame(0x02, "a") + frame(0x89, "p") + frame(0x80, "b"), plain: "ab", reply: "\x8A\x01p"},
		"unasked pong":                    {in: frame(0x8A, "pong") + frame(0x82, "a"), plain: "a"},
		"pong behind a ping":              {in: frame(0x89, "p") + frame(0x8A, "q"), reply: "\x8A\x01p"},
		"close":                           {in: frame(0x82, "a") + frame(0x88, ""), plain: "a", reply: "\x88\x00", err: "EOF"},
		"close with code":                 {in: frame(0x88, "\x03\xE8"), reply: closing(1000), err: "EOF"},
		"close with reason":               {in: frame(0x88, "\x03\xE9going away"), reply: closing(1001), err: "EOF"},
		"close with a private code":       {in: frame(0x88, "\x0F\xA0"), reply: closing(4000), err: "EOF"},
		"ping and close":                  {in: frame(0x89, "p") + frame(0x88, "\x03\xE8"), reply: "\x8A\x01p" + closing(1000), err: "EOF"},
		"nothing counts behind a close":   {in: frame(0x88, "") + frame(0x82, "a"), reply: "\x88\x00", err: "EOF"},
		"unfinished frame":                {in: frame(0x82, "abcdef")[:9], plain: "abc"},
		"close with half a code":          {in: frame(0x88, "\x03"), reply: closing(1002), err: "half a code"},
		"close code 999":                  {in: frame(0x88, "\x03\xE7"), reply: closing(1002), err: "999"},
		"close code 1005":                 {in: frame(0x88, "\x03\xED"), reply: closing(1002), err: "1005"},
		"close code 2000":                 {in: frame(0x88, "\x07\xD0"), reply: closing(1002), err: "2000"},
		"close code 5000":                 {in: frame(0x88, "\x13\x88"), reply: closing(1002), err: "5000"},
		"close reason not UTF-8":          {in: frame(0x88, "\x03\xE8\xFF"), reply: closing(1007), err: "UTF-8"},
		"text":                            {in: frame(0x81, "abc"), reply: closing(1003), err: "text frame"},
		"text after a frame":              {in: frame(0x82, "a") + frame(0x81, "b"), plain: "a", reply: closing(1003), err: "text frame"},
		"no mask":                         {in: "\x82\x03abc", reply: closing(1002), err: "without a mask"},
		"control frame without a mask":    {in: "\x89\x00", reply: closing(1002), err: "without a mask"},
		"RSV1":                            {in: frame(0xC2, "a"), reply: closing(1002), err: "reserved bits"},
		"RSV3":                            {in: frame(0x92, "a"), reply: closing(1002), err: "reserved bits"},
		"opcode 3":                        {in: frame(0x83, "a"), reply: closing(1002), err: "unknown opcode"},
		"opcode 11":                       {in: frame(0x8B, ""), reply: closing(1002), err: "unknown opcode"},
		"fragmented ping":                 {in: frame(0x09, "a"), reply: closing(1002), err: "fragmented control"},
		"ping of 126 bytes":               {in: frame(0x89, long), reply: closing(1002), err: "125 bytes"},
		"continuation of nothing":         {in: frame(0x80, "a"), reply: closing(1002), err: "continuation of nothing"},
		"continuation after the last":     {in: frame(0x02, "a") + frame(0x80, "b") + frame(0x80, "c"), plain: "ab", reply: closing(1002), err: "continuation of nothing"},
		"message inside a message":        {in: frame(0x02, "a") + frame(0x82, "b"), plain: "a", reply: closing(1002), err: "new message"},
		"16-bit length of 125":            {in: "\x82\xFE\x00\x7D", reply: closing(1002), err: "shortest form"},
		"64-bit length of 65535":          {in: "\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF", reply: closing(1002), err: "shortest form"},
		"length of 64 bits":               {in: "\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00", reply: closing(1002), err: "out of range"},
		"length over the limit":           {in: "\x82\xFF\x00\x00\x00\x00\x00\x01\x00\x05mask", reply: closing(1009), err: "too large"},
		"length at the limit":             {in: "\x82\xFF\x00\x00\x00\x00\x00\x01\x00\x04\x00\x00\x00\x00abc", plain: "abc"},
		"pong survives an error after it": {in: frame(0x89, "p") + "\x82\x00", reply: "\x8A\x01p" + closing(1002), err: "without a mask"},
	} {
		for how, cut := range cuts {
			t.Run(name+"/"+how, func(t *testing.T) {
				o := transport.WebSocketOptions{MaxFrameBytes: 1<<16 + 4}
				plain, reply, err := feed(o, goodRequest+tt.in, cut)
				if plain != tt.plain {
					t.Errorf("plain bytes %.40q, want %.40q", plain, tt.plain)
				}
				if want := goodResponse + tt.reply; reply != want {
					t.Errorf("reply %q, want %q", reply, want)
				}
				if !errorHas(err, tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			})
		}
	}
}

// errorHas treats "EOF" as io.EOF itself and "" as none.
func errorHas(err error, want string) bool {
	switch want {
	case "":
		return err == nil
	case "EOF":
		return err == io.EOF
	}
	return err != nil && err != io.EOF && strings.Contains(err.Error(), want)
}

func TestWebSocketRequestsAreRefusedWithAnExplanation(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(goodRequest, old) {
			t.Fatalf("%q is not in the request", old)
		}
		return strings.Replace(goodRequest, old, new, 1)
	}
	for name, tt := range map[string]struct {
		request string
		o       transport.WebSocketOptions
		status  string
		has     string
	}{
		"browser":              {request: "GET / HTTP/1.1\r\nHost: h\r\n\r\n", status: "426 Upgrade Required", has: "MQTT broker"},
		"browser's keep-alive": {request: swap("keep-alive, Upgrade", "keep-alive"), status: "426 ", has: "Upgrade: websocket\r\n"},
		"other upgrade":        {request: swap("Upgrade: websocket", "Upgrade: h2c"), status: "426 ", has: "Connect to /mqtt"},
		"POST":                 {request: swap("GET", "POST"), status: "405 ", has: "Allow: GET\r\n"},
		"HTTP/1.0":             {request: swap("HTTP/1.1", "HTTP/1.0"), status: "505 ", has: "HTTP/1.1"},
		"other path":           {request: swap("/mqtt", "/ws"), status: "404 ", has: "MQTT is at /mqtt"},
		"own path":             {request: goodRequest, o: transport.WebSocketOptions{Path: "/ws"}, status: "404 ", has: "/ws"},
		"old version":          {request: swap("Version: 13", "Version: 8"), status: "426 ", has: "Sec-WebSocket-Version: 13\r\n"},
		"short key":            {request: swap("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), status: "400 ", has: "16 bytes"},
		"no key":               {request: swap("Sec-WebSocket-Key", "X-Key"), status: "400 ", has: "16 bytes"},
		"no subprotocol":       {request: swap("Sec-WebSocket-Protocol", "X-Protocol"), status: "400 ", has: "subprotocol mqtt is needed"},
		"other subprotocols":   {request: swap("Protocol: mqtt", "Protocol: chat, MQTT"), status: "400 ", has: "subprotocol mqtt is needed"},
		"body":                 {request: swap("Origin", "Content-Length: 3\r\nOrigin"), status: "400 ", has: "no body"},
		"chunked body":         {request: swap("Origin", "Transfer-Encoding: chunked\r\nOrigin"), status: "400 ", has: "no body"},
		"other origin":         {request: goodRequest, o: transport.WebSocketOptions{Origins: []string{"example.com", "*.example.org"}}, status: "403 ", has: "app.example.com"},
		"other scheme":         {request: goodRequest, o: transport.WebSocketOptions{Origins: []string{"http://*"}}, status: "403 ", has: "app.example.com"},
		"two origins":          {request: swap("Origin", "Origin: https://x.example.com\r\nOrigin"), o: transport.WebSocketOptions{Origins: []string{"*"}}, status: "403 "},
		"not a request":        {request: "HELLO\r\n\r\n", status: "400 ", has: "cannot be understood"},
		"too long":             {request: swap("Origin", "X: "+strings.Repeat("x", 8<<10)+"\r\nOrigin"), status: "431 ", has: "8192 bytes"},
		"endless":              {request: "GET /" + strings.Repeat("x", 9<<10), status: "431 "},
	} {
		for how, cut := range cuts {
			t.Run(name+"/"+how, func(t *testing.T) {
				plain, reply, err := feed(tt.o, tt.request+frame(0x82, "not reached"), cut)
				if plain != "" || !errorHas(err, "refused with status "+tt.status[:3]) {
					t.Errorf("plain bytes %q, error %v", plain, err)
				}
				if !strings.HasPrefix(reply, "HTTP/1.1 "+tt.status) || !strings.Contains(reply, tt.has) || !strings.Contains(reply, "Connection: close\r\n") {
					t.Errorf("reply %q, want %s with %q", reply, tt.status, tt.has)
				}
				if resp, err := http.ReadResponse(newReader(reply), nil); err != nil {
					t.Errorf("reply does not parse: %v", err)
				} else if body, err := io.ReadAll(resp.Body); err != nil || int64(len(body)) != resp.ContentLength {
					t.Errorf("body %q, %v; announced are %d bytes", body, err, resp.ContentLength)
				}
			})
		}
	}
}

func TestWebSocketRequestsAreAccepted(t *testing.T) {
	swap := func(old, new string) string { return strings.Replace(goodRequest, old, new, 1) }
	for name, tt := range map[string]struct {
		request     string
		o           transport.WebSocketOptions
		subprotocol string
	}{
		"plain":              {request: goodRequest, subprotocol: "mqtt"},
		"MQTT 3.1":           {request: swap("Protocol: mqtt", "Protocol: mqttv3.1"), subprotocol: "mqttv3.1"},
		"client's order":     {request: swap("Protocol: mqtt", "Protocol: chat,mqttv3.1 ,\tmqtt"), subprotocol: "mqttv3.1"},
		"two lines":          {request: swap("Sec-WebSocket-Protocol: mqtt", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: mqtt"), subprotocol: "mqtt"},
		"no subprotocol":     {request: swap("Sec-WebSocket-Protocol", "X"), o: transport.WebSocketOptions{AllowNoSubprotocol: true}},
		"case of tokens":     {request: swap("Upgrade: websocket", "UPGRADE: WebSocket"), subprotocol: "mqtt"},
		"query":              {request: swap("/mqtt", "/mqtt?x=y"), subprotocol: "mqtt"},
		"origin's host":      {request: goodRequest, o: transport.WebSocketOptions{Origins: []string{"x", "*.EXAMPLE.com"}}, subprotocol: "mqtt"},
		"origin with scheme": {request: goodRequest, o: transport.WebSocketOptions{Origins: []string{"https://*.example.com"}}, subprotocol: "mqtt"},
		"no origin":          {request: swap("Origin", "X-Origin"), o: transport.WebSocketOptions{Origins: []string{"x"}}, subprotocol: "mqtt"},
	} {
		t.Run(name, func(t *testing.T) {
			plain, reply, err := feed(tt.o, tt.request+frame(0x82, "data"), cuts["whole reads"])
			resp, parseErr := http.ReadResponse(newReader(reply), nil)
			if err != nil || plain != "data" || parseErr != nil || resp.StatusCode != 101 {
				t.Fatalf("plain %q, error %v, reply %q", plain, err, reply)
			}
			if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != tt.subprotocol {
				t.Errorf("subprotocol %q, want %q", got, tt.subprotocol)
			}
		})
	}
}

func TestOtherProtocolsOnAWebSocketListenerGetNoAnswer(t *testing.T) {
	for in, want := range map[string]string{
		"\x10\x0C\x00\x04MQTT": "MQTT without WebSocket",
		"\x16\x03\x01":         "TLS",
		"\x00":                 "does not speak HTTP",
		"\r\nGET /":            "does not speak HTTP",
	} {
		plain, reply, err := feed(transport.WebSocketOptions{}, in, cuts["single bytes"])
		if plain != "" || reply != "" || !errorHas(err, want) {
			t.Errorf("%q: plain %q, reply %q, error %v; want %q", in, plain, reply, err, want)
		}
	}
}

func TestWebSocketDescribesItsPeer(t *testing.T) {
	f := transport.NewWebSocket(transport.WebSocketOptions{})
	var before, after transport.Peer
	f.(transport.Info).Describe(&before)
	f.In(nil, []byte(goodRequest))
	f.(transport.Info).Describe(&after)
	want := transport.Peer{
		WebSocket: true, Path: "/mqtt", Subprotocol: "mqtt", Host: "broker.test:8083",
		Origin: "https://app.example.com", ForwardedFor: "192.0.2.1, 192.0.2.2",
	}
	if before != (transport.Peer{}) || after != want {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestWebSocketSendsFramesOfAnyLength(t *testing.T) {
	f := transport.NewWebSocket(transport.WebSocketOptions{})
	if got := f.Out([]byte("kept"), []byte("early")); string(got) != "kept" {
		t.Fatalf("Out before the handshake gave %q", got)
	}
	f.In(nil, []byte(goodRequest))
	if got, want := f.Out(nil, []byte("late")), goodResponse+"\x82\x05early\x82\x04late"; string(got) != want {
		t.Fatalf("Out gave %q, want %q", got, want)
	}
	for n, header := range map[int]string{
		0: "", 1: "\x82\x01", 125: "\x82\x7D", 126: "\x82\x7E\x00\x7E", 1<<16 - 1: "\x82\x7E\xFF\xFF",
		1 << 16: "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00",
	} {
		payload := bytes.Repeat([]byte{'p'}, n)
		if got, want := string(f.Out([]byte("w"), payload)), "w"+header+string(payload); got != want {
			t.Errorf("%d bytes: got %.20q, want %.20q", n, got, want)
		}
	}
}

func TestWebSocketSaysNothingAfterItsCloseFrame(t *testing.T) {
	for name, tt := range map[string]struct{ in, farewell string }{
		"while connecting":  {goodRequest[:20], ""},
		"of an open one":    {goodRequest, goodResponse + "\x88\x02\x03\xE8"},
		"of a refused one":  {strings.Replace(goodRequest, "GET", "PUT", 1), "HTTP/1.1 405"},
		"after the peer's":  {goodRequest + frame(0x88, "\x03\xE9"), goodResponse + "\x88\x02\x03\xE9"},
		"after a violation": {goodRequest + "\x82\x00", goodResponse + "\x88\x02\x03\xEA"},
	} {
		t.Run(name, func(t *testing.T) {
			f := transport.NewWebSocket(transport.WebSocketOptions{})
			f.In(nil, []byte(tt.in))
			got := string(f.Close(nil))
			if !strings.HasPrefix(got, tt.farewell) || tt.farewell == "" && got != "" {
				t.Errorf("Close gave %q, want %q", got, tt.farewell)
			}
			if more := f.Reply(f.Out(nil, []byte("x"))); len(more) > 0 {
				t.Errorf("then came %q", more)
			}
		})
	}
}

func TestWebSocketWorksWithAClientLibrary(t *testing.T) {
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			p := newPump(func(func()) transport.Filter { return transport.NewWebSocket(transport.WebSocketOptions{}) })
			p.cut = cut
			addr, wait := p.listen(t)
			talkWebSocket(t, "ws://"+addr+"/mqtt", nil)
			wait()
			if p.err != io.EOF {
				t.Errorf("ended with %v", p.err)
			}
		})
	}
}

// talkWebSocket sends messages, fragments and pings to an echo, reads all of it
// back and closes in order.
func talkWebSocket(t *testing.T, url string, client *http.Client) {
	t.Helper()
	ctx := t.Context()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"mqtt"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if conn.Subprotocol() != "mqtt" {
		t.Fatalf("subprotocol %q", conn.Subprotocol())
	}
	conn.SetReadLimit(-1)
	sent := randomBytes(200_000)
	failed := make(chan error, 1)
	go func() { failed <- sendAll(ctx, conn, sent) }()
	var got []byte
	for len(got) < len(sent) {
		kind, b, err := conn.Read(ctx)
		if err != nil || kind != websocket.MessageBinary {
			t.Fatalf("after %d bytes: %v, %v", len(got), kind, err)
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, sent) {
		t.Error("the echo differs")
	}
	closeRead := conn.CloseRead(ctx) // reads on for the pong
	if err := errors.Join(<-failed, conn.Ping(closeRead), conn.Close(websocket.StatusNormalClosure, "done")); err != nil {
		t.Error(err)
	}
}

func sendAll(ctx context.Context, conn *websocket.Conn, b []byte) error {
	if err := conn.Write(ctx, websocket.MessageBinary, b[:100_000]); err != nil {
		return err
	}
	w, err := conn.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	for b = b[100_000:]; len(b) > 0; {
		n := 1 + mathrand.IntN(min(len(b), 10_000))
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return w.Close()
}

// FuzzWebSocketFrames states that it does not matter how bytes are cut.
func FuzzWebSocketFrames(f *testing.F) {
	f.Add([]byte(frame(0x02, "fragment")+frame(0x89, "ping")+frame(0x80, "rest of it, longer")), []byte{1, 2, 3}, true)
	f.Add([]byte(frame(0x82, strings.Repeat("x", 300))+frame(0x88, "\x03\xE8bye")), []byte{7, 200}, true)
	f.Add([]byte("\x82\xFF\x00\x00\x00\x00\x00\x01\x00\x04\x00\x00\x00\x00abc"), []byte{1}, true)
	f.Add([]byte(goodRequest+frame(0x82, "abc")), []byte{1, 100}, false)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), []byte{25, 1}, false)
	f.Fuzz(func(t *testing.T, wire, pieces []byte, upgraded bool) {
		in := string(wire)
		if upgraded {
			in = goodRequest + in
		}
		o := transport.WebSocketOptions{MaxHandshakeBytes: 512, MaxFrameBytes: 1 << 20}
		next := 0
		cut := func(n int) int {
			if len(pieces) == 0 {
				return 1
			}
			next++
			return int(pieces[next%len(pieces)]) + 1
		}
		plain, reply, err := feed(o, in, cuts["whole reads"])
		plain2, reply2, err2 := feed(o, in, cut)
		if plain != plain2 || reply != reply2 || !sameError(err, err2) {
			t.Errorf("whole: %q, %q, %v\nin pieces: %q, %q, %v", plain, reply, err, plain2, reply2, err2)
		}
		if len(plain) > len(in) {
			t.Errorf("%d bytes became %d", len(in), len(plain))
		}
	})
}

func sameError(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
}
