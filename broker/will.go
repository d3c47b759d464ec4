package broker

import (
	"bytes"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// will is a Will Message and when it goes out.
type will struct {
	msg     *session.Message
	delay   uint32 // Will Delay Interval, seconds
	expires uint32 // Message Expiry Interval, seconds, from publication on; 0 none
	expiry  bool
	due     int64 // unix nanoseconds, once the connection has ended
}

func newWill(w *packet.Will, k *core) *will {
	p := w.Properties
	n := &will{delay: p.WillDelay, expires: p.MessageExpiry, expiry: p.Has(packet.PropMessageExpiry)}
	p.Unmark(packet.PropWillDelay)
	p.Unmark(packet.PropMessageExpiry)
	n.msg = &session.Message{
		Topic: string(w.Topic), Payload: bytes.Clone(w.Payload), QoS: w.QoS, Retain: w.Retain,
		Props: p.AppendTo(nil), // user properties keep their order [MQTT-3.1.3-10]
	}
	return n
}

// publishWill publishes a session's will and removes it [MQTT-3.1.2-10].
func (k *core) publishWill(s *sess) {
	w := s.will
	s.will = nil
	k.recordFor(s, journal.Op{Kind: journal.EndWill})
	k.stats.wills++
	m := w.msg
	if w.expiry {
		timed := *m
		timed.Expires = k.l.Now() + int64(w.expires)*1e9
		m = &timed
	}
	k.publishMessage(m, s.h)
}

// recordWill notes a session's will as it is.
func (k *core) recordWill(s *sess) {
	w := s.will
	k.recordFor(s, journal.Op{Kind: journal.PutWill, Msg: w.msg, Expiry: w.delay, At: w.due,
		WillExpiry: w.expires, HasWillExpiry: w.expiry})
}
