package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
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
