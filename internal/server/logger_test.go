package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/server"
)

func TestLogIsForProgramsUnlessOnATerminal(t *testing.T) {
	for format, isJSON := range map[string]bool{"auto": true, "json": true, "text": false} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			level := new(slog.LevelVar)
			log := server.NewLogger(&out, format, level)
			log.Debug("too quiet")
			log.Info("hello", "client_id", "c1")
			level.Set(slog.LevelDebug)
			log.Debug("now heard")
			first, rest, _ := strings.Cut(out.String(), "\n")
			var e struct {
				Msg      string
				ClientID string `json:"client_id"`
			}
			if err := json.Unmarshal([]byte(first), &e); (err == nil) != isJSON {
				t.Errorf("the line %q is JSON: %v; want %v", first, err == nil, isJSON)
			}
			if !strings.Contains(first, "hello") || !strings.Contains(first, "c1") || strings.Contains(first, "\x1b") {
				t.Errorf("the line is %q", first)
			}
			if !strings.Contains(rest, "now heard") {
				t.Errorf("a lower level does not count at once: %q", rest)
			}
		})
	}
}

// Lines about a connection say whose it is, refused before it has a name or not.
func TestLogNamesThePeer(t *testing.T) {
	cfg := loopback()
	cfg.LogLevel = slog.LevelDebug
	n := start(t, cfg)
	nc, err := net.Dial("tcp", n.Listeners[0].Transport.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = nc.Write([]byte("\x10\x05bad!!"))
	if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("got %v, want the end", err)
	}
	for _, msg := range []string{"client error", "connection refused"} {
		lines := n.log.entries(t, msg)
		if len(lines) != 1 || lines[0]["remote"] != nc.LocalAddr().String() {
			t.Errorf("%s: %v, want remote %v", msg, lines, nc.LocalAddr())
		}
	}
}
