package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/config"
)

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wirebird.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads text as the file, with data set so that the machine's home does
// not matter.
func load(t testing.TB, text string, env []string, flags ...config.KeyValue) (config.Config, config.Origins, error) {
	t.Helper()
	env = append([]string{"WIREBIRD_DATA=/data"}, env...)
	return config.Load(config.Sources{File: writeFile(t, text), Env: env, Flags: flags})
}

const everything = `# all of it
listen:
  - tcp://127.0.0.1:1884   # a comment
  - url: ws://localhost/mqtt
    allow_anonymous: true
    origins: ['*.example.com', example.org]
admin: off
in_memory: false
durability: os
allow_anonymous: true
password_file: users
scram_file: "scram users"
tls_cert: cert.pem
tls_key: /etc/key.pem
shards: 3
log_level: debug
log_format: json
sys_interval: 0
shutdown_timeout: 1m
response_information: replies/
limits:
  max_packet_size: 2MiB
  max_topic_levels: 16
  max_topic_length: 106
  max_client_id_length: 64
  max_connections: 100
  max_connect_rate: 101
  max_takeover_rate: 102
  max_sessions: 103
  max_subscriptions: 10
  max_subscription_levels: 104
  max_subscription_levels_total: 105
  max_subscription_ids: 106
  max_user_properties: 107
  max_inflight: 20
  receive_maximum: 30
  topic_alias_maximum: 0
  max_queued_messages: 40
  max_queued_bytes: 64KiB
  max_queued_messages_total: 400
  max_queued_bytes_total: 640KiB
  max_queue_age: 2h
  queue_policy: drop_oldest
  max_retained_messages: 50
  max_retained_bytes: 9KiB
  outbound_buffer: 8192
  handshake_timeout: 1500ms
  packet_timeout: 2500ms
  max_keep_alive: 90s
  max_session_expiry: 7d
  max_qos: 1
`

func everythingConfig() config.Config {
	yes := true
	return config.Config{
		Listen: []config.Listener{
			{URL: "tcp://127.0.0.1:1884"},
			{URL: "ws://localhost/mqtt", AllowAnonymous: &yes, Origins: []string{"*.example.com", "example.org"}},
		},
		Data:                "/data",
		AllowAnonymous:      true,
		PasswordFile:        "users",
		ScramFile:           "scram users",
		TLSCert:             "cert.pem",
		TLSKey:              "/etc/key.pem",
		Shards:              3,
		LogLevel:            slog.LevelDebug,
		LogFormat:           "json",
		Durability:          "os",
		ShutdownTimeout:     time.Minute,
		ResponseInformation: "replies/",
		Limits: config.Limits{
			MaxPacketSize:              2 * config.MiB,
			MaxTopicLevels:             16,
			MaxTopicLength:             106,
			MaxClientIDLength:          64,
			MaxConnections:             100,
			MaxConnectRate:             101,
			MaxTakeoverRate:            102,
			MaxSessions:                103,
			MaxSubscriptions:           10,
			MaxSubscriptionLevels:      104,
			MaxSubscriptionLevelsTotal: 105,
			MaxSubscriptionIDs:         106,
			MaxUserProperties:          107,
			MaxInflight:                20,
			ReceiveMaximum:             30,
			MaxQueuedMessages:          40,
			MaxQueuedBytes:             64 * config.KiB,
			MaxQueuedMessagesTotal:     400,
			MaxQueuedBytesTotal:        640 * config.KiB,
			MaxQueueAge:                2 * time.Hour,
			QueuePolicy:                "drop_oldest",
			MaxRetainedMessages:        50,
			MaxRetainedBytes:           9 * config.KiB,
			OutboundBuffer:             8 * config.KiB,
			HandshakeTimeout:           1500 * time.Millisecond,
			PacketTimeout:              2500 * time.Millisecond,
			MaxKeepAlive:               90 * time.Second,
			MaxSessionExpiry:           7 * 24 * time.Hour,
			MaxQoS:                     1,
		},
	}
}

