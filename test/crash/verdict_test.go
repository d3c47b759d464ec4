package crash

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// told is a story for the ledger: one publisher, two subscribers, one shared subscription
// of two members.
type told struct {
	*ledger
	pub, sub             witness
	atMostTwo, atMostOne *holder // subscribed to load/# at QoS 2 and 1
	member, other        *holder
}

func newStory() *told {
	l := newLedger()
	s := &told{ledger: l, pub: witness{l.join("p1"), 1}, sub: witness{l.join("sub"), 1}}
	s.atMostTwo, s.atMostOne = l.holder("two", "", 2), l.holder("one", "", 1)
	s.member, s.other = l.holder("member", "team", 2), l.holder("other", "team", 2)
	for _, h := range l.holders {
		l.asking(h, "load/#")
		l.granted(h, "load/#")
	}
	return s
}

// publish sends a message that is acknowledged.
func (s *told) publish(qos byte, seq int) *record {
	r := s.publishing(s.pub, message{"load/p1/a", qos, seq}, false, 1)
	s.accept(r)
	return r
}

func (s *told) accept(r *record) {
	switch r.qos {
	case 1:
		s.acknowledged(r, s.pub, gotPuback, 1)
	case 2:
		s.acknowledged(r, s.pub, gotPubrec, 1)
		s.completed(r, s.pub, 1)
	}
}

func (s *told) deliver(h *holder, r *record) {
	s.delivered(h, s.sub, &packet.Publish{QoS: min(h.qos, r.qos), ID: 1, Topic: []byte(r.topic), Payload: payload("p1", r.message)}, true)
}

func (s *told) deliverAll(r *record) {
	s.deliver(s.atMostTwo, r)
	s.deliver(s.atMostOne, r)
	s.deliver(s.member, r)
}

func TestTheLedgerJudges(t *testing.T) {
	for name, tt := range map[string]struct {
		story func(*told)
		want  []string // kinds of fault
	}{
		"all is well": {func(s *told) {
			for i, qos := range []byte{0, 1, 2, 2, 1, 0} {
				s.deliverAll(s.publish(qos, i+1))
			}
		}, nil},
		"QoS 0 may be lost":     {func(s *told) { s.publish(0, 1) }, nil},
		"QoS 1 lost":            {func(s *told) { s.publish(1, 1) }, []string{faultMessage}},
		"lost for one of three": {func(s *told) { r := s.publish(2, 1); s.deliver(s.atMostTwo, r); s.deliver(s.member, r) }, []string{faultMessage}},
		"lost for a shared one": {func(s *told) { r := s.publish(2, 1); s.deliver(s.atMostTwo, r); s.deliver(s.atMostOne, r) }, []string{faultMessage}},
		"never acknowledged":    {func(s *told) { s.publishing(s.pub, message{"load/p1/a", 1, 1}, false, 1) }, []string{faultStuck}},
		"QoS 0 twice":           {func(s *told) { r := s.publish(0, 1); s.deliverAll(r); s.deliver(s.atMostOne, r) }, []string{faultDuplicate}},
		"QoS 1 twice":           {func(s *told) { r := s.publish(1, 1); s.deliverAll(r); s.deliver(s.atMostTwo, r) }, nil},
		"QoS 2 twice at QoS 1":  {func(s *told) { r := s.publish(2, 1); s.deliverAll(r); s.deliver(s.atMostOne, r) }, nil},
		"QoS 2 twice":           {func(s *told) { r := s.publish(2, 1); s.deliverAll(r); s.deliver(s.atMostTwo, r) }, []string{faultDuplicate}},
		"QoS 2 to both members": {func(s *told) { r := s.publish(2, 1); s.deliverAll(r); s.deliver(s.other, r) }, []string{faultDuplicate}},
		"QoS 1 to both members": {func(s *told) { r := s.publish(1, 1); s.deliverAll(r); s.deliver(s.other, r) }, nil},
		"members in any order":  {func(s *told) { a, b := s.publish(1, 1), s.publish(1, 2); s.overtake(s.member, a, b) }, nil},
		"out of order":          {func(s *told) { a, b := s.publish(1, 1), s.publish(1, 2); s.overtake(s.atMostTwo, a, b) }, []string{faultOrder}},
		"subscribed between two copies": {func(s *told) {
			a := s.publishing(s.pub, message{"load/p1/a", 1, 1}, false, 1)
			b := s.publishing(s.pub, message{"load/p1/a", 1, 2}, false, 2)
			h := s.holder("late", "", 1)
			s.asking(h, "load/#")
			s.granted(h, "load/#")
			s.accept(a)
			s.accept(b)
			s.overtake(h, a, b)
		}, nil},
		"repeats may go back": {func(s *told) {
			a, b := s.publish(1, 1), s.publish(1, 2)
			s.deliverAll(a)
			s.deliverAll(b)
			s.deliver(s.atMostOne, a)
		}, nil},
		"one QoS may overtake other": {func(s *told) { a, b := s.publish(1, 2), s.publish(2, 1); s.deliverAll(a); s.deliverAll(b) }, nil},
		"wrong QoS": {func(s *told) {
			r := s.publish(2, 1)
			s.deliverAll(r)
			r = s.publish(2, 2)
			s.deliver(s.atMostTwo, r)
			s.deliver(s.member, r)
			s.delivered(s.atMostOne, s.sub, &packet.Publish{QoS: 2, ID: 1, Topic: []byte(r.topic), Payload: payload("p1", r.message)}, true)
		}, []string{faultQoS}},
		"from nowhere":     {func(s *told) { s.deliver(s.atMostTwo, &record{message: message{"load/p1/a", 1, 9}}) }, []string{faultGarbage}},
		"on another topic": {func(s *told) { r := *s.publish(0, 1); r.topic = "load/p1/b"; s.deliver(s.atMostTwo, &r) }, []string{faultGarbage}},
		"damaged": {func(s *told) {
			r := s.publish(0, 1)
			s.delivered(s.atMostTwo, s.sub, &packet.Publish{Topic: []byte(r.topic), Payload: payload("p1", r.message)[:9]}, true)
		}, []string{faultGarbage}},
		"unreleased repeats do not count": {func(s *told) {
			r := s.publish(2, 1)
			s.deliverAll(r)
			s.delivered(s.atMostTwo, s.sub, &packet.Publish{Dup: true, QoS: 2, ID: 1, Topic: []byte(r.topic), Payload: payload("p1", r.message)}, false)
		}, nil},
		"a lost session loses messages": {func(s *told) {
			r := s.publish(1, 1)
			s.deliver(s.atMostOne, r)
			s.deliver(s.member, r)
			s.gone(s.atMostTwo)
		}, []string{faultMessage}},
		"an ended session is owed nothing": {func(s *told) {
			r := s.publish(1, 1)
			s.deliver(s.atMostOne, r)
			s.deliver(s.member, r)
			late := s.publishing(s.pub, message{"load/p1/a", 1, 2}, false, 1)
			s.deliver(s.atMostOne, late)
			s.deliver(s.member, late)
			s.ending(s.atMostTwo)
			s.accept(late)
			s.gone(s.atMostTwo)
			s.deliver(s.atMostTwo, late) // taken by a new session, for all we know
		}, nil},
		"an ended session comes back": {func(s *told) {
			r := s.publish(1, 1)
			s.deliver(s.atMostOne, r)
			s.deliver(s.member, r)
			s.ending(s.atMostTwo)
			s.gone(s.atMostTwo)
			s.deliver(s.atMostTwo, r)
		}, []string{faultUnwanted}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			tt.story(s)
			s.settle()
			s.check(t, tt.want)
		})
	}
}

