package config

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Key describes one setting for reference pages.
type Key struct {
	Name    string // in the file and behind --set
	Env     string
	Flag    string // "--set NAME=..." when it has no flag of its own
	Default string
	Want    string // the values it takes
	Help    string
}

// Reference returns every setting, in the order in which Show writes them.
func Reference() []Key {
	c := Default()
	var keys []Key
	for _, s := range settings() {
		k := Key{Name: s.key, Env: envName(s.key), Flag: "--" + s.flag, Default: s.format(&c), Want: s.want}
		if s.flag == "" {
			k.Flag = "--set " + s.key + "=..."
		}
		k.Help = strings.ReplaceAll(s.help, "`", "")
		keys = append(keys, k)
	}
	return keys
}

// setting is one key of the configuration.
type setting struct {
	key  string
	flag string // without dashes, "" if it has none of its own
	// help is a flag's help text; the word in backquotes names its value.
	help string
	// want completes "want ..., not ...".
	want string
	// parse sets the field; false means that s is not what want says.
	parse func(c *Config, s string) bool
	// format returns the value in the form that parse reads.
	format func(c *Config) string
	// plain says that format's result needs no quotes in YAML.
	plain bool
	// boolean says that the flag needs no value.
	boolean bool
	// path says that the value names a file or directory. Nobody means an empty one:
	// it is a shell variable that is not set, and "no passwords" must be no accident.
	path bool
}

// set parses value into its field of c.
func (s setting) set(c *Config, value string) error {
	if s.parse(c, value) {
		return nil
	}
	return fmt.Errorf("want %s, not %s", s.want, quote(value))
}

// quote quotes s for an error, which shall not fill the screen.
func quote(s string) string {
	if len(s) > 100 {
		return strconv.Quote(s[:100]) + "..."
	}
	return strconv.Quote(s)
}

// settings returns all settings in their usual order. The value of listen is a
// list of addresses with commas between them, but in the file it is more.
func settings() []setting {
	return append([]setting{
		{
			key: "listen", flag: "listen", help: "listen on `URL`: tcp, tls, ws, wss or unix; repeatable; given once, it replaces both defaults",
			want:   "a list of addresses such as tcp://127.0.0.1:1883",
			parse:  parseListen,
			format: formatListen,
		},
		{
			key: "admin", flag: "admin", help: "metrics and health on `HOST:PORT`, or off",
			want:   "HOST:PORT or off",
			parse:  parseAdmin,
			format: formatAdmin,
		},
		pathText("data", "keep what must survive in `DIR` (default $XDG_STATE_HOME/wirebird, /var/lib/wirebird for root)",
			func(c *Config) *string { return &c.Data }),
		boolean("in_memory", "keep nothing on disk", func(c *Config) *bool { return &c.InMemory }),
		{
			key: "durability", flag: "durability", help: "`PROMISE` of an acknowledgement: fsync survives power loss, os the process's end, none an orderly stop",
			want: "fsync, os or none", plain: true,
			parse: func(c *Config, s string) bool {
				c.Durability = s
				return s == "fsync" || s == "os" || s == "none"
			},
			format: func(c *Config) string { return c.Durability },
		},
		boolean("allow_anonymous", "admit clients without a password from other machines",
			func(c *Config) *bool { return &c.AllowAnonymous }),
		pathText("password_file", "users and passwords in `FILE`, written by wirebird passwd or mosquitto_passwd",
			func(c *Config) *string { return &c.PasswordFile }),
		pathText("scram_file", "users and SCRAM-SHA-256 verifiers in `FILE`", func(c *Config) *string { return &c.ScramFile }),
		pathText("tls_cert", "TLS certificate chain in `FILE`, PEM", func(c *Config) *string { return &c.TLSCert }),
		pathText("tls_key", "TLS private key in `FILE`, PEM", func(c *Config) *string { return &c.TLSKey }),
		number("shards", "run `N` event loops; 0 means one per CPU", 0, 64, func(c *Config) *int { return &c.Shards }).withFlag(),
		{
			key: "log_level", flag: "log-level", help: "log `LEVEL`: debug, info, warn or error",
			want: "debug, info, warn or error", plain: true,
			parse:  parseLevel,
			format: func(c *Config) string { return strings.ToLower(c.LogLevel.String()) },
		},
		{
			key: "log_format", flag: "log-format", help: "log `FORMAT`: auto, text or json",
			want: "auto, text or json", plain: true,
			parse: func(c *Config, s string) bool {
				c.LogFormat = s
				return s == "auto" || s == "text" || s == "json"
			},
			format: func(c *Config) string { return c.LogFormat },
		},
		duration("sys_interval", "time between $SYS messages; 0 means none", 0, 24*time.Hour,
			func(c *Config) *time.Duration { return &c.SysInterval }),
		duration("shutdown_timeout", "how long connections may take to end when the broker stops", 0, time.Hour,
			func(c *Config) *time.Duration { return &c.ShutdownTimeout }),
		{
			key: "response_information", help: "prefix of response topics, handed out to clients that ask",
			want: "the beginning of a topic, without + and #",
			parse: func(c *Config, s string) bool {
				c.ResponseInformation = s
				return printable(s) && !strings.ContainsAny(s, "+#")
			},
			format: func(c *Config) string { return c.ResponseInformation },
		},
	}, limitSettings()...)
}