func TestEverySettingIsReadFromTheFile(t *testing.T) {
	for name, text := range map[string]string{
		"LF":              everything,
		"CRLF":            strings.ReplaceAll(everything, "\n", "\r\n"),
		"byte order mark": "\ufeff" + everything,
		"document marks":  "---\n" + everything + "...\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, origins, err := load(t, text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := everythingConfig(); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			line := 51
			if name == "document marks" {
				line++
			}
			if from := origins["limits.max_qos"]; !strings.HasSuffix(from, fmt.Sprintf("wirebird.yaml:%d", line)) {
				t.Errorf("limits.max_qos is from %s; want line %d", from, line)
			}
		})
	}
}

func TestEverySettingIsReadFromTheEnvironmentAndFlags(t *testing.T) {
	want := everythingConfig()
	want.Listen = []config.Listener{{URL: "tcp://127.0.0.1:1884"}, {URL: "unix:///run/w.sock"}}
	value := regexp.MustCompile(`(?m)^ *([a-z_]+): "?([^"\n]+?)"?$`)
	values := map[string]string{"listen": "tcp://127.0.0.1:1884, unix:///run/w.sock,"}
	for _, m := range value.FindAllStringSubmatch(everything, -1) {
		values[m[1]] = m[2]
	}
	values["data"] = "/data"
	var env []string
	var flags []config.KeyValue
	for _, k := range config.Reference() {
		v, ok := values[strings.TrimPrefix(k.Name, "limits.")]
		if !ok {
			t.Fatalf("the test has no value for %s", k.Name)
		}
		env = append(env, k.Env+"="+v)
		flags = append(flags, config.KeyValue{Key: k.Name, Value: v})
	}
	for name, o := range map[string]config.Sources{
		"environment": {File: os.DevNull, Env: env},
		"flags":       {File: os.DevNull, Flags: flags},
	} {
		t.Run(name, func(t *testing.T) {
			got, origins, err := config.Load(o)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			for key, from := range origins {
				if from == "default" {
					t.Errorf("%s has its default", key)
				}
			}
		})
	}
}

func TestNothingSetMeansDefaults(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"comment":      "# nothing\n",
		"empty limits": "limits:\n  # max_qos: 1\n",
		"braces":       "{}",
		"document":     "---\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, origins, err := load(t, text, nil)
			want := config.Default()
			want.Data = "/data"
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want the defaults", got, err)
			}
			if origins["admin"] != "default" || origins["data"] != "WIREBIRD_DATA" {
				t.Errorf("origins %v", origins)
			}
		})
	}
}

func TestLaterSourcesWin(t *testing.T) {
	text := "shards: 1\nlog_level: debug\nadmin: off\nlisten: [tcp://127.0.0.1:1]\n"
	env := []string{"WIREBIRD_SHARDS=2", "WIREBIRD_LOG_LEVEL=warn", "WIREBIRD_ADMIN=", "PATH=/bin"}
	c, origins, err := load(t, text, env,
		config.KeyValue{Key: "shards", Value: "4"},
		config.KeyValue{Key: "shards", Value: "3", From: "--shards"},
		config.KeyValue{Key: "listen", Value: "tcp://127.0.0.1:2", From: "--listen"},
		config.KeyValue{Key: "listen", Value: "tcp://127.0.0.1:3,unix:///s", From: "--listen"})
	if err != nil {
		t.Fatal(err)
	}
	listen := []config.Listener{{URL: "tcp://127.0.0.1:2"}, {URL: "tcp://127.0.0.1:3"}, {URL: "unix:///s"}}
	if c.Shards != 3 || c.LogLevel != slog.LevelWarn || c.Admin != "" || !reflect.DeepEqual(c.Listen, listen) {
		t.Errorf("got %+v", c)
	}
	for key, want := range map[string]string{"shards": "--shards", "log_level": "WIREBIRD_LOG_LEVEL", "listen": "--listen", "log_format": "default"} {
		if origins[key] != want {
			t.Errorf("%s is from %q; want %q", key, origins[key], want)
		}
	}
	if !strings.HasSuffix(origins["admin"], "wirebird.yaml:3") {
		t.Errorf("admin is from %q; want the file, as an empty variable is not set", origins["admin"])
	}
}