// overtake delivers a and b in order to all but one, which gets b first.
func (s *told) overtake(h *holder, a, b *record) {
	for _, r := range []*record{b, a} {
		s.deliver(h, r)
	}
	for _, other := range []*holder{s.atMostTwo, s.atMostOne, s.member} {
		if other != h {
			s.deliver(other, a)
			s.deliver(other, b)
		}
	}
}

func (s *told) check(t *testing.T, want []string) {
	t.Helper()
	if kinds := slices.Sorted(maps.Keys(s.kinds)); !slices.Equal(kinds, want) {
		t.Errorf("faults are %q, want %q\n%s", kinds, want, s.report())
	}
}

func TestSubscriptionsCountWhileTheyAreCertain(t *testing.T) {
	const filter = "load/p1/a"
	m := message{filter, 1, 1}
	send := func(s *told) *record { return s.publishing(s.pub, m, false, 1) }
	for name, tt := range map[string]struct {
		story       func(*told, *holder) *record
		lost, extra []string // faults without and with the delivery
	}{
		"sent after the SUBACK": {func(s *told, h *holder) *record {
			s.asking(h, filter)
			s.granted(h, filter)
			r := send(s)
			s.accept(r)
			return r
		}, []string{faultMessage}, nil},
		"sent before the SUBACK": {func(s *told, h *holder) *record {
			s.asking(h, filter)
			r := send(s)
			s.granted(h, filter)
			s.accept(r)
			return r
		}, nil, nil},
		"acknowledged before the SUBSCRIBE": {func(s *told, h *holder) *record {
			r := send(s)
			s.accept(r)
			s.asking(h, filter)
			s.granted(h, filter)
			return r
		}, nil, []string{faultUnwanted}},
		"acknowledged before the UNSUBSCRIBE": {func(s *told, h *holder) *record {
			s.asking(h, filter)
			s.granted(h, filter)
			r := send(s)
			s.accept(r)
			s.leaving(h, filter)
			s.left(h, filter)
			return r
		}, []string{faultMessage}, nil},
		"acknowledged after the UNSUBSCRIBE": {func(s *told, h *holder) *record {
			s.asking(h, filter)
			s.granted(h, filter)
			r := send(s)
			s.leaving(h, filter)
			s.accept(r)
			s.left(h, filter)
			return r
		}, nil, nil},
		"sent between UNSUBACK and SUBSCRIBE": {func(s *told, h *holder) *record {
			s.asking(h, filter)
			s.granted(h, filter)
			s.leaving(h, filter)
			s.left(h, filter)
			r := send(s)
			s.accept(r)
			s.asking(h, filter)
			s.granted(h, filter)
			return r
		}, nil, []string{faultUnwanted}},
		"sent while unsubscribed, acknowledged later": {func(s *told, h *holder) *record {
			r := send(s)
			s.asking(h, filter)
			s.accept(r)
			return r
		}, nil, nil},
	} {
		for _, delivered := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				l := newLedger()
				s := &told{ledger: l, pub: witness{l.join("p1"), 1}, sub: witness{l.join("sub"), 1}}
				h := l.holder("changing", "", 2)
				r, want := tt.story(s, h), tt.lost
				if delivered {
					s.deliver(h, r)
					want = tt.extra
				}
				s.settle()
				s.check(t, want)
			})
		}
	}
}

