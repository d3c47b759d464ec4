package client

// Stats counts what a Client did since it began.
type Stats struct {
	Connects        uint64 // accepted connections
	ConnectFailures uint64 // attempts that failed, but Connect's own
	Lost            uint64 // connections that ended without Disconnect
	BytesReceived   uint64 // of MQTT, without TLS and WebSocket
	BytesSent       uint64 // likewise

	Published    uint64 // PUBLISH packets sent, those sent again included
	Resent       uint64 // of them those sent again
	Acknowledged uint64 // messages of QoS 1 and 2 that the server took over
	Refused      uint64 // messages that the server, or its limits, refused
	AliasesUsed  uint64 // PUBLISH packets with an alias in place of the topic
	Resubscribed uint64 // filters asked for again, because the session was lost

	Received    uint64 // messages, before handlers
	Dropped     uint64 // QoS 0 messages that found a lane full
	Discarded   uint64 // messages that came during Drain
	Undecodable uint64 // messages that a codec refused

	// CallbacksDropped is how many calls of OnPublish found too many waiting.
	CallbacksDropped uint64
	// TooOld is how many messages of the outbox were given up.
	TooOld uint64

	// Queued is how many messages are accepted and not completed at this moment,
	// Inflight how many of them have a Packet Identifier.
	Queued, Inflight int
	// OutboxMessages and OutboxBytes are on disk at this moment.
	OutboxMessages int
	OutboxBytes    int64 // topics, properties and payloads
	// Lanes are the handlers', OnMessage's first, with an empty filter.
	Lanes []LaneStats
}

// LaneStats are of one handler.
type LaneStats struct {
	Filter  string // as Handle was given it
	Queued  int    // waiting or being handled
	Handled uint64 // calls that have returned
	Dropped uint64 // QoS 0 messages that found the lane full
}

// Stats returns the counters.
func (c *Client) Stats() Stats {
	s := Stats{
		Connects:         c.counts.connects.Load(),
		ConnectFailures:  c.counts.failures.Load(),
		Lost:             c.counts.lost.Load(),
		BytesReceived:    c.counts.bytesIn.Load(),
		BytesSent:        c.counts.bytesOut.Load(),
		Undecodable:      c.counts.undecodable.Load(),
		CallbacksDropped: c.counts.callbacks.Load(),
		Queued:           len(c.slots),
	}
	if c.outbox != nil {
		s.OutboxMessages, s.OutboxBytes = c.outbox.Len()
	}
	s.Lanes, s.Dropped = c.lanes.stats()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &c.flow.counts
	s.Published, s.Resent, s.Acknowledged, s.Refused = n.published, n.resent, n.acknowledged, n.refused
	s.AliasesUsed, s.Resubscribed, s.TooOld = n.alias, n.resubscribed, n.tooOld
	s.Received, s.Discarded, s.Inflight = n.received, n.discarded, c.flow.inflight
	return s
}