func TestFileErrorsSayWhereAndWhat(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"unknown key":          {"listen: []\nlimts:\n  max_qos: 1\n", `2:1: unknown key "limts"; did you mean "limits"?`},
		"unknown limit":        {"limits:\n  max_qs: 1\n", `2:3: unknown key "limits.max_qs"; did you mean "limits.max_qos"?`},
		"limit like nothing":   {"limits:\n  foo: 1\n", `2:3: unknown key "limits.foo"`},
		"limit outside":        {"max_qos: 1\n", `1:1: unknown key "max_qos"; did you mean "limits.max_qos"?`},
		"key among the limits": {"limits:\n  shards: 1\n", `2:3: unknown key "limits.shards"; did you mean "shards"?`},
		"hyphen":               {"log-level: info\n", `1:1: unknown key "log-level"; did you mean "log_level"?`},
		"swapped":              {"shadrs: 1\n", `1:1: unknown key "shadrs"; did you mean "shards"?`},
		"like nothing":         {"persistence: true\n", `1:1: unknown key "persistence"`},
		"dotted":               {"limits.max_qos: 1\n", `1:1: key "limits.max_qos" is written as max_qos: below limits:`},
		"number for a key":     {"1: 2\n", `1:1: unknown key "1"`},
		"twice":                {"shards: 1\nshards: 2\n", `2:1: mapping key "shards" already defined at [1:1]`},
		"no number":            {"shards: many\n", `1:9: shards: want a number from 0 to 64, not "many"`},
		"fraction":             {"shards: 1.5\n", `1:9: shards: want a number from 0 to 64, not "1.5"`},
		"out of range":         {"shards: 65\n", `1:9: shards: want a number from 0 to 64, not "65"`},
		"negative":             {"shards: -1\n", `1:9: shards: want a number from 0 to 64, not "-1"`},
		"not boolean":          {"in_memory: yes\n", `1:12: in_memory: want true or false, not "yes"`},
		"level":                {"log_level: verbose\n", `1:12: log_level: want debug, info, warn or error, not "verbose"`},
		"format":               {"log_format: xml\n", `1:13: log_format: want auto, text or json, not "xml"`},
		"size":                 {"limits: {max_packet_size: 1MB}\n", `1:27: limits.max_packet_size: want a size such as 64KiB, from 128 to 256MiB, not "1MB"`},
		"small":                {"limits: {max_packet_size: 127}\n", `1:27: limits.max_packet_size: want a size such as 64KiB, from 128 to 256MiB, not "127"`},
		"huge":                 {"limits: {max_queued_bytes: 99999999999GiB}\n", `1:28: limits.max_queued_bytes: want a size such as 64KiB, from 1KiB to 1TiB, not "99999999999GiB"`},
		"no unit":              {"sys_interval: 10\n", `1:15: sys_interval: want a duration such as 10s, from 0s to 24h, not "10"`},
		"negative duration":    {"sys_interval: -1s\n", `1:15: sys_interval: want a duration such as 10s, from 0s to 24h, not "-1s"`},
		"too short":            {"limits: {handshake_timeout: 1ms}\n", `1:29: limits.handshake_timeout: want a duration such as 10s, from 100ms to 1h, not "1ms"`},
		"part of a second":     {"limits: {max_keep_alive: 1500ms}\n", `1:26: limits.max_keep_alive: want whole seconds such as 90s, 15m or 7d, up to 65535s, not "1500ms"`},
		"too many days":        {"limits: {max_session_expiry: 70000d}\n", `1:30: limits.max_session_expiry: want whole seconds such as 90s, 15m or 7d, up to 4294967294s, not "70000d"`},
		"admin":                {"admin: 18083\n", `1:8: admin: want HOST:PORT or off, not "18083"`},
		"admin port":           {"admin: 127.0.0.1:x\n", `1:8: admin: want HOST:PORT or off, not "127.0.0.1:x"`},
		"wildcard":             {"response_information: a/#\n", `1:23: response_information: want the beginning of a topic, without + and #, not "a/#"`},
		"line break":           {"data: \"a\\nb\"\n", `1:7: data: want printable text, not "a\nb"`},
		"long value":           {"log_level: " + strings.Repeat("x", 200) + "\n", `1:12: log_level: want debug, info, warn or error, not "` + strings.Repeat("x", 100) + `"...`},
		"no value":             {"data:\n", `1:7: data: has no value; leave the line out for the default`},
		"list for a value":     {"shards: [1]\n", `1:9: shards: want a single value`},
		"anchor":               {"shards: &a 1\n", `1:9: shards: anchors, aliases and tags are not read here`},
		"scalar for limits":    {"limits: none\n", `1:9: limits: want keys and values`},
		"no mapping":           {"hello\n", `1:1: want keys and values such as log_level: info`},
		"two documents":        {"shards: 1\n---\nshards: 2\n", `2:1: a second document; the file has only one`},
		"directive":            {"%YAML 1.2\n---\nshards: 2\n", `1:1: YAML directives are not read here`},
		"merge key":            {"<<: {shards: 1}\n", `1:1: want the name of a setting`},
		"tab":                  {"limits:\n\tmax_qos: 1\n", `2:1: found character ' ' that cannot start any token`},
		"NUL":                  {"shards: 1\nx\x00: 2\n", `2:2: NUL byte`},
		"open bracket":         {"listen: [tcp://:1\n", `1:9: sequence end token ']' not found`},
		"listen not a list":    {"listen: tcp://127.0.0.1:1883\n", `1:9: listen: want a list such as [tcp://127.0.0.1:1883]`},
		"listen address":       {"listen:\n- tcp://127.0.0.1:1883\n- 127.0.0.1:1884\n", `3:3: listen address "127.0.0.1:1884": no scheme, write it like tcp://:1883`},
		"listen no url":        {"listen:\n- allow_anonymous: true\n", `2:18: listen: element has no url`},
		"listen unknown key":   {"listen:\n- url: tcp://127.0.0.1:1\n  origin: [a]\n", `3:3: unknown key "origin" of listen; did you mean "origins"?`},
		"listen anonymous":     {"listen:\n- {url: 'tcp://127.0.0.1:1', allow_anonymous: maybe}\n", `2:47: listen.allow_anonymous: want true or false, not "maybe"`},
		"origins of TCP":       {"listen:\n- url: tcp://127.0.0.1:1\n  origins: [a]\n", `3:12: listen tcp://127.0.0.1:1: origins are for ws and wss, browsers connect to nothing else`},
		"bad origin":           {"listen:\n- {url: 'ws://127.0.0.1:1', origins: ['[b']}\n", `2:38: listen ws://127.0.0.1:1: origins: want host names, perhaps with *, not "[b"`},
		"empty path":           {"password_file: ''\n", `1:16: password_file: want a path, not ""; leave it out if none is meant`},
		"listen origins":       {"listen:\n- {url: 'ws://127.0.0.1:1', origins: a}\n", `2:38: listen.origins: want a list`},
		"listen nothing":       {"listen:\n-\n", `2:3: listen: has no value; leave the line out for the default`},
		"long file":            {"#" + strings.Repeat(" ", 64<<10), `1:1: file is larger than 64KiB`},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, tt.text)
			_, _, err := config.Load(config.Sources{File: path, Env: []string{"WIREBIRD_DATA=/data"}})
			if want := path + ":" + tt.want; err == nil || err.Error() != want {
				t.Errorf("error %v\n want %s", err, want)
			}
		})
	}
}