func TestRetainedMessagesDoNotGoBack(t *testing.T) {
	const name = "keep/r1/a"
	for label, tt := range map[string]struct {
		acked, sent int
		got         []int
		want        []string
	}{
		"nothing sent":             {0, 0, nil, nil},
		"the acknowledged one":     {5, 5, []int{5}, nil},
		"a later one":              {4, 6, []int{6}, nil},
		"an older one":             {5, 5, []int{4}, []string{faultRetained}},
		"none":                     {5, 5, nil, []string{faultRetained}},
		"cleared":                  {7, 7, nil, nil},
		"perhaps cleared":          {5, 8, nil, nil},
		"cleared and back again":   {7, 7, []int{6}, []string{faultRetained}},
		"cleared before":           {8, 9, nil, []string{faultRetained}},
		"one that was never there": {5, 5, []int{5, 6}, []string{faultGarbage}},
	} {
		t.Run(label, func(t *testing.T) {
			s := newStory()
			for seq := 1; seq <= tt.sent; seq++ {
				r := s.publishing(s.pub, message{name, 1, seq}, true, 1)
				if seq <= tt.acked {
					s.accept(r)
				}
			}
			a := s.audit()
			for _, seq := range tt.got {
				a.retained(name, payload("r1", message{name, 1, seq}))
			}
			a.end()
			s.check(t, tt.want)
		})
	}
}

func TestWillsComeOnceAndInTime(t *testing.T) {
	const name = willTopic + "mortal"
	out := func(s *told) { s.will(&packet.Publish{Topic: []byte(name), Payload: []byte("will 1")}) }
	gone := func(s *told) { s.bereft(name, time.Now().Add(-2*willDelay)) }
	for label, tt := range map[string]struct {
		qos   byte
		story func(*told)
		want  []string
	}{
		"alive":                 {2, func(*told) {}, nil},
		"dead":                  {2, func(s *told) { gone(s); out(s) }, nil},
		"never came":            {2, gone, []string{faultWill}},
		"while alive":           {2, out, []string{faultWill}},
		"twice":                 {2, func(s *told) { gone(s); out(s); out(s) }, []string{faultWill}},
		"twice at QoS 1":        {1, func(s *told) { gone(s); out(s); out(s) }, nil},
		"back late":             {2, func(s *told) { gone(s); s.bequeathing(name, 2); s.bequeathed(name) }, nil},
		"back late and out":     {2, func(s *told) { gone(s); s.bequeathing(name, 2); s.bequeathed(name); out(s) }, nil},
		"back in time":          {2, func(s *told) { s.bereft(name, time.Now()); s.bequeathing(name, 2); s.bequeathed(name) }, nil},
		"back in time, but out": {2, func(s *told) { s.bereft(name, time.Now()); s.bequeathing(name, 2); s.bequeathed(name); out(s) }, []string{faultWill}},
		"perhaps back, perhaps": {2, func(s *told) { gone(s); s.bequeathing(name, 2) }, nil},
		"nobody's":              {2, func(s *told) { s.will(&packet.Publish{Topic: []byte(name), Payload: []byte("will 2")}) }, []string{faultGarbage}},
	} {
		t.Run(label, func(t *testing.T) {
			s := newStory()
			s.bequeathing(name, tt.qos)
			s.bequeathed(name)
			tt.story(s)
			s.settle()
			s.check(t, tt.want)
		})
	}
}
