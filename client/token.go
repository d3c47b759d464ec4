package client

import (
	"context"
	"sync/atomic"

	"github.com/wirebird/wirebird/packet"
)

// Token stands for something that is under way. It survives reconnections:
// it completes when the server answered, or when there will be no answer.
type Token struct {
	done     chan struct{}
	slots    <-chan struct{} // one is given back at completion; may be nil
	packetID atomic.Uint32
	message  *outbound         // of a QoS 1 or QoS 2 message; guarded by Client.mu
	code     packet.ReasonCode // written before done is closed
	err      error             // likewise
}

func newToken(slots <-chan struct{}) *Token {
	return &Token{done: make(chan struct{}), slots: slots}
}

// Done is closed when the token has completed.
func (t *Token) Done() <-chan struct{} { return t.done }

// Err is nil while the token has not completed, and when all went well.
func (t *Token) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

// Code is the Reason Code of the server's answer. It is Success while the token
// has not completed.
func (t *Token) Code() packet.ReasonCode {
	select {
	case <-t.done:
		return t.code
	default:
		return packet.Success
	}
}

// PacketID is the Packet Identifier, 0 while there is none.
func (t *Token) PacketID() uint16 { return uint16(t.packetID.Load()) }

// Wait returns Err once the token has completed, or the error of ctx. In that
// case what it stands for stays under way.
func (t *Token) Wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// complete must be called once. It never blocks.
func (t *Token) complete(code packet.ReasonCode, err error) {
	t.code, t.err = code, err
	close(t.done)
	if t.slots != nil {
		<-t.slots
	}
}