func TestAllErrorsAreReportedAtOnce(t *testing.T) {
	path := writeFile(t, "shards: 65\nlog_levl: info\n")
	_, _, err := config.Load(config.Sources{
		File: path,
		Env:  []string{"WIREBIRD_LOG_LEVEL=loud", "WIREBIRD_LOGLEVEL=info", "WIREBIRD_LISTEN=1883"},
		Flags: []config.KeyValue{
			{Key: "log_format", Value: "xml", From: "--log-format"},
			{Key: "limits.max_qos", Value: "3"},
			{Key: "limit.max_qos", Value: "3"},
		},
	})
	want := path + `:1:9: shards: want a number from 0 to 64, not "65"
` + path + `:2:1: unknown key "log_levl"; did you mean "log_level"?
WIREBIRD_LISTEN: listen address "1883": no scheme, write it like tcp://:1883
WIREBIRD_LOGLEVEL: unknown variable; did you mean WIREBIRD_LOG_LEVEL?
WIREBIRD_LOG_LEVEL: want debug, info, warn or error, not "loud"
--log-format: want auto, text or json, not "xml"
--set limits.max_qos: want a number from 0 to 2, not "3"
--set limit.max_qos: unknown key; did you mean "limits.max_qos"?`
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestVariablesOfKubernetesServicesAreNoMistakes(t *testing.T) {
	_, _, err := load(t, "", []string{
		"WIREBIRD_SERVICE_HOST=10.0.0.1",
		"WIREBIRD_SERVICE_PORT=1883",
		"WIREBIRD_SERVICE_PORT_MQTT=1883",
		"WIREBIRD_PORT=tcp://10.0.0.1:1883",
		"WIREBIRD_PORT_1883_TCP=tcp://10.0.0.1:1883",
		"WIREBIRD_PORT_1883_TCP_ADDR=10.0.0.1",
		"WIREBIRD_ADMIN_SERVICE_HOST=10.0.0.2",
	})
	if err != nil {
		t.Error(err)
	}
	_, _, err = load(t, "", []string{"WIREBIRD_PORT=1883"})
	if want := "WIREBIRD_PORT: unknown variable"; err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
}

func TestFileIsFound(t *testing.T) {
	here, xdg, home := t.TempDir(), t.TempDir(), t.TempDir()
	t.Chdir(here)
	put := func(shards int, path ...string) string {
		name := filepath.Join(path...)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, fmt.Appendf(nil, "shards: %d\n", shards), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	named := put(1, t.TempDir(), "named.yaml")
	variable := put(2, t.TempDir(), "variable.yaml")
	put(4, xdg, "wirebird", "wirebird.yaml")
	put(5, home, ".config", "wirebird", "wirebird.yaml")
	for _, tt := range []struct {
		file string
		env  []string
		here bool
		want int
	}{
		{named, []string{"WIREBIRD_CONFIG=" + variable}, true, 1},
		{"", []string{"WIREBIRD_CONFIG=" + variable}, true, 2},
		{"", []string{"XDG_CONFIG_HOME=" + xdg}, true, 3},
		{"", []string{"XDG_CONFIG_HOME=" + xdg, "HOME=" + home}, false, 4},
		{"", []string{"XDG_CONFIG_HOME=relative", "HOME=" + home}, false, 5},
	} {
		if tt.here {
			put(3, here, "wirebird.yaml")
		} else if err := os.RemoveAll(filepath.Join(here, "wirebird.yaml")); err != nil {
			t.Fatal(err)
		}
		c, _, err := config.Load(config.Sources{File: tt.file, Env: append(tt.env, "WIREBIRD_DATA=/data")})
		if err != nil || c.Shards != tt.want {
			t.Errorf("%+v reads file %d, %v; want %d", tt, c.Shards, err, tt.want)
		}
	}
}

func TestMissingFileIsAnErrorWhenNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.yaml")
	_, _, err := config.Load(config.Sources{File: path})
	if err == nil || !strings.HasPrefix(err.Error(), "read configuration: ") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v; want one that names %s", err, path)
	}
}

