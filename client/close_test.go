package client_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// closes checks that Close returns, and that nothing works after. What is still
// running then, synctest and goleak find.
func closes(t *testing.T, c *client.Client) {
	t.Helper()
	done := async(c.Close)
	synctest.Wait()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Close: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Close does not return")
	}
	select {
	case <-c.Done():
	default:
		t.Error("Done is open after Close")
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	for qos := range byte(3) {
		if err := c.Publish(t.Context(), client.Message{Topic: "a", QoS: qos}); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Publish at QoS %d after Close: %v", qos, err)
		}
	}
	if _, err := c.Subscribe(t.Context(), client.Subscription{Filter: "a"}); !errors.Is(err, client.ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
	if err := c.Handle("a", func(*client.Client, *client.Message) {}); !errors.Is(err, client.ErrClosed) {
		t.Errorf("Handle after Close: %v", err)
	}
	if err := c.AwaitConnection(t.Context()); !errors.Is(err, client.ErrClosed) {
		t.Errorf("AwaitConnection after Close: %v", err)
	}
}

func start(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCloseAtEveryStage(t *testing.T) {
	for name, stage := range map[string]func(*testing.T) *client.Client{
		"at once": func(t *testing.T) *client.Client {
			return start(t, client.Options{Dial: newServer(t, packet.V5).dial})
		},
		"while dialing": func(t *testing.T) *client.Client {
			return start(t, client.Options{Dial: func(ctx context.Context) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		},
		"between attempts": func(t *testing.T) *client.Client {
			c := start(t, client.Options{Dial: unreachable})
			synctest.Wait()
			return c
		},
		"before CONNACK": func(t *testing.T) *client.Client {
			s := newServer(t, packet.V5)
			c := start(t, client.Options{Version: packet.V5, Dial: s.dial})
			expect[*packet.Connect](<-s.conns)
			return c
		},
		"connected": func(t *testing.T) *client.Client {
			c, _, _, _ := connect(t, client.Options{}, &packet.Connack{})
			return c
		},
		"with messages under way": func(t *testing.T) *client.Client {
			c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
			for qos := byte(1); qos < 3; qos++ {
				if _, err := c.PublishAsync(t.Context(), client.Message{Topic: "a", QoS: qos}); err != nil {
					t.Fatal(err)
				}
				expect[*packet.Publish](p)
			}
			return c
		},
		"with a reader that waits for a lane": func(t *testing.T) *client.Client {
			c, _, p, _ := connect(t, client.Options{Overflow: client.Block, QueueSize: 1,
				OnMessage: func(_ *client.Client, m *client.Message) { <-m.Context().Done() }}, &packet.Connack{})
			for range 3 {
				p.send(&packet.Publish{Topic: []byte("a")})
			}
			synctest.Wait()
			return c
		},
		"with a handler that publishes": func(t *testing.T) *client.Client {
			c, _, p, _ := connect(t, client.Options{OnMessage: func(c *client.Client, m *client.Message) {
				if err := c.Publish(context.Background(), client.Message{Topic: "b", QoS: 1}); !errors.Is(err, client.ErrClosed) {
					t.Errorf("the handler's Publish: %v", err)
				}
			}}, &packet.Connack{})
			p.send(&packet.Publish{Topic: []byte("a")})
			expect[*packet.Publish](p)
			return c
		},
		"with messages that nobody acknowledges": func(t *testing.T) *client.Client {
			c, _, p, _ := connect(t, client.Options{ManualAck: true, OnMessage: func(*client.Client, *client.Message) {}}, &packet.Connack{})
			p.send(&packet.Publish{Topic: []byte("a"), QoS: 1, ID: 1})
			p.send(&packet.Publish{Topic: []byte("a"), QoS: 2, ID: 2})
			synctest.Wait()
			return c
		},
		"after the connection was lost": func(t *testing.T) *client.Client {
			c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
			p.nc.Close()
			synctest.Wait()
			return c
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { closes(t, stage(t)) }) })
	}
}

func TestCloseGivesUpOnAServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go func() { // CONNECT, CONNACK, and no more
			if _, err := packet.NewReader(far, packet.V5, 0).ReadPacket(); err != nil {
				t.Error(err)
			}
			if _, err := far.Write((&packet.Connack{}).Append(nil, packet.V5)); err != nil {
				t.Error(err)
			}
		}()
		c := start(t, client.Options{Version: packet.V5, Dial: func(context.Context) (net.Conn, error) { return near, nil }})
		if err := c.AwaitConnection(t.Context()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := c.Close(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("after %v, want 5 s", d)
		}
	})
}

func TestAFailedConnectLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the outbox is free again
		o := client.Options{Version: packet.V5, Dial: unreachable, Outbox: &client.OutboxOptions{Dir: dir},
			OnMessage: func(*client.Client, *client.Message) {}}
		if _, err := client.Connect(t.Context(), o); err == nil || errors.Is(err, client.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCloseWithAnOutbox(t *testing.T) {
	c := offline(t, client.OutboxOptions{Dir: t.TempDir()})
	published := async(func() error { return c.Publish(context.Background(), client.Message{Topic: "a", QoS: 1}) })
	for c.Stats().OutboxMessages == 0 {
		select {
		case err := <-published:
			t.Fatal(err)
		default:
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-published; !errors.Is(err, client.ErrClosed) {
		t.Errorf("Publish: %v", err)
	}
}

// Whoever publishes as the client closes gets an error, and the client stays whole. The
// clock is real: a bubble's would stand still while something waits for a lock.
func TestPublishingToAClosedClientWithAnEndedContext(t *testing.T) {
	c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
	done := async(c.Close)
	expect[*packet.Disconnect](p)
	p.nc.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tried := async(func() error {
		for range 100 { // which of the two errors comes is chance
			if err := c.Publish(ctx, client.Message{Topic: "a", QoS: 1}); err == nil {
				return errors.New("published without an error")
			}
		}
		return nil
	})
	select {
	case err := <-tried:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Publish does not return")
	}
}

// [MQTT-3.14.2-1]
func TestDisconnectRefusesWhatNoClientMaySend(t *testing.T) {
	property := func(id packet.PropertyID, p packet.Properties) packet.Disconnect {
		p.Mark(id)
		return packet.Disconnect{Properties: p}
	}
	for name, d := range map[string]packet.Disconnect{
		"a code of SUBACK":     {Code: packet.GrantedQoS1},
		"a code there is not":  {Code: 0xFF},
		"a Server Reference":   property(packet.PropServerReference, packet.Properties{ServerReference: []byte("x")}),
		"expiry, 0 in CONNECT": property(packet.PropSessionExpiry, packet.Properties{SessionExpiry: 1}),
		"bad UTF-8":            property(packet.PropReasonString, packet.Properties{ReasonString: []byte("\xff")}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
				if err := c.DisconnectWith(t.Context(), &d); err == nil {
					t.Error("no error")
				}
				p.quiet()
				if !c.Connected() {
					t.Error("the client has ended")
				}
			})
		})
	}
}
