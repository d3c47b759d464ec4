package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
	"github.com/wirebird/wirebird/packet"
)

// unreachable is for Options.Dial.
func unreachable(context.Context) (net.Conn, error) { return nil, errors.New("no network") }

// offline is a client with an outbox in dir that reaches no server.
func offline(t *testing.T, o client.OutboxOptions) *client.Client {
	t.Helper()
	c, err := client.Start(client.Options{Version: packet.V5, ClientID: "test", Dial: unreachable, Outbox: &o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTheOutboxSurvivesTheClient(t *testing.T) {
	dir := t.TempDir()
	first := offline(t, client.OutboxOptions{Dir: dir})
	for i := range 10 {
		m := client.Message{Topic: fmt.Sprint(i), Payload: []byte{byte(i)}, QoS: byte(1 + i%2), Retain: i == 3,
			Properties: client.Properties{ContentType: "x/y", User: []client.User{{Key: "n", Value: fmt.Sprint(i)}}}}
		if _, err := first.PublishAsync(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if s := first.Stats(); s.OutboxMessages != 10 {
		t.Errorf("%d messages are on disk", s.OutboxMessages)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{Outbox: &client.OutboxOptions{Dir: dir}}, &packet.Connack{})
		for i := range 10 {
			m := expect[*packet.Publish](p)
			if string(m.Topic) != fmt.Sprint(i) || string(m.Payload) != string([]byte{byte(i)}) || m.Dup || m.QoS != byte(1+i%2) ||
				m.Retain != (i == 3) || string(m.Properties.ContentType) != "x/y" || string(m.Properties.User[0].Value) != fmt.Sprint(i) {
				t.Errorf("got %v with %v, want message %d", m, m.Properties, i)
			}
			if i == 9 { // never acknowledged
				break
			}
			if m.QoS == 1 {
				p.send(&packet.Puback{ID: m.ID})
				continue
			}
			p.send(&packet.Pubrec{ID: m.ID})
		}
		for range 4 {
			p.send(&packet.Pubcomp{ID: expect[*packet.Pubrel](p).ID})
		}
		synctest.Wait()
		if s := c.Stats(); s.OutboxMessages != 1 || s.Queued != 1 {
			t.Errorf("%d messages on disk, %d queued, want 1", s.OutboxMessages, s.Queued)
		}
		c.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{Outbox: &client.OutboxOptions{Dir: dir}}, &packet.Connack{})
		m := expect[*packet.Publish](p)
		if string(m.Topic) != "9" {
			t.Errorf("got %v, want message 9", m)
		}
		p.quiet()
		p.send(&packet.Pubrec{ID: m.ID, Code: packet.QuotaExceeded}) // refused is done as well
		synctest.Wait()
		if s := c.Stats(); s.OutboxMessages != 0 {
			t.Errorf("%d messages are on disk", s.OutboxMessages)
		}
		c.Close()
	})
}

func TestTheOutboxIsBounded(t *testing.T) {
	for name, o := range map[string]client.OutboxOptions{"messages": {MaxMessages: 2}, "bytes": {MaxBytes: 30}} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			c := offline(t, o)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var err error
			n := 0
			for ; err == nil && n < 10; n++ {
				_, err = c.PublishAsync(ctx, client.Message{Topic: "a", Payload: []byte("123"), QoS: 1})
			}
			if !errors.Is(err, client.ErrOutboxFull) || n != 3 {
				t.Errorf("message %d: %v", n, err)
			}
		})
	}
}

func TestMessagesOfTheOutboxGetTooOld(t *testing.T) {
	dir := t.TempDir()
	first := offline(t, client.OutboxOptions{Dir: dir})
	if _, err := first.PublishAsync(t.Context(), client.Message{Topic: "old", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	first.Close()
	c, err := client.Start(client.Options{Dial: unreachable, Outbox: &client.OutboxOptions{Dir: dir, MaxAge: -1}})
	if err == nil {
		c.Close()
		t.Error("a MaxAge below 0 was taken")
	}
	s := newServer(t, packet.V5)
	opened := async(func() error {
		c, err = client.Connect(context.Background(), client.Options{Version: packet.V5, ClientID: "test", Dial: s.dial,
			Outbox: &client.OutboxOptions{Dir: dir, MaxAge: time.Nanosecond}})
		return err
	})
	p, _ := s.accept(&packet.Connack{})
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n := c.Stats(); n.TooOld != 1 || n.OutboxMessages != 0 {
		t.Errorf("%d too old, %d on disk", n.TooOld, n.OutboxMessages)
	}
	done := async(func() error { return c.Publish(context.Background(), client.Message{Topic: "new", QoS: 1}) })
	m := expect[*packet.Publish](p)
	if string(m.Topic) != "new" {
		t.Errorf("got %v, want what is new", m)
	}
	p.send(&packet.Puback{ID: m.ID})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAFailingDiskIsTold(t *testing.T) {
	full := errors.New("no space left on device")
	for _, connected := range []bool{true, false} {
		t.Run(fmt.Sprintf("connected %v", connected), func(t *testing.T) {
			var broken atomic.Bool
			b := clienttest.NewBroker(t)
			box := client.OutboxOptions{Dir: t.TempDir()}
			box.FailWith(func() error {
				if broken.Load() {
					return full
				}
				return nil
			})
			if !connected {
				b.Stop()
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := start(t, client.Options{ClientID: "c", Dial: b.Dial, Outbox: &box, Reconnect: client.ReconnectOptions{Min: time.Millisecond, Max: time.Millisecond}})
			defer c.Close()
			before, err := c.PublishAsync(ctx, client.Message{Topic: "before", QoS: 1})
			if err != nil {
				t.Fatal(err)
			}
			broken.Store(true)
			for range 3 {
				if _, err := c.PublishAsync(ctx, client.Message{Topic: "after", QoS: 1}); !errors.Is(err, full) {
					t.Errorf("PublishAsync: %v, want the disk's error", err)
				}
				if err := c.Publish(ctx, client.Message{Topic: "after", QoS: 2}); !errors.Is(err, full) {
					t.Errorf("Publish: %v, want the disk's error", err)
				}
			}
			b.Restart()
			if err := before.Wait(ctx); err != nil {
				t.Errorf("the message that was durable before: %v", err)
			}
			if err := c.AwaitConnection(ctx); err != nil {
				t.Fatal(err)
			}
			if err := c.Publish(ctx, client.Message{Topic: "QoS 0"}); err != nil {
				t.Errorf("QoS 0 needs no disk: %v", err)
			}
			if s := c.Stats(); !connected && s.Queued != 0 {
				t.Errorf("%d messages are still queued", s.Queued)
			}
		})
	}
}
