package broker

import (
	"container/heap"
	"slices"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
)

// recoverable is a journal that has something to recover.
type recoverable interface {
	journal.Journal
	Recover(v journal.Visitor) (journal.RecoverStats, error)
	Rename(pairs map[uint64]uint64) error
	LastMID() uint64
}

// Recover rebuilds sessions, subscriptions, queues, retained messages and wills from the
// journal. It is called once, between New and Start. With a journal that keeps nothing it
// does nothing.
func (b *Broker) Recover() (journal.RecoverStats, error) {
	d, ok := b.o.Journal.(recoverable)
	if !ok {
		return journal.RecoverStats{}, nil
	}
	r := &recovery{b: b, now: b.o.Clock(), found: map[uint64]*found{}}
	stats, err := d.Recover(r)
	if err != nil {
		return stats, err
	}
	r.place() // a journal without subscriptions or messages has not asked for it
	b.mids.Store(d.LastMID())
	r.queues()
	if len(r.renamed) > 0 { // the number of shards has changed
		return stats, d.Rename(r.renamed)
	}
	return stats, nil
}

// recovery is the journal.Visitor that rebuilds a Broker's state.
type recovery struct {
	b       *Broker
	now     int64
	found   map[uint64]*found
	order   []*found
	renamed map[uint64]uint64
	placed  bool
}

// found is a stored session.
type found struct {
	sid       uint64
	id        string
	expiry    uint32
	offlineAt int64
	s         *sess
	k         *core
	waiting   []session.Restored
}

// Session notes a session; all come first.
func (r *recovery) Session(sid uint64, clientID string, expiry uint32, offlineAt int64) {
	f := &found{sid: sid, id: clientID, expiry: expiry, offlineAt: offlineAt, k: r.b.cores[r.b.home([]byte(clientID))]}
	r.found[sid] = f
	r.order = append(r.order, f)
}

// place gives each session its slot: the one it had, where its shard is still the same.
func (r *recovery) place() {
	if r.placed {
		return
	}
	r.placed = true
	for _, f := range r.order {
		h := route.Handle(f.sid)
		if h.Shard() < len(r.b.cores) {
			r.b.cores[h.Shard()].reserve(h)
		}
	}
	for _, f := range r.order {
		if h := route.Handle(f.sid); h.Shard() == f.k.id && f.k.slots[h.Index()] == nil {
			f.s = f.k.restoreSession(f.id, h)
		}
	}
	for _, k := range r.b.cores {
		k.free = k.free[:0]
		for i := len(k.slots) - 1; i >= 0; i-- {
			if k.slots[i] == nil {
				k.free = append(k.free, uint32(i))
			}
		}
	}
	for _, f := range r.order {
		if f.s == nil {
			f.s = f.k.newSession(f.id)
			f.s.durable = true
			if r.renamed == nil {
				r.renamed = map[uint64]uint64{}
			}
			r.renamed[f.sid] = uint64(f.s.h)
		}
		r.settle(f)
	}
}

// settle sets a session's clocks. One that was connected when the broker ended has been
// offline since now.
func (r *recovery) settle(f *found) {
	s := f.s
	s.expiry = f.expiry
	since := f.offlineAt
	if since == 0 {
		since = r.now
		f.k.restored = append(f.k.restored, restored{s.h, true})
	} else {
		f.k.restored = append(f.k.restored, restored{s.h, false})
	}
	if s.expiry != neverExpires {
		s.ends = since + int64(s.expiry)*1e9
	}
}

// restored is a session whose timers begin with its core.
type restored struct {
	h      route.Handle
	online bool // it was connected when the broker ended
}

// reserve makes sure that h's slot exists and that its generation is not given again.
func (k *core) reserve(h route.Handle) {
	for len(k.slots) <= int(h.Index()) {
		k.slots = append(k.slots, nil)
		k.gens = append(k.gens, 0)
	}
	k.gens[h.Index()] = max(k.gens[h.Index()], h.Gen())
}

