package broker_test

import (
	"fmt"
	"testing"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// crowd is a publisher and its subscribers on one shard, and a PUBLISH as bytes.
type crowd struct {
	*stage
	p       *wire
	readers []*wire
	publish []byte
}

func newCrowd(tb testing.TB, v packet.Version, subscribers int, publish string) *crowd {
	s := newStage(tb, broker.Options{})
	c := &crowd{stage: s, p: s.open()}
	version := "v3.1.1"
	if v == packet.V5 {
		version = "v5"
	}
	c.p.say("CONNECT id=p clean " + version)
	for i := range subscribers {
		r := s.open()
		r.say(fmt.Sprintf("CONNECT id=s%d clean %s", i, version), "SUBSCRIBE id=1 filter=sensors/+/temperature q0")
		r.discard, r.written = true, 0
		c.readers = append(c.readers, r)
	}
	m, err := script.ParsePacket(publish)
	if err != nil {
		tb.Fatal(err)
	}
	c.publish = m.Append(nil, v)
	return c
}

// turn takes one message from Input to the subscribers' write.
func (c *crowd) turn() {
	l := c.loops[0]
	l.Begin(c.now)
	l.Feed(c.p.conn, c.publish)
	for l.End() {
		l.Begin(c.now)
	}
}

func eachCrowd(run func(name string, v packet.Version, n int, publish string)) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for _, n := range []int{1, 10} {
			run(fmt.Sprintf("%v to %d", v, n), v, n, "PUBLISH topic=sensors/kitchen/temperature payload=21.5")
		}
	}
	run("5.0 with properties", packet.V5, 10, "PUBLISH topic=sensors/kitchen/temperature payload=21.5 content-type=text user=a:b expiry=60")
}

func TestQoS0MessagesAllocateNothing(t *testing.T) {
	eachCrowd(func(name string, v packet.Version, n int, publish string) {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, v, n, publish)
			for range 10 { // the topic enters the cache
				c.turn()
			}
			before := c.readers[0].written
			if a := testing.AllocsPerRun(200, c.turn); a != 0 {
				t.Errorf("%v allocations for a message", a)
			}
			if got := c.readers[0].written - before; got < 201*len(payloadOf(c.publish)) {
				t.Errorf("%d bytes arrived", got)
			}
			c.finish()
		})
	})
}

func payloadOf(publish []byte) []byte {
	p, _, err := packet.Parse(packet.V5, publish)
	if m, ok := p.(*packet.Publish); err == nil && ok {
		return m.Payload
	}
	return nil
}

func BenchmarkPublishQoS0(b *testing.B) {
	eachCrowd(func(name string, v packet.Version, n int, publish string) {
		b.Run(name, func(b *testing.B) {
			c := newCrowd(b, v, n, publish)
			b.ReportAllocs()
			for b.Loop() {
				c.turn()
			}
		})
	})
}

// BenchmarkPublishQoS1 includes both acknowledgements.
func BenchmarkPublishQoS1(b *testing.B) {
	s := newStage(b, broker.Options{})
	p, r := s.open(), s.open()
	p.say("CONNECT v5 id=p clean")
	r.say("CONNECT v5 id=r clean", "SUBSCRIBE id=1 filter=# q1")
	p.discard, r.discard = true, true
	m, err := script.ParsePacket("PUBLISH q1 id=1 topic=sensors/kitchen/temperature payload=21.5")
	if err != nil {
		b.Fatal(err)
	}
	publish, id := m.Append(nil, packet.V5), 0
	ack := []byte{0x40, 2, 0, 0}
	b.ReportAllocs()
	for b.Loop() {
		l := s.loops[0]
		l.Begin(s.now)
		l.Feed(p.conn, publish)
		l.End()
		id = id%65535 + 1
		ack[2], ack[3] = byte(id>>8), byte(id)
		l.Begin(s.now)
		l.Feed(r.conn, ack)
		l.End()
	}
	if n := s.b.StatsNow().Inflight; n != 0 {
		b.Errorf("%d messages are in flight", n)
	}
}
