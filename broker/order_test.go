package broker_test

import (
	"slices"
	"testing"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
)

// What others wait for leaves before what is owed to the senders: a subscriber has its
// message soonest, and a PUBREL, which lets it have the message, counts as one.
func TestMessagesLeaveBeforeAcknowledgements(t *testing.T) {
	s := newStage(t, broker.Options{})
	names := map[*wire]string{}
	pubs, subs := [2]*wire{}, [2]*wire{}
	for i, id := range []string{"1", "2"} {
		pubs[i], subs[i] = s.open(), s.open()
		names[pubs[i]], names[subs[i]] = "pub"+id, "sub"+id
		pubs[i].say("CONNECT v3.1.1 id=pub" + id + " clean")
		pubs[i].expect("CONNACK success")
		subs[i].say("CONNECT v3.1.1 id=sub"+id+" clean", "SUBSCRIBE id=1 filter="+id+" q2")
		subs[i].expect("CONNACK success", "SUBACK id=1 q2")
	}
	var order []string
	s.wrote = func(w *wire) { order = append(order, names[w]) }
	check := func(step string, want ...string) {
		t.Helper()
		if !slices.Equal(order, want) {
			t.Errorf("%s: written to %q, want %q", step, order, want)
		}
		order = nil
	}

	s.together(say{pubs[0], "PUBLISH q1 id=1 topic=1"}, say{pubs[1], "PUBLISH q1 id=1 topic=2"})
	check("QoS 1", "sub1", "sub2", "pub1", "pub2")
	s.together(say{subs[0], "PUBACK id=1"}, say{subs[1], "PUBACK id=1"})
	check("PUBACK")
	s.together(say{pubs[0], "PUBLISH q2 id=1 topic=1"}, say{pubs[1], "PUBLISH q2 id=1 topic=2"})
	check("QoS 2", "sub1", "sub2", "pub1", "pub2")
	s.together(say{pubs[0], "PUBREL id=1"}, say{subs[0], "PUBREC id=2"}, say{pubs[1], "PUBREL id=1"}, say{subs[1], "PUBREC id=2"})
	check("PUBREL", "sub1", "sub2", "pub1", "pub2")
	s.together(say{pubs[0], "PUBLISH q1 id=2 topic=none"}, say{pubs[1], "PINGREQ"})
	check("PINGREQ", "pub2", "pub1")
	s.wrote = nil
	s.finish()
}

// say is a packet from a client, in the language of package script.
type say struct {
	w    *wire
	line string
}

// together gives a loop the packets of several connections before it turns.
func (s *stage) together(says ...say) {
	s.t.Helper()
	for _, l := range s.loops {
		l.Begin(s.now)
	}
	for _, x := range says {
		p, err := script.ParsePacket(x.line)
		if err != nil {
			s.t.Fatal(err)
		}
		x.w.conn.Loop().Feed(x.w.conn, p.Append(nil, x.w.version))
	}
	s.settle()
}
