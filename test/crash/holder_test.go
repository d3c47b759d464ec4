package crash

import (
	"slices"

	"github.com/wirebird/wirebird/topic"
)

// holder is a persistent session with subscriptions. The ledger guards it.
type holder struct {
	name, share string
	index       int
	qos         byte
	spans       map[string][]*span // by filter, without the share name
	last        map[stream]int     // number of the last first delivery
	ended       uint64             // the last CONNECT with Clean Start was sent; 0 is never
}

// stream is what must arrive in order.
type stream struct {
	topic string
	qos   byte
}

// span is the life of one subscription. Between asked and granted, and between leaving
// and left, the broker alone knows whether it exists. 0 is not yet.
type span struct {
	asked, granted, leaving, left uint64
}

func (l *ledger) holder(name, share string, qos byte) *holder {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &holder{name: name, share: share, index: len(l.holders), qos: qos, spans: map[string][]*span{}, last: map[stream]int{}}
	l.holders = append(l.holders, h)
	return h
}

// asking is told before a SUBSCRIBE is sent, granted after its SUBACK has come.
func (l *ledger) asking(h *holder, filters ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range filters {
		if s := h.current(f); s == nil || s.left != 0 {
			h.spans[f] = append(h.spans[f], &span{asked: l.tick()})
		}
	}
}

func (l *ledger) granted(h *holder, filters ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range filters {
		if s := h.current(f); s.granted == 0 {
			s.granted = l.tick()
		}
	}
}

// leaving is told before an UNSUBSCRIBE is sent, left after its UNSUBACK has come.
func (l *ledger) leaving(h *holder, filters ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range filters {
		if s := h.current(f); s.leaving == 0 {
			s.leaving = l.tick()
		}
	}
}

func (l *ledger) left(h *holder, filters ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range filters {
		h.current(f).left = l.tick()
	}
}

// ending is told before a CONNECT with Clean Start is sent: what is acknowledged by now
// must not come any more.
func (l *ledger) ending(h *holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.ended = l.tick()
	for f := range h.spans {
		if s := h.current(f); s.leaving == 0 {
			s.leaving = h.ended
		}
	}
}

// gone is told when there is no session of h any more: lost, or ended by its client.
func (l *ledger) gone(h *holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := range h.spans {
		if s := h.current(f); s.left == 0 {
			s.left = l.tick()
			if s.leaving == 0 {
				s.leaving = s.left
			}
		}
	}
}

// current returns the latest span of a filter, nil if there never was one.
func (h *holder) current(filter string) *span {
	if all := h.spans[filter]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// must reports whether h was subscribed for certain while the broker took r, and has not
// ended that session since.
func (h *holder) must(r *record) bool {
	if r.acked == 0 || min(r.qos, h.qos) == 0 {
		return false
	}
	return h.any(r, func(s *span) bool {
		return s.asked > h.ended && s.granted != 0 && s.granted < r.sent && (s.leaving == 0 || r.done != 0 && r.done < s.leaving)
	})
}

// may reports whether h could have been subscribed when the broker took r.
func (h *holder) may(r *record) bool {
	return h.any(r, func(s *span) bool {
		return (r.done == 0 || s.asked < r.done) && (s.left == 0 || s.left > r.sent)
	})
}

// since reports whether h has been subscribed without a break since before r was sent.
// Who subscribes between two copies of QoS 1 messages may get the first ones last.
func (h *holder) since(r *record) bool {
	for filter := range h.spans {
		if s := h.current(filter); topic.Match(filter, r.topic) {
			return s.asked > h.ended && s.granted != 0 && s.granted < r.sent && s.leaving == 0
		}
	}
	return false
}

func (h *holder) any(r *record, match func(*span) bool) bool {
	for filter, spans := range h.spans {
		if topic.Match(filter, r.topic) && slices.ContainsFunc(spans, match) {
			return true
		}
	}
	return false
}

// owed counts what is still to come: acknowledgements, and deliveries to the holders that
// here accepts. What all holders have is not looked at again.
func (l *ledger) owed(here func(name string) bool) (acks, deliveries int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(r *record) bool {
		if r.done == 0 {
			acks++
			return false
		}
		whole := true
		for _, h := range l.holders {
			if h.must(r) && l.copies(h, r) == 0 {
				whole = false
				if here(h.name) {
					deliveries++
				}
			}
		}
		return whole
	})
	return acks, deliveries
}

// settle judges what can be judged only when nothing is under way any more.
func (l *ledger) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.all {
		if r.qos > 0 && r.done == 0 {
			l.failLocked(faultStuck, r, "the publisher never got the last acknowledgement")
		}
		for _, h := range l.holders {
			switch n := l.copies(h, r); {
			case n == 0 && h.must(r) && h.share != "":
				l.failLocked(faultMessage, r, "acknowledged, and no member of %s ever got it", h.share)
			case n == 0 && h.must(r):
				l.failLocked(faultMessage, r, "acknowledged, and %s never got it", h.name)
			case r.got[h.index] > 0 && !h.may(r):
				l.failLocked(faultUnwanted, r, "%s got it and had no subscription for it", h.name)
			}
		}
	}
	l.settleWills()
}

// unsubscribed counts the subscriptions that are not granted yet.
func (l *ledger) unsubscribed(all []*subscriber) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range all {
		for _, f := range s.sub {
			if c := s.holder.current(f); c == nil || c.granted == 0 {
				n++
			}
		}
	}
	return n
}
