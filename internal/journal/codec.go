package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/wirebird/wirebird/internal/session"
)

// formatVersion is that of the tables as a whole, and recordVersion the first byte of
// every value. A reader refuses what is higher.
const (
	formatVersion = 1
	recordVersion = 1
)

var (
	errShort    = errors.New("record ends too early")
	errTrailing = errors.New("record has bytes left over")
	errFlags    = errors.New("record has unknown flags")
)

// Flags of a message.
const (
	msgQoS     = 3
	msgRetain  = 1 << 2
	msgExpires = 1 << 3
	msgKnown   = 1<<4 - 1
)

// appendMessage writes m last in a value: its payload has no length. withTopic is
// false where the key holds the topic.
func appendMessage(b []byte, m *session.Message, withTopic bool) []byte {
	flags := m.QoS & msgQoS
	if m.Retain {
		flags |= msgRetain
	}
	if m.Expires != 0 {
		flags |= msgExpires
	}
	b = append(b, flags)
	if m.Expires != 0 {
		b = binary.AppendVarint(b, m.Expires)
	}
	if withTopic {
		b = appendText(b, m.Topic)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Props)))
	b = append(b, m.Props...)
	return append(b, m.Payload...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader takes a value apart. The first mistake sticks.
type reader struct {
	b   []byte
	err error
}

// newReader checks the version of a value.
func newReader(b []byte) reader {
	r := reader{b: b}
	if v := r.byte(); r.err == nil && v != recordVersion {
		r.fail(versionError(v))
	}
	return r
}

func versionError(v byte) error {
	if v > recordVersion {
		return fmt.Errorf("record of version %d was %w", v, ErrNewer)
	}
	return fmt.Errorf("record has version %d, which never was", v)
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.fail(errors.New("number is too large"))
		return 0
	}
	return uint32(v)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// bytes returns a part of the value itself.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// flags reads a byte of which only the bits of known may be set.
func (r *reader) flags(known byte) byte {
	v := r.byte()
	if v&^known != 0 {
		r.fail(errFlags)
	}
	return v
}

// end checks that nothing is left.
func (r *reader) end() error {
	if r.err == nil && len(r.b) != 0 {
		r.err = errTrailing
	}
	return r.err
}

// messageHead is a message but for its bytes, which still lie in the value.
type messageHead struct {
	topic, props, payload []byte
	expires               int64
	qos                   byte
	retain                bool
}

func (h *messageHead) size() int { return len(h.topic) + len(h.props) + len(h.payload) }

func (r *reader) messageHead(withTopic bool) (h messageHead) {
	flags := r.flags(msgKnown)
	h.qos, h.retain = flags&msgQoS, flags&msgRetain != 0
	if flags&msgExpires != 0 {
		h.expires = r.varint()
	}
	if withTopic {
		h.topic = r.bytes()
	}
	h.props = r.bytes()
	h.payload, r.b = r.b, nil
	return h
}

// message copies what messageHead borrows, into one allocation for the bytes.
func (r *reader) message(withTopic bool) *session.Message {
	h := r.messageHead(withTopic)
	if r.err != nil {
		return nil
	}
	m := &session.Message{Topic: string(h.topic), Expires: h.expires, QoS: h.qos, Retain: h.retain}
	both := make([]byte, 0, len(h.props)+len(h.payload))
	both = append(append(both, h.props...), h.payload...)
	if n := len(h.props); n > 0 {
		m.Props = both[:n:n]
	}
	if n := len(h.props); n < len(both) {
		m.Payload = both[n:]
	}
	return m
}

func appendSession(b []byte, op *Op) []byte {
	b = binary.AppendUvarint(append(b, recordVersion), uint64(op.Expiry))
	b = binary.AppendVarint(b, op.At)
	return appendText(b, op.Name)
}

func decodeSession(v []byte) (clientID string, expiry uint32, offlineAt int64, err error) {
	r := newReader(v)
	expiry, offlineAt, clientID = r.uint32(), r.varint(), string(r.bytes())
	return clientID, expiry, offlineAt, r.end()
}

func appendSubscription(b []byte, op *Op) []byte {
	return binary.AppendUvarint(append(b, recordVersion, op.Options), uint64(op.SubID))
}

func decodeSubscription(v []byte) (options uint8, subID uint32, err error) {
	r := newReader(v)
	options, subID = r.byte(), r.uint32()
	return options, subID, r.end()
}

func decodeAccepted(v []byte) error {
	r := newReader(v)
	return r.end()
}

const willHasExpiry = 1

func appendWill(b []byte, op *Op) []byte {
	var flags byte
	if op.HasWillExpiry {
		flags = willHasExpiry
	}
	b = binary.AppendUvarint(append(b, recordVersion, flags), uint64(op.Expiry))
	b = binary.AppendVarint(b, op.At)
	b = binary.AppendUvarint(b, uint64(op.WillExpiry))
	return appendMessage(b, op.Msg, true)
}

func decodeWill(v []byte) (w Will, err error) {
	r := newReader(v)
	w.HasExpiry = r.flags(willHasExpiry) != 0
	w.Delay, w.Due, w.Expiry = r.uint32(), r.varint(), r.uint32()
	w.Msg = r.message(true)
	return w, r.end()
}

func appendBody(b []byte, m *session.Message, withTopic bool) []byte {
	return appendMessage(append(b, recordVersion), m, withTopic)
}

func decodeBody(v []byte) (*session.Message, error) {
	r := newReader(v)
	return r.message(true), r.end()
}

func decodeRetained(topic string, v []byte) (*session.Message, error) {
	r := newReader(v)
	m := r.message(false)
	if r.err == nil {
		m.Topic = topic
	}
	return m, r.end()
}

const sideOwed = 1

func appendSide(b []byte, id uint16, owed bool) []byte {
	var flags byte
	if owed {
		flags = sideOwed
	}
	return binary.BigEndian.AppendUint16(append(b, recordVersion, flags), id)
}

func decodeSide(v []byte) (id uint16, owed bool, err error) {
	r := newReader(v)
	owed = r.flags(sideOwed) != 0
	id = uint16(r.byte())<<8 | uint16(r.byte())
	return id, owed, r.end()
}

// Flags of a queue entry. They are its second byte, where sharedBody looks.
const (
	queueQoS    = 3
	queueRetain = 1 << 2
	queueInline = 1 << 3 // the message itself follows; else its size and expiry
	queueSubID  = 1 << 4
	queueSubIDs = 1 << 5
	queueShare  = 1 << 6
	queueKnown  = 1<<7 - 1
)

func appendQueue(b []byte, t *Target, m *session.Message, inline bool) []byte {
	flags := t.QoS & queueQoS
	for _, f := range [...]struct {
		set bool
		bit byte
	}{{t.Retain, queueRetain}, {inline, queueInline}, {t.SubID != 0, queueSubID}, {len(t.SubIDs) > 0, queueSubIDs}, {t.Share != "", queueShare}} {
		if f.set {
			flags |= f.bit
		}
	}
	b = append(b, recordVersion, flags)
	if t.SubID != 0 {
		b = binary.AppendUvarint(b, uint64(t.SubID))
	}
	if len(t.SubIDs) > 0 {
		b = binary.AppendUvarint(b, uint64(len(t.SubIDs)))
		for _, id := range t.SubIDs {
			b = binary.AppendUvarint(b, uint64(id))
		}
	}
	if t.Share != "" {
		b = appendText(appendText(b, t.Share), t.Filter)
	}
	if inline {
		return appendMessage(b, m, true)
	}
	b = binary.AppendUvarint(b, uint64(m.Size()))
	b = binary.AppendVarint(b, m.Expires)
	if t.Share != "" {
		b = appendText(b, m.Topic)
	}
	return b
}

// sharedBody tells whether a queue entry's message is a record of its own.
func sharedBody(v []byte) bool { return len(v) >= 2 && v[1]&queueInline == 0 }

// queueHead reads what comes before the message.
func (r *reader) queueHead(w *Waiting) (inline bool) {
	flags := r.flags(queueKnown)
	w.QoS, w.Retain = flags&queueQoS, flags&queueRetain != 0
	if flags&queueSubID != 0 {
		w.SubID = r.uint32()
	}
	if flags&queueSubIDs != 0 {
		n := r.uvarint()
		if n > uint64(len(r.b)) { // each takes a byte at least
			r.fail(errShort)
			n = 0
		}
		w.SubIDs = slices.Grow(w.SubIDs, int(n))
		for range n {
			w.SubIDs = append(w.SubIDs, r.uint32())
		}
	}
	if flags&queueShare != 0 {
		w.Share, w.Filter = string(r.bytes()), string(r.bytes())
	}
	return flags&queueInline != 0
}

// decodeWaiting reads a queue entry without its message.
func decodeWaiting(v []byte) (w Waiting, inline bool, err error) {
	r := newReader(v)
	inline = r.queueHead(&w)
	var topic []byte
	if inline {
		h := r.messageHead(true)
		w.Size, w.Expires, topic = h.size(), h.expires, h.topic
	} else {
		size := r.uvarint()
		if size > 1<<31-1 {
			r.fail(errors.New("size is too large"))
		}
		w.Size, w.Expires = int(size), r.varint()
		if w.Share != "" {
			topic = r.bytes()
		}
	}
	if w.Share != "" {
		w.Topic = string(topic)
	}
	return w, inline, r.end()
}

// decodeInline reads the message of an inline queue entry.
func decodeInline(v []byte) (*session.Message, error) {
	r := newReader(v)
	var w Waiting
	if !r.queueHead(&w) {
		r.fail(errors.New("queue entry holds no message"))
	}
	return r.message(true), r.end()
}
