package broker_test

import (
	"fmt"
	"testing"

	"github.com/wirebird/wirebird/broker"
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
