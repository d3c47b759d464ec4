package broker

import "fmt"

// SessionIDs are the Client Identifiers of all sessions.
func (b *Broker) SessionIDs() []string {
	var ids []string
	for _, k := range b.cores {
		for id := range k.sessions {
			ids = append(ids, id)
		}
	}
	return ids
}

// Leaks tells what is left in a Broker that all clients and sessions have left; "" is
// nothing.
func (b *Broker) Leaks() string {
	filters, subs := b.routes.Len()
	if nodes := b.routes.Stats(); filters+subs+nodes > 0 {
		return fmt.Sprintf("%d filters, %d subscriptions and %d nodes in the table", filters, subs, nodes)
	}
	for _, k := range b.cores {
		if n := len(k.sessions); n > 0 {
			return fmt.Sprintf("%d sessions on shard %d", n, k.id)
		}
		if len(k.free) != len(k.slots) {
			return fmt.Sprintf("%d of %d slots are free on shard %d", len(k.free), len(k.slots), k.id)
		}
		if n := k.l.Live(); n > 0 {
			return fmt.Sprintf("%d connections on shard %d", n, k.id)
		}
		if k.loadedBytes != 0 {
			return fmt.Sprintf("%d bytes of waiting messages in memory on shard %d", k.loadedBytes, k.id)
		}
		if len(k.keeper.ops)+len(k.keeper.holders)+len(k.keeper.others)+len(k.stalled) > 0 {
			return fmt.Sprintf("work is left on shard %d", k.id)
		}
	}
	s := b.StatsNow()
	if s.SubscriptionLevels != 0 || s.Retained == 0 && s.RetainedBytes != 0 {
		return fmt.Sprintf("%d levels of filters and %d bytes of no retained messages", s.SubscriptionLevels, s.RetainedBytes)
	}
	if s.Inflight != 0 || s.Queued != 0 || s.QueuedBytes != 0 || s.MailBytes != 0 || s.Connections != 0 ||
		s.Subscriptions != 0 || s.SharedSubscriptions != 0 || s.Sessions != 0 || s.SessionsOnline != 0 {
		return fmt.Sprintf("figures that should be 0: inflight %d, queued %d, %d B, mail %d B, connections %d, subscriptions %d, shared %d, sessions %d, online %d",
			s.Inflight, s.Queued, s.QueuedBytes, s.MailBytes, s.Connections, s.Subscriptions, s.SharedSubscriptions, s.Sessions, s.SessionsOnline)
	}
	return ""
}

// Home is the shard that owns the sessions of a Client Identifier.
func (b *Broker) Home(clientID string) int { return b.home([]byte(clientID)) }

// ExpiringRetained is the number of retained messages that shards wait for to expire.
func (b *Broker) ExpiringRetained() int {
	n := 0
	for _, k := range b.cores {
		n += len(k.expiring)
	}
	return n
}

// Timers is the number of timers that all shards have set.
func (b *Broker) Timers() int {
	n := 0
	for _, k := range b.cores {
		n += k.l.Timers()
	}
	return n
}

// TableNodes is the number of nodes that filters with wildcards take.
func (b *Broker) TableNodes() int { return b.routes.Stats() }

// FightsKept is the number of sessions whose takeovers are counted.
func (b *Broker) FightsKept() int {
	n := 0
	for _, k := range b.cores {
		n += len(k.storm.takeovers)
	}
	return n
}

// CachedNames is the number of Topic Names whose subscribers are kept.
func (b *Broker) CachedNames() int {
	n := 0
	for _, k := range b.cores {
		n += len(k.cache.byName)
	}
	return n
}

// LoadedBytes is the size of the waiting messages that are in memory.
func (b *Broker) LoadedBytes() int64 {
	n := int64(0)
	for _, k := range b.cores {
		n += k.loadedBytes
	}
	return n
}
