package client

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/wirebird/wirebird/packet"
)

// link carries packets between a flow and the model of a server. Each side's
// packets arrive in order; a lost connection loses those on the way.
type link struct {
	t                  *rapid.T
	f                  *flow
	up, down           []packet.Packet
	got                []string        // messages the server took over, in order
	unreleased         map[uint16]bool // QoS 2, on the server
	inflight, maxQuota int
}

// apply puts what the flow sends on its way, when there is one.
func (l *link) apply(out *output) {
	for _, p := range parse(l.t, out) {
		if l.f.online {
			l.up = append(l.up, p)
		}
	}
}

// newOutput is where a flow of version v writes.
func newOutput(v packet.Version) output { return output{version: v} }

// parse returns and removes the packets in out.
func parse(t interface{ Fatal(...any) }, out *output) (ps []packet.Packet) {
	for b := out.buf; len(b) > 0; {
		p, n, err := packet.Parse(out.version, b)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		ps, b = append(ps, p), b[n:]
	}
	out.buf = nil
	return ps
}

// message is a message on its way.
func message(topic string, qos byte) *outbound { return &outbound{topic: topic, qos: qos} }

// serve lets the server handle one packet.
func (l *link) serve() {
	p := l.up[0]
	l.up = l.up[1:]
	switch p := p.(type) {
	case *packet.Publish:
		if p.QoS == 1 {
			l.got = append(l.got, string(p.Topic))
			l.down = append(l.down, &packet.Puback{ID: p.ID})
			return
		}
		if !l.unreleased[p.ID] {
			l.unreleased[p.ID] = true
			l.got = append(l.got, string(p.Topic))
		}
		l.down = append(l.down, &packet.Pubrec{ID: p.ID})
	case *packet.Pubrel:
		delete(l.unreleased, p.ID)
		l.down = append(l.down, &packet.Pubcomp{ID: p.ID})
	default:
		l.t.Fatalf("client sent %v", p)
	}
}

func (l *link) reconnect() {
	l.f.lost()
	l.up, l.down = nil, nil
	out := newOutput(packet.V5)
	l.f.connected(true, limits{receiveMax: l.maxQuota, maxQoS: 2}, &out)
	l.apply(&out)
}

func (l *link) deliver() {
	p := l.down[0]
	l.down = l.down[1:]
	out := newOutput(packet.V5)
	if err := l.f.receive(p, &out); err != nil {
		l.t.Fatal(err)
	}
	l.apply(&out)
}

func TestEveryMessageArrivesWhateverTheConnectionDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Version: packet.V5}
		l := &link{t: t, f: newFlow(&o), unreleased: map[uint16]bool{}, maxQuota: rapid.IntRange(1, 5).Draw(t, "quota")}
		l.reconnect()
		var tokens []*Token
		qos := byte(rapid.IntRange(1, 2).Draw(t, "qos"))
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch n := rapid.IntRange(0, 9).Draw(t, "step"); {
			case n < 3:
				out := newOutput(packet.V5)
				m := message(fmt.Sprint(len(tokens)), qos)
				l.f.publish(m, &out)
				tokens = append(tokens, &m.Token)
				l.apply(&out)
			case n < 6 && len(l.up) > 0:
				l.serve()
			case n < 9 && len(l.down) > 0:
				l.deliver()
			case n == 9:
				l.reconnect()
			}
			l.check()
		}
		for len(l.up)+len(l.down) > 0 {
			if len(l.up) > 0 {
				l.serve()
			} else {
				l.deliver()
			}
			l.check()
		}
		l.finish(tokens, qos)
	})
}

// check compares what is on the way with the Receive Maximum.
func (l *link) check() {
	open := 0
	for m := l.f.head; m != nil && m != l.f.next; m = m.next {
		if m.epoch == l.f.epoch {
			open++
		}
	}
	if open > l.maxQuota || l.f.quota != l.maxQuota-open {
		l.t.Fatalf("%d messages on the way, %d more allowed, Receive Maximum %d", open, l.f.quota, l.maxQuota)
	}
}

func (l *link) finish(tokens []*Token, qos byte) {
	if l.f.head != nil || l.f.ids.used > 0 || len(l.unreleased) > 0 {
		l.t.Fatalf("left over: %v, %v, %v", l.f.head, l.f.ids, l.unreleased)
	}
	for i, tok := range tokens {
		select {
		case <-tok.Done():
		default:
			l.t.Fatalf("message %d is not complete", i)
		}
	}
	// First arrivals are in order; QoS 2 has no other arrivals.
	next := 0
	for _, name := range l.got {
		if name == fmt.Sprint(next) {
			next++
		} else if qos == 2 {
			l.t.Fatalf("arrived: %v", l.got)
		}
	}
	if next != len(tokens) {
		l.t.Fatalf("%d messages published, arrived: %v", len(tokens), l.got)
	}
}

