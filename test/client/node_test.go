// Package client tests the client against the whole broker.
package client

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/server"
)

// patience bounds every wait; a passing test never waits for it.
const patience = 20 * time.Second

// start runs a broker until the test ends and returns its URL.
func start(t *testing.T, configure func(*config.Config)) string {
	t.Helper()
	cfg := config.Default()
	cfg.InMemory, cfg.Admin, cfg.Shards = true, "", 2
	cfg.Listen = []config.Listener{{URL: "tcp://127.0.0.1:0"}}
	configure(&cfg)
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
		return "mqtt://" + sum.Listeners[0].Transport.Address
	case err := <-done:
		done <- err
		t.Fatalf("Run: %v", err)
	case <-time.After(patience):
		t.Fatal("the broker does not start")
	}
	return ""
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