// restoreSession makes a session with the handle that it had.
func (k *core) restoreSession(id string, h route.Handle) *sess {
	s := &sess{id: id, h: h, durable: true}
	k.slots[h.Index()] = s
	k.sessions[id] = s
	k.stats.sessionsCreated++
	return s
}

// Subscription restores one.
func (r *recovery) Subscription(sid uint64, filter string, options uint8, subID uint32) {
	r.place()
	f := r.found[sid]
	if f == nil || f.id == "" { // it has ended: see core.endSession
		return
	}
	s := f.s
	i, ok := s.find(filter)
	if ok {
		return
	}
	s.subs = slices.Insert(s.subs, i, sub{filter: filter, id: subID, opts: route.Options(options) | route.Durable})
	f.k.stats.subscriptions++
	f.k.count(s, sub{}, s.subs[i])
	r.b.routes.Subscribe(filter, s.h, s.subs[i].opts, subID)
	if isShared(filter) {
		s.shared++
		f.k.stats.shared++
		r.b.routes.SetOnline(filter, s.h, false)
	}
}

// Accepted restores the identifier of a QoS 2 message that the client has not released.
func (r *recovery) Accepted(sid uint64, id uint16) {
	r.place()
	if f := r.found[sid]; f != nil {
		f.s.inbound().Accept(id)
	}
}

// Will restores a will. That of a session that was connected goes out after its delay.
func (r *recovery) Will(sid uint64, w journal.Will) {
	r.place()
	f := r.found[sid]
	if f == nil {
		return
	}
	due := w.Due
	if due == 0 {
		due = r.now + int64(w.Delay)*1e9
	}
	f.s.will = &will{msg: w.Msg, delay: w.Delay, expires: w.Expiry, expiry: w.HasExpiry, due: due}
}

// Retained restores a retained message.
func (r *recovery) Retained(msg *session.Message) {
	if msg.Expired(r.now) {
		return
	}
	old, _ := r.b.retained.Put(msg.Topic, msg)
	r.b.countRetained(old, msg)
	if msg.Expires != 0 {
		k := r.b.cores[r.b.home([]byte(msg.Topic))]
		k.expiring = append(k.expiring, msg)
	}
}

// Waiting notes a message on its way to a session; its body stays where it is.
func (r *recovery) Waiting(sid uint64, w journal.Waiting) {
	r.place()
	f := r.found[sid]
	if f == nil {
		return
	}
	e := session.Entry{
		MID: w.MID, SubID: w.SubID, Size: uint32(w.Size), Expires: uint32((w.Expires + 999_999_999) / 1_000_000_000),
		QoS: w.QoS, Retain: w.Retain,
	}
	if len(w.SubIDs) > 0 || w.Share != "" {
		e.More = f.k.moreOf(w.SubIDs, w.Share, w.Filter)
	}
	f.waiting = append(f.waiting, session.Restored{Entry: e, ID: w.ID, Owed: w.Owed})
}

// queues fills the sessions' outbound halves. What was stored counts as routed again.
func (r *recovery) queues() {
	for _, f := range r.order {
		if len(f.waiting) == 0 {
			continue
		}
		o := f.k.outbound(f.s)
		o.Restore(f.waiting)
		st := &f.k.stats
		st.routed += uint64(o.Inflight() + o.Queued())
		st.inflight += int64(o.Inflight())
		st.queued += int64(o.Queued())
		st.queuedBytes += o.QueuedBytes()
		f.waiting = nil
	}
}

// resume starts the clocks of what was recovered, in the core's first turn.
func (k *core) resume() {
	for _, r := range k.restored {
		s := k.session(r.h)
		if s == nil {
			continue
		}
		if s.expiry == 0 { // it was to end with its connection, which the broker's end has ended
			k.endSession(s)
			continue
		}
		if r.online {
			k.recordFor(s, journal.Op{Kind: journal.PutSession, Name: s.id, Expiry: s.expiry, At: k.l.Now()})
			if s.will != nil {
				k.recordWill(s)
			}
		}
		k.arm(s)
	}
	k.restored = nil
	if len(k.expiring) > 0 {
		heap.Init(&k.expiring)
		k.l.At(k.expiring[0].Expires, timeRetain, 0)
	}
}
