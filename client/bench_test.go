package client_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// echo is a server that grants everything and returns each message to its
// sender. It stands for a broker where there is none.
func echo(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		out := make(chan packet.Packet, 100)
		defer close(out)
		go func() {
			for p := range out {
				if _, err := far.Write(p.Append(nil, packet.V5)); err != nil {
					return
				}
			}
		}()
		r := packet.NewReader(far, packet.V5, 0)
		for {
			p, err := r.ReadPacket()
			if err != nil {
				return
			}
			switch p := packet.Clone(p).(type) {
			case *packet.Connect:
				out <- &packet.Connack{}
			case *packet.Subscribe:
				out <- &packet.Suback{ID: p.ID, Codes: make([]packet.ReasonCode, len(p.Filters))}
			case *packet.Unsubscribe:
				out <- &packet.Unsuback{ID: p.ID, Codes: make([]packet.ReasonCode, len(p.Filters))}
			case *packet.Publish:
				if p.QoS > 0 {
					out <- &packet.Puback{ID: p.ID}
				}
				p.QoS, p.ID = 0, 0
				out <- p
			case *packet.Disconnect:
				return
			}
		}
	}()
	return near, nil
}

func BenchmarkPublish(b *testing.B) {
	for qos := range byte(2) {
		b.Run(fmt.Sprint("QoS", qos), func(b *testing.B) {
			c, err := client.Connect(b.Context(), client.Options{Dial: echo})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			m := client.Message{Topic: "a/b", Payload: make([]byte, 64), QoS: qos}
			b.ReportAllocs()
			var last *client.Token
			for b.Loop() {
				if last, err = c.PublishAsync(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
			if err := last.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
