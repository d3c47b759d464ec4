package broker

import (
	"container/heap"
	"slices"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
)

// retain stores m as its topic's retained message, or removes that when m is empty
// [MQTT-3.3.1-5] to 7. It reports false when the store is full.
func (k *core) retain(m *outgoing) bool {
	if len(m.payload) == 0 {
		if old, ok := k.b.retained.Delete(m.topic); ok {
			k.b.countRetained(old, nil)
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
	if !k.retainedRoom(m) {
		k.stats.retainRefused++
		return false
	}
	msg := m.message()
	old, _ := k.b.retained.Put(msg.Topic, msg)
	k.b.countRetained(old, msg)
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
			old, _ := k.b.retained.Delete(msg.Topic)
			k.b.countRetained(old, nil)
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
