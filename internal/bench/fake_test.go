package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

// fakeBroker forwards what is published to whoever has subscribed last, and
// errs as a test says.
type fakeBroker struct {
	refuse  packet.ReasonCode             // of CONNACK
	granted packet.ReasonCode             // of SUBACK; 0 is QoS 1
	deliver func(*packet.Publish) int     // how many times; nil is once
	qos     byte                          // of deliveries; 0 is 1
	ack     func(id uint16) packet.Packet // nil is a PUBACK of id

	published  atomic.Uint64
	l          net.Listener
	wg         sync.WaitGroup
	mu         sync.Mutex
	conns      []net.Conn // guarded by mu
	subscriber net.Conn   // guarded by mu, and so are writes to it
}

func (b *fakeBroker) listen(address string) error {
	var err error
	if b.l, err = net.Listen("tcp", address); err != nil {
		return err
	}
	b.wg.Go(func() {
		for {
			nc, err := b.l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, nc)
			b.mu.Unlock()
			b.wg.Go(func() { b.serve(nc) })
		}
	})
	return nil
}

func (b *fakeBroker) close() {
	b.l.Close()
	b.mu.Lock()
	for _, nc := range b.conns {
		nc.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *fakeBroker) serve(nc net.Conn) {
	defer nc.Close()
	for r := packet.NewReader(nc, packet.V311, 0); ; {
		p, err := r.ReadPacket()
		if err != nil {
			return
		}
		var answer packet.Packet
		switch p := p.(type) {
		case *packet.Connect:
			answer = &packet.Connack{Code: b.refuse}
		case *packet.Subscribe:
			b.mu.Lock()
			b.subscriber = nc
			b.mu.Unlock()
			answer = &packet.Suback{ID: p.ID, Codes: []packet.ReasonCode{max(b.granted, packet.GrantedQoS1)}}
		case *packet.Publish:
			if answer = b.publish(p); answer == nil {
				return
			}
		default:
			continue
		}
		b.mu.Lock() // the subscriber may get answers and deliveries
		_, err = nc.Write(answer.Append(nil, packet.V311))
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (b *fakeBroker) publish(p *packet.Publish) packet.Packet {
	id := p.ID
	times := 1
	if b.deliver != nil {
		times = b.deliver(p)
	}
	p.QoS = max(b.qos, 1)
	b.mu.Lock()
	for range times {
		p.ID = uint16(b.published.Load()%65535) + 1
		if _, err := b.subscriber.Write(p.Append(nil, packet.V311)); err != nil {
			times = 0
			break
		}
	}
	b.mu.Unlock()
	b.published.Add(1)
	if b.ack != nil {
		return b.ack(id)
	}
	return &packet.Puback{ID: id}
}

// start serves on loopback until the test ends.
func (b *fakeBroker) start(t testing.TB) *Instance {
	t.Helper()
	if err := b.listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return &Instance{Address: b.l.Addr().String(), PID: os.Getpid(), Stop: func() error { return nil }}
}

// ServeHTTP tells of one sync for every two messages, in two series.
func (b *fakeBroker) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n := b.published.Load()
	fmt.Fprintf(w, "# TYPE %s counter\n%[1]s_created 1e9\n%[1]s{kind=\"a } 7\"} %d\n%[1]s{kind=\"b\"} %d 1700000000000\n",
		syncsMetric, n/4, n/4)
}

// child is what the test binary does when a test starts it as a broker.
const childVariable = "BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	switch do, address := os.Getenv(childVariable), os.Args[len(os.Args)-1]; do {
	case "":
		os.Exit(m.Run())
	case "serve":
		if err := new(fakeBroker).listen(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	case "serve until published":
		b := fakeBroker{ack: func(uint16) packet.Packet {
			fmt.Fprintln(os.Stderr, "panic: out of ideas")
			os.Exit(2)
			return nil
		}}
		if err := b.listen(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	case "refuse":
		fmt.Fprintln(os.Stderr, "unknown key")
		os.Exit(1)
	}
}

// startNever is for options that are only looked at.
func startNever(context.Context, string) (*Instance, error) { return nil, io.ErrUnexpectedEOF }
