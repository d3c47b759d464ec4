package client

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/wirebird/wirebird/packet"
)

// Token stands for something that is under way. It survives reconnections:
// it completes when the server answered, or when there will be no answer.
type Token struct {
	packetID  atomic.Uint32
	mu        sync.Mutex
	done      chan struct{} // made when somebody asks for it
	signal    chan struct{} // of a Publish that waits; has room for one
	completed bool
	code      packet.ReasonCode
	err       error
	then      func(*Token) // called once, without a lock that blocks; may be nil
}

// Done is closed when the token has completed.
func (t *Token) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = make(chan struct{})
		if t.completed {
			close(t.done)
		}
	}
	return t.done
}

// Err is nil while the token has not completed, and when all went well.
func (t *Token) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Code is the Reason Code of the server's answer. It is Success while the token
// has not completed.
func (t *Token) Code() packet.ReasonCode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.code
}

// Completed reports whether the token has completed.
func (t *Token) Completed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.completed
}

// PacketID is the Packet Identifier, 0 while there is none.
func (t *Token) PacketID() uint16 { return uint16(t.packetID.Load()) }

// Wait returns Err once the token has completed, or the error of ctx. In that
// case what it stands for stays under way.
func (t *Token) Wait(ctx context.Context) error {
	if t.Completed() {
		return t.Err()
	}
	select {
	case <-t.Done():
		return t.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// complete must be called once. It never blocks.
func (t *Token) complete(code packet.ReasonCode, err error) {
	t.mu.Lock()
	t.completed, t.code, t.err = true, code, err
	if t.done != nil {
		close(t.done)
	}
	then := t.then
	t.mu.Unlock()
	if then != nil {
		then(t)
	}
	if t.signal != nil {
		t.signal <- struct{}{}
	}
}