func limitSettings() []setting {
	return []setting{
		size("limits.max_packet_size", "largest packet accepted", 128, 256*MiB,
			func(c *Config) *Size { return &c.Limits.MaxPacketSize }),
		number("limits.max_topic_levels", "levels of a topic or filter", 1, 65535,
			func(c *Config) *int { return &c.Limits.MaxTopicLevels }),
		number("limits.max_topic_length", "bytes of a topic or filter", 1, 65535,
			func(c *Config) *int { return &c.Limits.MaxTopicLength }),
		number("limits.max_client_id_length", "bytes of a client identifier; for MQTT 3.1 clients it is 23, as that version says", 23, 65535,
			func(c *Config) *int { return &c.Limits.MaxClientIDLength }),
		number("limits.max_connections", "connections; 0 means as many as file descriptors allow; a few more are told quota exceeded, further ones closed at once", 0, 100_000_000,
			func(c *Config) *int { return &c.Limits.MaxConnections }),
		number("limits.max_connect_rate", "CONNECT packets let in a second, and ten times as many after a quiet time; 0 means any number", 0, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxConnectRate }),
		number("limits.max_takeover_rate", "times a minute that a session may pass to a new connection; 0 means any number", 0, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxTakeoverRate }),
		number("limits.max_sessions", "sessions, with and without a connection", 1, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxSessions }),
		number("limits.max_subscriptions", "subscriptions of a session", 1, 65_535,
			func(c *Config) *int { return &c.Limits.MaxSubscriptions }),
		number("limits.max_subscription_levels", "levels of all filters of a session together", 1, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxSubscriptionLevels }),
		number("limits.max_subscription_levels_total", "levels of all filters of all sessions together; a level takes up to 300 bytes of memory", 1, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxSubscriptionLevelsTotal }),
		number("limits.max_subscription_ids", "subscriptions of a session with a wildcard and a subscription identifier, each of which may add 5 bytes to every message", 1, 65_535,
			func(c *Config) *int { return &c.Limits.MaxSubscriptionIDs }),
		number("limits.max_user_properties", "user properties of a packet", 1, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxUserProperties }),
		number("limits.max_inflight", "messages sent and not yet acknowledged, of a session", 1, 65535,
			func(c *Config) *int { return &c.Limits.MaxInflight }),
		number("limits.receive_maximum", "messages received and not yet acknowledged, of a session", 1, 65535,
			func(c *Config) *int { return &c.Limits.ReceiveMaximum }),
		number("limits.topic_alias_maximum", "topic aliases of a connection in each direction; 0 means none", 0, 65535,
			func(c *Config) *int { return &c.Limits.TopicAliasMaximum }),
		number("limits.max_queued_messages", "messages waiting in a session", 1, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxQueuedMessages }),
		size("limits.max_queued_bytes", "bytes of messages waiting in a session", KiB, TiB,
			func(c *Config) *Size { return &c.Limits.MaxQueuedBytes }),
		number("limits.max_queued_messages_total", "messages waiting in all sessions together", 1, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxQueuedMessagesTotal }),
		size("limits.max_queued_bytes_total", "bytes of messages waiting in all sessions together", KiB, TiB,
			func(c *Config) *Size { return &c.Limits.MaxQueuedBytesTotal }),
		seconds("limits.max_queue_age", "how long a message may wait in a session; 0 means any time", 1<<31-1,
			func(c *Config) *time.Duration { return &c.Limits.MaxQueueAge }),
		{
			key: "limits.queue_policy", help: "what a full queue does: drop_newest or drop_oldest",
			want: "drop_newest or drop_oldest", plain: true,
			parse: func(c *Config, s string) bool {
				c.Limits.QueuePolicy = s
				return s == "drop_newest" || s == "drop_oldest"
			},
			format: func(c *Config) string { return c.Limits.QueuePolicy },
		},
		number("limits.max_retained_messages", "retained messages; 0 means none are kept", 0, 1_000_000_000,
			func(c *Config) *int { return &c.Limits.MaxRetainedMessages }),
		size("limits.max_retained_bytes", "memory of all retained messages: topics, payloads and properties, and 200 bytes for each level of a topic", KiB, TiB,
			func(c *Config) *Size { return &c.Limits.MaxRetainedBytes }),
		size("limits.outbound_buffer", "bytes waiting to be sent on a connection; QoS 0 messages above are dropped, and above twice that the client is not read", 4*KiB, GiB,
			func(c *Config) *Size { return &c.Limits.OutboundBuffer }),
		duration("limits.handshake_timeout", "from accepting a connection to its CONNECT packet", 100*time.Millisecond, time.Hour,
			func(c *Config) *time.Duration { return &c.Limits.HandshakeTimeout }),
		duration("limits.packet_timeout", "from the first byte of a packet to its last", 100*time.Millisecond, 24*time.Hour,
			func(c *Config) *time.Duration { return &c.Limits.PacketTimeout }),
		seconds("limits.max_keep_alive", "longest keep alive of MQTT 5.0 clients, others cannot be told; 0 means whatever the client asks for", 65535,
			func(c *Config) *time.Duration { return &c.Limits.MaxKeepAlive }),
		seconds("limits.max_session_expiry", "longest session expiry; 0 means whatever the client asks for", 1<<32-2,
			func(c *Config) *time.Duration { return &c.Limits.MaxSessionExpiry }),
		number("limits.max_qos", "highest QoS of a published message", 0, 2,
			func(c *Config) *int { return &c.Limits.MaxQoS }),
	}
}

