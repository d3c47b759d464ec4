package broker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// slowly is a stage whose slow decisions run when the test says so.
type slowly struct {
	*stage
	work []func()
}

func newSlowly(t *testing.T, h broker.Hooks, shards int) *slowly {
	s := &slowly{}
	s.stage = newStage(t, broker.Options{Hooks: h, Shards: shards, Execute: func(fn func()) { s.work = append(s.work, fn) }})
	return s
}

// decide runs the slow decisions that are under way.
func (s *slowly) decide() {
	s.t.Helper()
	if len(s.work) == 0 {
		s.t.Fatal("no decision is under way")
	}
	list := s.work
	s.work = nil
	for _, fn := range list {
		fn()
	}
	s.settle()
}

// later makes a verdict a slow one for whatever has the word slow in it.
func later(word string, v broker.Verdict) broker.Verdict {
	if !strings.Contains(word, "slow") {
		return v
	}
	return broker.Later(func(context.Context) broker.Verdict { return v })
}

func slowHooks() broker.Hooks {
	return broker.Hooks{
		Connect: func(r *broker.ConnectRequest) broker.Verdict { return later(r.Username, toyConnect(r)) },
		Publish: func(r *broker.PublishRequest) broker.Verdict {
			if strings.HasSuffix(r.Topic, "forbidden") {
				return later(r.Topic, broker.Refuse(packet.NotAuthorized, ""))
			}
			return later(r.Topic, toyPublish(r))
		},
		Subscribe: func(r *broker.SubscribeRequest) broker.Verdict {
			return later(string(r.Filters[0].Filter), toySubscribe(r))
		},
		Auth: toyAuth,
	}
}

func TestSlowConnectHooksParkOneConnection(t *testing.T) {
	for shards := 1; shards <= 3; shards++ {
		s := newSlowly(t, slowHooks(), shards)
		a, b := s.open(), s.open()
		a.say("CONNECT v5 id=a clean username=slow", "SUBSCRIBE id=1 filter=t q1", "PINGREQ")
		b.say("CONNECT v5 id=b clean", "PINGREQ")
		a.expect()
		b.expect("CONNACK success", "PINGRESP")
		s.decide()
		a.expect("CONNACK success", "SUBACK id=1 q1", "PINGRESP")
		s.finish()
	}
}

func TestSlowPublishHooksKeepOrder(t *testing.T) {
	s := newSlowly(t, slowHooks(), 1)
	a, b := s.open(), s.open()
	b.say("CONNECT v5 id=b clean", "SUBSCRIBE id=1 filter=# q0")
	b.expect("CONNACK success", "SUBACK id=1 q0")
	a.say("CONNECT v5 id=a clean", "PUBLISH q1 id=1 topic=slow/1 payload=1", "PUBLISH q0 topic=fast payload=2",
		"PUBLISH q2 id=3 topic=slow/forbidden payload=3", "PINGREQ")
	a.expect("CONNACK success")
	b.expect()
	b.say("PUBLISH q0 topic=b payload=meanwhile")
	b.expect("PUBLISH q0 topic=b payload=meanwhile")
	s.decide()
	a.expect("PUBACK id=1")
	b.expect("PUBLISH q0 topic=slow/1 payload=1", "PUBLISH q0 topic=fast payload=2")
	s.decide()
	a.expect("PUBREC id=3 not-authorized", "PINGRESP")
	if got := s.b.StatsNow(); got.PacketsIn[packet.PUBLISH] != 4 || got.PacketsIn[packet.PINGREQ] != 1 {
		t.Errorf("packets in: %v; want 4 PUBLISH and 1 PINGREQ, however often they are looked at", got.PacketsIn)
	}
	if got := s.b.StatsNow(); got.DecisionsParked != 2 || got.MessagesIn != [3]uint64{2, 1, 1} {
		t.Errorf("%d decisions, messages in %v; want 2 and [2 1 1]", got.DecisionsParked, got.MessagesIn)
	}
	s.finish()
}

func TestSlowSubscribeHooks(t *testing.T) {
	s := newSlowly(t, slowHooks(), 1)
	a := s.open()
	a.say("CONNECT v5 id=a clean", "SUBSCRIBE id=1 filter=slow q1 filter=deny/x q1", "PUBLISH q0 topic=slow payload=x")
	a.expect("CONNACK success")
	s.decide() // SUBSCRIBE
	a.expect("SUBACK id=1 q1 not-authorized")
	s.decide() // PUBLISH
	a.expect("PUBLISH q0 topic=slow payload=x")
	s.finish()
}

// The Publish hook may take its time about a will, after a Connect hook that did, too.
func TestSlowDecisionsAboutWills(t *testing.T) {
	for name, tt := range map[string]struct {
		connect string
		rounds  int
		want    string
	}{
		"both slow":      {"CONNECT v5 id=a clean username=slow will{topic=slow payload=bye}", 2, "CONNACK success"},
		"will slow":      {"CONNECT v5 id=a clean will{topic=slow payload=bye}", 1, "CONNACK success"},
		"will forbidden": {"CONNECT v5 id=a clean username=slow will{topic=slow/forbidden payload=bye}", 2, "CONNACK not-authorized"},
		"with AUTH":      {"CONNECT v5 id=a clean auth-method=quick will{topic=slow payload=bye}", 0, "CONNACK implementation-specific-error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSlowly(t, slowHooks(), 2)
			a := s.open()
			a.say(tt.connect)
			for range tt.rounds {
				a.expect()
				s.decide()
			}
			if strings.Contains(tt.want, "success") {
				a.expect(tt.want)
			} else {
				a.expect(tt.want, "closed")
			}
			s.finish()
		})
	}
}

func TestParkedConnectionsMayEnd(t *testing.T) {
	for name, end := range map[string]func(s *slowly, a *wire){
		"cut":      func(_ *slowly, a *wire) { a.cut() },
		"takeover": func(s *slowly, _ *wire) { s.open().say("CONNECT v5 id=a") },
		"timeout":  func(s *slowly, _ *wire) { s.wait(time.Hour) },
	} {
		for kind, park := range map[string]string{
			"publish":   "PUBLISH q1 id=1 topic=slow payload=x",
			"subscribe": "SUBSCRIBE id=1 filter=slow q0",
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				s := newSlowly(t, slowHooks(), 2)
				a := s.open()
				a.say("CONNECT v5 id=a clean keepalive=10 expiry=100", park)
				end(s, a)
				s.decide()
				s.finish()
			})
		}
	}
}

// While a hook takes its time the broker does not read: the silence is its own.
func TestParkedConnectionsAreNotTooQuiet(t *testing.T) {
	s := newSlowly(t, slowHooks(), 1)
	a := s.open()
	a.say("CONNECT v5 id=a clean keepalive=10", "PUBLISH q1 id=1 topic=slow payload=x")
	s.wait(time.Minute)
	a.expect("CONNACK success")
	s.decide()
	a.expect("PUBACK id=1 no-matching-subscribers")
	a.say("PINGREQ")
	a.expect("PINGRESP")
	s.wait(20 * time.Second)
	a.expect("DISCONNECT keep-alive-timeout", "closed")
	s.finish()
}

func TestParkedHandshakesMayTimeOut(t *testing.T) {
	s := newSlowly(t, slowHooks(), 1)
	a := s.open()
	a.say("CONNECT v5 id=a clean username=slow")
	s.wait(11 * time.Second)
	a.expect("closed")
	s.decide()
	if got := s.b.StatsNow(); got.Sessions != 0 {
		t.Errorf("%d sessions of connections that are gone", got.Sessions)
	}
	s.finish()
}