// Whatever a file says, an error names its line, unless it is about how
// settings go together; and what Load accepts, Show writes so that Load reads
// the same.
func FuzzLoadFile(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte("listen: [tcp://0.0.0.0:1]\nallow_anonymous: true\nlimits: {max_qos: 0}\n"))
	f.Add([]byte("data: 'it''s'\npassword_file: \"\\u00e4 #\"\ntls_cert: |\n  x\n"))
	f.Add([]byte("? a\n: b\n- c\n*d &e !!f\n"))
	path := filepath.Join(f.TempDir(), "wirebird.yaml")
	position := regexp.MustCompile("^" + regexp.QuoteMeta(path) + ":[1-9][0-9]*:[1-9][0-9]*: .")
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			t.Skip("the parser takes a time quadratic in the depth")
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, o, err := config.Load(config.Sources{File: path, Env: []string{"HOME=/home/user"}})
		if err == nil {
			checkReadBack(t, path, c, o)
			return
		}
		if invalid := c.Validate(); invalid != nil && invalid.Error() == err.Error() {
			return
		}
		for line := range strings.Lines(err.Error()) {
			if !position.MatchString(line) {
				t.Errorf("error without a position: %q", line)
			}
		}
	})
}

// An error about a flag names it, and what is accepted can be shown.
func FuzzLoadFlag(f *testing.F) {
	f.Add("limits.max_packet_size", "64 KiB")
	f.Add("limits.max_session_expiry", "1h30m")
	f.Add("listen", "tcp://localhost, unix:///run/w.sock")
	f.Add("response_information", "it's # \\n")
	f.Add("admin", "[::1]:0")
	path := filepath.Join(f.TempDir(), "wirebird.yaml")
	f.Fuzz(func(t *testing.T, key, value string) {
		c, o, err := config.Load(config.Sources{
			File:  os.DevNull,
			Env:   []string{"HOME=/home/user"},
			Flags: []config.KeyValue{{Key: key, Value: value, From: "--flag"}},
		})
		if err == nil {
			checkReadBack(t, path, c, o)
			return
		}
		if invalid := c.Validate(); !strings.HasPrefix(err.Error(), "--flag: ") && (invalid == nil || invalid.Error() != err.Error()) {
			t.Errorf("error that does not name the flag: %v", err)
		}
	})
}

