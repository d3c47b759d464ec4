package session

// AliasLRU assigns Topic Aliases towards a peer for the life of a connection
// [MQTT-3.3.2-7]. When all are taken the topic that was not used for longest gives up
// its alias. A topic gets one with its second message, so that topics used once cost
// nothing.
type AliasLRU struct {
	max     uint16
	byTopic map[string]uint16
	once    map[string]struct{} // seen one time, of late
	entries []aliasEntry        // entries[alias]; entries[0] is the ring's anchor
}

type aliasEntry struct {
	topic      string
	prev, next uint16 // towards the older, towards the newer; 0 is the anchor
}

// NewAliasLRU makes a table for a peer that takes aliases from 1 to max.
func NewAliasLRU(max uint16) *AliasLRU {
	return &AliasLRU{
		max:     max,
		byTopic: make(map[string]uint16),
		once:    make(map[string]struct{}),
		entries: make([]aliasEntry, 1),
	}
}

// For returns the alias to send with topic, 0 for none, and whether the peer knows it
// already, so that the Topic Name can stay away.
func (a *AliasLRU) For(topic string) (alias uint16, known bool) {
	if alias, known = a.byTopic[topic]; known {
		if a.entries[0].prev != alias {
			a.unlink(alias)
			a.link(alias)
		}
		return alias, true
	}
	if _, again := a.once[topic]; !again {
		if len(a.once) > 4*int(a.max) {
			clear(a.once)
		}
		a.once[topic] = struct{}{}
		return 0, false
	}
	delete(a.once, topic)
	if len(a.entries) <= int(a.max) {
		alias = uint16(len(a.entries))
		a.entries = append(a.entries, aliasEntry{})
	} else {
		alias = a.entries[0].next
		a.unlink(alias)
		delete(a.byTopic, a.entries[alias].topic)
	}
	a.entries[alias].topic = topic
	a.byTopic[topic] = alias
	a.link(alias)
	return alias, false
}

// link makes alias the most recent: the anchor's prev.
func (a *AliasLRU) link(alias uint16) {
	last := a.entries[0].prev
	a.entries[alias].prev, a.entries[alias].next = last, 0
	a.entries[last].next = alias
	a.entries[0].prev = alias
}

func (a *AliasLRU) unlink(alias uint16) {
	e := &a.entries[alias]
	a.entries[e.prev].next = e.next
	a.entries[e.next].prev = e.prev
}
