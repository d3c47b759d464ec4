package broker_test

import (
	"fmt"
	"testing"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// Topics that are published to once must leave nothing behind but what is retained.
func TestNamesEnterTheCacheWithTheirSecondPublication(t *testing.T) {
	for _, flags := range []string{"", " retain", " q1 id=1", " q1 id=1 retain", " q2 id=1 retain"} {
		t.Run("PUBLISH"+flags, func(t *testing.T) {
			s := newStage(t, broker.Options{})
			p := s.open()
			p.say("CONNECT id=p clean v3.1.1")
			publish := func(i int) {
				p.say(fmt.Sprintf("PUBLISH topic=fleet/%d payload=x%s", i, flags))
				if flags == " q2 id=1 retain" {
					p.say("PUBREL id=1")
				}
			}
			for i := range 50 {
				publish(i)
			}
			if n := s.b.CachedNames(); n != 0 {
				t.Fatalf("%d of 50 names are cached after one publication to each; want 0", n)
			}
			publish(49)
			if n := s.b.CachedNames(); n != 1 {
				t.Fatalf("%d names are cached after a second publication to one; want 1", n)
			}
		})
	}
}

// What one shard finds for a name may be under way to another while the next is looked for.
func TestMailKeepsTheSubscribersOfItsMessage(t *testing.T) {
	for _, flags := range []string{" q0", " q1 id=1"} {
		s := newStage(t, broker.Options{Shards: 2})
		p := s.open()
		p.say("CONNECT clean v3.1.1 id=" + s.at(0, "p"))
		p.discard = true
		var readers []*wire
		for i := range 4 { // 0 and 2 are on the publisher's shard
			r := s.open()
			filter := fmt.Sprintf("fleet/%d/+", i)
			if i == 3 {
				filter = "$share/g/" + filter
			}
			r.say("CONNECT v5 clean id="+s.at(i%2, fmt.Sprint("r", i, "-")), "SUBSCRIBE id=1 filter="+filter+" q1")
			r.expect("CONNACK success", "SUBACK id=1 q1")
			readers = append(readers, r)
		}
		var say []string
		for i := range 4 {
			say = append(say, fmt.Sprintf("PUBLISH topic=fleet/%d/x payload=%d%s", i, i, flags), "PUBLISH topic=nobody payload=x")
		}
		p.say(say...)
		for i, r := range readers {
			r.expect(fmt.Sprintf("PUBLISH topic=fleet/%d/x payload=%d%s", i, i, flags))
		}
		p.cut()
		for _, r := range readers {
			r.cut()
		}
		s.finish()
	}
}

// A fleet's many names, each used once in a while, leave nothing for the collector but
// the name.
func TestANameThatNobodySubscribedToAllocatesItself(t *testing.T) {
	for _, shards := range []int{1, 2} {
		s := newStage(t, broker.Options{Shards: shards})
		p := s.open()
		p.say("CONNECT clean v3.1.1 id=" + s.at(0, "p"))
		r := s.open()
		r.say("CONNECT clean v3.1.1 id="+s.at(0, "r"), "SUBSCRIBE id=1 filter=fleet/+/1 q0")
		r.discard = true
		for _, last := range []string{"0", "1"} { // nobody subscribed, and one on this shard
			var packets [][]byte
			for i := range 300 {
				packets = append(packets, (&packet.Publish{Topic: fmt.Appendf(nil, "fleet/%d/%s", i, last)}).Append(nil, packet.V311))
			}
			l := s.loops[0]
			i := 0
			turn := func() {
				l.Begin(s.now)
				l.Feed(p.conn, packets[i])
				i++
				for l.End() {
					l.Begin(s.now)
				}
			}
			for range 50 {
				turn()
			}
			if a := testing.AllocsPerRun(200, turn); a > 1+poolAllocations {
				t.Errorf("%d shards, fleet/+/%s: %v allocations for a name, want 1", shards, last, a)
			}
		}
		s.finish()
	}
}
