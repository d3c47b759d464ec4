package broker_test

import (
	"fmt"
	"testing"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// idOn is a Client Identifier whose sessions live on a shard.
func (s *stage) idOn(shard int) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("c%d", i); s.b.Home(id) == shard {
			return id
		}
	}
}

// Bytes under way to another shard count whether they are payload or properties: else a
// publisher of properties is never held back.
func TestPropertiesCountAsMail(t *testing.T) {
	s := newStage(t, broker.Options{Shards: 2})
	p, a := s.open(), s.open()
	p.say("CONNECT v5 clean id=" + s.idOn(0))
	a.say("CONNECT v5 clean id="+s.idOn(1), "SUBSCRIBE id=1 filter=t q1")
	for _, qos := range []byte{0, 1} {
		m := packet.Publish{Topic: []byte("t"), QoS: qos, ID: uint16(qos)}
		m.Properties.User = []packet.User{{Key: []byte("k"), Value: make([]byte, 60_000)}}
		for i := range m.Properties.User[0].Value {
			m.Properties.User[0].Value[i] = 'x'
		}
		m.Properties.Mark(packet.PropUser)
		l := p.conn.Loop()
		l.Begin(s.now)
		l.Feed(p.conn, m.Append(nil, packet.V5))
		l.End()
		if got := s.b.StatsNow().MailBytes; got < 60_000 {
			t.Errorf("QoS %d: %d bytes of mail for a message of 60,000", qos, got)
		}
		s.settle()
		if got := s.b.StatsNow().MailBytes; got != 0 {
			t.Errorf("QoS %d: %d bytes of mail are left", qos, got)
		}
	}
	s.finish()
}
