package broker

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/wirebird/wirebird/internal/journal"
)

// Options configure a Broker. The zero value works: one shard, state in memory, any
// client welcome.
type Options struct {
	// Shards is the number of event loops, from 1 to 64. 0 means 1.
	Shards int
	// Limits bound what clients may use.
	Limits Limits
	// Hooks decide who may do what; see Hooks.
	Hooks Hooks
	// Journal makes state durable. nil keeps it in memory only.
	Journal journal.Journal
	// Clock gives the time in unix nanoseconds; nil is the system's.
	Clock func() int64
	// Random gives 64 random bits for assigned Client Identifiers; nil is crypto/rand.
	// It is called by all shards.
	Random func() uint64
	// Execute runs slow decisions off the shards; nil is a pool of goroutines.
	Execute func(func())
	// Logger gets the broker's log; nil discards it.
	Logger *slog.Logger
	// SysInterval is the time between two publications of $SYS/broker/…; 0 is never.
	SysInterval time.Duration
	// Version is told in $SYS/broker/version.
	Version string
	// ResponseInformation is handed to MQTT 5.0 clients that ask for it; "" is none.
	ResponseInformation string
}

// Limits bound what one client, or all together, may use. Sizes are bytes. A zero field
// takes the default that its comment names.
type Limits struct {
	// MaxPacketSize is the largest packet accepted, fixed header included: 1 MiB. A
	// larger one ends the connection with 0x95, Packet too large.
	MaxPacketSize int
	// MaxTopicLevels is the largest number of levels in a Topic Name or Filter: 128.
	// More get 0x90 or 0x8F.
	MaxTopicLevels int
	// MaxTopicLength is the longest Topic Name or Filter, in bytes, $share and the share
	// name included: 65,535, the most there can be. Longer get 0x90 or 0x8F.
	MaxTopicLength int
	// MaxClientIDLength is the longest Client Identifier: 1024. Longer get 0x85.
	MaxClientIDLength int
	// MaxConnections is the largest number of network connections; 0 is no limit.
	// A few more may come as far as CONNECT, to be told 0x97, Quota exceeded; further
	// ones are closed at once.
	MaxConnections int
	// MaxConnectRate is how many CONNECTs are let in a second, each shard having an equal
	// share, and ten times as many at once after a quiet time: 10,000, so that a fleet of
	// 100,000 that lost its network comes back without a wait; -1 is no limit. More get
	// 0x9F, Connection rate exceeded, before anybody is asked for a password.
	MaxConnectRate int
	// MaxTakeoverRate is how often a minute, and how often at once after a quiet time, a
	// session may pass from one connection to another: 60; -1 is no limit. Beyond, the
	// connection that is there stays and the new one gets 0x9F: two clients with one
	// Client Identifier do not keep a core busy.
	MaxTakeoverRate int
	// MaxSessions is the largest number of sessions, each shard having an equal share:
	// 1,000,000. A client that would need one more gets 0x97.
	MaxSessions int
	// MaxSubscriptions is the largest number of subscriptions of a session: 10,000.
	// More get 0x97, Quota exceeded.
	MaxSubscriptions int
	// MaxSubscriptionLevels is the largest number of levels of all Topic Filters of a
	// session together: 100,000. MaxSubscriptionLevelsTotal is that of all sessions, each
	// shard having an equal share: 50,000,000. A level takes up to 300 bytes of the
	// table. More get 0x97.
	MaxSubscriptionLevels      int
	MaxSubscriptionLevelsTotal int
	// MaxSubscriptionIDs is the largest number of subscriptions of a session that have a
	// wildcard and a Subscription Identifier: 1000. Each may add 5 bytes to every
	// message. More get 0x97.
	MaxSubscriptionIDs int
	// MaxUserProperties is the largest number of User Properties of a packet: 1000. More
	// end the connection with 0x97.
	MaxUserProperties int
	// MaxInflight is the largest number of messages sent to a client and not yet
	// acknowledged: 256. The client's Receive Maximum may lower it.
	MaxInflight int
	// ReceiveMaximum is the number of unacknowledged QoS 1 and 2 messages that a client
	// may send: 1024. More end an MQTT 5.0 connection with 0x93.
	ReceiveMaximum int
	// TopicAliasMaximum is the highest Topic Alias that a client may use, and that is used
	// towards a client: 32; -1 is none.
	TopicAliasMaximum int
	// MaxQueuedMessages and MaxQueuedBytes bound the queue of one session: 1,000,000 and
	// 256 MiB. Messages above are dropped and counted.
	MaxQueuedMessages int
	MaxQueuedBytes    int64
	// MaxQueuedMessagesTotal and MaxQueuedBytesTotal bound the queues of all sessions
	// together, each shard having an equal share: 100,000,000 and 16 GiB.
	MaxQueuedMessagesTotal int64
	MaxQueuedBytesTotal    int64
	// MaxQueueAge is how long a message may wait in a queue; 0 is no limit. One that has
	// waited longer counts as expired.
	MaxQueueAge time.Duration
	// DropOldest makes a full queue drop what has waited longest instead of what comes.
	DropOldest bool
	// MaxRetainedMessages is the largest number of retained messages: 1,000,000. More are
	// delivered and not kept; a QoS 1 or 2 publisher with MQTT 5.0 is told 0x97.
	MaxRetainedMessages int
	// MaxRetainedBytes is the memory that retained messages may stand for: 4 GiB. Each
	// counts its topic, payload and properties, and 200 bytes for each level of its topic.
	// What happens to more is as above.
	MaxRetainedBytes int64
	// OutboundBuffer is how many unsent bytes a connection may have before QoS 0 messages
	// to it are dropped and others wait in its session: 1 MiB. From a client that leaves
	// twice as many unread nothing more is read until it has taken all.
	OutboundBuffer int
	// HandshakeTimeout is the time from the network connection to a complete CONNECT,
	// TLS and WebSocket handshakes included: 10 s.
	HandshakeTimeout time.Duration
	// PacketTimeout is how long a packet may take to arrive once it has begun: 10 min. A
	// longer one ends the connection with 0x8D, Keep Alive timeout.
	PacketTimeout time.Duration
	// MaxKeepAlive lowers longer Keep Alive intervals by Server Keep Alive, and applies
	// to clients that ask for none; 0 is no limit. MQTT 3 clients cannot be told and
	// keep theirs.
	MaxKeepAlive time.Duration
	// MaxSessionExpiry is the longest Session Expiry Interval; 0 is no limit. It applies
	// to MQTT 3 clients with Clean Session 0 as well.
	MaxSessionExpiry time.Duration
	// MaxQoS is the highest QoS accepted, 0 to 2. As 0 means the default, 2, a maximum
	// of 0 is written -1.
	MaxQoS int
	// RetainUnavailable refuses retained messages with 0x9A.
	RetainUnavailable bool
}

