// Package client tests the client against the whole broker.
package client

import (
	"testing"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/nodetest"
)

const patience = nodetest.Patience

// start runs a broker until the test ends and returns its URL.
func start(t *testing.T, configure func(*config.Config)) string {
	t.Helper()
	cfg := nodetest.Config("tcp://127.0.0.1:0")
	configure(&cfg)
	return "mqtt://" + nodetest.Run(t, cfg)[0]
}
