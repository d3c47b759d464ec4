// Package config reads what an operator tells the broker.
//
// One struct has three sources, the later before the earlier: a YAML file,
// environment variables and flags. A setting has the same name everywhere: the
// key limits.max_qos in the file is the variable WIREBIRD_LIMITS_MAX_QOS and
// the flag --set limits.max_qos=1; the settings of "wirebird serve" that people
// type have a flag of their own, such as --log-level for log_level. Names that
// are not known are errors in all three.
//
// The package knows names, forms and ranges, and which combinations are unsafe.
// It opens no file but its own: whether a certificate exists is found out by
// who loads it. Relative paths are relative to the working directory.
package config

import (
	"log/slog"
	"time"

	"github.com/wirebird/wirebird/internal/transport"
)

// Config is everything an operator can set. Default says what each field is
// when nothing is set, Reference what values it takes.
type Config struct {
	// Listen are the addresses of the broker, at least one.
	Listen []Listener
	// Admin is the host:port of metrics and health, "" for none.
	Admin string
	// Data is the directory of durable state; "" only with InMemory.
	Data     string
	InMemory bool
	// AllowAnonymous admits clients without a password at every address.
	AllowAnonymous bool
	// PasswordFile and ScramFile are paths, "" for none.
	PasswordFile string
	ScramFile    string
	// TLSCert and TLSKey are paths of PEM files, both or neither.
	TLSCert string
	TLSKey  string
	// Shards is the number of event loops; 0 means one per CPU.
	Shards   int
	LogLevel slog.Level
	// Durability is fsync, os or none: what an acknowledgement promises of what is stored.
	Durability string
	// LogFormat is auto, text or json; auto means text on a terminal.
	LogFormat string
	// SysInterval is the time between $SYS messages; 0 means none.
	SysInterval time.Duration
	// ShutdownTimeout is how long connections may take to end.
	ShutdownTimeout time.Duration
	// ResponseInformation is the prefix handed out in CONNACK; "" for none.
	ResponseInformation string
	Limits              Limits
}

// Limits bound what peers may make the broker hold or do.
type Limits struct {
	MaxPacketSize              Size // fixed header included
	MaxTopicLevels             int
	MaxTopicLength             int // bytes
	MaxClientIDLength          int // bytes
	MaxConnections             int // 0: as many as file descriptors allow
	MaxConnectRate             int // CONNECTs a second; 0: any
	MaxTakeoverRate            int // of a session, a minute; 0: any
	MaxSessions                int
	MaxSubscriptions           int  // of a session
	MaxSubscriptionLevels      int  // of a session
	MaxSubscriptionLevelsTotal int  // of all sessions
	MaxSubscriptionIDs         int  // of a session, on filters with wildcards
	MaxUserProperties          int  // of a packet
	MaxInflight                int  // messages sent and not yet acknowledged, of a session
	ReceiveMaximum             int  // messages received and not yet acknowledged, of a session
	TopicAliasMaximum          int  // of a connection; 0: no aliases
	MaxQueuedMessages          int  // of a session
	MaxQueuedBytes             Size // of a session
	MaxQueuedMessagesTotal     int  // of all sessions
	MaxQueuedBytesTotal        Size
	MaxQueueAge                time.Duration // 0 is any
	QueuePolicy                string        // drop_newest or drop_oldest
	MaxRetainedMessages        int           // 0: none are kept
	MaxRetainedBytes           Size          // of all retained messages
	OutboundBuffer             Size          // of a connection
	HandshakeTimeout           time.Duration // from accepting a connection to CONNECT
	PacketTimeout              time.Duration // from a packet's first byte to its last
	MaxKeepAlive               time.Duration // 0: whatever the client asks for
	MaxSessionExpiry           time.Duration // 0: whatever the client asks for
	MaxQoS                     int
}

// Listener is one address of the broker.
type Listener struct {
	// URL is what transport.ParseListen reads, as the operator wrote it.
	URL string
	// AllowAnonymous overrides Config.AllowAnonymous here, unless nil.
	AllowAnonymous *bool
	// Origins are the patterns of web pages that may connect, for ws and wss.
	// Empty means any.
	Origins []string
}

// Default returns the configuration when nothing is set. Its Data is empty;
// Load fills it in, because it depends on the environment.
func Default() Config {
	return Config{
		Listen: []Listener{
			{URL: "tcp://127.0.0.1:1883"},
			{URL: "ws://127.0.0.1:8083/mqtt"},
		},
		Admin:           "127.0.0.1:18083",
		LogLevel:        slog.LevelInfo,
		LogFormat:       "auto",
		Durability:      "fsync",
		SysInterval:     10 * time.Second,
		ShutdownTimeout: 10 * time.Second,
		Limits: Limits{
			MaxPacketSize:              MiB,
			MaxTopicLevels:             128,
			MaxTopicLength:             65_535,
			MaxClientIDLength:          1024,
			MaxConnectRate:             10_000,
			MaxTakeoverRate:            60,
			MaxSessions:                1_000_000,
			MaxSubscriptions:           10_000,
			MaxSubscriptionLevels:      100_000,
			MaxSubscriptionLevelsTotal: 50_000_000,
			MaxSubscriptionIDs:         1000,
			MaxUserProperties:          1000,
			MaxInflight:                256,
			ReceiveMaximum:             1024,
			TopicAliasMaximum:          32,
			MaxQueuedMessages:          1_000_000,
			MaxQueuedBytes:             256 * MiB,
			MaxQueuedMessagesTotal:     100_000_000,
			MaxQueuedBytesTotal:        16 * GiB,
			QueuePolicy:                "drop_newest",
			MaxRetainedMessages:        1_000_000,
			MaxRetainedBytes:           4 * GiB,
			OutboundBuffer:             MiB,
			HandshakeTimeout:           10 * time.Second,
			PacketTimeout:              10 * time.Minute,
			MaxQoS:                     2,
		},
	}
}

// Authenticates reports whether there is anything to check passwords against.
func (c Config) Authenticates() bool { return c.PasswordFile != "" || c.ScramFile != "" }

// Anonymous reports whether clients without a password may connect at l. Said
// of l itself, that counts; then what is said of all. If nothing is said, only
// programs on this machine may, and only while there are no passwords.
func (c Config) Anonymous(l Listener) bool {
	switch {
	case l.AllowAnonymous != nil:
		return *l.AllowAnonymous
	case c.AllowAnonymous:
		return true
	case c.Authenticates():
		return false
	}
	u, err := transport.ParseListen(l.URL)
	return err == nil && u.Loopback()
}
