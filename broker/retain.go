package broker

import (
	"container/heap"
	"slices"
	"strings"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// retain stores m as its topic's retained message, or removes that when m is empty
// [MQTT-3.3.1-5] to 7. It reports false when the store is full.
func (k *core) retain(m *outgoing) bool {
	if len(m.payload) == 0 {
		if _, ok := k.b.retained.Delete(m.topic); ok {
			k.record(journal.Op{Kind: journal.EndRetained, Name: m.topic})
		}
		return true
	}
	if reserved(m.topic) { // the broker's own: neither counted nor stored
		if _, replaced := k.b.retained.Put(m.topic, m.message()); !replaced {
			k.b.ownRetained.Add(1)
		}
		return true
	}
	if k.b.retained.Len()-int(k.b.ownRetained.Load()) >= k.limits.MaxRetainedMessages {
		if _, ok := k.b.retained.Get(m.topic); !ok {
			k.stats.retainRefused++
			return false
		}
	}
	msg := m.message()
	k.b.retained.Put(msg.Topic, msg)
	k.record(journal.Op{Kind: journal.PutRetained, Msg: msg})
	if msg.Expires != 0 {
		if len(k.expiring) > 2*k.b.retained.Len()+expiringSlack {
			k.forgetReplaced()
		}
		heap.Push(&k.expiring, msg)
		if k.expiring[0] == msg {
			k.l.At(msg.Expires, timeRetain, 0)
		}
	}
	return true
}

// expiringSlack is how many replaced messages a shard may wait for in vain.
const expiringSlack = 1024

// forgetReplaced drops messages from the heap that are no longer retained.
func (k *core) forgetReplaced() {
	k.expiring = slices.DeleteFunc(k.expiring, func(msg *session.Message) bool {
		cur, ok := k.b.retained.Get(msg.Topic)
		return !ok || cur != msg
	})
	heap.Init(&k.expiring)
}

// expireRetained removes retained messages whose time is over.
func (k *core) expireRetained() {
	now := k.l.Now()
	for len(k.expiring) > 0 && k.expiring[0].Expires <= now {
		msg := heap.Pop(&k.expiring).(*session.Message)
		if cur, ok := k.b.retained.Get(msg.Topic); ok && cur == msg {
			k.b.retained.Delete(msg.Topic)
			k.stats.retainExpired++
			k.record(journal.Op{Kind: journal.EndRetained, Name: msg.Topic})
		}
	}
	if len(k.expiring) > 0 {
		k.l.At(k.expiring[0].Expires, timeRetain, 0)
	}
}

// expiryHeap orders messages by the time they expire.
type expiryHeap []*session.Message

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].Expires < h[j].Expires }
func (h expiryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push adds a message; it is container/heap's.
func (h *expiryHeap) Push(x any) { *h = append(*h, x.(*session.Message)) }

// Pop removes the last message; it is container/heap's.
func (h *expiryHeap) Pop() any {
	old := *h
	n := len(old) - 1
	x := old[n]
	old[n] = nil
	*h = old[:n]
	return x
}

// backlog are retained messages on their way to a new subscription. They are sent as the
// connection takes them, so that a subscription to everything costs a list of pointers
// and not a copy of the store.
type backlog struct {
	list []*session.Message
	w    wish
	gen  uint64 // of the store, when list was made
	next *backlog
}

// sortedBacklog is how many retained messages are put in the order of their topics.
const sortedBacklog = 4096

// sendRetained begins to send what is retained for a subscription.
func (k *core) sendRetained(c *client, w wish) {
	if isShared(w.filter) { // §4.8.2: none for shared subscriptions
		return
	}
	c.dropBacklog(w.filter) // the same again: it begins anew
	b := &backlog{w: w, gen: k.b.retained.Gen()}
	k.b.retained.Match(w.filter, func(_ string, m *session.Message) bool {
		b.list = append(b.list, m)
		return true
	})
	if len(b.list) == 0 {
		return
	}
	if len(b.list) <= sortedBacklog { // the store has no order
		slices.SortFunc(b.list, func(x, y *session.Message) int { return strings.Compare(x.Topic, y.Topic) })
	}
	last := &c.backlog
	for *last != nil {
		last = &(*last).next
	}
	*last = b
	if c.backlog == b {
		k.sendBacklog(c)
	}
}

// sendBacklog sends retained messages until the connection is full.
func (k *core) sendBacklog(c *client) {
	for b := c.backlog; b != nil; b = c.backlog {
		for len(b.list) > 0 {
			if c.conn.Pending() > k.limits.OutboundBuffer {
				c.conn.WantDrain()
				return
			}
			msg := b.list[0]
			qos := min(msg.QoS, b.w.qos)
			if qos > 0 && c.s.outbound().Waiting() {
				return // goes on when acknowledgements come
			}
			b.list[0], b.list = nil, b.list[1:]
			k.sendRetainedOne(c, b, msg, qos)
		}
		c.backlog = b.next
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
func (c *client) dropBacklog(filter string) {
	for at := &c.backlog; *at != nil; {
		if (*at).w.filter == filter {
			*at = (*at).next
		} else {
			at = &(*at).next
		}
	}
}

// keepBacklog queues what a closing connection has not got, for a session that stays.
func (k *core) keepBacklog(c *client, s *sess) {
	for b := c.backlog; b != nil; b = b.next {
		for _, msg := range b.list {
			if cur, ok := k.b.retained.Get(msg.Topic); !ok || cur != msg {
				continue // what replaced it is before it in the queue
			}
			if qos := min(msg.QoS, b.w.qos); qos > 0 && s.expiry > 0 && !msg.Expired(k.l.Now()) {
				k.stats.routed++
				k.deliverRetained(s, msg, qos, b.w.subID)
			}
		}
	}
	c.backlog = nil
}

// deliverRetained delivers a retained message above QoS 0. A session that is durable gets
// it stored like any other: its packet identifier may not be given to another one.
func (k *core) deliverRetained(s *sess, msg *session.Message, qos byte, subID uint32) {
	e := entryOf(msg, qos, true, subID, nil)
	if k.recording && s.expiry > 0 {
		e.MID = k.b.mids.Add(1)
		k.record(journal.Op{Kind: journal.Publish, MID: e.MID, Msg: msg,
			Targets: []journal.Target{{SID: uint64(s.h), QoS: qos, Retain: true, SubID: subID}}})
	}
	k.deliverLater(s, e)
}
