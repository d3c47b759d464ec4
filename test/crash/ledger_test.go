package crash

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// ledger knows what was sent, promised and delivered, as the clients saw it. It judges
// what it can at once and the rest in settle.
//
// Its clock counts what the clients told it. Who sends tells before the bytes leave, who
// receives tells after they came; so if one event has the smaller number, the broker
// can have seen it first.
type ledger struct {
	began time.Time

	mu      sync.Mutex
	clock   uint64
	round   int
	names   []string // of clients, by witness.who
	holders []*holder
	records map[message]*record
	all     []*record // in the order of the first sending
	open    []*record // not known to have reached all that must get them
	keeps   map[string]*kept
	wills   map[string][]*testament // by topic, one for each connection
	faults  []fault
	kinds   map[string]int // how many faults
	totals  totals
}

// message names a published message; its topic belongs to one publisher.
type message struct {
	topic string
	qos   byte
	seq   int
}

// record is the life of a message.
type record struct {
	message
	retained          bool
	sent, acked, done uint64 // first sent, PUBACK or PUBREC, PUBACK or PUBCOMP; 0 is not yet
	got               [mostHolders]uint8
	events            []event
}

const mostHolders = 16

// witness is a client on one of its connections.
type witness struct {
	who  uint8
	conn uint16
}

// event is a step in the life of a message. There are many: it is kept small.
type event struct {
	at    uint32 // in units of 10 microseconds since the ledger began
	round uint16
	id    uint16
	witness
	what deed
}

type deed uint8

const (
	sent deed = iota
	resent
	gotPuback
	gotPubrec
	sentPubrel
	gotPubcomp
	got
	gotDup
	gotRepeat // of a QoS 2 message whose identifier is not released: not counted
	gotPubrel
)

var deeds = [...]string{"sent PUBLISH", "sent PUBLISH DUP", "got PUBACK", "got PUBREC", "sent PUBREL", "got PUBCOMP",
	"got PUBLISH", "got PUBLISH DUP", "got PUBLISH again before PUBREL", "got PUBREL"}

// totals tell whether a run did enough to mean something.
type totals struct {
	Published, Acknowledged, Resent      int
	Delivered, Duplicates, Repeats       int // duplicates are the QoS 1 ones that MQTT allows
	Audits, Wills, Connections, Sessions int // sessions resumed
}

func newLedger() *ledger {
	return &ledger{
		began:   time.Now(),
		records: map[message]*record{},
		keeps:   map[string]*kept{},
		wills:   map[string][]*testament{},
		kinds:   map[string]int{},
	}
}

// join gives a client its number.
func (l *ledger) join(name string) uint8 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, name)
	return uint8(len(l.names) - 1)
}

func (l *ledger) enter(round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.round = round
}

func (l *ledger) tick() uint64 {
	l.clock++
	return l.clock
}

func (l *ledger) noteLocked(r *record, w witness, what deed, id uint16) {
	at := uint32(time.Since(l.began) / (10 * time.Microsecond))
	r.events = append(r.events, event{at, uint16(l.round), id, w, what})
}

// note adds a step to the history of a message.
func (l *ledger) note(r *record, w witness, what deed, id uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(r, w, what, id)
	if what == resent {
		l.totals.Resent++
	}
}

// publishing is told before a message is sent for the first time.
func (l *ledger) publishing(w witness, m message, retained bool, id uint16) *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &record{message: m, retained: retained, sent: l.tick()}
	l.records[m] = r
	l.all = append(l.all, r)
	if m.qos > 0 {
		l.open = append(l.open, r)
	}
	l.totals.Published++
	l.noteLocked(r, w, sent, id)
	if retained {
		l.keeping(m)
	}
	return r
}

// acknowledged is told when a PUBACK or a PUBREC has come: from now on the message must
// not get lost.
func (l *ledger) acknowledged(r *record, w witness, what deed, id uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(r, w, what, id)
	if r.acked == 0 {
		r.acked = l.tick()
		l.totals.Acknowledged++
	}
	if what == gotPuback {
		r.done = r.acked
	}
	if r.retained {
		l.kept(r.message)
	}
}