// checkReadBack shows c in a file and loads it.
func checkReadBack(t *testing.T, path string, c config.Config, o config.Origins) {
	t.Helper()
	shown := show(t, c, o)
	if err := os.WriteFile(path, []byte(shown), 0o600); err != nil {
		t.Fatal(err)
	}
	again, _, err := config.Load(config.Sources{File: path, Env: []string{"HOME=/home/user"}})
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("%+v is shown as\n%sand read as %+v, %v", c, shown, again, err)
	}
}

// An unset variable in a shell must not start a broker without passwords.
func TestAnEmptyPathIsAMistake(t *testing.T) {
	for _, key := range []string{"data", "password_file", "scram_file", "tls_cert", "tls_key"} {
		flag := "--" + strings.ReplaceAll(key, "_", "-")
		_, _, err := load(t, "", nil, config.KeyValue{Key: key, From: flag})
		if want := flag + `: want a path, not ""; leave it out if none is meant`; err == nil || err.Error() != want {
			t.Errorf("error %v\n want %s", err, want)
		}
		_, _, err = load(t, "", []string{"WIREBIRD_" + strings.ToUpper(key) + "="})
		if err != nil && key != "data" {
			t.Errorf("an empty variable: %v; want none, it counts as not set", err)
		}
	}
}

func TestMistakesInFlagsAreTold(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		flags []config.KeyValue
		want  bool
	}{
		"flag":        {"", []config.KeyValue{{Key: "shards", Value: "65", From: "--shards"}}, true},
		"unknown key": {"", []config.KeyValue{{Key: "shard", Value: "1"}}, true},
		"both":        {"shards: 65\n", []config.KeyValue{{Key: "shards", Value: "65", From: "--shards"}}, true},
		"file":        {"shards: 65\n", []config.KeyValue{{Key: "shards", Value: "3", From: "--shards"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, tt.text, nil, tt.flags...)
			if _, got := errors.AsType[*config.FlagError](err); err == nil || got != tt.want {
				t.Errorf("error %v is of a flag: %v; want %v", err, got, tt.want)
			}
		})
	}
}
