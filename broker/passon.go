package broker

import (
	"math"

	"github.com/wirebird/wirebird/internal/session"
)

const all = math.MaxInt

// redistribute gives messages that came to s by shared subscriptions, and that its
// client has not seen, to other members, at most most of those that wait. When s ends,
// QoS 1 messages in flight go too; QoS 2 messages in flight never do [MQTT-4.8.2-5].
// Messages that are only stored stay: see passOn.
func (k *core) redistribute(s *sess, ending bool, most int) {
	if s.out == nil || s.shared == 0 {
		return
	}
	var moving []session.Entry
	if ending {
		var done []uint16
		s.out.Each(func(id uint16, _ bool, e *session.Entry) {
			if id != 0 && e.QoS == 1 && e.Shared() && e.Msg != nil {
				moving = append(moving, *e)
				done = append(done, id)
			}
		})
		for _, id := range done {
			s.out.Discard(id)
		}
		k.stats.inflight -= int64(len(done))
	}
	bytes := s.out.QueuedBytes()
	var queued []session.Entry
	if s.out.Loaded() > 0 { // else none of a long queue is at hand
		others := k.otherMembers(s, !ending)
		queued = s.out.TakeFirst(most, func(e *session.Entry) bool {
			return e.Shared() && e.Msg != nil && (ending || others(e))
		})
	}
	k.stats.queued -= int64(len(queued))
	k.stats.queuedBytes -= bytes - s.out.QueuedBytes()
	for _, e := range append(moving, queued...) {
		k.completed(s, &e)
		k.stats.redistributed++
		k.redeliver(e)
	}
}

// otherMembers tells of entries of s whether their shared subscription has another member;
// with online, one that is online.
func (k *core) otherMembers(s *sess, online bool) func(*session.Entry) bool {
	var last *session.More
	var known bool
	return func(e *session.Entry) bool {
		if last == nil || e.More.Share != last.Share || e.More.Filter != last.Filter {
			last, known = e.More, k.b.routes.Others(e.More.Share, e.More.Filter, s.h, online)
		}
		return known
	}
}

// passOn asks for messages of shared subscriptions that wait for s on disk, some at a
// time, when other members could take them: those that are online, or, once s has ended,
// any. It reports false when there are none; else redistribution goes on when they have
// been read, and a session that has ended keeps its slot until then.
func (k *core) passOn(s *sess) bool {
	if s.out == nil || s.shared == 0 || !k.recording {
		return false
	}
	if s.loading { // loaded comes back here
		return true
	}
	ended := k.hasEnded(s)
	others := k.otherMembers(s, !ended)
	mids := s.out.MissingOf(loadAtOnce, loadBytes, func(inflight bool, e *session.Entry) bool {
		return e.Shared() && (!inflight || ended && e.QoS == 1) && others(e)
	})
	if len(mids) == 0 {
		return false
	}
	k.fetch(s, mids)
	return true
}

// hasEnded tells of a session that still has its slot whether it has ended.
func (k *core) hasEnded(s *sess) bool { return k.sessions[s.id] != s }
