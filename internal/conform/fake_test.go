package conform_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a broker that knows CONNECT, PINGREQ and SUBSCRIBE and makes the mistakes that a
// test wants.
type fake struct {
	mute    bool              // PINGREQ gets no answer
	refuse  packet.ReasonCode // of CONNACK
	garbage bool              // PINGREQ is answered by bytes that are no packet
	patient bool              // what it does not know does not end the connection

	l    net.Listener
	wg   sync.WaitGroup
	mu   sync.Mutex
	seen []packet.Packet
}

func (b *fake) start(t *testing.T) *fake {
	t.Helper()
	var err error
	if b.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.wg.Go(func() {
		for {
			nc, err := b.l.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.serve(nc) })
		}
	})
	t.Cleanup(func() {
		b.l.Close()
		b.wg.Wait()
	})
	return b
}

func (b *fake) address() string { return b.l.Addr().String() }

func (b *fake) serve(nc net.Conn) {
	defer nc.Close()
	r := packet.NewReader(nc, packet.V5, 0)
	v := packet.V5
	for {
		p, err := r.ReadPacket()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.seen = append(b.seen, packet.Clone(p))
		b.mu.Unlock()
		var answer []byte
		switch p := p.(type) {
		case *packet.Connect:
			v = p.Version
			r.SetVersion(v)
			answer = (&packet.Connack{Code: b.refuse}).Append(nil, v)
		case *packet.Pingreq:
			switch {
			case b.garbage:
				answer = []byte{0xD1, 0}
			case !b.mute:
				answer = []byte{0xD0, 0}
			}
		case *packet.Subscribe:
			ack := &packet.Suback{ID: p.ID}
			for _, f := range p.Filters {
				ack.Codes = append(ack.Codes, packet.ReasonCode(f.QoS))
			}
			answer = ack.Append(nil, v)
		case *packet.Disconnect:
			return
		default:
			if !b.patient {
				return
			}
		}
		if nc.Write(answer); b.refuse != 0 {
			return
		}
	}
}

// users lists the user names of the CONNECTs seen, each once.
func (b *fake) users() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, p := range b.seen {
		if c, ok := p.(*packet.Connect); ok && c.HasUsername {
			names = append(names, string(c.Username)+":"+string(c.Password))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}
