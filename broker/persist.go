package broker

import (
	"slices"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
)

// persist records m for all durable sessions that it goes to, of any shard: one
// operation, so that the publisher's acknowledgement waits for all of them, and one for
// each of chosen, the members of its shared subscriptions.
func (k *core) persist(m *outgoing, mt *route.Match, chosen []*route.Target) {
	first := len(k.targets)
	for _, list := range mt.ByShard {
		for i := range list {
			t, ids := &list[i], mt.IDs
			if t.Opts&route.Durable == 0 || min(m.qos, t.Opts.QoS()) == 0 {
				continue
			}
			if t.Opts&route.NoLocal != 0 && t.To == m.from {
				own, ownIDs, ok := k.b.routes.MatchOwn(m.topic, m.from)
				if !ok || own.Opts.QoS() == 0 {
					continue
				}
				t, ids = &own, ownIDs
			}
			k.targets = append(k.targets, journalTarget(m, t, ids))
		}
	}
	m.mid = k.store(m, first)
	k.chosenMIDs = k.chosenMIDs[:0]
	for i, t := range chosen {
		k.chosenMIDs = append(k.chosenMIDs, k.persistShared(m, t, &mt.Groups[i]))
	}
}

// persistShared records m for one member of a shared subscription. It has a name of its
// own, as the member may get m by other subscriptions too.
func (k *core) persistShared(m *outgoing, t *route.Target, g *route.Group) uint64 {
	if t.Opts&route.Durable == 0 || min(m.qos, t.Opts.QoS()) == 0 {
		return 0
	}
	to := journalTarget(m, t, nil)
	to.Share, to.Filter = g.Share, g.Filter
	first := len(k.targets)
	k.targets = append(k.targets, to)
	return k.store(m, first)
}

func journalTarget(m *outgoing, t *route.Target, ids []uint32) journal.Target {
	to := journal.Target{
		SID: uint64(t.To), QoS: min(m.qos, t.Opts.QoS()), SubID: t.ID,
		Retain: m.retain && t.Opts&route.RetainAsPublished != 0,
	}
	if t.Count > 0 && len(ids) > 0 {
		to.SubIDs = slices.Clone(ids[t.More : t.More+t.Count])
	}
	return to
}

// store records m for the targets from the first-th on, and returns the name that their
// entries bear.
func (k *core) store(m *outgoing, first int) uint64 {
	targets := slices.Clip(k.targets[first:])
	if len(targets) == 0 {
		return 0
	}
	mid := k.b.mids.Add(1)
	k.record(journal.Op{Kind: journal.Publish, MID: mid, Msg: m.message(), Targets: targets})
	return mid
}

// completed records that an entry has left its session.
func (k *core) completed(s *sess, e *session.Entry) {
	if e.MID != 0 {
		k.record(journal.Op{Kind: journal.Complete, SID: uint64(s.h), MID: e.MID})
	}
}

// Stored messages are fetched by the thousand, and before they are needed.
const (
	loadAtOnce = 4096
	loadBytes  = 1 << 20
	loadAhead  = 1024
)

// fetched are stored messages that a session asked for, as mail.
type fetched struct {
	to   route.Handle
	mids []uint64
	msgs []*session.Message
	err  error
}

// load fetches the messages that s wants to send next and that are on disk only.
func (k *core) load(s *sess) {
	if s.loading {
		return
	}
	bytes := int64(loadBytes)
	if !k.roomLoaded(s.out) {
		bytes = loadedSure
	}
	if mids := s.out.Missing(loadAtOnce, bytes); len(mids) > 0 {
		k.fetch(s, mids)
	}
}

// fetch asks the journal for messages of s, at the end of the turn: what the turn stores
// comes before.
func (k *core) fetch(s *sess, mids []uint64) {
	s.loading = true
	k.fetching = append(k.fetching, fetched{to: s.h, mids: mids})
}

func (k *core) fetchAll() {
	loop := k.l
	for _, f := range k.fetching {
		k.b.o.Journal.Load(uint64(f.to), f.mids, func(msgs []*session.Message, err error) {
			f.msgs, f.err = msgs, err
			loop.Post(f)
		})
	}
	clear(k.fetching)
	k.fetching = k.fetching[:0]
}

// loaded goes on sending, or passing on, with what was fetched. What cannot be read is
// dropped.
func (k *core) loaded(f fetched) {
	s := k.session(f.to)
	if s == nil {
		return
	}
	s.loading = false
	if f.err != nil {
		k.b.log.Error("read stored messages", "client_id", s.id, "error", f.err)
		f.msgs = make([]*session.Message, len(f.mids))
	}
	o := s.out
	inflight, queued, bytes := o.Inflight(), o.Queued(), o.QueuedBytes()
	lost := o.Fill(f.mids, f.msgs)
	k.stats.inflight -= int64(inflight - o.Inflight())
	k.stats.queued -= int64(queued - o.Queued())
	k.stats.queuedBytes -= bytes - o.QueuedBytes()
	k.stats.dropped[DropUnreadable] += uint64(len(lost))
	for i := range lost {
		k.completed(s, &lost[i])
	}
	switch {
	case k.hasEnded(s):
		k.redistribute(s, true, len(f.mids))
		if !k.passOn(s) {
			k.forget(s)
		}
	case s.c == nil:
		k.redistribute(s, false, len(f.mids))
		o.Unload()
		k.passOn(s)
	case s.c.state == connected:
		k.pump(s.c)
	}
}
