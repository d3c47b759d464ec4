package crash

import (
	"context"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// fickle is a subscriber that often ends its session by Clean Start; every other time the
// new session ends with its connection, and then there must be none.
type fickle struct {
	*subscriber
	rest int // ticks until a brief connection ends
}

func newFickle(c *client, qos byte, filters ...string) *fickle {
	f := &fickle{subscriber: newSubscriber(c, "", qos, filters...)}
	c.lost = func(time.Time) {
		if c.fresh {
			return // the CONNACK has not come: we do not know, and try again
		}
		c.fresh = !c.complete.Load() && c.rng.IntN(3) == 0
		c.brief = c.fresh && c.rng.IntN(2) == 0
	}
	return f
}

func (f *fickle) run(ctx context.Context) { f.keep(ctx, f) }

func (f *fickle) greet(l *link, ack *packet.Connack) {
	if f.brief {
		f.rest = 1 + f.rng.IntN(10)
		return
	}
	f.subscriber.greet(l, ack)
}

// tick ends a brief connection with a DISCONNECT and leaves it to the broker to close it:
// then the session has ended.
func (f *fickle) tick(l *link) {
	if f.rest--; f.brief && f.rest == 0 {
		l.send(&packet.Disconnect{})
	}
}
