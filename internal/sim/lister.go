package sim

import (
	"fmt"
	"math"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
)

// loaded takes what was asked of a journal.
type loaded = func([]*session.Message, error)

// lister is a journal.Visitor that writes down what it is given.
type lister struct {
	lines []string
	ask   []entry
}

type entry struct{ sid, mid uint64 }

func (l *lister) say(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// Session writes down, as the others do.
func (l *lister) Session(sid uint64, clientID string, expiry uint32, offlineAt int64) {
	l.say("session %d %q %d %d", sid, clientID, expiry, offlineAt)
}

func (l *lister) Subscription(sid uint64, filter string, options uint8, subID uint32) {
	l.say("subscription %d %q %d %d", sid, filter, options, subID)
}

func (l *lister) Accepted(sid uint64, id uint16) { l.say("accepted %d %d", sid, id) }

func (l *lister) Will(sid uint64, w journal.Will) {
	l.say("will %d %v %d %d %d %v", sid, *w.Msg, w.Due, w.Delay, w.Expiry, w.HasExpiry)
}

func (l *lister) Retained(msg *session.Message) { l.say("retained %v", *msg) }

func (l *lister) Waiting(sid uint64, w journal.Waiting) {
	l.say("waiting %d %v", sid, w)
	l.ask = append(l.ask, entry{sid, w.MID})
}

// bodies adds the messages themselves.
func (l *lister) bodies(j *journal.Manual) (err error) {
	for _, e := range l.ask {
		j.Load(e.sid, []uint64{e.mid}, func(msgs []*session.Message, failed error) {
			switch {
			case failed != nil:
				err = failed
			case msgs[0] == nil:
				l.say("message %d of %d is gone", e.mid, e.sid)
			default:
				l.say("message %d %v", e.mid, *msgs[0])
			}
		})
		j.Read(math.MaxInt)
	}
	return err
}
