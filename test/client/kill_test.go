package client

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/config"
)

// The test program itself is the process that is killed: with these in its environment
// it publishes until then, or sends what its outbox has and ends.
const (
	envURL   = "WIREBIRD_TEST_URL"
	envDir   = "WIREBIRD_TEST_OUTBOX"
	envFirst = "WIREBIRD_TEST_FIRST" // number of its first message; empty is to send only
)

func TestMain(m *testing.M) {
	if url := os.Getenv(envURL); url != "" {
		if err := publisher(url, os.Getenv(envDir), os.Getenv(envFirst)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// publisher prints the number of each message that the outbox has taken.
func publisher(url, dir, first string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Start(client.Options{URL: url, ClientID: "publisher", SessionExpiry: time.Hour, Outbox: &client.OutboxOptions{Dir: dir}})
	if err != nil {
		return err
	}
	defer c.Close()
	if first == "" {
		return c.Drain(ctx)
	}
	n, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	for ; ctx.Err() == nil; n++ {
		m := client.Message{Topic: "numbers", Payload: strconv.AppendInt(nil, int64(n), 10), QoS: byte(1 + n%2)}
		if _, err := c.PublishAsync(ctx, m); err != nil {
			return err
		}
		fmt.Println(n)
	}
	return ctx.Err()
}

// numbers are the messages that a subscriber got, each at its first arrival.
type numbers struct {
	mu    sync.Mutex
	byQoS [3][]int
	known map[int]bool
	more  chan struct{} // there is a new one
}

func (n *numbers) arrived(_ *client.Client, m *client.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	number, err := strconv.Atoi(string(m.Payload))
	if err == nil && !n.known[number] {
		n.known[number] = true
		n.byQoS[m.QoS] = append(n.byQoS[m.QoS], number)
		select {
		case n.more <- struct{}{}:
		default:
		}
	}
}

// missing lists those below count that did not come, once ctx has ended.
func (n *numbers) missing(ctx context.Context, count int) (out []int) {
	for {
		n.mu.Lock()
		out = nil
		for i := range count {
			if !n.known[i] {
				out = append(out, i)
			}
		}
		n.mu.Unlock()
		if len(out) == 0 {
			return nil
		}
		select {
		case <-n.more:
		case <-ctx.Done():
			return out
		}
	}
}

// TestKilledPublishersLoseNothing kills a publisher again and again, each time after
// another number of messages. Whatever a process had reported must arrive, in order.
func TestKilledPublishersLoseNothing(t *testing.T) {
	url := start(t, func(*config.Config) {})
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	got := &numbers{known: map[int]bool{}, more: make(chan struct{}, 1)}
	c, err := client.Connect(ctx, client.Options{URL: url, OnMessage: got.arrived})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Subscribe(ctx, client.Subscription{Filter: "numbers", QoS: 2}); err != nil {
		t.Fatal(err)
	}
	dir, next := t.TempDir(), 0
	for _, after := range []int{1, 2, 7, 20, 53, 110} {
		cmd := program(ctx, url, dir, strconv.Itoa(next))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); { // on to the last it could say
			if next, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatalf("it says %q", lines.Text())
			}
			next++
			if n++; n == after {
				cmd.Process.Kill()
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
	}
	if out, err := program(ctx, url, dir, "").CombinedOutput(); err != nil {
		t.Fatalf("the last one: %v\n%s", err, out)
	}
	if lost := got.missing(ctx, next); lost != nil {
		t.Errorf("reported, and did not arrive: %v", lost)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for qos, list := range got.byQoS {
		if !slices.IsSorted(list) {
			t.Errorf("QoS %d out of order: %v", qos, list)
		}
	}
	if len(got.byQoS[1]) == 0 || len(got.byQoS[2]) == 0 {
		t.Error("nothing came")
	}
}

func program(ctx context.Context, url, dir, first string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), envURL+"="+url, envDir+"="+dir, envFirst+"="+first)
	return cmd
}
