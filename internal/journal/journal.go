// Package journal is the only way in which durable state changes: operations go in, and
// a completion comes back when they are safe. The broker sends an acknowledgement only
// after the completion of what it acknowledges.
//
// The package knows sessions, subscriptions and messages as records, and no protocol.
// A driver may do its work on goroutines of its own; it never runs on a shard. The one
// driver here, Memory, keeps nothing, for a broker whose state is its own memory.
package journal

import "github.com/wirebird/wirebird/internal/session"

// Kind tells what an Op does.
type Kind uint8

// The kinds of Op. The comment names the fields that each uses besides Session.
const (
	PutSession      Kind = iota + 1 // Expiry
	EndSession                      //
	PutSubscription                 // Filter, Options, SubID
	EndSubscription                 // Filter
	Enqueue                         // Entry: a message waits for the session
	Complete                        // Entry: a message left the session
	Owe                             // ID: PUBREC came, PUBREL is owed
	Accept                          // ID: a QoS 2 message was accepted from the session's client
	Forget                          // ID: ... and released by it
	PutRetained                     // Entry.Msg
	EndRetained                     // Filter is the Topic Name
	PutWill                         // Entry.Msg, Expiry is its delay in seconds
	EndWill                         //
)

// Op is one change of durable state.
type Op struct {
	Session string // Client Identifier
	Filter  string
	Entry   session.Entry
	SubID   uint32
	Expiry  uint32 // seconds
	ID      uint16
	Options uint8
	Kind    Kind
}

// Journal makes changes durable. Implementations are safe for concurrent use.
type Journal interface {
	// Submit takes over ops, all that one shard's turn has changed, in their order, and
	// does not block. done is called once, from any goroutine, when they are safe, or
	// with the error that keeps them from being so. Submissions of one lane complete in
	// their order.
	Submit(lane int, ops []Op, done func(error))
	// Volatile tells that nothing would be kept, so that ops need not be recorded.
	Volatile() bool
}

// Memory is the Journal of a broker that keeps its state in memory only.
type Memory struct{}

// Submit completes at once.
func (Memory) Submit(_ int, _ []Op, done func(error)) { done(nil) }

// Volatile is true: nothing survives the process.
func (Memory) Volatile() bool { return true }
