package broker

import (
	"context"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// Drop is a reason why a message, or one subscriber's copy of it, was not delivered.
type Drop uint8

// The reasons.
const (
	DropNoSubscriber Drop = iota // a message that nobody subscribes to
	DropRefused                  // a message that a hook refused
	DropOffline                  // a QoS 0 copy for a session without a connection
	DropSlowConsumer             // a QoS 0 copy for a connection over OutboundBuffer
	DropQueueFull                // a copy for a session over MaxQueuedMessages or MaxQueuedBytes
	DropTooLarge                 // a copy over the client's Maximum Packet Size
	DropSessionEnded             // a copy whose session ended first
	DropRejected                 // a copy that the client refused with a reason code
	DropUnreadable               // a stored copy that could not be read back
	drops
)

var dropNames = [drops]string{
	"no_subscriber", "refused", "offline", "slow_consumer", "queue_full", "too_large", "session_ended", "rejected",
	"unreadable",
}

// String is the reason's name in metrics.
func (d Drop) String() string { return dropNames[d] }

// Drops are all reasons.
func Drops() []Drop {
	all := make([]Drop, drops)
	for i := range all {
		all[i] = Drop(i)
	}
	return all
}

// Copies tells whether the reason counts subscribers' copies; else it counts messages.
func (d Drop) Copies() bool { return d >= DropOffline }

// counters are one shard's figures. The shard alone writes them.
type counters struct {
	packetsIn, packetsOut [16]uint64
	bytesIn, bytesOut     uint64
	messagesIn            [3]uint64 // PUBLISH packets by QoS
	messagesOut           [3]uint64
	payloadIn, payloadOut uint64

	// A copy is one message for one session. At any instant
	// routed = delivered + inflight + queued + expired + the dropped copies.
	routed, delivered, expired uint64
	inflight, queued           int64
	queuedBytes                int64
	dropped                    [drops]uint64

	connectionsOpened, connectionsClosed uint64
	connects, disconnects                uint64
	lostConnections, takeovers           uint64
	handshakeTimeouts, packetTimeouts    uint64
	connectsOverRate, takeoversRefused   uint64
	refused                              [256]uint64 // CONNECTs, by reason code
	disconnected                         [256]uint64 // by us, by reason code
	sessionsCreated, sessionsEnded       uint64
	sessionsExpired                      uint64
	subscriptions, shared                int64
	subscriptionLevels                   int64
	subscribesRefused                    uint64
	retainedSent, retainRefused          uint64
	retainExpired                        uint64
	wills, noLocal, repeats              uint64
	redistributed, unknownAcks           uint64
	oversized, stalls, decisionsParked   uint64
	reads, writes, readerStalls          uint64 // the Loop's, see figures
	notStored                            uint64
}

// Stats are a Broker's figures since its start; those called current are of now.
type Stats struct {
	Uptime time.Duration

	PacketsIn, PacketsOut map[packet.Type]uint64
	BytesIn, BytesOut     uint64
	MessagesIn            [3]uint64 // PUBLISH packets by QoS
	MessagesOut           [3]uint64
	PayloadIn, PayloadOut uint64
	Routed                uint64 // copies: one for each session that a message goes to
	Delivered             uint64 // copies handed to the connection, or acknowledged above QoS 0
	Expired               uint64 // copies whose Message Expiry Interval passed first
	Inflight              int64  // copies sent and not acknowledged, current
	Queued                int64  // copies that wait for their first PUBLISH, current
	QueuedBytes           int64
	Dropped               [drops]uint64
	ConnectionsOpened     uint64
	Connections           int64 // current
	ConnectionsRefused    uint64
	Connects              uint64
	Disconnects           uint64
	LostConnections       uint64
	Takeovers             uint64
	HandshakeTimeouts     uint64
	PacketTimeouts        uint64
	ConnectsOverRate      uint64 // refused because of MaxConnectRate
	TakeoversRefused      uint64 // because of MaxTakeoverRate
	ReaderStalls          uint64 // clients not read until they had taken what was sent
	Reads                 uint64 // system calls that read from connections
	Writes                uint64 // system calls that wrote to connections
	Refused               map[packet.ReasonCode]uint64
	Disconnected          map[packet.ReasonCode]uint64
	Sessions              int64 // current
	SessionsOnline        int64 // current
	SessionsCreated       uint64
	SessionsExpired       uint64
	Subscriptions         int64 // current
	SharedSubscriptions   int64 // current
	SubscriptionLevels    int64 // current
	SubscribesRefused     uint64
	Retained              int64 // current
	RetainedBytes         int64 // memory that they stand for, current
	RetainedSent          uint64
	RetainRefused         uint64
	RetainExpired         uint64
	Wills                 uint64
	NoLocal               uint64
	Repeats               uint64
	Redistributed         uint64
	UnknownAcks           uint64
	Oversized             uint64
	Stalls                uint64
	DecisionsParked       uint64
	NotStored             uint64 // requests refused because the journal failed
	// MailBytes are under way from one shard to another, current.
	MailBytes int64
}

// Stats gathers the figures of all shards.
func (b *Broker) Stats(ctx context.Context) (Stats, error) {
	parts := make([]counters, len(b.cores))
	online := make([]int64, len(b.cores))
	err := b.each(ctx, func(k *core) {
		parts[k.id], online[k.id] = k.figures()
	})
	if err != nil {
		return Stats{}, err
	}
	return b.sum(parts, online), nil
}

// figures are the shard's counters and how many of its sessions are connected.
func (k *core) figures() (c counters, online int64) {
	k.stats.readerStalls = k.l.Clogs()
	k.stats.reads, k.stats.writes = k.l.Calls()
	for _, s := range k.sessions {
		if s.c != nil {
			online++
		}
	}
	return k.stats, online
}

func (b *Broker) sum(parts []counters, online []int64) Stats {
	s := Stats{
		Uptime:             time.Duration(b.o.Clock() - b.started),
		PacketsIn:          map[packet.Type]uint64{},
		PacketsOut:         map[packet.Type]uint64{},
		Refused:            map[packet.ReasonCode]uint64{},
		Disconnected:       map[packet.ReasonCode]uint64{},
		ConnectionsRefused: b.group.Refused(),
		Retained:           int64(b.retained.Len()),
		RetainedBytes:      b.retainedBytes.Load(),
	}
	for i := range parts {
		s.add(&parts[i])
		s.SessionsOnline += online[i]
		s.MailBytes += b.mailed[i].Load()
	}
	return s
}

func (s *Stats) add(c *counters) {
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		s.PacketsIn[t] += c.packetsIn[t]
		s.PacketsOut[t] += c.packetsOut[t]
	}
	for code := range 256 {
		if n := c.refused[code]; n > 0 {
			s.Refused[packet.ReasonCode(code)] += n
		}
		if n := c.disconnected[code]; n > 0 {
			s.Disconnected[packet.ReasonCode(code)] += n
		}
	}
	for q := range 3 {
		s.MessagesIn[q] += c.messagesIn[q]
		s.MessagesOut[q] += c.messagesOut[q]
	}
	s.BytesIn += c.bytesIn
	s.BytesOut += c.bytesOut
	s.PayloadIn += c.payloadIn
	s.PayloadOut += c.payloadOut
	s.addCopies(c)
	s.QueuedBytes += c.queuedBytes
	s.ConnectionsOpened += c.connectionsOpened
	s.Connections += int64(c.connectionsOpened - c.connectionsClosed)
	s.Connects += c.connects
	s.Disconnects += c.disconnects
	s.LostConnections += c.lostConnections
	s.Takeovers += c.takeovers
	s.HandshakeTimeouts += c.handshakeTimeouts
	s.PacketTimeouts += c.packetTimeouts
	s.ConnectsOverRate += c.connectsOverRate
	s.TakeoversRefused += c.takeoversRefused
	s.ReaderStalls += c.readerStalls
	s.Reads += c.reads
	s.Writes += c.writes
	s.Sessions += int64(c.sessionsCreated - c.sessionsEnded)
	s.SessionsCreated += c.sessionsCreated
	s.SessionsExpired += c.sessionsExpired
	s.Subscriptions += c.subscriptions
	s.SharedSubscriptions += c.shared
	s.SubscriptionLevels += c.subscriptionLevels
	s.SubscribesRefused += c.subscribesRefused
	s.RetainedSent += c.retainedSent
	s.RetainRefused += c.retainRefused
	s.RetainExpired += c.retainExpired
	s.Wills += c.wills
	s.NoLocal += c.noLocal
	s.Repeats += c.repeats
	s.Redistributed += c.redistributed
	s.UnknownAcks += c.unknownAcks
	s.Oversized += c.oversized
	s.Stalls += c.stalls
	s.DecisionsParked += c.decisionsParked
	s.NotStored += c.notStored
}

// addCopies adds what Balance is about.
func (s *Stats) addCopies(c *counters) {
	s.Routed += c.routed
	s.Delivered += c.delivered
	s.Expired += c.expired
	s.Inflight += c.inflight
	s.Queued += c.queued
	for d := range c.dropped {
		s.Dropped[d] += c.dropped[d]
	}
}

// Balance is what the law of conservation leaves unexplained of all copies; it is 0.
func (s *Stats) Balance() int64 {
	rest := int64(s.Routed) - int64(s.Delivered) - int64(s.Expired) - s.Inflight - s.Queued
	for d := range drops {
		if d.Copies() {
			rest -= int64(s.Dropped[d])
		}
	}
	return rest
}
