package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
	"github.com/wirebird/wirebird/packet"
)

// TestEveryCallThatWaitsEndsWithItsContext makes each call while the server hangs.
func TestEveryCallThatWaitsEndsWithItsContext(t *testing.T) {
	m := client.Message{Topic: "a", QoS: 1}
	sub := client.Subscription{Filter: "a"}
	for name, call := range map[string]func(context.Context, *client.Client, client.Options) error{
		"Publish, QoS 1": func(ctx context.Context, c *client.Client, _ client.Options) error { return c.Publish(ctx, m) },
		"Publish, QoS 2": func(ctx context.Context, c *client.Client, _ client.Options) error {
			return c.Publish(ctx, client.Message{Topic: "a", QoS: 2})
		},
		"PublishAsync, with no room": func(ctx context.Context, c *client.Client, _ client.Options) error {
			for range 2 {
				if _, err := c.PublishAsync(t.Context(), m); err != nil {
					return err
				}
			}
			_, err := c.PublishAsync(ctx, m)
			return err
		},
		"Token.Wait": func(ctx context.Context, c *client.Client, _ client.Options) error {
			tok, err := c.PublishAsync(t.Context(), m)
			if err != nil {
				return err
			}
			return tok.Wait(ctx)
		},
		"Subscribe": func(ctx context.Context, c *client.Client, _ client.Options) error {
			_, err := c.Subscribe(ctx, sub)
			return err
		},
		"SubscribeFunc": func(ctx context.Context, c *client.Client, _ client.Options) error {
			return c.SubscribeFunc(ctx, sub, func(*client.Client, *client.Message) {})
		},
		"Unsubscribe": func(ctx context.Context, c *client.Client, _ client.Options) error {
			_, err := c.Unsubscribe(ctx, "a")
			return err
		},
		"Request": func(ctx context.Context, c *client.Client, _ client.Options) error {
			_, err := c.Request(ctx, "a", nil)
			return err
		},
		"Drain": func(ctx context.Context, c *client.Client, _ client.Options) error {
			if _, err := c.PublishAsync(t.Context(), m); err != nil {
				return err
			}
			return c.Drain(ctx)
		},
		"Connect": func(ctx context.Context, _ *client.Client, o client.Options) error {
			_, err := client.Connect(ctx, o)
			return err
		},
		"AwaitConnection": func(ctx context.Context, _ *client.Client, o client.Options) error {
			c, err := client.Start(o)
			if err != nil {
				return err
			}
			defer c.Close()
			return c.AwaitConnection(ctx)
		},
		"PublishOnce": func(ctx context.Context, _ *client.Client, o client.Options) error {
			return client.PublishOnce(ctx, o, m)
		},
		"ReceiveN": func(ctx context.Context, _ *client.Client, o client.Options) error {
			_, err := client.ReceiveN(ctx, o, 1, sub)
			return err
		},
		"Listen": func(ctx context.Context, _ *client.Client, o client.Options) error {
			return client.Listen(ctx, o, func(*client.Client, *client.Message) {}, sub)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := clienttest.NewBroker(t)
				o := client.Options{Dial: b.Dial, MaxQueued: 2, ConnectTimeout: time.Hour, Version: packet.V5}
				c, err := client.Connect(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				b.Hold()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				begun := time.Now()
				err = call(ctx, c, o)
				if d := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || d < 3*time.Second || d > 10*time.Second {
					t.Errorf("%v after %v, want the context's error after 3 s", err, d)
				}
				b.Release()
				c.Close()
			})
		})
	}
}

// What a context gave up on is still sent, or is not, as the documentation says.
func TestAWithdrawnMessageIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{MaxInflight: 1}, &packet.Connack{})
		first := async(func() error { return c.Publish(t.Context(), client.Message{Topic: "first", QoS: 1}) })
		m := expect[*packet.Publish](p)
		ctx, cancel := context.WithCancel(t.Context())
		second := async(func() error { return c.Publish(ctx, client.Message{Topic: "second", QoS: 1}) })
		synctest.Wait()
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		p.send(&packet.Puback{ID: m.ID})
		if err := <-first; err != nil {
			t.Error(err)
		}
		p.quiet()
		if s := c.Stats(); s.Queued != 0 {
			t.Errorf("%d messages are queued", s.Queued)
		}
	})
}
