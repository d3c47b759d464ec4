package packet_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

func TestHotPathsDoNotAllocate(t *testing.T) {
	pub := benchPublish(true)
	wire := pub.Append(nil, packet.V5)
	h, n, err := packet.ParseHeader(wire)
	if err != nil {
		t.Fatal(err)
	}
	props, topic := pub.Properties.AppendTo(nil), string(pub.Topic)
	dst, ackBody := make([]byte, 0, 1024), []byte{0, 1}
	var p packet.Publish
	var a packet.Puback
	for name, f := range map[string]func(){
		"Publish.Decode":    func() { err = p.Decode(packet.V5, h.Flags, wire[n:]) },
		"Publish.Append":    func() { pub.Append(dst, packet.V5) },
		"AppendPublish":     func() { packet.AppendPublish(dst, packet.V5, 2, topic, 1, props, pub.Payload) },
		"ForwardProperties": func() { packet.ForwardProperties(dst, props) },
		"Puback.Decode":     func() { err = a.Decode(packet.V5, 0, ackBody) },
		"AppendAck":         func() { packet.AppendAck(dst, packet.PUBREL, 1) },
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 || err != nil {
			t.Errorf("%s allocates %v times, %v", name, got, err)
		}
	}
}

// The packets that cost most for their length are made of the smallest elements.
func TestDecodingCostsInProportionToTheInput(t *testing.T) {
	const size = 100_000
	users := bytes.Repeat([]byte{38, 0, 0, 0, 0}, size/5)
	for name, tt := range map[string]struct {
		packet packet.Packet
		flags  byte
		body   []byte
	}{
		"user properties":  {new(packet.Publish), 0, append(packet.AppendVarint([]byte{0, 1, 'a'}, size), users...)},
		"subscription ids": {new(packet.Publish), 0, append(packet.AppendVarint([]byte{0, 1, 'a'}, size), bytes.Repeat([]byte{11, 1}, size/2)...)},
		"filters":          {new(packet.Unsubscribe), 2, append([]byte{0, 1, 0}, bytes.Repeat([]byte{0, 1, 'a'}, size/3)...)},
		"subscriptions":    {new(packet.Subscribe), 2, append([]byte{0, 1, 0}, bytes.Repeat([]byte{0, 1, 'a', 0}, size/4)...)},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := tt.packet.Decode(packet.V5, tt.flags, tt.body); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			// A list that grows by a quarter allocates five times its final size in all.
			if got := after.TotalAlloc - before.TotalAlloc; got > 64*size {
				t.Errorf("%d bytes of input cost %d bytes", size, got)
			}
		})
	}
}
