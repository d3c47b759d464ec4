package sim

import (
	"errors"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/packet"
)

// down breaks the n-th PUBLISH that fits.
func down(fits func(*packet.Publish) bool, change func(*packet.Publish) []packet.Packet) func() *bend {
	return func() *bend {
		n := 0
		return &bend{toClient: func(_ *client, p packet.Packet) []packet.Packet {
			if q, ok := p.(*packet.Publish); ok && fits(q) {
				if n++; n == 3 {
					return change(q)
				}
			}
			return []packet.Packet{p}
		}}
	}
}

// swapped lets a message at QoS 0 come after the next one of its topic.
func swapped() *bend {
	type at struct {
		k     *link
		topic string
	}
	held := map[at]*packet.Publish{}
	return &bend{toClient: func(c *client, p packet.Packet) []packet.Packet {
		q, ok := p.(*packet.Publish)
		if !ok || q.QoS > 0 || len(q.Topic) == 0 || q.Properties.Has(packet.PropTopicAlias) {
			return []packet.Packet{p}
		}
		here := at{c.link, string(q.Topic)}
		if first := held[here]; first != nil {
			delete(held, here)
			return []packet.Packet{q, first}
		}
		held[here] = q
		return nil
	}}
}

// noWills takes every Will Message away.
func noWills() *bend {
	return &bend{toClient: func(_ *client, p packet.Packet) []packet.Packet {
		if q, ok := p.(*packet.Publish); ok && strings.HasPrefix(string(q.Topic), "w/") {
			return nil
		}
		return []packet.Packet{p}
	}}
}

// twiceAtQoS2 sends a message again that its receiver has released.
func twiceAtQoS2() *bend {
	type at struct {
		k  *link
		id uint16
	}
	sent := map[at]*packet.Publish{}
	return &bend{toClient: func(c *client, p packet.Packet) []packet.Packet {
		switch q := p.(type) {
		case *packet.Publish:
			if q.QoS == 2 && len(q.Topic) > 0 {
				sent[at{c.link, q.ID}] = q
			}
		case *packet.Pubrel:
			if again := sent[at{c.link, q.ID}]; again != nil {
				delete(sent, at{c.link, q.ID})
				dup := *again
				dup.Dup = true
				return []packet.Packet{p, &dup}
			}
		}
		return []packet.Packet{p}
	}}
}

// A model that cannot see a broken promise proves nothing.
func TestTheModelSeesWhatIsBroken(t *testing.T) {
	wants := map[string]Promise{
		"flipped RETAIN": RetainKept, "twice at QoS 0": Once, "lost above QoS 0": Delivered,
		"swapped messages": Ordered, "a dropped will": WillKept, "a QoS 2 duplicate": Once,
	}
	any := func(*packet.Publish) bool { return true }
	for name, bent := range map[string]func() *bend{
		"flipped RETAIN": down(any, func(p *packet.Publish) []packet.Packet { p.Retain = !p.Retain; return []packet.Packet{p} }),
		"other payload":  down(any, func(p *packet.Publish) []packet.Packet { p.Payload = []byte("x"); return []packet.Packet{p} }),
		"twice at QoS 0": down(func(p *packet.Publish) bool { return p.QoS == 0 && len(p.Topic) > 0 }, func(p *packet.Publish) []packet.Packet { return []packet.Packet{p, p} }),
		"lost above QoS 0": func() *bend {
			return &bend{toClient: func(_ *client, p packet.Packet) []packet.Packet {
				if q, ok := p.(*packet.Publish); ok && q.QoS > 0 {
					return nil
				}
				return []packet.Packet{p}
			}}
		},
		"swapped messages":  swapped,
		"a dropped will":    noWills,
		"a QoS 2 duplicate": twiceAtQoS2,
		"changed by the broker": func() *bend {
			return &bend{taken: func(r *broker.PublishRequest) { r.Payload = append([]byte("x"), r.Payload...) }}
		},
		"a lost SUBSCRIBE": func() *bend {
			return &bend{toBroker: func(_ *client, p packet.Packet) []packet.Packet {
				if q, ok := p.(*packet.Subscribe); ok {
					r := packet.Clone(q).(*packet.Subscribe)
					for i := range r.Filters {
						r.Filters[i].Filter = []byte("elsewhere")
					}
					return []packet.Packet{r}
				}
				return []packet.Packet{p}
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			play := func(s *Script) error {
				w := newWorld(s)
				w.bend = bent()
				_, err := w.run()
				return err
			}
			for seed := uint64(1); seed <= 20; seed++ {
				s := New(seed, Plan{Store: Memory})
				var f *Failure
				if !errors.As(play(s), &f) || wants[name] != "" && f.Promise != wants[name] {
					continue
				}
				small := Shrink(s, play)
				if len(small.Steps) > len(s.Steps)/5 {
					t.Errorf("%d steps of %d are left", len(small.Steps), len(s.Steps))
				}
				again, err := Parse(small.String())
				if err != nil || play(again) == nil {
					t.Errorf("the script does not replay: %v", err)
				}
				return
			}
			t.Error("nothing was noticed in 20 schedules")
		})
	}
}

// Each kind of change that the journal might forget is missed after a crash.
func TestTheModelSeesWhatTheJournalForgets(t *testing.T) {
	for name, kind := range map[string]journal.Kind{
		"session": journal.PutSession, "end of a session": journal.EndSession,
		"subscription": journal.PutSubscription, "end of a subscription": journal.EndSubscription,
		"message": journal.Publish, "that PUBREC came": journal.Owe, "acknowledged message": journal.Complete,
		"packet identifier": journal.Assign, "accepted QoS 2 message": journal.Accept, "released QoS 2 message": journal.Forget,
		"retained message": journal.PutRetained, "end of a retained message": journal.EndRetained,
		"will": journal.PutWill, "end of a will": journal.EndWill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 300; seed++ {
				w := newWorld(New(seed, Plan{Store: Model}))
				w.bend = &bend{forget: func(op *journal.Op) bool { return op.Kind == kind }}
				var f *Failure
				if _, err := w.run(); errors.As(err, &f) {
					t.Logf("seed %d: %v", seed, f)
					return
				}
			}
			t.Error("nothing was noticed")
		})
	}
}

func TestASeedReplaysExactly(t *testing.T) {
	for store, seeds := range map[Store]uint64{"": 50, Power: replaySeeds} {
		for seed := uint64(1); seed <= seeds; seed++ {
			a, errA := Play(New(seed, Plan{Store: store}))
			b, errB := Play(New(seed, Plan{Store: store}))
			if a != b || (errA == nil) != (errB == nil) {
				t.Fatalf("seed %d, %s, gave %+v and then %+v", seed, store, a, b)
			}
		}
	}
}
