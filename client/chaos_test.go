package client_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
	"github.com/wirebird/wirebird/packet"
)

// tally is how often each message came.
type tally struct {
	mu   sync.Mutex
	came map[string]int
}

func (l *tally) add(m *client.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came[fmt.Sprintf("%d %s", m.QoS, m.Payload)]++
}

func (l *tally) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.came)
}

// TestManyCallersThroughManyFailures lets goroutines publish, subscribe and request
// while the server is cut off, hangs, and stops, as a seed says.
func TestManyCallersThroughManyFailures(t *testing.T) {
	for seed := range uint64(20) {
		for _, policy := range []client.Overflow{client.DropNewest, client.Block} {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed, policy) })
		}
	}
}

func chaos(t *testing.T, seed uint64, policy client.Overflow) {
	const callers, each = 8, 12
	random := rand.New(rand.NewPCG(seed, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
	defer cancel()
	b := clienttest.NewBroker(t)
	got := &tally{came: map[string]int{}}
	all := make(chan struct{}, 1)
	c := start(t, client.Options{Version: packet.V5, ClientID: "c", SessionExpiry: -1, KeepAlive: 20 * time.Second, ReceiveMax: 7,
		MaxQueued: 20, QueueSize: 3, Dial: b.Dialer(func(n int) clienttest.Faults {
			return clienttest.Faults{Pieces: 1 + 7*n%40, DelaySent: 3 * time.Millisecond, DelayReceived: 5 * time.Millisecond}
		}),
		Handlers: []client.Handler{
			{Filter: "t/#", Overflow: policy, Func: func(c *client.Client, m *client.Message) {
				if err := c.Publish(m.Context(), client.Message{Topic: "echo", Payload: m.Payload, QoS: m.QoS}); err != nil {
					t.Errorf("seed %d: echo: %v", seed, err)
				}
			}},
			{Filter: "echo", Overflow: policy, Func: func(_ *client.Client, m *client.Message) {
				got.add(m)
				select {
				case all <- struct{}{}:
				default:
				}
			}},
			{Filter: "answer", Func: func(c *client.Client, m *client.Message) {
				if err := c.Respond(m.Context(), m, m.Payload); err != nil {
					t.Errorf("seed %d: respond: %v", seed, err)
				}
			}},
		}})
	if _, err := c.Subscribe(ctx, client.Subscription{Filter: "t/#", QoS: 2}, client.Subscription{Filter: "echo", QoS: 2}, client.Subscription{Filter: "answer", QoS: 2}); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	var work sync.WaitGroup
	for i := range callers {
		work.Go(func() {
			for n := range each {
				m := client.Message{Topic: fmt.Sprint("t/", i), Payload: fmt.Appendf(nil, "%d-%d", i, n), QoS: byte(1 + n%2)}
				if err := c.Publish(ctx, m); err != nil {
					t.Errorf("seed %d: publish: %v", seed, err)
				}
			}
		})
	}
	work.Go(func() {
		for range each {
			if _, err := c.Subscribe(ctx, client.Subscription{Filter: "other", QoS: 1}); err != nil {
				t.Errorf("seed %d: subscribe: %v", seed, err)
			}
			if _, err := c.Unsubscribe(ctx, "other"); err != nil {
				t.Errorf("seed %d: unsubscribe: %v", seed, err)
			}
			if r, err := c.Request(ctx, "answer", []byte("?")); err != nil || string(r.Payload) != "?" {
				t.Errorf("seed %d: request: %v", seed, err)
			}
		}
	})
	for range 20 {
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
		switch random.IntN(4) {
		case 0:
			b.Cut()
		case 1:
			b.Hold()
			<-time.After(time.Duration(random.IntN(100)) * time.Second)
			b.Release()
		case 2:
			b.Stop()
			<-time.After(time.Duration(random.IntN(100)) * time.Second)
			b.Restart()
		case 3:
			synctest.Wait()
			b.Cut()
		}
	}
	work.Wait()
	for got.len() < callers*each {
		select {
		case <-all:
		case <-ctx.Done():
			t.Fatalf("seed %d: %d of %d messages came", seed, got.len(), callers*each)
		}
	}
	if err := c.Drain(ctx); err != nil {
		t.Errorf("seed %d: drain: %v", seed, err)
	}
	for m, n := range got.came {
		if n > 1 && m[0] == '2' {
			t.Errorf("seed %d: %s came %d times", seed, m, n)
		}
	}
}
