package crash

import (
	"strconv"
	"strings"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// willDelay is the Will Delay Interval of all wills.
const willDelay = time.Second

// testament is the will in one CONNECT.
type testament struct {
	qos   byte
	taken bool      // the CONNACK came
	lost  time.Time // not before this did the connection end; zero while it lives
	back  time.Time // CONNACK of a later connection
	seen  int
}

// bequeathing is told before a CONNECT with a will is sent; it returns the will's number,
// which is its payload.
func (l *ledger) bequeathing(topic string, qos byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wills[topic] = append(l.wills[topic], &testament{qos: qos})
	return len(l.wills[topic])
}

// bequeathed is told when the CONNACK has come.
func (l *ledger) bequeathed(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.wills[topic]
	for _, t := range all[:len(all)-1] {
		if t.back.IsZero() {
			t.back = time.Now()
		}
	}
	all[len(all)-1].taken = true
}

// bereft is told when the latest connection has ended, which was not before lost.
func (l *ledger) bereft(topic string, lost time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if all := l.wills[topic]; len(all) > 0 {
		all[len(all)-1].lost = lost
	}
}

// due reports whether the latest will is still to come if the client stays away.
func (l *ledger) due(topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return dueAmong(l.wills[topic])
}

func dueAmong(all []*testament) bool {
	if len(all) == 0 {
		return false
	}
	t := all[len(all)-1]
	return t.taken && !t.lost.IsZero() && t.seen == 0
}

// will is told of a will that a subscriber got, by the rules of QoS 2 once.
func (l *ledger) will(p *packet.Publish) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := string(p.Topic)
	n, err := strconv.Atoi(strings.TrimPrefix(string(p.Payload), "will "))
	all := l.wills[name]
	if err != nil || n < 1 || n > len(all) {
		l.failLocked(faultGarbage, nil, "will %q on %q, which nobody left", p.Payload, name)
		return
	}
	t := all[n-1]
	if t.seen++; t.seen == 1 {
		l.totals.Wills++
	}
	if t.seen > 1 && t.qos == 2 {
		l.failLocked(faultWill, nil, "will %d came out %d times on %s", n, t.seen, name)
	}
	if t.lost.IsZero() {
		l.failLocked(faultWill, nil, "will %d came out on %s while its connection lives", n, name)
	}
}

// willsOwed counts the wills that must still come out.
func (l *ledger) willsOwed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, all := range l.wills {
		if dueAmong(all) {
			n++
		}
	}
	return n
}

func (l *ledger) settleWills() {
	for name, all := range l.wills {
		if dueAmong(all) {
			l.failLocked(faultWill, nil, "will %d never came out on %s", len(all), name)
		}
		for i, t := range all {
			if away := t.back.Sub(t.lost); t.seen > 0 && !t.back.IsZero() && away < willDelay*9/10 {
				l.failLocked(faultWill, nil, "will %d came out on %s, though its client was back after %v",
					i+1, name, away.Round(time.Millisecond))
			}
		}
	}
}
