package hostile

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// neighbours are two well-behaved clients that send each other messages of every QoS, one
// at a time, until stop is called. A message that is lost, comes twice above QoS 1, or out of
// order, or takes longer than patience, fails the test.
func neighbours(t *testing.T, address string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	join := func(id, filter string) (*client.Client, <-chan string) {
		arrived := make(chan string, 16)
		c, err := client.Connect(ctx, client.Options{
			URL: "mqtt://" + address, ClientID: id, Version: packet.V5,
			OnMessage: func(_ *client.Client, m *client.Message) { arrived <- m.Topic + " " + string(m.Payload) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Subscribe(ctx, client.Subscription{Filter: filter, QoS: 2}); err != nil {
			t.Fatal(err)
		}
		return c, arrived
	}
	left, fromRight := join("left", "to/left")
	right, fromLeft := join("right", "to/right")
	total, slowest := 0, time.Duration(0)
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			from, topic, arrived := left, "to/right", fromLeft
			if n/3%2 == 1 {
				from, topic, arrived = right, "to/left", fromRight
			}
			start := time.Now()
			publish, done := context.WithTimeout(context.Background(), patience)
			err := from.Publish(publish, client.Message{Topic: topic, Payload: []byte(strconv.Itoa(n)), QoS: byte(n % 3)})
			done()
			if err != nil {
				t.Errorf("message %d: %v", n, err)
				return
			}
			select {
			case got := <-arrived:
				if want := topic + " " + strconv.Itoa(n); got != want {
					t.Errorf("%s came, want %s", got, want)
					return
				}
			case <-time.After(patience):
				t.Errorf("message %d of QoS %d has not come after %v", n, n%3, patience)
				return
			}
			total, slowest = total+1, max(slowest, time.Since(start))
		}
	})
	return func() {
		cancel()
		wg.Wait()
		for _, c := range []*client.Client{left, right} {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			if err := c.Disconnect(ctx, packet.Success); err != nil {
				t.Error(err)
			}
			_ = c.Close()
			cancel()
		}
		if total < 3 {
			t.Errorf("the neighbours sent %d messages", total)
		}
		t.Logf("the neighbours sent %d messages, the slowest took %v", total, slowest)
	}
}
