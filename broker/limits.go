package broker

import (
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// lobby is how many connections above MaxConnections may say CONNECT, so that their
// clients can be told, and lobbyTime how long each may take, in nanoseconds.
const (
	lobby     = 16
	lobbyTime = int64(2e9)
)

// share is a shard's part of what all may have together.
func (k *core) share(total int) int {
	shards := k.b.o.Shards
	return (total + shards - 1) / shards
}

// begun notes that a packet has begun and not ended, and when it must have.
func (k *core) begun(c *client) {
	if c.state != connected || c.due != 0 {
		return
	}
	c.due = k.l.Now() + int64(k.limits.PacketTimeout)
	if c.keepAlive == 0 && !c.watched { // else the timer of the Keep Alive looks
		c.watched = true
		k.l.At(c.due, timeConn, c.conn.Key())
	}
}

// packetTimedOut ends a connection whose packet does not come to an end. A peer that
// sends a byte now and then is never silent, but has sent no packet either.
func (k *core) packetTimedOut(c *client) bool {
	now := k.l.Now()
	switch {
	case c.due == 0:
		c.watched = false
		return false
	case c.conn.Paused() || c.conn.Clogged(): // we do not read: the delay is ours
		c.due = now + int64(k.limits.PacketTimeout)
	case now >= c.due:
		k.stats.packetTimeouts++
		k.disconnect(c, packet.KeepAliveTimeout, "packet not complete")
		return true
	}
	if c.keepAlive == 0 {
		k.l.At(c.due, timeConn, c.conn.Key())
	}
	return false
}

// weigh counts a subscription of s that takes the place of another; either may be the
// zero value. It reports false, and counts nothing, when that is above a limit.
func (k *core) weigh(s *sess, old, new sub) bool {
	l := k.limits
	if new.filter != "" && old.filter == "" {
		n := levels(new.filter)
		if len(s.subs) >= l.MaxSubscriptions || int(s.levels)+n > l.MaxSubscriptionLevels ||
			int(k.stats.subscriptionLevels)+n > k.share(l.MaxSubscriptionLevelsTotal) {
			return false
		}
	}
	if new.addsID() && !old.addsID() && int(s.ids) >= l.MaxSubscriptionIDs {
		return false
	}
	k.count(s, old, new)
	return true
}

// count is weigh without limits.
func (k *core) count(s *sess, old, new sub) {
	if old.filter != "" {
		s.levels -= uint32(levels(old.filter))
		k.stats.subscriptionLevels -= int64(levels(old.filter))
	}
	if old.addsID() {
		s.ids--
	}
	if new.filter != "" {
		s.levels += uint32(levels(new.filter))
		k.stats.subscriptionLevels += int64(levels(new.filter))
	}
	if new.addsID() {
		s.ids++
	}
}

// addsID tells whether the subscription may add its identifier to messages that bring
// others of the session as well.
func (f *sub) addsID() bool { return f.id != 0 && topic.HasWildcard(f.filter) }

// retainedLevel is what a level of a retained message's topic costs in the index, bytes.
const retainedLevel = 200

// retainedCost is the memory that a retained message stands for.
func retainedCost(name string, payload, props int) int64 {
	return int64(len(name) + payload + props + retainedLevel*levels(name))
}

// retainedRoom tells whether m may be kept. Shards that ask at the same time may each go
// over the limits by one message.
func (k *core) retainedRoom(m *outgoing) bool {
	if k.b.retained.Len() < k.limits.MaxRetainedMessages &&
		k.b.retainedBytes.Load()+retainedCost(m.topic, len(m.payload), len(m.props)) <= k.limits.MaxRetainedBytes {
		return true // whatever it may replace
	}
	old, replaces := k.b.retained.Get(m.topic)
	if !replaces && k.b.retained.Len()-int(k.b.ownRetained.Load()) >= k.limits.MaxRetainedMessages {
		return false
	}
	grows := retainedCost(m.topic, len(m.payload), len(m.props))
	if replaces {
		grows -= retainedCost(old.Topic, len(old.Payload), len(old.Props))
	}
	return grows <= 0 || k.b.retainedBytes.Load()+grows <= k.limits.MaxRetainedBytes
}

// countRetained counts a retained message that has taken the place of another; either
// may be nil.
func (b *Broker) countRetained(old, new *session.Message) {
	n := int64(0)
	if old != nil {
		n -= retainedCost(old.Topic, len(old.Payload), len(old.Props))
	}
	if new != nil {
		n += retainedCost(new.Topic, len(new.Payload), len(new.Props))
	}
	b.retainedBytes.Add(n)
}

// mostHeld is how many packets of a connection may wait for the journal.
const mostHeld = 16384

// holdsTooMuch tells that a client asks faster than the journal lets us answer.
func (k *core) holdsTooMuch(c *client) bool {
	return c.rare != nil && (len(c.rare.held) > mostHeld || c.rare.heldBytes > 2*k.limits.OutboundBuffer)
}