func TestPacketIdentifiersRunOutAndComeBack(t *testing.T) {
	o := Options{Version: packet.V311}
	f := newFlow(&o)
	out := newOutput(packet.V311)
	f.connected(false, limits{receiveMax: 100_000, maxQoS: 2}, &out)
	for range 65_540 {
		f.publish(message("t", 1), &out)
	}
	if n := len(parse(t, &out)); n != 65_535 {
		t.Fatalf("%d sent, want one for each identifier", n)
	}
	r := unsubscribeRequest(nil, []string{"a"})
	if f.request(r, &out); r.token.Err() != errNoPacketID {
		t.Errorf("a request without an identifier ended with %v", r.token.Err())
	}
	if err := f.receive(&packet.Puback{ID: 7}, &out); err != nil {
		t.Fatal(err)
	}
	if sent := parse(t, &out); len(sent) != 1 || sent[0].(*packet.Publish).ID != 7 {
		t.Errorf("sent %v, want the next message with the identifier that came back", sent)
	}
}

// FuzzFlow lets a server say anything: the flow refuses with a reason code or
// goes on, and never promises more than its own limits.
func FuzzFlow(f *testing.F) {
	f.Add([]byte{0x40, 2, 0, 1, 0x50, 2, 0, 2, 0x70, 2, 0, 2}, true)
	f.Add([]byte{0x34, 6, 0, 1, 'a', 0, 9, 0, 0x62, 2, 0, 9}, false)
	f.Add([]byte{0x90, 4, 0, 3, 0, 1, 0xB0, 4, 0, 4, 0, 0}, true)
	f.Fuzz(func(t *testing.T, in []byte, present bool) {
		o := Options{Version: packet.V5, ReceiveMax: 2, TopicAliasMax: 3}
		fl := newFlow(&o)
		out := newOutput(packet.V5)
		fl.connected(false, limits{receiveMax: 10, maxQoS: 2}, &out)
		for qos := range byte(3) {
			fl.publish(message("t", max(qos, 1)), &out)
		}
		for _, r := range subscribeRequests([]Subscription{{Filter: "a"}}) {
			fl.request(r, &out)
		}
		fl.request(unsubscribeRequest(nil, []string{"a"}), &out)
		for len(in) > 0 {
			p, n, err := packet.Parse(packet.V5, in)
			if err != nil || n == 0 {
				break
			}
			in = in[n:]
			out = newOutput(packet.V5)
			if err := fl.receive(p, &out); err != nil {
				if packet.ReasonOf(err) <= packet.UnspecifiedError {
					t.Fatalf("%v refused without a reason code: %v", p, err)
				}
				break
			}
			if fl.receiving > 2 || len(fl.unrel) > 2 || fl.quota > 10 {
				t.Fatalf("limits passed: %+v", fl)
			}
			if out.deliver != nil && out.deliver.msg.Topic == "" {
				t.Fatalf("%v delivered without a topic", p)
			}
		}
		fl.lost()
		fl.connected(present, limits{receiveMax: 1, maxQoS: 2}, &out)
		fl.fail(ErrClosed)
	})
}

// FuzzParseURL: what is accepted names an address with a port, or a path.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"", "mqtt://h", "wss://u:p@[::1]:9/x?y", "unix:///a", "unix:a", "tcp://h:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseURL(s)
		if err == nil && (u.address == "" || u.host == "" || u.network != "unix" && u.network != "tcp") {
			t.Errorf("%q is %+v", s, u)
		}
	})
}

func BenchmarkFlowPublish(b *testing.B) {
	o := Options{Version: packet.V5}
	f := newFlow(&o)
	out := newOutput(packet.V5)
	f.connected(false, limits{receiveMax: 65535, maxQoS: 2}, &out)
	ack, payload := &packet.Puback{}, make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		out.buf = out.buf[:0]
		m := &outbound{topic: "a/b", qos: 1, payload: payload}
		f.publish(m, &out)
		ack.ID = m.id
		if err := f.receive(ack, &out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFlowReceive(b *testing.B) {
	o := Options{Version: packet.V5}
	f := newFlow(&o)
	out := newOutput(packet.V5)
	f.connected(false, limits{receiveMax: 65535, maxQoS: 2}, &out)
	p := &packet.Publish{Topic: []byte("a/b"), QoS: 1, ID: 1, Payload: make([]byte, 64)}
	b.ReportAllocs()
	for b.Loop() {
		out.buf = out.buf[:0]
		if err := f.receive(p, &out); err != nil {
			b.Fatal(err)
		}
		f.settle(out.deliver, &out)
	}
}
