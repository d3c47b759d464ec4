package broker_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// Peers that take their time: each has a limit, a counter, and a bound that is counted.

// A CONNECT that comes byte by byte has until HandshakeTimeout, however often one comes.
func TestSlowHandshakeHasItsTime(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{HandshakeTimeout: 10 * time.Second}})
	a := s.open()
	connect := (&packet.Connect{Version: packet.V5, ClientID: bytes.Repeat([]byte("a"), 200)}).Append(nil, packet.V5)
	sent := 0
	for _, b := range connect {
		if a.closed {
			break
		}
		a.send([]byte{b})
		sent++
		s.wait(time.Second)
	}
	if got := s.b.StatsNow(); sent > 11 || got.HandshakeTimeouts != 1 || got.Sessions != 0 {
		t.Errorf("%d bytes were taken, %d handshakes timed out, %d sessions", sent, got.HandshakeTimeouts, got.Sessions)
	}
	a.expect("closed")
	s.finish()
}

// A client that sends a byte a minute is never silent, but never sends a packet. It has
// PacketTimeout for one, with a Keep Alive and without.
func TestOneByteAMinuteHasItsTime(t *testing.T) {
	for _, keepAlive := range []int{0, 60, 600} {
		t.Run(fmt.Sprint(keepAlive), func(t *testing.T) {
			s := newStage(t, broker.Options{Limits: broker.Limits{PacketTimeout: 10 * time.Minute}})
			a := s.open()
			a.say(fmt.Sprintf("CONNECT v5 id=a clean keepalive=%d", keepAlive))
			a.expect("CONNACK success")
			a.send([]byte{byte(packet.PUBLISH) << 4, 0xF0, 0xFF, 0x3F}) // just under 1 MiB
			timers, minutes := s.b.Timers(), 0
			for !a.closed && minutes < 60 {
				s.wait(time.Minute)
				if minutes++; !a.closed {
					a.send([]byte{0})
				}
			}
			a.expect(`DISCONNECT keep-alive-timeout reason="packet not complete"`, "closed")
			if got := s.b.StatsNow(); minutes > 12 || got.PacketTimeouts != 1 {
				t.Errorf("ended after %d minutes, %d packets timed out", minutes, got.PacketTimeouts)
			}
			if n := s.b.Timers(); n > timers+2 {
				t.Errorf("%d timers, %d before", n, timers)
			}
			s.finish()
		})
	}
}

// A slow link may take long for many packets, as long as each comes in time, and is not
// ended for a time in which we did not read.
func TestSlowPacketsThatComeInTimeAreTaken(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{PacketTimeout: 10 * time.Minute}})
	a := s.open()
	a.say("CONNECT v5 id=a clean")
	a.expect("CONNACK success")
	ping := []byte{byte(packet.PINGREQ) << 4, 0}
	for range 20 {
		a.send(ping[:1])
		s.wait(9 * time.Minute)
		a.send(ping[1:])
		a.expect("PINGRESP")
	}
	a.send(ping[:1])
	a.conn.Pause()
	s.wait(time.Hour)
	a.conn.Resume()
	a.send(ping[1:])
	a.expect("PINGRESP")
	if n := s.b.Timers(); n > 6 {
		t.Errorf("%d timers for one connection", n)
	}
	s.finish()
}

