package broker_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// dialed is a client over TCP.
type dialed struct {
	t  *testing.T
	nc net.Conn
	r  *packet.Reader
	v  packet.Version
}

func dial(t *testing.T, b *broker.Broker, connect string) *dialed {
	t.Helper()
	address := strings.TrimPrefix(b.Listeners()[0].URL, "tcp://")
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	d := &dialed{t: t, nc: nc, v: packet.V5}
	d.r = packet.NewReader(nc, d.v, 0)
	d.say(connect)
	return d
}

func (d *dialed) say(line string) {
	d.t.Helper()
	p, err := script.ParsePacket(line)
	if err == nil {
		_, err = d.nc.Write(p.Append(nil, d.v))
	}
	if err != nil { // not Fatal: this may be another goroutine than the test's
		d.t.Error(err)
	}
}

func (d *dialed) expect(line string) {
	d.t.Helper()
	steps, err := script.Parse("d< " + line)
	if err != nil {
		d.t.Fatal(err)
	}
	got, err := d.r.ReadPacket()
	if err != nil {
		d.t.Fatalf("%v, want %s", err, line)
	}
	if !steps[0].Matches(got) {
		d.t.Fatalf("got %s, want %s", script.Format(got), line)
	}
}

func (d *dialed) expectEnd() {
	d.t.Helper()
	if got, err := d.r.ReadPacket(); err != io.EOF {
		d.t.Errorf("got %v, %v; want the end", got, err)
	}
	_ = d.nc.Close()
}

func serve(t *testing.T, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Listen(broker.ListenOptions{URL: "tcp://127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	return b
}

// Shutdown tells the clients, publishes the wills of sessions that end with it, and leaves
// no goroutine behind.
func TestShutdownOverTCP(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := serve(t, broker.Options{Shards: 2, SysInterval: time.Hour})
	w := dial(t, b, "CONNECT v5 id=w clean")
	w.expect("CONNACK success")
	w.say("SUBSCRIBE id=1 filter=t q1")
	w.expect("SUBACK id=1 q1")
	a := dial(t, b, "CONNECT v5 id=a clean will{topic=other payload=bye}")
	a.expect("CONNACK success")
	a.say("PUBLISH q1 id=1 topic=t payload=x")
	a.expect("PUBACK id=1")
	w.expect("PUBLISH q1 id=1 topic=t payload=x")
	silent := dial(t, b, "CONNECT v5 id=silent clean auth-method=none")
	silent.expect("CONNACK bad-authentication-method")
	silent.expectEnd()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Publish(ctx, broker.Message{Topic: "t", Payload: []byte("inside"), QoS: 1}); err != nil {
		t.Error(err)
	}
	w.expect("PUBLISH q1 id=2 topic=t payload=inside")
	if s, err := b.Stats(ctx); err != nil || s.SessionsOnline != 2 || s.Balance() != 0 {
		t.Errorf("%d sessions online, %d unaccounted for, %v; want 2 and none", s.SessionsOnline, s.Balance(), err)
	}
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	a.expect("DISCONNECT server-shutting-down")
	a.expectEnd()
	w.expect("DISCONNECT server-shutting-down")
	w.expectEnd()
	if err := b.Shutdown(ctx); err == nil {
		t.Error("a second Shutdown says nothing")
	}
	if b.Running() {
		t.Error("the broker says that it is running")
	}
}

func TestPublishNeedsARunningBroker(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := serve(t, broker.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	err := b.Publish(ctx, broker.Message{Topic: "t"})
	if err == nil || err == context.DeadlineExceeded {
		t.Errorf("Publish after Shutdown: %v; want an error at once", err)
	}
}

func TestPublishChecksItsMessage(t *testing.T) {
	s := newStage(t, broker.Options{})
	for name, m := range map[string]broker.Message{
		"no topic": {},
		"wildcard": {Topic: "a/+"},
		"QoS":      {Topic: "a", QoS: 3},
	} {
		if err := s.b.Publish(t.Context(), m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s.finish()
}

// In the midst of a slow decision Shutdown does not wait for it longer than its context.
func TestShutdownEndsSlowDecisions(t *testing.T) {
	defer goleak.VerifyNone(t)
	started := make(chan struct{})
	b := serve(t, broker.Options{Hooks: broker.Hooks{Connect: func(*broker.ConnectRequest) broker.Verdict {
		return broker.Later(func(ctx context.Context) broker.Verdict {
			close(started)
			<-ctx.Done()
			return broker.Refuse(packet.ServerUnavailable, "")
		})
	}}})
	a := dial(t, b, "CONNECT v5 id=a clean")
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	a.expect("CONNACK server-unavailable")
	a.expectEnd()
}

// Publishers and subscribers on several shards, all at once: nothing of QoS 1 is lost, each
// subscriber sees each publisher's messages in order, and all figures agree in the end.
func TestTrafficOverTCP(t *testing.T) {
	defer goleak.VerifyNone(t)
	const publishers, messages = 6, 200
	b := serve(t, broker.Options{Shards: 3, Limits: broker.Limits{MaxInflight: 20}})
	var wg sync.WaitGroup
	for i, filter := range []string{"t/#", "t/+", "$share/g/t/#", "t/0"} {
		s := dial(t, b, fmt.Sprintf("CONNECT v5 id=s%d clean", i))
		s.expect("CONNACK success")
		s.say("SUBSCRIBE id=1 filter=" + filter + " q1")
		s.expect("SUBACK id=1 q1")
		want := publishers * messages
		if filter == "t/0" {
			want = messages
		}
		wg.Go(func() { s.drain(want) })
	}
	for i := range publishers {
		p := dial(t, b, fmt.Sprintf("CONNECT v5 id=p%d clean", i))
		p.expect("CONNACK success")
		wg.Go(func() {
			for n := range messages {
				p.say(fmt.Sprintf("PUBLISH q1 id=%d topic=t/%d payload=%d", n+1, i, n))
				if n%16 == 15 {
					p.acknowledged(16)
				}
			}
			p.acknowledged(messages % 16)
			p.say("DISCONNECT")
			p.expectEnd()
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for { // the last acknowledgements may be under way
		s, err := b.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s.Inflight == 0 && s.MailBytes == 0 && s.SessionsOnline == 0 {
			if s.Balance() != 0 || s.Delivered != 3*publishers*messages+messages {
				t.Errorf("%d delivered, %d unaccounted for", s.Delivered, s.Balance())
			}
			break
		}
	}
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// drain acknowledges messages, checks their order by topic, and leaves after n.
func (d *dialed) drain(n int) {
	next := map[string]int{}
	for range n {
		got, err := d.r.ReadPacket()
		m, ok := got.(*packet.Publish)
		if !ok {
			d.t.Errorf("got %v, %v", got, err)
			return
		}
		if want := strconv.Itoa(next[string(m.Topic)]); string(m.Payload) != want {
			d.t.Errorf("%s: %s came, want %s", m.Topic, m.Payload, want)
		}
		next[string(m.Topic)]++
		d.say(fmt.Sprintf("PUBACK id=%d", m.ID))
	}
	d.say("DISCONNECT")
	d.expectEnd()
}

// acknowledged reads n PUBACKs.
func (d *dialed) acknowledged(n int) {
	for range n {
		if got, err := d.r.ReadPacket(); err != nil || got.Type() != packet.PUBACK {
			d.t.Errorf("got %v, %v; want PUBACK", got, err)
			return
		}
	}
}
