package client

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/internal/outbox"
	"github.com/wirebird/wirebird/packet"
)

// Errors of messages in an outbox.
var (
	// ErrOutboxFull says that MaxMessages or MaxBytes are reached. Nothing was
	// accepted.
	ErrOutboxFull = errors.New("outbox is full")
	// ErrTooOld says that a message waited for longer than MaxAge and was given
	// up without having been sent.
	ErrTooOld = errors.New("message is too old")
)

// OutboxOptions keep QoS 1 and QoS 2 messages on disk. Publish and PublishAsync
// return only when the message is durable there, whether or not there is a
// connection, and what was not acknowledged when the process ends is sent, in
// order, by the next Client with the same directory. Such a message may arrive
// twice if the process died between the server's acknowledgement and its record
// on disk, at QoS 2 as well.
//
// A failing disk ends the outbox: the call that meets it and all later ones at QoS 1
// and QoS 2 return its error. What was accepted before is still sent.
type OutboxOptions struct {
	// Dir is the directory, made if need be. One Client uses it at a time.
	Dir string
	// MaxMessages and MaxBytes bound what waits: topics, properties and payloads.
	// 0 means 100,000 messages and 256 MiB. When they are reached Publish fails
	// with ErrOutboxFull.
	MaxMessages int
	MaxBytes    int64 // see MaxMessages
	// MaxAge is how long a message may wait to be sent. It is looked at when a
	// connection begins. 0 means forever.
	MaxAge time.Duration

	create func(path string) (outbox.File, error) // of tests; nil is the system's
}

const (
	defaultOutboxMessages = 100_000
	defaultOutboxBytes    = 256 << 20
)

// diskOutbox is an outbox with what it is for.
type diskOutbox struct {
	*outbox.Outbox
	maxAge time.Duration
}

// openOutbox puts what an earlier client left into the flow.
func (c *Client) openOutbox() error {
	o := *c.opts.Outbox
	if o.Dir == "" {
		return errors.New("options: Outbox.Dir is empty; name a directory")
	}
	if o.MaxMessages < 0 || o.MaxBytes < 0 || o.MaxAge < 0 {
		return errors.New("options: Outbox.MaxMessages, MaxBytes and MaxAge cannot be less than 0")
	}
	o.MaxMessages = cmp.Or(o.MaxMessages, defaultOutboxMessages)
	box, found, err := outbox.Open(o.Dir, outbox.Options{
		MaxEntries: o.MaxMessages,
		MaxBytes:   cmp.Or(o.MaxBytes, defaultOutboxBytes),
		Create:     o.create,
	})
	if err != nil {
		return err
	}
	c.outbox = &diskOutbox{box, o.MaxAge}
	if found.Damaged > 0 {
		c.opts.Logger.Error("outbox damaged, messages lost", "dir", o.Dir, "bytes", found.Damaged)
	}
	c.slots = make(chan struct{}, max(c.opts.MaxQueued, o.MaxMessages, len(found.Entries)))
	for _, e := range found.Entries {
		m, err := decodeStored(e)
		if err != nil {
			box.Close()
			return fmt.Errorf("outbox: %s: message %d: %w", o.Dir, e.Seq, err)
		}
		m.client = c
		m.then = func(*Token) { c.tellGivenUp(m) }
		c.slots <- struct{}{}
		c.flow.publish(m, &c.idle)
	}
	return nil
}

// tellGivenUp logs what became of a message that an earlier client had accepted, and
// whose end no caller hears of. c.mu is held.
func (c *Client) tellGivenUp(m *outbound) {
	err := m.Err()
	if err == nil || errors.Is(err, ErrClosed) { // in the second case it stays on disk
		return
	}
	c.lanes.tell(c.main, func() { c.opts.Logger.Warn("stored message given up", "topic", m.topic, "error", err) })
}

// closeOutbox writes what is pending.
func (c *Client) closeOutbox() {
	if c.outbox == nil {
		return
	}
	if err := c.outbox.Close(); err != nil {
		c.opts.Logger.Error("outbox not closed cleanly", "error", err)
	}
}

// acceptStored is accept for a message that goes to disk. The order in the
// outbox is the order in the flow. It may be sent before it is durable, but the
// caller does not hear of it before.
func (c *Client) acceptStored(ctx context.Context, o *outbound) error {
	data := encodeStored(o)
	now := time.Now()
	c.accepting.Lock()
	seq, err := c.outbox.Add(now, data)
	if err != nil {
		c.accepting.Unlock()
		<-c.slots
		switch {
		case errors.Is(err, outbox.ErrFull):
			err = ErrOutboxFull
		case errors.Is(err, outbox.ErrClosed):
			err = ErrClosed
		}
		return wrapPublish(o.topic, err)
	}
	o.seq, o.stored = seq, now.UnixNano()
	c.mu.Lock()
	cn := c.conn
	err = c.publishLocked(o)
	c.mu.Unlock()
	c.accepting.Unlock()
	if err != nil { // closed
		c.outbox.Done(seq)
		<-c.slots
		return wrapPublish(o.topic, err)
	}
	if cn != nil {
		cn.kick()
	}
	if err := c.outbox.Sync(seq); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		o.seq = 0 // nobody keeps it, so that it can be withdrawn
		c.flow.withdraw(o, err)
		return wrapPublish(o.topic, fmt.Errorf("not durable: %w", err))
	}
	return nil
}

// completed forgets o, unless it is only this client that ends.
func (b *diskOutbox) completed(o *outbound, err error) {
	if !errors.Is(err, ErrClosed) {
		b.Done(o.seq)
	}
}

// expireStored gives up messages that are too old and were not sent. c.mu must
// be held.
func (c *Client) expireStored() {
	if c.outbox == nil || c.outbox.maxAge == 0 {
		return
	}
	limit := time.Now().Add(-c.outbox.maxAge).UnixNano()
	for m := c.flow.head; m != nil; {
		next := m.next
		if m.seq != 0 && m.epoch == 0 && m.stored < limit {
			c.flow.counts.tooOld++
			c.flow.finish(m, packet.UnspecifiedError, ErrTooOld)
		}
		m = next
	}
}

// encodeStored writes what a message needs after a restart: QoS and RETAIN (1
// byte), length of the topic (2) and of the properties (4), topic, properties,
// payload.
func encodeStored(o *outbound) []byte {
	out := make([]byte, 0, 7+len(o.topic)+len(o.props)+len(o.payload))
	flags := o.qos << 1
	if o.retain {
		flags |= packet.FlagRetain
	}
	out = append(out, flags)
	out = binary.BigEndian.AppendUint16(out, uint16(len(o.topic)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(o.props)))
	return append(append(append(out, o.topic...), o.props...), o.payload...)
}

func decodeStored(e outbox.Entry) (*outbound, error) {
	b := e.Data
	const head = 7
	if len(b) < head {
		return nil, errors.New("too short")
	}
	topicLen, propsLen := int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint32(b[3:]))
	if len(b) < head+topicLen+propsLen || b[0]>>1 < 1 || b[0]>>1 > 2 {
		return nil, errors.New("not a message")
	}
	o := &outbound{qos: b[0] >> 1, retain: b[0]&packet.FlagRetain != 0, seq: e.Seq, stored: e.Time.UnixNano()}
	b = b[head:]
	o.topic, b = string(b[:topicLen]), b[topicLen:]
	o.props, o.payload = b[:propsLen:propsLen], b[propsLen:]
	return o, nil
}
