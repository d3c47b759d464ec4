package clienttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
	"github.com/wirebird/wirebird/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; a passing test never waits for it.
const patience = 20 * time.Second

func connect(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Connect(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// types are the packets of a list.
func types(list []clienttest.Record) (out []packet.Type) {
	for _, r := range list {
		out = append(out, r.Packet.Type())
	}
	return out
}

func TestTheBrokerSpeaksEveryVersion(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := clienttest.NewBroker(t)
				arrived := make(chan *client.Message, 1)
				c := connect(t, client.Options{Dial: b.Dial, Version: v, ClientID: "c",
					OnMessage: func(_ *client.Client, m *client.Message) { arrived <- m }})
				if _, err := c.Subscribe(t.Context(), client.Subscription{Filter: "a/+", QoS: 2}); err != nil {
					t.Fatal(err)
				}
				if err := c.Publish(t.Context(), client.Message{Topic: "a/b", Payload: []byte("hello"), QoS: 2}); err != nil {
					t.Fatal(err)
				}
				if m := <-arrived; m.Topic != "a/b" || string(m.Payload) != "hello" || m.QoS != 2 {
					t.Errorf("got %+v", m)
				}
				synctest.Wait() // for PUBCOMP
				c.Close()
				want := []packet.Type{packet.CONNECT, packet.SUBSCRIBE, packet.PUBLISH, packet.PUBREL, packet.PUBREC, packet.PUBCOMP, packet.DISCONNECT}
				got := types(b.Received())
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("received %v, want %v", got, want)
				}
				for _, r := range b.Received() {
					if r.Conn != 0 || r.ClientID != "c" {
						t.Errorf("%v of connection %d, client %q", r.Packet, r.Conn, r.ClientID)
					}
				}
				if got := types(b.Sent()); got[0] != packet.CONNACK || got[1] != packet.SUBACK {
					t.Errorf("sent %v", got)
				}
			})
		})
	}
}

// A quarter of an hour passes in no time, and the broker notices.
func TestTheBrokerLivesByTheClockOfTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker(t)
		nc, err := b.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		silent := &packet.Connect{Version: packet.V311, CleanStart: true, ClientID: []byte("silent"), KeepAlive: 600,
			Will: &packet.Will{Topic: []byte("wills"), Payload: []byte("gone")}}
		if _, err := nc.Write(silent.Append(nil, packet.V311)); err != nil {
			t.Fatal(err)
		}
		r := packet.NewReader(nc, packet.V311, 0)
		if p, err := r.ReadPacket(); err != nil || p.Type() != packet.CONNACK {
			t.Fatal(p, err)
		}
		begun := time.Now()
		wills := make(chan *client.Message, 1)
		c := connect(t, client.Options{Dial: b.Dial})
		if err := c.SubscribeFunc(t.Context(), client.Subscription{Filter: "wills"}, func(_ *client.Client, m *client.Message) { wills <- m }); err != nil {
			t.Fatal(err)
		}
		if m := <-wills; string(m.Payload) != "gone" {
			t.Errorf("got %+v", m)
		}
		if d := time.Since(begun).Round(time.Second); d < 900*time.Second || d > 905*time.Second {
			t.Errorf("the will came after %v, want one and a half times 10 min", d)
		}
	})
}

