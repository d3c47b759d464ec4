package crash

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// fault is a broken promise.
type fault struct {
	kind  string
	round int
	at    time.Duration
	text  string
	about *record // nil if it is about no message
}

// What can be wrong.
const (
	faultSession      = "session lost"
	faultEnded        = "session not ended"
	faultMessage      = "message lost"
	faultDuplicate    = "message duplicated"
	faultOrder        = "out of order"
	faultQoS          = "wrong QoS"
	faultGarbage      = "message from nowhere"
	faultUnwanted     = "message without a subscription"
	faultSubscription = "subscription lost"
	faultRetained     = "retained message lost"
	faultWill         = "will"
	faultProtocol     = "protocol"
	faultStuck        = "stuck"
	faultBroker       = "broker"
)

func (l *ledger) fail(kind string, about *record, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failLocked(kind, about, format, args...)
}

// failLocked keeps the first few faults of a kind and counts the others.
func (l *ledger) failLocked(kind string, about *record, format string, args ...any) {
	if l.kinds[kind]++; l.kinds[kind] > mostFaults {
		return
	}
	l.faults = append(l.faults, fault{kind, l.round, time.Since(l.began), fmt.Sprintf(format, args...), about})
}

const mostFaults = 4

// found returns how many faults there are of a kind.
func (l *ledger) found(kind string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kinds[kind]
}

// report tells the first faults of each kind with the history of their messages, ""
// if there is none.
func (l *ledger) report() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) == 0 {
		return ""
	}
	var b strings.Builder
	kinds := make([]string, 0, len(l.kinds))
	for kind, n := range l.kinds {
		kinds = append(kinds, fmt.Sprintf("%s: %d", kind, n))
	}
	slices.Sort(kinds)
	fmt.Fprintf(&b, "%s\n", strings.Join(kinds, ", "))
	for _, f := range l.faults {
		fmt.Fprintf(&b, "\n%s (round %d, %.3fs): %s\n", f.kind, f.round, f.at.Seconds(), f.text)
		if f.about != nil {
			l.history(&b, f.about)
		}
	}
	return b.String()
}

// history writes what is known of a message, one step a line.
func (l *ledger) history(b *strings.Builder, r *record) {
	fmt.Fprintf(b, "  %s, QoS %d, number %d\n", r.topic, r.qos, r.seq)
	for i, e := range r.events {
		if i == mostEvents {
			fmt.Fprintf(b, "    and %d more\n", len(r.events)-i)
			return
		}
		fmt.Fprintf(b, "    round %3d %10.5fs %-9s connection %3d  %s %d\n",
			e.round, float64(e.at)/1e5, l.names[e.who], e.conn, deeds[e.what], e.id)
	}
}

const mostEvents = 60