// completed is told when a PUBCOMP has come.
func (l *ledger) completed(r *record, w witness, id uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(r, w, gotPubcomp, id)
	if r.done == 0 {
		r.done = l.tick()
	}
}

// delivered is told of a PUBLISH that h got. fresh is false for one that repeats an
// unreleased packet identifier. The record is nil if there is no such message.
func (l *ledger) delivered(h *holder, w witness, p *packet.Publish, fresh bool) *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := parsePayload(p.Payload)
	r := l.records[m]
	if !ok || m.topic != string(p.Topic) || r == nil {
		l.failLocked(faultGarbage, r, "%s got %.60q on %q, which nobody sent", h.name, p.Payload, p.Topic)
		return nil
	}
	if !fresh {
		l.totals.Repeats++
		l.noteLocked(r, w, gotRepeat, p.ID)
		return r
	}
	what := got
	if p.Dup {
		what = gotDup
	}
	l.noteLocked(r, w, what, p.ID)
	if want := min(m.qos, h.qos); p.QoS != want {
		l.failLocked(faultQoS, r, "%s got QoS %d, want %d", h.name, p.QoS, want)
	}
	if r.done != 0 && r.done < h.ended {
		l.failLocked(faultUnwanted, r, "%s got it in a later session than that it was for", h.name)
	}
	l.count(h, r, p.QoS)
	return r
}

// count judges duplicates and order.
func (l *ledger) count(h *holder, r *record, qos byte) {
	l.totals.Delivered++
	if r.got[h.index] < 255 {
		r.got[h.index]++
	}
	n := l.copies(h, r)
	switch {
	case n > 1 && qos != 1 && h.share != "":
		l.failLocked(faultDuplicate, r, "the members of %s got it %d times at QoS %d", h.share, n, qos)
	case n > 1 && qos != 1:
		l.failLocked(faultDuplicate, r, "%s got it %d times at QoS %d", h.name, n, qos)
	case n > 1:
		l.totals.Duplicates++
	case h.share == "" && h.since(r): // shared subscriptions promise no order [§4.6]
		s := stream{r.topic, r.qos}
		if last := h.last[s]; r.seq < last {
			l.failLocked(faultOrder, r, "%s got number %d after %d", h.name, r.seq, last)
		}
		h.last[s] = r.seq
	}
}

// copies counts what h got of r, with the other members of its shared subscription.
func (l *ledger) copies(h *holder, r *record) int {
	n := 0
	for _, other := range l.holders {
		if other == h || h.share != "" && other.share == h.share {
			n += int(r.got[other.index])
		}
	}
	return n
}

func (l *ledger) connected(resumed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.totals.Connections++
	if resumed {
		l.totals.Sessions++
	}
}

func (l *ledger) sum() totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.totals
}

// payload is the text by which a receiver knows the message: publisher, topic, QoS and
// number. One in eight is long, as brokers may keep long ones differently.
func payload(publisher string, m message) []byte {
	b := fmt.Appendf(nil, "%s %s %d %d ", publisher, m.topic, m.qos, m.seq)
	return append(b, bytes.Repeat([]byte("."), padding(m.seq))...)
}

func padding(seq int) int {
	if seq%8 == 3 {
		return 1000 + seq%1500
	}
	return seq % 40
}

func parsePayload(b []byte) (message, bool) {
	fields := strings.SplitN(string(b), " ", 5)
	if len(fields) != 5 {
		return message{}, false
	}
	qos, err := strconv.ParseUint(fields[2], 10, 2)
	if err != nil {
		return message{}, false
	}
	seq, err := strconv.Atoi(fields[3])
	if err != nil {
		return message{}, false
	}
	m := message{fields[1], byte(qos), seq}
	return m, len(fields[4]) == padding(seq) && strings.Trim(fields[4], ".") == "" && strings.Contains(m.topic, fields[0])
}