func TestWhatMayHappenToAServer(t *testing.T) {
	for name, tt := range map[string]struct {
		happen  func(*clienttest.Broker)
		present bool // the session is still there
	}{
		"cut":            {func(b *clienttest.Broker) { b.Cut() }, true},
		"stop":           {func(b *clienttest.Broker) { b.Stop(); b.Restart() }, true},
		"kill":           {func(b *clienttest.Broker) { b.Kill(); b.Restart() }, false},
		"kill and wait":  {func(b *clienttest.Broker) { b.Kill(); time.Sleep(time.Hour); b.Restart() }, false},
		"hold, then cut": {func(b *clienttest.Broker) { b.Hold(); b.Cut(); b.Release() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := clienttest.NewBroker(t)
				again := make(chan client.Connack, 10)
				c := connect(t, client.Options{Dial: b.Dial, ClientID: "c", SessionExpiry: -1,
					OnConnect: func(_ *client.Client, a client.Connack) { again <- a }})
				if a := <-again; a.SessionPresent {
					t.Error("a session before the first connection")
				}
				tt.happen(b)
				if a := <-again; a.SessionPresent != tt.present {
					t.Errorf("session present: %v", a.SessionPresent)
				}
				if err := c.Publish(t.Context(), client.Message{Topic: "a", QoS: 1}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAStoppedBrokerRefusesConnections(t *testing.T) {
	b := clienttest.NewBroker(t)
	url := b.URL()
	for name, stop := range map[string]func(){"stop": b.Stop, "kill": b.Kill} {
		stop()
		for _, o := range []client.Options{{Dial: b.Dial}, {URL: url}} {
			if c, err := client.Connect(t.Context(), o); err == nil {
				c.Close()
				t.Errorf("%s: it is still there", name)
			}
		}
		b.Restart()
		connect(t, client.Options{Dial: b.Dial})
		connect(t, client.Options{URL: url})
	}
}

func TestAHeldBrokerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker(t)
		c := connect(t, client.Options{Dial: b.Dial})
		b.Hold()
		b.Hold()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Publish(ctx, client.Message{Topic: "a", QoS: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("published to a broker that hangs: %v", err)
		}
		if got := types(b.Received()); slices.Contains(got, packet.PUBLISH) {
			t.Errorf("handled %v while it was held", got)
		}
		b.Release()
		b.Release()
		if err := c.Publish(t.Context(), client.Message{Topic: "a", QoS: 1}); err != nil {
			t.Error(err)
		}
		if n := c.Stats().Connects; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

func TestAwaitReturnsWithTheLastPacketItWantsOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker(t)
		c := connect(t, client.Options{Dial: b.Dial})
		go func() {
			for range 3 {
				time.Sleep(time.Second)
				c.Publish(context.Background(), client.Message{Topic: "a", QoS: 1})
			}
		}()
		three := func(received, sent []clienttest.Record) bool { return len(received) >= 4 && len(sent) >= 4 }
		if err := b.Await(t.Context(), three); err != nil || len(b.Received()) != 4 {
			t.Errorf("%v after %v", err, types(b.Received()))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		never := func(_, _ []clienttest.Record) bool { return false }
		if err := b.Await(ctx, never); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestRecordsHaveAssignedClientIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker(t)
		c := connect(t, client.Options{Dial: b.Dial})
		if err := c.Publish(t.Context(), client.Message{Topic: "a", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		all := b.Received()
		if last := all[len(all)-1]; c.ClientID() == "" || last.ClientID != c.ClientID() || all[0].ClientID != "" {
			t.Errorf("recorded %+v of client %q", all, c.ClientID())
		}
	})
}

func TestTheOptionsOfTheBrokerCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBrokerWith(t, broker.Options{Limits: broker.Limits{MaxQoS: 1, ReceiveMaximum: 3}})
		c := connect(t, client.Options{Dial: b.Dial})
		if a := c.Connack(); a.Properties.MaxQoS != 1 || a.Properties.ReceiveMax != 3 {
			t.Errorf("CONNACK with %+v", a.Properties)
		}
	})
}

// More than a megabyte waits for a client that does not read.
func TestALargeBacklogArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker(t)
		const n, size = 40, 100_000
		got, goOn := make(chan int, n), make(chan struct{})
		c := connect(t, client.Options{Dial: b.Dial, ClientID: "slow", QueueSize: 1, Overflow: client.Block,
			OnMessage: func(_ *client.Client, m *client.Message) { <-goOn; got <- len(m.Payload) }})
		if _, err := c.Subscribe(t.Context(), client.Subscription{Filter: "a", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		p := connect(t, client.Options{Dial: b.Dial})
		for range n {
			if err := p.Publish(t.Context(), client.Message{Topic: "a", Payload: make([]byte, size), QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		close(goOn)
		for range n {
			if l := <-got; l != size {
				t.Errorf("%d bytes, want %d", l, size)
			}
		}
	})
}

func TestSlowDecisionsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBrokerWith(t, broker.Options{Hooks: broker.Hooks{
			Connect: func(r *broker.ConnectRequest) broker.Verdict {
				wait := time.Second
				if r.ClientID == "never" {
					wait = time.Hour
				}
				return broker.Later(func(ctx context.Context) broker.Verdict {
					select {
					case <-time.After(wait):
					case <-ctx.Done():
					}
					return broker.Refuse(packet.NotAuthorized, "no")
				})
			}}})
		_, err := client.Connect(t.Context(), client.Options{Dial: b.Dial})
		if packet.ReasonOf(err) != packet.NotAuthorized {
			t.Error(err)
		}
		begun := time.Now()
		failed := make(chan error, 1)
		go func() {
			_, err := client.Connect(t.Context(), client.Options{Dial: b.Dial, ClientID: "never"})
			failed <- err
		}()
		synctest.Wait()
		b.Kill() // does not wait for the hour
		if err := <-failed; err == nil || time.Since(begun) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func ExampleNewBroker() {
	t := &testing.T{} // the test's own
	b := clienttest.NewBroker(t)
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: b.Dial, ClientID: "kitchen"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	err = c.Publish(ctx, client.Message{Topic: "temperature", Payload: []byte("21.5"), QoS: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range b.Received() {
		if m, ok := r.Packet.(*packet.Publish); ok {
			fmt.Printf("%s sent %s to %s\n", r.ClientID, m.Payload, m.Topic)
		}
	}
	// Output: kitchen sent 21.5 to temperature
}
