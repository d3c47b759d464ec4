package sim

import (
	"maps"
	"slices"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
)

// recoverable is a journal.Journal that keeps something.
type recoverable interface {
	journal.Journal
	Recover(v journal.Visitor) (journal.RecoverStats, error)
	Rename(pairs map[uint64]uint64) error
	LastMID() uint64
}

// watch stands between a broker and its journal and tells the model what sessions are
// called there, and what comes back after a crash.
type watch struct {
	recoverable
	m      *model
	shards int // of the broker
	tried  map[uint64]uint64
	bend   *bend
}

// Submit passes on.
func (w *watch) Submit(lane int, ops []journal.Op, done func(error)) {
	for i := range ops {
		if op := &ops[i]; op.Kind == journal.PutSession {
			s := w.m.sessions[op.Name]
			is := func(other *state) bool { return other.sid == op.SID }
			if s != nil && !slices.ContainsFunc(w.m.every, is) {
				s.sid = op.SID
			}
		}
	}
	w.recoverable.Submit(lane, w.bend.ops(ops), done)
}

// Recover lets the model see what the broker is given.
func (w *watch) Recover(v journal.Visitor) (journal.RecoverStats, error) {
	seen := newSeen(v)
	stats, err := w.recoverable.Recover(seen)
	if err != nil {
		return stats, err
	}
	for _, sid := range slices.Sorted(maps.Keys(seen.waiting)) {
		list := seen.waiting[sid]
		mids := make([]uint64, len(list))
		for i := range list {
			mids[i] = list[i].MID
		}
		w.recoverable.Load(sid, mids, func(msgs []*session.Message, e error) {
			err = e
			for i := range msgs {
				list[i].msg = msgs[i]
			}
		})
	}
	if err == nil {
		if stats.Orphans > 0 {
			w.m.fail(Recoverable, "%d records belong to nothing", stats.Orphans)
		}
		w.m.moved(w.tried, seen)
		w.m.survive(seen, w.shards)
	}
	return stats, err
}

// Rename passes on.
func (w *watch) Rename(pairs map[uint64]uint64) error {
	w.m.rename(pairs)
	return w.recoverable.Rename(pairs)
}

// seen is what a journal has given to the broker.
type seen struct {
	journal.Visitor
	sessions map[uint64]seenSession
	subs     map[uint64]map[string]seenSub
	accepted map[uint64]map[uint16]bool
	wills    map[uint64]journal.Will
	retained map[string]*session.Message
	waiting  map[uint64][]seenMessage
}

type seenSession struct {
	id        string
	expiry    uint32
	offlineAt int64
}

type seenSub struct {
	options uint8
	subID   uint32
}

type seenMessage struct {
	journal.Waiting
	msg *session.Message
}

func newSeen(v journal.Visitor) *seen {
	return &seen{
		Visitor: v, sessions: map[uint64]seenSession{}, subs: map[uint64]map[string]seenSub{}, accepted: map[uint64]map[uint16]bool{},
		wills: map[uint64]journal.Will{}, retained: map[string]*session.Message{}, waiting: map[uint64][]seenMessage{},
	}
}

// Session notes and passes on, as the others do.
func (s *seen) Session(sid uint64, clientID string, expiry uint32, offlineAt int64) {
	s.sessions[sid] = seenSession{clientID, expiry, offlineAt}
	s.Visitor.Session(sid, clientID, expiry, offlineAt)
}

func (s *seen) Subscription(sid uint64, filter string, options uint8, subID uint32) {
	if s.subs[sid] == nil {
		s.subs[sid] = map[string]seenSub{}
	}
	s.subs[sid][filter] = seenSub{options, subID}
	s.Visitor.Subscription(sid, filter, options, subID)
}

func (s *seen) Accepted(sid uint64, id uint16) {
	if s.accepted[sid] == nil {
		s.accepted[sid] = map[uint16]bool{}
	}
	s.accepted[sid][id] = true
	s.Visitor.Accepted(sid, id)
}

func (s *seen) Will(sid uint64, w journal.Will) {
	s.wills[sid] = w
	s.Visitor.Will(sid, w)
}

func (s *seen) Retained(msg *session.Message) {
	s.retained[msg.Topic] = msg
	s.Visitor.Retained(msg)
}

func (s *seen) Waiting(sid uint64, w journal.Waiting) {
	s.waiting[sid] = append(s.waiting[sid], seenMessage{Waiting: w})
	s.Visitor.Waiting(sid, w)
}
