package transport_test

import (
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/transport"
)

const benchBytes = 100 // a small message with its topic

func openWebSocket(b *testing.B) transport.Filter {
	b.Helper()
	f := transport.NewWebSocket(transport.WebSocketOptions{})
	if _, err := f.In(nil, []byte(goodRequest)); err != nil {
		b.Fatal(err)
	}
	f.Reply(nil)
	return f
}

func BenchmarkWebSocketIn(b *testing.B) {
	for name, n := range map[string]int{"100B": benchBytes, "16KiB": 16 << 10} {
		b.Run(name, func(b *testing.B) {
			f, dst := openWebSocket(b), make([]byte, 0, 64<<10)
			wire := []byte(frame(0x82, strings.Repeat("x", n)))
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if plain, err := f.In(dst, wire); len(plain) != n || err != nil {
					b.Fatal(len(plain), err)
				}
			}
		})
	}
}

func BenchmarkWebSocketOut(b *testing.B) {
	f, wire := openWebSocket(b), make([]byte, 0, 64<<10)
	src := make([]byte, benchBytes)
	b.SetBytes(benchBytes)
	b.ReportAllocs()
	for b.Loop() {
		f.Out(wire, src)
	}
}

func BenchmarkTLSIn(b *testing.B) {
	client, f := handshaken(b)
	dst, src := make([]byte, 0, 64<<10), make([]byte, benchBytes)
	b.SetBytes(benchBytes)
	b.ReportAllocs()
	var records []byte
	const batch = 1000
	for b.Loop() {
		if len(records) == 0 {
			b.StopTimer()
			client.lazyConn.held = client.lazyConn.held[:0]
			for range batch {
				client.Write(src)
			}
			records = client.lazyConn.held
			b.StartTimer()
		}
		n := len(client.lazyConn.held) / batch
		if plain, err := f.In(dst, records[:n]); len(plain) != benchBytes || err != nil {
			b.Fatal(len(plain), err)
		}
		records = records[n:]
	}
}

func BenchmarkTLSOut(b *testing.B) {
	_, f := handshaken(b)
	wire, src := make([]byte, 0, 64<<10), make([]byte, benchBytes)
	b.SetBytes(benchBytes)
	b.ReportAllocs()
	for b.Loop() {
		f.Out(wire, src)
	}
}
