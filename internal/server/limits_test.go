package server

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/config"
)

// In the package, because a test cannot choose the limits of its process.
func TestConnectionsFollowTheFileDescriptors(t *testing.T) {
	for name, tt := range map[string]struct{ want, files, limit int }{
		"chosen":            {500, 1024, 500},
		"chosen, no limit":  {500, 0, 500},
		"derived":           {0, 1024, 944},
		"no limit":          {0, 0, 0},
		"hardly any":        {0, 40, 1},
		"more than we take": {0, 1<<31 - 1, 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			if got := connectionLimit(tt.want, tt.files); got != tt.limit {
				t.Errorf("%d connections; want %d", got, tt.limit)
			}
		})
	}
}

func TestMoreConnectionsThanFileDescriptorsIsWarnedAbout(t *testing.T) {
	for _, tt := range []struct {
		want, files int
		warned      bool
	}{{1000, 1024, true}, {944, 1024, false}, {1000, 0, false}, {0, 1024, false}} {
		cfg := config.Default()
		cfg.InMemory = true
		cfg.Limits.MaxConnections = tt.want
		var out strings.Builder
		s, err := New(cfg, slog.New(slog.NewTextHandler(&out, nil)), "")
		if err != nil {
			t.Fatal(err)
		}
		o := s.brokerOptions(tt.files)
		if warned := strings.Contains(out.String(), "max_connections"); warned != tt.warned {
			t.Errorf("%d connections with %d files: warned is %v; want %v", tt.want, tt.files, warned, tt.warned)
		}
		if o.Shards != min(cpus, 64) || o.SysInterval != cfg.SysInterval {
			t.Errorf("%d shards and $SYS each %v", o.Shards, o.SysInterval)
		}
	}
}

// Defaults of the configuration are those that the broker documents; what differs is a
// decision that one of the two has missed.
func TestDefaultsAreTheBrokers(t *testing.T) {
	cfg := config.Default()
	cfg.InMemory = true
	s, err := New(cfg, slog.New(slog.DiscardHandler), "")
	if err != nil {
		t.Fatal(err)
	}
	got := s.brokerOptions(0).Limits
	want := broker.Limits{
		MaxPacketSize: 1 << 20, MaxTopicLevels: 128, MaxTopicLength: 65_535, MaxClientIDLength: 1024, MaxSubscriptions: 10_000,
		MaxInflight: 256, ReceiveMaximum: 1024, TopicAliasMaximum: 32, MaxQueuedMessages: 1_000_000,
		MaxQueuedBytes: 256 << 20, MaxQueuedMessagesTotal: 100_000_000, MaxQueuedBytesTotal: 16 << 30, MaxRetainedMessages: 1_000_000, OutboundBuffer: 1 << 20,
		MaxConnectRate: 10_000, MaxTakeoverRate: 60, MaxSessions: 1_000_000, MaxSubscriptionLevels: 100_000,
		MaxSubscriptionLevelsTotal: 50_000_000, MaxSubscriptionIDs: 1000, MaxUserProperties: 1000, MaxRetainedBytes: 4 << 30,
		PacketTimeout: 10 * time.Minute, HandshakeTimeout: cfg.Limits.HandshakeTimeout, MaxQoS: 2,
	}
	if got != want {
		t.Errorf("limits are %+v; want %+v", got, want)
	}
}

// In the package, because a test cannot break the disk of a server.
func TestReadinessSaysWhatIsMissing(t *testing.T) {
	full := errors.New("no space left on device")
	for name, tt := range map[string]struct {
		phase  int32
		failed error
		status int
		text   string
	}{
		"starting": {phaseStarting, nil, http.StatusServiceUnavailable, "starting: waiting for the listeners to open"},
		"ready":    {phaseReady, nil, http.StatusOK, "ok"},
		"failed":   {phaseReady, full, http.StatusServiceUnavailable, "the journal has failed: no space left on device"},
		"stopping": {phaseStopping, full, http.StatusServiceUnavailable, "shutting down: waiting for clients to take what was written to them"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, text := readiness(tt.phase, tt.failed); status != tt.status || text != tt.text {
				t.Errorf("%d %q; want %d %q", status, text, tt.status, tt.text)
			}
		})
	}
}

func TestReadinessBeforeTheListenersAreOpen(t *testing.T) {
	cfg := config.Default()
	cfg.InMemory, cfg.Admin = true, "127.0.0.1:0"
	cfg.Listen = []config.Listener{{URL: "tcp://127.0.0.1:0"}}
	s, err := New(cfg, slog.New(slog.DiscardHandler), "")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.readyz(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.HasPrefix(w.Body.String(), "starting: waiting for ") {
		t.Errorf("%d %q; want 503 and what it waits for", w.Code, w.Body)
	}
}
