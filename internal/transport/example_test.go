package transport_test

import (
	"fmt"

	"github.com/wirebird/wirebird/internal/transport"
)

func ExampleParseListen() {
	u, err := transport.ParseListen("mqtts://[::1]?proxy=true")
	fmt.Println(u, u.TLS, u.Proxy, u.Loopback(), err)
	_, err = transport.ParseListen("http://localhost")
	fmt.Println(err)
	// Output:
	// tls://[::1]:8883?proxy=true true true false <nil>
	// listen address "http://localhost": unknown scheme "http", use one of tcp, tls, ws, wss and unix
}

func ExampleChain() {
	f := transport.Chain(
		transport.NewProxy(transport.ProxyOptions{Required: true}),
		transport.NewWebSocket(transport.WebSocketOptions{Path: "/"}))
	defer f.Release()
	_, err := f.In(nil, []byte("PROXY TCP4 192.0.2.1 198.51.100.1 12345 80\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"))
	fmt.Println(err)
	fmt.Printf("%.29s\n", f.Reply(nil))
	// Output:
	// websocket: request refused with status 426: This is the WebSocket port of an MQTT broker, not a web page. Connect to / with an MQTT client.
	// HTTP/1.1 426 Upgrade Required
}