// withFlag gives s a flag of its own.
func (s setting) withFlag() setting {
	s.flag = strings.ReplaceAll(s.key, "_", "-")
	return s
}

// pathText is the name of a file or directory, "" for none.
func pathText(key, help string, field func(*Config) *string) setting {
	return setting{
		key: key, help: help, want: "printable text", path: true,
		parse: func(c *Config, s string) bool {
			*field(c) = s
			return printable(s)
		},
		format: func(c *Config) string { return *field(c) },
	}.withFlag()
}

func boolean(key, help string, field func(*Config) *bool) setting {
	return setting{
		key: key, help: help, want: "true or false", plain: true, boolean: true,
		parse: func(c *Config, s string) bool {
			v, ok := parseBool(s)
			*field(c) = v
			return ok
		},
		format: func(c *Config) string { return strconv.FormatBool(*field(c)) },
	}.withFlag()
}

func number(key, help string, low, high int, field func(*Config) *int) setting {
	return setting{
		key: key, help: help, want: fmt.Sprintf("a number from %d to %d", low, high), plain: true,
		parse: func(c *Config, s string) bool {
			n, err := strconv.Atoi(s)
			*field(c) = n
			return err == nil && low <= n && n <= high
		},
		format: func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

func size(key, help string, low, high Size, field func(*Config) *Size) setting {
	return setting{
		key: key, help: help, want: fmt.Sprintf("a size such as 64KiB, from %v to %v", low, high), plain: true,
		parse: func(c *Config, s string) bool {
			n, err := parseSize(s)
			*field(c) = n
			return err == nil && low <= n && n <= high
		},
		format: func(c *Config) string { return field(c).String() },
	}
}

func duration(key, help string, low, high time.Duration, field func(*Config) *time.Duration) setting {
	return setting{
		key: key, help: help, plain: true,
		want: fmt.Sprintf("a duration such as 10s, from %s to %s", formatDuration(low), formatDuration(high)),
		parse: func(c *Config, s string) bool {
			d, err := parseDuration(s)
			*field(c) = d
			return err == nil && low <= d && d <= high
		},
		format: func(c *Config) string { return formatDuration(*field(c)) },
	}
}

// seconds is a duration that goes over the wire as a number of seconds.
func seconds(key, help string, high int64, field func(*Config) *time.Duration) setting {
	s := duration(key, help, 0, time.Duration(high)*time.Second, field)
	s.want = fmt.Sprintf("whole seconds such as 90s, 15m or 7d, up to %ds", high)
	parse := s.parse
	s.parse = func(c *Config, text string) bool {
		return parse(c, text) && *field(c)%time.Second == 0
	}
	return s
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

func parseLevel(c *Config, s string) bool {
	switch s {
	case "debug":
		c.LogLevel = slog.LevelDebug
	case "info":
		c.LogLevel = slog.LevelInfo
	case "warn":
		c.LogLevel = slog.LevelWarn
	case "error":
		c.LogLevel = slog.LevelError
	default:
		return false
	}
	return true
}

func parseAdmin(c *Config, s string) bool {
	c.Admin = s
	if s == "off" {
		c.Admin = ""
		return true
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil || !printable(s) {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func formatAdmin(c *Config) string {
	if c.Admin == "" {
		return "off"
	}
	return c.Admin
}

// printable reports whether s can be shown in one line and read back.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
