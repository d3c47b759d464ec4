package client_test

import (
	"context"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
)

// use takes a client through a short life and returns a pointer that does not keep it.
func use(t *testing.T, b *clienttest.Broker, live func(context.Context, *client.Client)) weak.Pointer[client.Client] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := start(t, client.Options{Dial: b.Dial, ClientID: "c", SessionExpiry: -1, Outbox: &client.OutboxOptions{Dir: t.TempDir()},
		Reconnect: client.ReconnectOptions{Min: time.Millisecond, Max: time.Millisecond}})
	live(ctx, c)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return weak.Make(c)
}

func TestNoMemoryIsLeftAfterClose(t *testing.T) {
	message := client.Message{Topic: "a", Payload: make([]byte, 100), QoS: 1}
	for name, live := range map[string]func(context.Context, *client.Client){
		"at once": func(context.Context, *client.Client) {},
		"connected": func(ctx context.Context, c *client.Client) {
			if err := c.AwaitConnection(ctx); err != nil {
				t.Error(err)
			}
		},
		"after messages both ways": func(ctx context.Context, c *client.Client) {
			got := make(chan struct{})
			err := c.SubscribeFunc(ctx, client.Subscription{Filter: "a", QoS: 2}, func(*client.Client, *client.Message) { close(got) })
			if err != nil {
				t.Error(err)
			}
			if err := c.Publish(ctx, message); err != nil {
				t.Error(err)
			}
			<-got
			if _, err := c.Request(ctx, "nobody", nil); err == nil {
				t.Error("nobody answered")
			}
		},
		"with calls given up": func(ctx context.Context, c *client.Client) {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_ = c.Publish(ended, message)
			_, _ = c.Subscribe(ended, client.Subscription{Filter: "b"})
			_, _ = c.PublishAsync(ctx, message)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := clienttest.NewBroker(t)
			left := use(t, b, live)
			for range 100 { // a goroutine may have to end that has done its work
				runtime.GC()
				if left.Value() == nil {
					return
				}
				runtime.Gosched()
			}
			t.Error("something still holds the client")
		})
	}
}
