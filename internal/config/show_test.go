package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/config"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("differs from %s:\n%s", path, got)
	}
}

func show(t testing.TB, c config.Config, o config.Origins) string {
	t.Helper()
	var b bytes.Buffer
	if err := config.Show(&b, c, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestShowTellsWhereEachValueComesFrom(t *testing.T) {
	yes := true
	c, o, err := config.Load(config.Sources{
		File: filepath.Join("testdata", "show.yaml"),
		Env:  []string{"WIREBIRD_DATA=/data", "WIREBIRD_LIMITS_MAX_QUEUED_BYTES=1025"},
		Flags: []config.KeyValue{
			{Key: "listen", Value: "tcp://[::1]:1883", From: "--listen"},
			{Key: "limits.max_inflight", Value: "7"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Listen = append(c.Listen, config.Listener{URL: "ws://localhost", AllowAnonymous: &yes, Origins: []string{"*.example.com"}})
	golden(t, "show.txt", strings.ReplaceAll(show(t, c, o), "testdata\\", "testdata/"))
}

func TestShowIsReadBack(t *testing.T) {
	no := false
	for name, change := range map[string]func(c *config.Config){
		"defaults":   func(c *config.Config) {},
		"everything": func(c *config.Config) { *c = everythingConfig() },
		"in memory":  func(c *config.Config) { c.Data, c.InMemory = "", true },
		"odd texts": func(c *config.Config) {
			c.Data, c.PasswordFile, c.ScramFile = "C:\\data: 'x' # y", "null", "~"
			c.TLSCert, c.TLSKey, c.ResponseInformation = "0x10", "- a", "%ä\\n\"{}[]"
			c.Admin = ":18083"
			c.Listen = []config.Listener{
				{URL: "ws://[::1]:1/a b", AllowAnonymous: &no, Origins: []string{"*", "{a: b}", "null"}},
				{URL: "unix:///a,b"},
			}
		},
		"wide numbers": func(c *config.Config) {
			c.Limits.MaxQueuedBytes, c.Limits.MaxSessionExpiry = 1025, 0
			c.Limits.MaxQueuedMessages = 1_000_000_000
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := valid()
			change(&want)
			text := show(t, want, nil)
			got, _, err := config.Load(config.Sources{File: writeFile(t, text)})
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s\nis read as %+v, %v\nwant %+v", text, got, err, want)
			}
			if again := show(t, got, nil); again != text {
				t.Errorf("shown again as\n%s\nafter\n%s", again, text)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	path := writeFile(b, everything)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := config.Load(config.Sources{File: path, Env: []string{"WIREBIRD_DATA=/data"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleLoad() {
	c, origins, err := config.Load(config.Sources{
		File:  os.DevNull,
		Env:   []string{"WIREBIRD_LIMITS_MAX_QOS=1"},
		Flags: []config.KeyValue{{Key: "in_memory", Value: "true", From: "--in-memory"}},
	})
	fmt.Println(c.Limits.MaxQoS, origins["limits.max_qos"])
	fmt.Println(c.InMemory, origins["in_memory"])
	fmt.Println(c.Shards, origins["shards"])
	fmt.Println(err)
	// Output:
	// 1 WIREBIRD_LIMITS_MAX_QOS
	// true --in-memory
	// 0 default
	// <nil>
}

func TestShowJSONHasEachSettingOnce(t *testing.T) {
	c, o, err := config.Load(config.Sources{
		Env:   []string{"WIREBIRD_DATA=/data"},
		Flags: []config.KeyValue{{Key: "listen", Value: "tcp://127.0.0.1:1"}, {Key: "allow_anonymous", Value: "false", From: "--set"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := config.ShowJSON(&b, c, o); err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Value any
		From  string
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, &b)
	}
	for _, k := range config.Reference() {
		if s, ok := got[k.Name]; !ok || s.From == "" {
			t.Errorf("%s: %+v", k.Name, s)
		}
	}
	if v := got["allow_anonymous"]; v.Value != false || v.From == "default" {
		t.Errorf("allow_anonymous: %+v", v)
	}
	want := []any{map[string]any{"url": "tcp://127.0.0.1:1", "allow_anonymous": true}} // nobody else reaches it
	if v := got["listen"].Value; !reflect.DeepEqual(v, want) {
		t.Errorf("listen: %v", v)
	}
}
