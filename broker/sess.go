package broker

import (
	"sort"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
)

// sess is the broker's end of a Session: what outlives the Network Connection.
type sess struct {
	id         string
	h          route.Handle
	c          *client // nil while offline
	subs       []sub   // sorted by filter
	out        *session.Outbound
	in         *session.Inbound
	will       *will
	ends       int64  // when an offline session ends, unix nanoseconds; 0 never, or online
	armed      int64  // when the next timer fires; 0 none. Timers of past connections count
	expiry     uint32 // Session Expiry Interval, seconds
	levels     uint32 // of all subscriptions together
	receiveMax uint16 // that outbound starts with
	shared     uint16 // subscriptions that are shared
	ids        uint16 // subscriptions with a wildcard and an identifier
	loading    bool   // stored messages are being fetched
	durable    bool   // the journal knows it: it outlives its connection, or has outlived one
}

// sub is a subscription.
type sub struct {
	filter string
	id     uint32
	opts   route.Options
}

func (k *core) newSession(id string) *sess {
	i := uint32(len(k.slots))
	if n := len(k.free); n > 0 {
		i, k.free = k.free[n-1], k.free[:n-1]
	} else {
		k.slots = append(k.slots, nil)
		k.gens = append(k.gens, 0)
	}
	k.gens[i] = k.gens[i]%0xFFFFFF + 1 // 24 bits, never 0
	s := &sess{id: id, h: route.MakeHandle(k.id, k.gens[i], i)}
	k.slots[i] = s
	k.sessions[id] = s
	k.stats.sessionsCreated++
	return s
}

// outbound is s's sending half, made when first needed.
func (k *core) outbound(s *sess) *session.Outbound {
	if s.out == nil {
		s.out = &session.Outbound{Tally: &k.loadedBytes}
		if s.c != nil {
			s.out.Start(int(s.receiveMax))
		}
	}
	return s.out
}

func (s *sess) inbound() *session.Inbound {
	if s.in == nil {
		s.in = new(session.Inbound)
	}
	return s.in
}

// find is the place of filter among s's subscriptions, and whether it is there.
func (s *sess) find(filter string) (int, bool) {
	i := sort.Search(len(s.subs), func(i int) bool { return s.subs[i].filter >= filter })
	return i, i < len(s.subs) && s.subs[i].filter == filter
}

// detach parts a connection from its session. The will goes out or begins its delay
// unless the client left in good order.
func (k *core) detach(c *client, graceful bool) {
	s := c.s
	if s == nil || s.c != c {
		return
	}
	k.unhold(c)
	s.c = nil
	c.state = ended
	if s.out != nil {
		s.out.Stop()
	}
	k.keepBacklog(c, s)
	now := k.l.Now()
	switch w := s.will; {
	case w == nil:
	case graceful: // [MQTT-3.1.2-10]
		s.will = nil
		k.recordFor(s, journal.Op{Kind: journal.EndWill})
	case w.delay == 0 || s.expiry == 0: // the session's end is the latest moment
		k.publishWill(s)
	default:
		w.due = now + int64(w.delay)*1e9
		k.recordWill(s)
	}
	if s.expiry == 0 {
		k.endSession(s)
		return
	}
	if s.expiry != neverExpires {
		s.ends = now + int64(s.expiry)*1e9
	}
	k.arm(s)
	k.recordFor(s, journal.Op{Kind: journal.PutSession, Name: s.id, Expiry: s.expiry, At: now})
	k.online(s, false)
	k.redistribute(s, false, all)
	if s.out != nil {
		s.out.Unload()
	}
	k.passOn(s)
}

// arm sets a timer for what an offline session waits for next, unless one fires before,
// so that a client that comes and goes does not leave a timer behind each time.
func (k *core) arm(s *sess) {
	next := s.ends
	if s.will != nil && (next == 0 || s.will.due < next) {
		next = s.will.due
	}
	if next == 0 || s.armed != 0 && s.armed <= next {
		return
	}
	s.armed = next
	k.l.At(next, timeSession, uint64(s.h))
}

// sessionTimer publishes a delayed will and ends a session, if it is time.
func (k *core) sessionTimer(s *sess) {
	now := k.l.Now()
	if now < s.armed {
		return // an earlier timer came in between, and has set this one again
	}
	s.armed = 0
	if s.c != nil {
		return
	}
	if s.will != nil && now >= s.will.due {
		k.publishWill(s)
	}
	if s.ends != 0 && now >= s.ends {
		k.stats.sessionsExpired++
		k.endSession(s)
		return
	}
	k.arm(s)
}

// endSession discards a session and all its state [MQTT-4.1.0-2]. A will that still
// waits goes out [MQTT-3.1.2-8].
func (k *core) endSession(s *sess) {
	if k.recording && s.durable {
		k.ends(s.id)
	}
	if s.will != nil {
		k.publishWill(s)
	}
	for i := range s.subs {
		k.b.routes.Unsubscribe(s.subs[i].filter, s.h)
	}
	k.stats.subscriptions -= int64(len(s.subs))
	k.stats.subscriptionLevels -= int64(s.levels)
	k.stats.shared -= int64(s.shared)
	s.subs = nil
	if k.sessions[s.id] == s {
		delete(k.sessions, s.id)
	}
	k.redistribute(s, true, all)
	if k.passOn(s) { // a restart finds a nameless session, and ends it again
		s.ends, s.expiry = 0, 0
		k.recordFor(s, journal.Op{Kind: journal.PutSession, At: k.l.Now()})
		return
	}
	k.forget(s)
}

// forget is the last of a session that has ended, and of what still waits for it.
func (k *core) forget(s *sess) {
	if s.out != nil {
		k.stats.queued -= int64(s.out.Queued())
		k.stats.queuedBytes -= s.out.QueuedBytes()
		k.stats.inflight -= int64(s.out.Inflight())
		k.stats.dropped[DropSessionEnded] += uint64(s.out.Queued() + s.out.Inflight())
		k.loadedBytes -= s.out.Loaded()
	}
	k.recordFor(s, journal.Op{Kind: journal.EndSession})
	i := s.h.Index()
	k.slots[i] = nil
	k.free = append(k.free, i)
	k.stats.sessionsEnded++
}

// online tells the shared subscriptions whether s can take messages at once.
func (k *core) online(s *sess, on bool) {
	if s.shared == 0 {
		return
	}
	for i := range s.subs {
		if isShared(s.subs[i].filter) {
			k.b.routes.SetOnline(s.subs[i].filter, s.h, on)
		}
	}
}
