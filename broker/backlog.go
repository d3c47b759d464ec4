package broker

import (
	"slices"
	"strings"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// backlog are retained messages on their way to a new subscription. They are looked for
// in parts, so that a subscription to everything does not keep its shard from the others,
// and sent as the connection takes them, so that it costs a list of pointers and not a
// copy of the store.
type backlog struct {
	w    wish
	h    route.Handle
	walk *route.Walk[*session.Message] // nil when it is over
	list []*session.Message
	gen  uint64 // of the store, when the search began
	sent bool   // the list has lost its head
	away bool   // the connection is gone: what is left is for the session's queue
	over bool   // nobody waits for it any more
	busy bool   // on core.busy
	next *backlog
}

const (
	// retainedPerTurn is how many levels of retained topics a turn looks at, and how many
	// of the messages found it deals with.
	retainedPerTurn = 4096
	// sortedBacklog is how many retained messages are put in the order of their topics.
	sortedBacklog = 4096
)

// searchOn is mail of a shard to itself: the next part of what is busy.
type searchOn struct{}

// searcher is the work of a shard for backlogs, some of it each turn.
type searcher struct {
	busy   []*backlog
	steps  int // left in this turn
	posted bool
}

// sendRetained begins to send what is retained for a subscription.
func (k *core) sendRetained(c *client, w wish) {
	if isShared(w.filter) { // §4.8.2: none for shared subscriptions
		return
	}
	k.dropBacklog(c.s, w.filter) // the same again: it begins anew
	b := &backlog{w: w, h: c.s.h, gen: k.b.retained.Gen(), walk: k.b.retained.Walk(w.filter)}
	last := &c.backlog
	for *last != nil {
		last = &(*last).next
	}
	*last = b
	if k.search(b); b.walk != nil {
		k.keepBusy(b)
	}
	if c.backlog == b {
		k.sendBacklog(c)
	}
}

// search goes on with b's search.
func (k *core) search(b *backlog) {
	if b.walk == nil || k.steps <= 0 {
		return
	}
	over := b.walk.Next(&k.steps, func(_ string, m *session.Message, fresh bool) {
		if !fresh || min(m.QoS, b.w.qos) == 0 { // else the subscription has brought it
			b.list = append(b.list, m)
		}
	})
	if !over {
		return
	}
	b.walk = nil
	if len(b.list) <= sortedBacklog && !b.sent { // the store has no order
		slices.SortFunc(b.list, func(x, y *session.Message) int { return strings.Compare(x.Topic, y.Topic) })
	}
}

// keepBusy comes back to b in later turns.
func (k *core) keepBusy(b *backlog) {
	if b.busy {
		return
	}
	b.busy = true
	k.busy = append(k.busy, b)
	if !k.posted {
		k.posted = true
		k.l.Post(searchOn{})
	}
}

// searchAll gives each busy backlog an equal part of the turn.
func (k *core) searchAll() {
	k.posted = false
	list := k.busy
	k.busy = nil
	all := k.steps
	for i, b := range list {
		share := max(1, k.steps/(len(list)-i))
		all -= share
		k.steps = share
		b.busy = false
		k.searchOne(b)
		all += max(0, k.steps)
		k.steps = all
	}
}

func (k *core) searchOne(b *backlog) {
	s := k.session(b.h)
	switch {
	case b.over:
	case s == nil:
		b.end()
	case b.away:
		k.search(b)
		k.queueBacklog(s, b)
	default:
		k.search(b)
		if b.walk != nil {
			k.keepBusy(b)
		}
		if s.c != nil && s.c.state == connected {
			k.sendBacklog(s.c)
		}
	}
}

func (b *backlog) end() {
	b.over, b.list = true, nil
	if b.walk != nil {
		b.walk.Close()
		b.walk = nil
	}
}

// sendBacklog sends retained messages until the connection is full or the turn has done
// its share.
func (k *core) sendBacklog(c *client) {
	for b := c.backlog; b != nil; b = c.backlog {
		for len(b.list) > 0 {
			if c.conn.Pending() > k.limits.OutboundBuffer {
				c.conn.WantDrain()
				return
			}
			if k.steps <= 0 {
				k.keepBusy(b)
				return
			}
			msg := b.list[0]
			qos := min(msg.QoS, b.w.qos)
			if qos > 0 && k.outbound(c.s).Waiting() {
				return // goes on when acknowledgements come
			}
			k.steps--
			b.list[0], b.list, b.sent = nil, b.list[1:], true
			k.sendRetainedOne(c, b, msg, qos)
		}
		if b.walk != nil {
			return // goes on when some more is found
		}
		c.backlog, b.over = b.next, true
	}
}

func (k *core) sendRetainedOne(c *client, b *backlog, msg *session.Message, qos byte) {
	if k.b.retained.Gen() != b.gen {
		cur, ok := k.b.retained.Get(msg.Topic)
		switch {
		case !ok:
			return
		case cur != msg && min(cur.QoS, b.w.qos) > 0:
			return // replaced meanwhile: the subscription has brought, or brings, the new one
		case cur != msg: // ... or has dropped it, as the client is slow
			msg, qos = cur, 0
		}
	}
	if msg.Expired(k.l.Now()) {
		return
	}
	k.stats.routed++
	k.stats.retainedSent++
	if qos > 0 {
		k.deliverRetained(c.s, msg, qos, b.w.subID)
		return
	}
	var m outgoing
	m.load(msg)
	if k.sendPublish(c, &m, packet.FlagRetain, 0, b.w.subID, nil) {
		k.stats.delivered++
		k.stats.messagesOut[0]++
	}
}

// dropBacklog forgets what is still to be sent for a subscription [MQTT-3.10.4-2].
func (k *core) dropBacklog(s *sess, filter string) {
	if c := s.c; c != nil {
		for at := &c.backlog; *at != nil; {
			if (*at).w.filter == filter {
				(*at).end()
				*at = (*at).next
			} else {
				at = &(*at).next
			}
		}
	}
	for _, b := range k.busy { // of an earlier connection
		if b.h == s.h && b.w.filter == filter {
			b.end()
		}
	}
}

// keepBacklog leaves what a closing connection has not got to a session that stays.
func (k *core) keepBacklog(c *client, s *sess) {
	for b := c.backlog; b != nil; b = b.next {
		if s.expiry == 0 {
			b.end()
			continue
		}
		b.away = true
		if !b.busy {
			k.queueBacklog(s, b)
		}
	}
	c.backlog = nil
}

// queueBacklog queues a part of what a connection that is gone has not got.
func (k *core) queueBacklog(s *sess, b *backlog) {
	for len(b.list) > 0 && k.steps > 0 {
		msg := b.list[0]
		b.list[0], b.list = nil, b.list[1:]
		k.steps--
		if cur, ok := k.b.retained.Get(msg.Topic); !ok || cur != msg {
			continue // what replaced it is before it in the queue
		}
		if qos := min(msg.QoS, b.w.qos); qos > 0 && !msg.Expired(k.l.Now()) {
			k.stats.routed++
			k.deliverRetained(s, msg, qos, b.w.subID)
		}
	}
	if len(b.list) > 0 || b.walk != nil {
		k.keepBusy(b)
	} else {
		b.over = true
	}
}

// deliverRetained delivers a retained message above QoS 0. A session that is durable gets
// it stored like any other: its packet identifier may not be given to another one.
func (k *core) deliverRetained(s *sess, msg *session.Message, qos byte, subID uint32) {
	e := entryOf(msg, qos, true, subID, nil)
	if k.recording && s.durable {
		e.MID = k.b.mids.Add(1)
		k.record(journal.Op{Kind: journal.Publish, MID: e.MID, Msg: msg,
			Targets: []journal.Target{{SID: uint64(s.h), QoS: qos, Retain: true, SubID: subID}}})
	}
	k.deliverLater(s, e)
}
