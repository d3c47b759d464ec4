// Package nodetest starts brokers for tests: one as a value, or a whole node as its
// configuration says. They end with the test.
package nodetest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/server"
)

// Patience bounds every wait; a passing test never waits for it.
const Patience = 20 * time.Second

// Broker starts a broker without listeners.
func Broker(t testing.TB, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Errorf("shut the broker down: %v", err)
		}
	})
	return b
}

// Listen opens an address of b and returns it as the listener has it.
func Listen(t testing.TB, b *broker.Broker, o broker.ListenOptions) string {
	t.Helper()
	l, err := b.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	return l.URL
}

// Config is that of a small node: in memory, two shards, no admin address, and listeners
// on urls.
func Config(urls ...string) config.Config {
	cfg := config.Default()
	cfg.InMemory, cfg.Admin, cfg.Shards = true, "", 2
	cfg.Listen = nil
	for _, url := range urls {
		cfg.Listen = append(cfg.Listen, config.Listener{URL: url})
	}
	return cfg
}

// Run runs a node and returns the addresses of its listeners, as host:port.
func Run(t testing.TB, cfg config.Config) []string {
	t.Helper()
	s, err := server.New(cfg, server.NewLogger(io.Discard, "json", cfg.LogLevel), "v0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan server.Summary, 1), make(chan error, 1)
	go func() { done <- s.Run(ctx, func(s server.Summary) { ready <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case sum := <-ready:
		var addresses []string
		for _, l := range sum.Listeners {
			addresses = append(addresses, l.Transport.Address)
		}
		return addresses
	case err := <-done:
		done <- err
		t.Fatalf("Run: %v", err)
	case <-time.After(Patience):
		t.Fatal("the broker does not start")
	}
	return nil
}

// Write makes a file with text in a folder that ends with the test, and returns its path.
func Write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
