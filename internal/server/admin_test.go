package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/client"
)

func startAdmin(t *testing.T) *node {
	t.Helper()
	cfg := loopback()
	cfg.Admin = "127.0.0.1:0"
	return start(t, cfg)
}

func TestAdminAnswers(t *testing.T) {
	n := startAdmin(t)
	for path, tt := range map[string]struct {
		status int
		body   string
	}{
		"/":                              {200, "/metrics"},
		"/healthz":                       {200, "ok\n"},
		"/readyz":                        {200, "ok\n"},
		"/metrics":                       {200, "wirebird_build_info{go="},
		"/debug/pprof/":                  {200, "goroutine"},
		"/debug/pprof/goroutine?debug=1": {200, "goroutine profile"},
		"/debug/pprof/cmdline":           {200, ""},
		"/debug/pprof/symbol":            {200, "num_symbols"},
		"/debug/pprof/nothing":           {404, ""},
		"/nothing":                       {404, ""},
	} {
		t.Run(path, func(t *testing.T) {
			status, body := n.get(path)
			if status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("%d %.200q; want %d and %q", status, body, tt.status, tt.body)
			}
		})
	}
	resp, err := http.Post(n.Admin+"/readyz", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d; want %d", resp.StatusCode, http.StatusMethodNotAllowed)
	}
}

func TestMetricsShowAPublishedMessage(t *testing.T) {
	n := startAdmin(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := make(chan string, 1)
	c, err := client.Connect(ctx, client.Options{URL: n.Listeners[0].URL,
		OnMessage: func(_ *client.Client, m *client.Message) { got <- string(m.Payload) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Subscribe(ctx, client.Subscription{Filter: "a/#", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(ctx, client.Message{Topic: "a/b", Payload: []byte("hello"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m != "hello" {
		t.Fatalf("%q comes", m)
	}
	eventually(t, "the message is acknowledged", func() bool {
		_, body := n.get("/metrics")
		return strings.Contains(body, "\nwirebird_messages_delivered_total 1\n")
	})
	_, body := n.get("/metrics")
	for _, want := range []string{
		`wirebird_messages_received_total{qos="1"} 1`,
		`wirebird_messages_sent_total{qos="1"} 1`,
		`wirebird_packets_received_total{type="SUBSCRIBE"} 1`,
		`wirebird_payload_received_bytes_total 5`,
		`wirebird_messages_unbalanced 0`,
		`wirebird_messages_dropped_total{reason="queue_full"} 0`,
		`wirebird_sessions_online 1`,
		`wirebird_subscriptions 1`,
		`version="v0.0.1"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestAdminForAllIsWarnedAbout(t *testing.T) {
	cfg := loopback()
	cfg.Admin = "0.0.0.0:0"
	n := start(t, cfg)
	warned := n.log.entries(t, "other machines can reach the admin address, which asks nobody for a password")
	if len(warned) != 1 || warned[0]["level"] != "WARN" {
		t.Errorf("warnings: %v", warned)
	}
}

func TestAdminCanBeOff(t *testing.T) {
	n := start(t, loopback())
	if n.Admin != "" || n.log.entries(t, "ready")[0]["admin"] != "off" {
		t.Errorf("admin is %q, in the log %v", n.Admin, n.log.entries(t, "ready")[0]["admin"])
	}
}
