// Package journal is the only way in which durable state changes: operations go in, and
// a completion comes back when they are safe. The broker sends an acknowledgement only
// after the completion of what it acknowledges.
//
// The package knows sessions, subscriptions and messages as records, and no protocol.
// A driver does its work on goroutines of its own and never runs on a shard. Memory
// keeps nothing, for a broker whose state is its own memory. Disk keeps everything in a
// Pebble database: one commit, and one fsync, serves all that was submitted meanwhile.
//
// An Op and all that it points to belong to the driver once submitted; neither side
// changes them any more.
package journal

import "github.com/wirebird/wirebird/internal/session"

// Kind tells what an Op does.
type Kind uint8

// The kinds of Op. The comment names the fields that each uses. The values are part of
// the format: they never change.
const (
	PutSession      Kind = 1  // SID, Name: Client Identifier, Expiry, At
	EndSession      Kind = 2  // SID: the session and all that belongs to it
	PutSubscription Kind = 3  // SID, Name: filter, Options, SubID
	EndSubscription Kind = 4  // SID, Name: filter
	Publish         Kind = 5  // MID, Msg, Targets: a message waits for each target
	Assign          Kind = 6  // SID, MID, ID: the message was given a packet identifier
	Owe             Kind = 7  // SID, MID, ID: PUBREC came, PUBREL is owed
	Complete        Kind = 8  // SID, MID: the message left the session
	Accept          Kind = 9  // SID, ID: a QoS 2 message was accepted from the session's client
	Forget          Kind = 10 // SID, ID: ... and released by it
	PutRetained     Kind = 11 // Msg
	EndRetained     Kind = 12 // Name: Topic Name
	PutWill         Kind = 13 // SID, Msg, Expiry: Will Delay Interval, At, WillExpiry, HasWillExpiry
	EndWill         Kind = 14 // SID
)

// Op is one change of durable state. Which fields count depends on Kind.
type Op struct {
	Msg     *session.Message
	Name    string
	Targets []Target
	SID     uint64 // session; stable across restarts
	MID     uint64 // message: unique and ascending; a session has it waiting at most once
	// At is in unix nanoseconds. Of a session: when it went offline, 0 is online. Of a
	// will: when it is due, 0 while the connection lives.
	At            int64
	SubID         uint32
	Expiry        uint32 // seconds
	WillExpiry    uint32 // Message Expiry Interval, counted from publication, in seconds
	ID            uint16 // packet identifier
	Options       uint8  // route.Options
	Kind          Kind
	HasWillExpiry bool
}

// Target is a session that a message waits for, and how it is to be delivered.
type Target struct {
	SubIDs []uint32 // the Subscription Identifiers when there are several
	// Share and Filter are those of the shared subscription that the message came by;
	// Share is "" for an ordinary one.
	Share, Filter string
	SID           uint64
	SubID         uint32 // 0 is none
	QoS           byte
	Retain        bool
}

// Journal makes changes durable. Implementations are safe for concurrent use.
type Journal interface {
	// Submit takes ops, all that one shard's turn has changed, in their order, and does not
	// block. They become durable all or none. They are borrowed until done is called. done is called once, from any
	// goroutine, when they are safe, or with the error that keeps them from being so.
	// Over all lanes there is one order, that of the calls; completions keep it.
	Submit(lane int, ops []Op, done func(error))
	// Volatile tells that nothing would be kept, so that ops need not be recorded.
	Volatile() bool
	// Load reads the messages of one session that mids name, as of all that was
	// submitted before, and calls done once from any goroutine. A message that is gone
	// is nil. It does not block.
	Load(sid uint64, mids []uint64, done func(msgs []*session.Message, err error))
}

// Memory is the Journal of a broker that keeps its state in memory only.
type Memory struct{}

// Submit completes at once.
func (Memory) Submit(_ int, _ []Op, done func(error)) { done(nil) }

// Volatile is true: nothing survives the process.
func (Memory) Volatile() bool { return true }

// Load fails: nothing is stored.
func (Memory) Load(_ uint64, _ []uint64, done func([]*session.Message, error)) {
	done(nil, ErrVolatile)
}