// A client that asks and never reads the answers is not read beyond twice OutboundBuffer,
// and goes on where it was once it reads.
func TestClientThatNeverReadsIsNotRead(t *testing.T) {
	const buffer, read = 4096, 512
	for name, ask := range map[string]string{
		"PINGREQ": "PINGREQ", "SUBSCRIBE": "SUBSCRIBE id=1 filter=a q0", "UNSUBSCRIBE": "UNSUBSCRIBE id=1 filter=b",
		"PUBLISH": "PUBLISH q1 id=1 topic=nobody payload=x", "PUBREC": "PUBREC id=9",
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: buffer}})
			a := s.open()
			a.say("CONNECT v5 id=a clean")
			a.expect("CONNACK success")
			a.stop(0)
			asked := 0
			for asked < 10_000 && !a.conn.Clogged() { // a driver reads no more from then on
				a.say(ask)
				asked++
			}
			most := 2*buffer + read
			if n := a.conn.Pending(); !a.conn.Clogged() || n > most {
				t.Fatalf("%d bytes wait after %d packets; want it not to be read at %d", n, asked, most)
			}
			if got := s.b.StatsNow().ReaderStalls; got != 1 {
				t.Errorf("%d stalls are counted, want 1", got)
			}
			a.say(ask) // as if it had been under way
			if n := a.conn.Pending(); n > most {
				t.Errorf("%d bytes wait: it is still read", n)
			}
			a.resume()
			a.say("PINGREQ")
			if n := len(a.got); n != asked+2 || a.got[n-1].Type() != packet.PINGRESP {
				t.Errorf("%d answers to %d packets", n, asked+2)
			}
			a.got = nil
			s.finish()
		})
	}
}

// ... and is dropped when it takes nothing for as long as its Keep Alive allows silence.
func TestClientThatTakesNothingIsDropped(t *testing.T) {
	s := newStage(t, broker.Options{Limits: broker.Limits{OutboundBuffer: 1024}})
	a := s.open()
	a.say("CONNECT v5 id=a clean keepalive=60")
	a.expect("CONNACK success")
	a.stop(0)
	for !a.conn.Clogged() {
		a.say("PINGREQ")
	}
	for range 5 { // it takes something now and then
		s.wait(80 * time.Second)
		a.stop(10)
		s.writable(a)
	}
	if a.closed {
		t.Fatal("a slow reader was dropped")
	}
	s.wait(3 * time.Minute)
	if got := s.b.StatsNow().Disconnected[packet.KeepAliveTimeout]; got != 1 {
		t.Errorf("%d connections ended by keep alive, want 1", got)
	}
	a.told, a.got = true, nil
	s.finish()
}

// allocated is how many bytes fn takes from the heap, returned or not.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A packet of 268 MB costs what arrives of it, which is its header.
func TestHugePacketIsRefusedByItsHeader(t *testing.T) {
	for name, tt := range map[string]struct {
		connect string
		first   packet.Type
		end     string
	}{
		"before CONNECT":      {"", packet.CONNECT, ""},
		"PUBLISH in 3.1.1":    {"CONNECT v3.1.1 id=a clean", packet.PUBLISH, ""},
		"PUBLISH in 5.0":      {"CONNECT v5 id=a clean", packet.PUBLISH, "DISCONNECT packet-too-large"},
		"SUBSCRIBE in 5.0":    {"CONNECT v5 id=a clean", packet.SUBSCRIBE, "DISCONNECT packet-too-large"},
		"UNSUBSCRIBE in 5.0":  {"CONNECT v5 id=a clean", packet.UNSUBSCRIBE, "DISCONNECT packet-too-large"},
		"a DISCONNECT of 5.0": {"CONNECT v5 id=a clean", packet.DISCONNECT, "DISCONNECT packet-too-large"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, broker.Options{})
			a := s.open()
			if tt.connect != "" {
				a.say(tt.connect)
				a.expect("CONNACK success")
			}
			first := byte(tt.first) << 4
			if tt.first == packet.SUBSCRIBE || tt.first == packet.UNSUBSCRIBE {
				first |= 2
			}
			n := allocated(func() { a.send([]byte{first, 0xFF, 0xFF, 0xFF, 0x7F}) })
			if n > 256<<10 {
				t.Errorf("%d bytes were allocated", n)
			}
			if tt.end != "" {
				a.expect(tt.end, "closed")
			} else {
				a.expect("closed")
			}
			if got := s.b.StatsNow(); got.Disconnected[packet.PacketTooLarge]+got.Refused[packet.PacketTooLarge] != 1 {
				t.Error("it is not counted")
			}
			s.finish()
		})
	}
}
