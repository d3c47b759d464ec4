package mosquitto

import (
	"testing"

	"github.com/wirebird/wirebird/packet"
)

func TestRemainingLengthIsThatOfThePacket(t *testing.T) {
	with := sample()
	for name, m := range map[string]*packet.Publish{
		"small":      {Topic: []byte("a")},
		"payload":    {Topic: []byte("a"), Payload: make([]byte, 200)},
		"QoS 1":      {Topic: []byte("a/b"), QoS: 1, ID: 7, Payload: make([]byte, 20000)},
		"properties": with,
	} {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			n := remainingLength(m, v)
			if got, want := 1+packet.VarintLen(uint32(n))+n, len(m.Append(nil, v)); got != want {
				t.Errorf("%s, %v: %d bytes, want %d", name, v, got, want)
			}
		}
	}
}