const (
	maxShards       = 64
	largestPacket   = 268_435_460 // 256 MiB and the fixed header
	neverExpires    = 0xFFFFFFFF
	mostIdentifiers = 65535
)

func (o *Options) defaults() error {
	if o.Shards == 0 {
		o.Shards = 1
	}
	if o.Shards < 1 || o.Shards > maxShards {
		return fmt.Errorf("broker: Shards is %d, must be 1 to %d", o.Shards, maxShards)
	}
	if o.Journal == nil {
		o.Journal = journal.Memory{}
	}
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixNano() }
	}
	if o.Random == nil {
		o.Random = cryptoRandom
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "wirebird"
	}
	return o.Limits.defaults()
}

func (l *Limits) defaults() error {
	for _, f := range []struct {
		name     string
		v        *int
		def      int
		min, max int
	}{
		{"MaxPacketSize", &l.MaxPacketSize, 1 << 20, 64, largestPacket},
		{"MaxTopicLevels", &l.MaxTopicLevels, 128, 1, 65536},
		{"MaxTopicLength", &l.MaxTopicLength, 65_535, 1, 65_535},
		{"MaxClientIDLength", &l.MaxClientIDLength, 1024, 23, 65535},
		{"MaxConnections", &l.MaxConnections, 0, 0, 1 << 30},
		{"MaxConnectRate", &l.MaxConnectRate, 10_000, -1, 1 << 30},
		{"MaxTakeoverRate", &l.MaxTakeoverRate, 60, -1, 1 << 30},
		{"MaxSessions", &l.MaxSessions, 1_000_000, 1, 1 << 30},
		{"MaxSubscriptions", &l.MaxSubscriptions, 10_000, 1, 65535},
		{"MaxSubscriptionLevels", &l.MaxSubscriptionLevels, 100_000, 1, 1 << 30},
		{"MaxSubscriptionLevelsTotal", &l.MaxSubscriptionLevelsTotal, 50_000_000, 1, 1 << 30},
		{"MaxSubscriptionIDs", &l.MaxSubscriptionIDs, 1000, 1, 65535},
		{"MaxUserProperties", &l.MaxUserProperties, 1000, 1, 1 << 30},
		{"MaxInflight", &l.MaxInflight, 256, 1, mostIdentifiers},
		{"ReceiveMaximum", &l.ReceiveMaximum, 1024, 1, mostIdentifiers},
		{"TopicAliasMaximum", &l.TopicAliasMaximum, 32, -1, 65535},
		{"MaxQueuedMessages", &l.MaxQueuedMessages, 1_000_000, 1, 1 << 30},
		{"MaxRetainedMessages", &l.MaxRetainedMessages, 1_000_000, 1, 1 << 30},
		{"OutboundBuffer", &l.OutboundBuffer, 1 << 20, 1 << 10, 1 << 30},
		{"MaxQoS", &l.MaxQoS, 2, -1, 2},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < f.min || *f.v > f.max {
			return fmt.Errorf("broker: Limits.%s is %d, must be %d to %d", f.name, *f.v, f.min, f.max)
		}
	}
	if l.MaxQueuedBytes == 0 {
		l.MaxQueuedBytes = 256 << 20
	}
	if l.MaxQueuedMessagesTotal == 0 {
		l.MaxQueuedMessagesTotal = 100_000_000
	}
	if l.MaxQueuedBytesTotal == 0 {
		l.MaxQueuedBytesTotal = 16 << 30
	}
	if l.MaxRetainedBytes == 0 {
		l.MaxRetainedBytes = 4 << 30
	}
	if l.PacketTimeout == 0 {
		l.PacketTimeout = 10 * time.Minute
	}
	if l.HandshakeTimeout == 0 {
		l.HandshakeTimeout = 10 * time.Second
	}
	if l.MaxRetainedBytes < 0 || l.PacketTimeout < 0 || l.MaxQueuedBytes < 0 || l.MaxQueuedMessagesTotal < 0 || l.MaxQueuedBytesTotal < 0 || l.MaxQueueAge < 0 || l.HandshakeTimeout < 0 || l.MaxKeepAlive < 0 || l.MaxSessionExpiry < 0 {
		return fmt.Errorf("broker: negative value in Limits")
	}
	l.MaxQoS = max(0, l.MaxQoS)
	l.TopicAliasMaximum = max(0, l.TopicAliasMaximum)
	return nil
}
