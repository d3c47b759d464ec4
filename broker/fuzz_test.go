package broker_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// FuzzInput gives clients' bytes to a broker on two shards, whole and in pieces. Whatever
// they are, it does not panic, accounts for each message, and keeps nothing once all have
// left. Each step is a byte that says who does what, a length, and bytes.
func FuzzInput(f *testing.F) {
	for _, seed := range scriptSeeds(f) {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, steps []byte, recorded bool) {
		o := broker.Options{Shards: 2, Hooks: toyHooks(), Limits: broker.Limits{
			OutboundBuffer: 2048, MaxInflight: 3, MaxQueuedMessages: 5, ReceiveMaximum: 4, MaxRetainedMessages: 4,
			MaxRetainedBytes: 2000, MaxSubscriptionLevels: 12, MaxSubscriptionLevelsTotal: 40, MaxSubscriptionIDs: 2,
			MaxUserProperties: 2, MaxTakeoverRate: 1000, PacketTimeout: time.Minute}}
		r := &recorder{}
		if recorded {
			o.Journal = r
		}
		j := journaled{newStage(t, o), r}
		var wires [4]*wire
		for len(steps) >= 2 {
			who, n := steps[0], int(steps[1])
			steps = steps[2:]
			b := steps[:min(n, len(steps))]
			steps = steps[len(b):]
			i := who & 3
			if wires[i] == nil || wires[i].closed {
				wires[i] = j.open()
				wires[i].discard = true
			}
			switch w := wires[i]; who >> 5 {
			case 1:
				w.cut()
			case 2:
				w.stop(n)
			case 3:
				w.resume()
			case 4:
				j.wait(time.Duration(n) * time.Second)
			case 5:
				j.safe()
			default:
				w.send(b)
			}
		}
		j.end()
	})
}

// scriptSeeds are the scripts of testdata as steps of FuzzInput.
func scriptSeeds(f *testing.F) [][]byte {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	var seeds [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		steps, err := script.Parse(string(text))
		if err != nil {
			f.Fatal(err)
		}
		var seed []byte
		versions := map[string]packet.Version{}
		for _, s := range steps {
			who := byte(0)
			if s.Conn != "" {
				who = s.Conn[0] & 3
			}
			b := s.Bytes
			switch {
			case s.Kind == script.Network && s.Words[0] == "cut":
				who |= 1 << 5
			case s.Kind == script.Send || s.Kind == script.Queue:
				if c, ok := s.Packet.(*packet.Connect); ok {
					versions[s.Conn] = c.Version
				}
				if s.Packet != nil {
					b = s.Packet.Append(nil, versions[s.Conn])
				}
			default:
				continue
			}
			if len(b) < 256 {
				seed = append(append(seed, who, byte(len(b))), b...)
			}
		}
		seeds = append(seeds, seed)
	}
	return seeds
}
