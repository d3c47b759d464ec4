// Package session is one end of an MQTT Session as a pure state machine: the flows of
// QoS 1 and 2 in both directions, packet identifiers, the send quota, resending after
// a reconnect, and topic aliases.
//
// It reads no clock and does no input or output: it is told what came and says what to
// send next. Its owner guards it. A broker's and a client's end are alike.
//
// [MQTT-x.y.z-n] cites a normative statement of MQTT 5.0.
package session

// Message is an Application Message that outlives the packet that brought it. It is
// immutable and shared by all sessions that wait to send it.
type Message struct {
	Topic   string
	Payload []byte
	// Props are the properties that travel with the message, encoded as in an MQTT 5.0
	// PUBLISH without their length: all but Topic Alias, Subscription Identifier and
	// Message Expiry Interval.
	Props []byte
	// Expires is when the message is no longer to be sent, in unix nanoseconds; 0 is never.
	Expires int64
	QoS     byte // as published
	Retain  bool // as published
}

// Size is the number of bytes that count against queue limits.
func (m *Message) Size() int { return len(m.Topic) + len(m.Payload) + len(m.Props) }

// Expired tells whether m is past its Message Expiry Interval [MQTT-3.3.2-5].
func (m *Message) Expired(now int64) bool { return m.Expires != 0 && m.Expires <= now }

// Remaining is the Message Expiry Interval to send on, in seconds [MQTT-3.3.2-6].
func (m *Message) Remaining(now int64) uint32 { return Remaining(m.Expires, now) }

// Remaining is the number of seconds from now to expires, rounded up, and 0 when there
// are none.
func Remaining(expires, now int64) uint32 {
	if expires == 0 {
		return 0
	}
	return uint32(max(0, (expires-now+999_999_999)/1_000_000_000))
}

// Entry is a Message on its way to one Session.
type Entry struct {
	// Msg is nil while the Message is only stored: MID names it, and Outbound.Fill brings
	// it back.
	Msg *Message
	// More holds what few entries have; nil otherwise.
	More *More
	// MID names the Message in the journal; 0 when it is not there.
	MID uint64
	// SubID is the Subscription Identifier; 0 is none.
	SubID uint32
	// Size is Msg.Size, and Expires is Msg.Expires in unix seconds, rounded up, or an
	// earlier end that the owner has set. Push sets them. They count while Msg is nil.
	Size, Expires uint32
	// QoS of the delivery.
	QoS byte
	// Retain is the RETAIN flag of the delivery.
	Retain bool
	state  state
	// charged: its PUBLISH took from this connection's send quota.
	charged bool
}

// Expired tells whether the Message is past its Message Expiry Interval.
func (e *Entry) Expired(now int64) bool {
	return e.Expires != 0 && int64(e.Expires)*1e9 <= now || e.Msg != nil && e.Msg.Expired(now)
}

// measure notes what must be known of a Message that is not at hand.
func (e *Entry) measure() {
	if e.Msg == nil {
		return
	}
	e.Size = uint32(e.Msg.Size())
	if at := uint32((e.Msg.Expires + 999_999_999) / 1_000_000_000); at != 0 && (e.Expires == 0 || at < e.Expires) {
		e.Expires = at
	}
}

// Shared tells whether the Message came by a shared subscription.
func (e *Entry) Shared() bool { return e.More != nil && e.More.Share != "" }

// unload lets go of a Message that is stored.
func (e *Entry) unload() {
	if e.MID != 0 && e.state != done {
		e.measure()
		e.Msg = nil
	}
}

// More is the rare part of an Entry. It is not changed: several may share one.
type More struct {
	// SubIDs are the Subscription Identifiers when there are several.
	SubIDs []uint32
	// Share and Filter are those of the shared subscription that the Message came by;
	// Share is "" for an ordinary one.
	Share, Filter string
}

type state uint8

const (
	waiting  state = iota // PUBLISH sent, or to be sent again
	released              // PUBREC came: PUBREL is owed until PUBCOMP
	done                  // complete, but an earlier one is not
)

// ids is a set of packet identifiers. A few are a list, many a bitmap.
type ids struct {
	list []uint16
	bits *[1024]uint64
	n    int
}

const idsInList = 32

func (s *ids) has(id uint16) bool {
	if s.bits != nil {
		return s.bits[id>>6]&(1<<(id&63)) != 0
	}
	for _, v := range s.list {
		if v == id {
			return true
		}
	}
	return false
}

func (s *ids) add(id uint16) {
	s.n++
	if s.bits == nil && len(s.list) < idsInList {
		s.list = append(s.list, id)
		return
	}
	if s.bits == nil {
		s.bits = new([1024]uint64)
		for _, v := range s.list {
			s.bits[v>>6] |= 1 << (v & 63)
		}
		s.list = nil
	}
	s.bits[id>>6] |= 1 << (id & 63)
}

func (s *ids) remove(id uint16) bool {
	if !s.has(id) {
		return false
	}
	s.n--
	if s.bits != nil {
		s.bits[id>>6] &^= 1 << (id & 63)
		if s.n == 0 {
			s.bits = nil
		}
		return true
	}
	for i, v := range s.list {
		if v == id {
			s.list[i] = s.list[len(s.list)-1]
			s.list = s.list[:len(s.list)-1]
			break
		}
	}
	return true
}

// each calls fn for each identifier, in no order.
func (s *ids) each(fn func(id uint16)) {
	for _, v := range s.list {
		fn(v)
	}
	if s.bits == nil {
		return
	}
	for i := range 65536 {
		if s.bits[i>>6]&(1<<(i&63)) != 0 {
			fn(uint16(i))
		}
	}
}
