// Package examples builds the programs of examples and runs them against a broker.
package examples

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/nodetest"
)

const patience = time.Minute

func TestExamples(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bin := t.TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "./examples/...")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program := func(name string, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	}
	three := "messages: 1\nmessages: 2\nmessages: 3\n"

	t.Run("publisher", func(t *testing.T) {
		url := serve(t)
		arrived := listen(t, ctx, url)
		run(t, program("publisher", "-server", url, "-n", "3", "-interval", "1ms"),
			"sent messages: 1\nsent messages: 2\nsent messages: 3\n")
		if got := take(t, ctx, arrived, 3); got != three {
			t.Errorf("arrived %q, want %q", got, three)
		}
	})
	t.Run("subscriber", func(t *testing.T) { subscriber(t, ctx, program) })
	t.Run("request", func(t *testing.T) {
		run(t, program("request", "-server", serve(t)), "HELLO\n")
	})
	t.Run("tls", func(t *testing.T) { testTLS(ctx, t, program) })
	t.Run("outbox", func(t *testing.T) {
		url := serve(t)
		arrived := listen(t, ctx, url)
		run(t, program("outbox", "-server", url, "-dir", t.TempDir()), "3 messages stored\n3 messages sent\n")
		if got := take(t, ctx, arrived, 3); got != three {
			t.Errorf("arrived %q, want %q", got, three)
		}
	})
}

// The retained message tells that the subscription is there.
func subscriber(t *testing.T, ctx context.Context, program func(string, ...string) *exec.Cmd) {
	url := serve(t)
	o := client.Options{URL: url}
	err := client.PublishOnce(ctx, o, client.Message{Topic: "python/kept", Payload: []byte("a"), QoS: 1, Retain: true})
	if err != nil {
		t.Fatal(err)
	}
	cmd := program("subscriber", "-server", url, "-n", "2")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "python/kept a" {
		t.Errorf("first line %q, want the retained message", lines.Text())
	}
	if err := client.PublishOnce(ctx, o, client.Message{Topic: "python/mqtt", Payload: []byte("b"), QoS: 1}); err != nil {
		t.Error(err)
	}
	if !lines.Scan() || lines.Text() != "python/mqtt b" {
		t.Errorf("second line %q, want the live message", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func run(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if out, err := cmd.Output(); err != nil || string(out) != want {
		t.Fatalf("printed %q, %v, want %q\n%s", out, err, want, &complaints)
	}
}

// serve returns the URL of a broker that ends with the test.
func serve(t *testing.T) string {
	t.Helper()
	return nodetest.Listen(t, nodetest.Broker(t, broker.Options{Shards: 2}), broker.ListenOptions{URL: "tcp://127.0.0.1:0"})
}

func listen(t *testing.T, ctx context.Context, url string) <-chan string {
	t.Helper()
	c, err := client.Connect(ctx, client.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	arrived := make(chan string, 100)
	err = c.SubscribeFunc(ctx, client.Subscription{Filter: "python/mqtt", QoS: 1}, func(_ *client.Client, m *client.Message) {
		arrived <- string(m.Payload)
	})
	if err != nil {
		t.Fatal(err)
	}
	return arrived
}

func take(t *testing.T, ctx context.Context, arrived <-chan string, n int) string {
	t.Helper()
	var all strings.Builder
	for range n {
		select {
		case s := <-arrived:
			fmt.Fprintln(&all, s)
		case <-ctx.Done():
			t.Fatalf("after %q: %v", all.String(), ctx.Err())
		}
	}
	return all.String()
}
