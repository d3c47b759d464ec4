package broker

import (
	"encoding/binary"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// outgoing is the message that a shard is delivering. Its bytes are borrowed from the
// packet that brought it, or from a stored message.
type outgoing struct {
	topic   string
	payload []byte
	props   []byte // as session.Message.Props
	expires int64
	from    route.Handle
	stored  *session.Message // made when the first session has to keep it
	mid     uint64           // its name in the journal; 0 when it is not there
	forms   [4]span          // encoded QoS 0 forms in core.enc, by version and RETAIN
	qos     byte
	retain  bool
	many    bool // goes to several: encoding it once pays
}

type span struct{ from, to int }

func (m *outgoing) reset() { *m = outgoing{} }

// message is m as sessions keep it.
func (m *outgoing) message() *session.Message {
	if m.stored == nil {
		data := make([]byte, len(m.payload)+len(m.props))
		n := copy(data, m.payload)
		copy(data[n:], m.props)
		m.stored = &session.Message{
			Topic: m.topic, Payload: data[:n:n], Props: data[n:], Expires: m.expires, QoS: m.qos, Retain: m.retain,
		}
	}
	return m.stored
}

// publishMessage publishes a stored message: a will, $SYS, or one from inside the process.
func (k *core) publishMessage(msg *session.Message, from route.Handle) {
	mt := k.matchString(msg.Topic)
	m := &k.msg
	m.reset()
	m.load(msg)
	m.from = from
	if m.retain {
		k.retain(m)
		mt = k.matchAgain(mt)
	}
	m.many = mt.N > 1
	if k.route(m, mt) == 0 && !reserved(m.topic) {
		k.stats.dropped[DropNoSubscriber]++
	}
}

func (m *outgoing) load(msg *session.Message) {
	m.stored = msg
	m.topic, m.payload, m.props, m.expires = msg.Topic, msg.Payload, msg.Props, msg.Expires
	m.qos, m.retain = msg.QoS, msg.Retain
}

// route gives m to all who subscribe and returns how many that are.
func (k *core) route(m *outgoing, mt *route.Match) int {
	chosen := k.chosen[:0]
	for i := range mt.Groups {
		chosen = append(chosen, k.choose(&mt.Groups[i]))
	}
	k.chosen = chosen
	if k.recording && m.qos > 0 {
		k.persist(m, mt, chosen)
	}
	n := len(chosen)
	for id, targets := range mt.ByShard {
		if len(targets) == 0 {
			continue
		}
		n += len(targets)
		if id != k.id {
			k.forward(id, m, mt, nil)
			continue
		}
		for i := range targets {
			k.deliver(m, &targets[i], mt, nil)
		}
	}
	for i := range mt.Groups {
		mid := uint64(0)
		if k.recording && m.qos > 0 {
			mid = k.chosenMIDs[i]
		}
		k.deliverShared(m, mt, &mt.Groups[i], chosen[i], mid)
	}
	return n
}

// deliver gives m to one session of this shard.
func (k *core) deliver(m *outgoing, t *route.Target, mt *route.Match, via *xshare) {
	ids := mt.IDs
	if t.Opts&route.NoLocal != 0 && t.To == m.from { // [MQTT-3.8.3-3]
		own, ownIDs, ok := k.b.routes.MatchOwn(m.topic, m.from)
		if !ok {
			k.stats.noLocal++
			return
		}
		t, ids = &own, ownIDs
	}
	k.stats.routed++
	s := k.session(t.To)
	if s == nil {
		k.stats.dropped[DropSessionEnded]++
		return
	}
	var several []uint32
	if t.Count > 0 {
		several = ids[t.More : t.More+t.Count]
	}
	retain := m.retain && t.Opts&route.RetainAsPublished != 0 // [MQTT-3.3.1-12, 3.3.1-13]
	qos := min(m.qos, t.Opts.QoS())                           // [MQTT-3.8.4-8]
	if m.expires != 0 && m.expires < k.l.Now() {              // on its way from another shard [MQTT-3.3.2-5]
		k.stats.expired++
		if qos > 0 && t.Opts&route.Durable != 0 {
			k.completed(s, &session.Entry{MID: m.midFor(via)})
		}
		return
	}
	if qos == 0 {
		k.deliverNow(s, m, retain, t.ID, several)
		return
	}
	var more *session.More
	if several != nil || via != nil {
		share, filter := "", ""
		if via != nil {
			share, filter = via.share, via.filter
		}
		more = k.moreOf(several, share, filter)
	}
	e := entryOf(m.message(), qos, retain, t.ID, more)
	if t.Opts&route.Durable != 0 {
		e.MID = m.midFor(via)
	}
	k.deliverLater(s, e)
}

// midFor is m's name in the journal, as one of an ordinary subscription or of via.
func (m *outgoing) midFor(via *xshare) uint64 {
	if via != nil {
		return via.mid
	}
	return m.mid
}

// deliverNow sends a QoS 0 message or drops it.
func (k *core) deliverNow(s *sess, m *outgoing, retain bool, subID uint32, several []uint32) {
	c := s.c
	if c == nil || c.state != connected {
		k.stats.dropped[DropOffline]++
		return
	}
	if c.conn.Pending() > k.limits.OutboundBuffer {
		c.conn.Flush() // the turn may have brought all that, and the client be fast
		if c.conn.Pending() > k.limits.OutboundBuffer {
			k.stats.dropped[DropSlowConsumer]++
			return
		}
	}
	flags := byte(0)
	if retain {
		flags = packet.FlagRetain
	}
	v5 := c.version == packet.V5
	if m.many && (!v5 || m.expires == 0 && subID == 0 && several == nil && !c.aliases()) {
		k.sendForm(c, m, flags, v5)
		return
	}
	if k.sendPublish(c, m, flags, 0, subID, several) {
		k.stats.delivered++
		k.stats.messagesOut[0]++
	}
}

// sendForm sends m as encoded once for all connections alike.
func (k *core) sendForm(c *client, m *outgoing, flags byte, v5 bool) {
	form := &m.forms[flags&packet.FlagRetain]
	if v5 {
		form = &m.forms[2|flags&packet.FlagRetain]
	}
	if form.to == 0 {
		if m.forms == [4]span{} {
			k.enc = k.enc[:0]
		}
		form.from = len(k.enc)
		k.enc, _ = packet.AppendPublish(k.enc, c.version, flags, m.topic, 0, m.props, m.payload)
		form.to = len(k.enc)
	}
	b := k.enc[form.from:form.to]
	if c.maxPacket > 0 && len(b) > int(c.maxPacket) {
		k.stats.dropped[DropTooLarge]++
		return
	}
	c.conn.Write(b)
	k.sent(packet.PUBLISH, len(b))
	k.stats.delivered++
	k.stats.messagesOut[0]++
	k.stats.payloadOut += uint64(len(m.payload))
}

// sendPublish appends m's PUBLISH to c's outgoing bytes. It returns false, and counts,
// when it is larger than c takes [MQTT-3.1.2-24].
func (k *core) sendPublish(c *client, m *outgoing, flags byte, id uint16, subID uint32, several []uint32) bool {
	props, name := m.props, m.topic
	qos := flags >> 1 & 3
	if c.version == packet.V5 {
		extra := k.props[:0]
		if m.expires != 0 {
			extra = append(extra, byte(packet.PropMessageExpiry))
			extra = binary.BigEndian.AppendUint32(extra, session.Remaining(m.expires, k.l.Now()))
		}
		if several == nil && subID != 0 {
			extra = packet.AppendVarint(append(extra, byte(packet.PropSubscriptionID)), subID)
		}
		for _, v := range several {
			extra = packet.AppendVarint(append(extra, byte(packet.PropSubscriptionID)), v)
		}
		if c.aliases() {
			extra, name = k.alias(c, extra, m, qos)
		}
		if len(extra) > 0 {
			extra = append(extra, m.props...)
			props = extra
		}
		k.props = extra[:0]
	}
	n := packet.PublishSize(c.version, qos, len(name), len(props), len(m.payload))
	if c.maxPacket > 0 && n > int(c.maxPacket) {
		k.stats.dropped[DropTooLarge]++
		return false
	}
	buf, _ := packet.AppendPublish(c.conn.Reserve(n), c.version, flags, name, id, props, m.payload)
	c.conn.Commit(buf)
	k.sent(packet.PUBLISH, n)
	k.stats.payloadOut += uint64(len(m.payload))
	return true
}

// aliasSlack is what a Topic Alias may add to a packet.
const aliasSlack = 8

// alias appends a Topic Alias for m where it saves bytes, and returns the Topic Name to
// send. Near the client's Maximum Packet Size it does without: an alias that was
// assigned must arrive.
func (k *core) alias(c *client, extra []byte, m *outgoing, qos byte) ([]byte, string) {
	full := packet.PublishSize(c.version, qos, len(m.topic), len(extra)+len(m.props)+aliasSlack, len(m.payload))
	if len(m.topic) <= 3 || c.maxPacket > 0 && full > int(c.maxPacket) {
		return extra, m.topic
	}
	a, known := c.traits.aliasOut.For(m.topic)
	if a == 0 {
		return extra, m.topic
	}
	extra = binary.BigEndian.AppendUint16(append(extra, byte(packet.PropTopicAlias)), a)
	if known {
		return extra, ""
	}
	return extra, m.topic
}

// deliverLater sends a QoS 1 or 2 message, or queues it for when that is possible.
func (k *core) deliverLater(s *sess, e session.Entry) {
	o := k.outbound(s)
	c := s.c
	if c != nil && c.state == connected && !k.full(c) {
		if id := o.Direct(e); id != 0 {
			k.stats.inflight++
			k.sendEntry(c, id, &e, false)
			return
		}
	}
	size := int64(e.Msg.Size())
	if !k.makeRoom(s, size) {
		k.stats.dropped[DropQueueFull]++
		k.completed(s, &e)
		return
	}
	if age := k.limits.MaxQueueAge; age > 0 {
		e.Expires = uint32((k.l.Now() + int64(age)) / 1_000_000_000)
	}
	o.Push(e)
	o.UnloadLast(c != nil && k.roomLoaded(o))
	k.stats.queued++
	k.stats.queuedBytes += size
	if c != nil && c.state == connected && c.conn.Pending() > k.limits.OutboundBuffer {
		c.conn.WantDrain()
	}
}

// Waiting messages that are stored may be in memory, too, if their session is connected,
// up to so many bytes.
const (
	loadedSure  = 256 << 10 // of one session, whatever the others have
	loadedMost  = 8 << 20   // of one session
	loadedTotal = 64 << 20  // of all together, shared by the shards
)

// roomLoaded tells whether o may have more in memory of what waits.
func (k *core) roomLoaded(o *session.Outbound) bool {
	return o.Loaded() <= loadedSure || o.Loaded() <= loadedMost && k.loadedBytes <= loadedTotal/int64(k.b.o.Shards)
}

// makeRoom tells whether s's queue takes size more bytes. When it is full, what has
// expired goes first, and then, if the policy says so, what has waited longest.
func (k *core) makeRoom(s *sess, size int64) bool {
	if !k.queueFull(s, size) {
		return true
	}
	k.purge(s)
	for k.queueFull(s, size) {
		if !k.limits.DropOldest {
			return false
		}
		e, ok := s.out.Shift()
		if !ok {
			return false
		}
		k.stats.queued--
		k.stats.queuedBytes -= int64(e.Size)
		k.stats.dropped[DropQueueFull]++
		k.completed(s, &e)
	}
	return true
}

// queueFull applies the limits of one session, and of all together in this shard's share.
func (k *core) queueFull(s *sess, size int64) bool {
	l, shards := k.limits, int64(k.b.o.Shards)
	return s.out.Queued() >= l.MaxQueuedMessages || s.out.QueuedBytes()+size > l.MaxQueuedBytes ||
		k.stats.queued >= l.MaxQueuedMessagesTotal/shards || k.stats.queuedBytes+size > l.MaxQueuedBytesTotal/shards
}

// purge drops expired messages of a full queue.
func (k *core) purge(s *sess) {
	now, bytes := k.l.Now(), s.out.QueuedBytes()
	gone := s.out.Purge(now)
	k.stats.expired += uint64(len(gone))
	k.stats.queued -= int64(len(gone))
	k.stats.queuedBytes -= bytes - s.out.QueuedBytes()
	for i := range gone {
		k.completed(s, &gone[i])
	}
}

// sendEntry sends the PUBLISH of a delivery in flight. One too large for the client
// counts as delivered [MQTT-3.1.2-25].
func (k *core) sendEntry(c *client, id uint16, e *session.Entry, dup bool) {
	var m outgoing
	m.load(e.Msg)
	flags := e.QoS << 1
	if e.Retain {
		flags |= packet.FlagRetain
	}
	if dup { // [MQTT-3.3.1-1]
		flags |= packet.FlagDup
	}
	var several []uint32
	if e.More != nil {
		several = e.More.SubIDs
	}
	qos, gone := e.QoS, *e
	assign := k.recording && qos == 2 && e.MID != 0 && !dup
	traits, before := c.traits, c.conn.Unsent()
	if assign { // it leaves later than what follows: no alias may be bound by it
		c.traits = nil
	}
	sent := k.sendPublish(c, &m, flags, id, e.SubID, several)
	c.traits = traits
	switch {
	case !sent:
		c.s.out.Discard(id)
		k.stats.inflight--
		k.completed(c.s, &gone)
		return
	case assign: // the client will know the message by its identifier: that must survive
		k.record(journal.Op{Kind: journal.Assign, SID: uint64(c.s.h), MID: e.MID, ID: id})
		k.hold(c, c.conn.Unwrite(before), packet.PUBLISH, nil)
	}
	k.stats.messagesOut[qos]++
}

// pump sends what the session holds for its client, as far as the client's Receive
// Maximum and its outgoing bytes allow.
func (k *core) pump(c *client) {
	o := c.s.out
	for o != nil {
		if k.full(c) {
			if c.conn.Pending() > k.limits.OutboundBuffer && (o.Waiting() || c.backlog != nil) {
				c.conn.WantDrain()
			}
			return // or the journal lets go of what is held
		}
		kind, id, e := o.Next(k.l.Now())
		switch kind {
		case session.Nothing:
			o = nil
		case session.Release:
			k.ackNow(c, packet.PUBREL, id, packet.Success)
		case session.Outdated:
			k.stats.queued--
			k.stats.queuedBytes -= int64(e.Size)
			k.stats.expired++
			k.completed(c.s, e)
		case session.Send:
			k.stats.queued--
			k.stats.queuedBytes -= int64(e.Size)
			k.stats.inflight++
			k.sendEntry(c, id, e, false)
		case session.Resend:
			k.sendEntry(c, id, e, true)
		case session.Absent:
			k.load(c.s)
			o = nil
		}
	}
	if c.s.out != nil && c.s.out.Sparse(loadAhead) {
		k.load(c.s)
	}
	if c.backlog != nil {
		k.sendBacklog(c)
	}
}
