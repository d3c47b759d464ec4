package journal

import (
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/wirebird/wirebird/internal/session"
)

// model is the state that operations lead to, kept in the plainest way: a text for
// each record. It is a Visitor as well.
type model struct {
	records map[string]string
	bodies  map[entryKey]*session.Message
	order   []string // in which a Visitor was called
}

// text tells messages apart.
func text(m *session.Message) string {
	return fmt.Sprintf("%q %d %08x %x %d %d %v", m.Topic, len(m.Payload), crc32.ChecksumIEEE(m.Payload), m.Props, m.Expires, m.QoS, m.Retain)
}

func newModel() *model {
	return &model{records: map[string]string{}, bodies: map[entryKey]*session.Message{}}
}

func (m *model) put(key, value string) {
	m.records[key] = value
	m.order = append(m.order, key)
}

func (m *model) Session(sid uint64, clientID string, expiry uint32, offlineAt int64) {
	m.put(fmt.Sprintf("s %d", sid), fmt.Sprintf("%q %d %d", clientID, expiry, offlineAt))
}

func (m *model) Subscription(sid uint64, filter string, options uint8, subID uint32) {
	m.put(fmt.Sprintf("u %d %s", sid, filter), fmt.Sprint(options, subID))
}

func (m *model) Accepted(sid uint64, id uint16) { m.put(fmt.Sprintf("x %d %d", sid, id), "") }

func (m *model) Will(sid uint64, w Will) {
	m.put(fmt.Sprintf("w %d", sid), fmt.Sprintf("%s %d %d %d %v", text(w.Msg), w.Due, w.Delay, w.Expiry, w.HasExpiry))
}

func (m *model) Retained(msg *session.Message) { m.put("r "+msg.Topic, text(msg)) }

func (m *model) Waiting(sid uint64, w Waiting) {
	w.SubIDs = slices.Clip(w.SubIDs)
	m.put(fmt.Sprintf("q %d %d", sid, w.MID), fmt.Sprintf("%+v", w))
	m.bodies[entryKey{sid, w.MID}] = nil
}

// apply does what op says, and ignores it for a session that is not there.
func (m *model) apply(op Op) {
	_, there := m.records[fmt.Sprintf("s %d", op.SID)]
	entry := fmt.Sprintf("q %d %d", op.SID, op.MID)
	switch op.Kind {
	case PutSession:
		m.Session(op.SID, op.Name, op.Expiry, op.At)
	case EndSession:
		maps.DeleteFunc(m.records, func(k, _ string) bool {
			f := strings.Fields(k)
			return f[0] != "r" && f[1] == fmt.Sprint(op.SID)
		})
		maps.DeleteFunc(m.bodies, func(k entryKey, _ *session.Message) bool { return k.sid == op.SID })
	case EndSubscription:
		delete(m.records, fmt.Sprintf("u %d %s", op.SID, op.Name))
	case Forget:
		delete(m.records, fmt.Sprintf("x %d %d", op.SID, op.ID))
	case PutRetained:
		m.Retained(op.Msg)
	case EndRetained:
		delete(m.records, "r "+op.Name)
	case EndWill:
		delete(m.records, fmt.Sprintf("w %d", op.SID))
	case Complete:
		delete(m.records, entry)
		delete(m.bodies, entryKey{op.SID, op.MID})
	case Publish:
		m.publish(op)
	default:
		if there {
			m.applyTo(op, entry)
		}
	}
}

func (m *model) applyTo(op Op, entry string) {
	switch op.Kind {
	case PutSubscription:
		m.Subscription(op.SID, op.Name, op.Options, op.SubID)
	case Accept:
		m.Accepted(op.SID, op.ID)
	case PutWill:
		m.Will(op.SID, Will{op.Msg, op.At, op.Expiry, op.WillExpiry, op.HasWillExpiry})
	case Assign, Owe:
		if old, ok := m.records[entry]; ok {
			head, _, _ := strings.Cut(old, " ID:")
			qos, _, _ := strings.Cut(old[strings.Index(old, " QoS:"):], " Owed:")
			m.records[entry] = fmt.Sprintf("%s ID:%d%s Owed:%v}", head, op.ID, qos, op.Kind == Owe)
		}
	}
}

func (m *model) publish(op Op) {
	for _, t := range op.Targets {
		if _, there := m.records[fmt.Sprintf("s %d", t.SID)]; !there {
			continue
		}
		w := Waiting{SubIDs: t.SubIDs, Share: t.Share, Filter: t.Filter, MID: op.MID, Size: op.Msg.Size(), Expires: op.Msg.Expires, SubID: t.SubID, QoS: t.QoS, Retain: t.Retain}
		if t.Share != "" {
			w.Topic = op.Msg.Topic
		}
		m.Waiting(t.SID, w)
		m.bodies[entryKey{t.SID, op.MID}] = op.Msg
	}
}

// differences compares what is stored with what should be.
func (m *model) differences(got *model) (out []string) {
	for k, v := range m.records {
		if g, ok := got.records[k]; !ok || g != v {
			out = append(out, fmt.Sprintf("%s is %q, want %q", k, g, v))
		}
	}
	for k, v := range got.records {
		if _, ok := m.records[k]; !ok {
			out = append(out, fmt.Sprintf("%s is %q, want none", k, v))
		}
	}
	return out
}

// checkOrder is of what a Visitor was given.
func (m *model) checkOrder(t *testing.T) {
	t.Helper()
	const tables = "suxwrq"
	last, sid, mid := 0, uint64(0), uint64(0)
	for _, key := range m.order {
		at := strings.IndexByte(tables, key[0])
		if at < last {
			t.Fatalf("%q comes too late", key)
		}
		last = at
		if key[0] == 'q' {
			var s, n uint64
			if _, err := fmt.Sscanf(key, "q %d %d", &s, &n); err != nil || s < sid || s == sid && n <= mid {
				t.Fatalf("%q comes after %d %d", key, sid, mid)
			}
			sid, mid = s, n
		}
	}
}

// generator makes operations that a broker could submit.
type generator struct {
	*rand.Rand
	sids  []uint64 // there, or ended in this life
	mids  []entryKey
	next  uint64
	nextM uint64
}

func (g *generator) message() *session.Message {
	m := &session.Message{Topic: fmt.Sprintf("t/%d", g.IntN(30)), QoS: byte(g.IntN(3)), Retain: g.IntN(2) == 0}
	if n := g.IntN(100); n > 0 {
		m.Payload = make([]byte, n*g.IntN(30)+1)
		for i := range m.Payload {
			m.Payload[i] = byte(g.Uint32())
		}
	}
	if g.IntN(3) == 0 {
		m.Props = []byte{1, 2, byte(g.IntN(256))}
	}
	if g.IntN(3) == 0 {
		m.Expires = g.Int64N(1 << 60)
	}
	return m
}

func (g *generator) sid() uint64 { return g.sids[g.IntN(len(g.sids))] }

func (g *generator) targets() (list []Target) {
	for range 1 + g.IntN(3)*g.IntN(3) {
		sid := g.sid()
		if slices.ContainsFunc(list, func(t Target) bool { return t.SID == sid }) {
			continue
		}
		t := Target{SID: sid, QoS: byte(1 + g.IntN(2)), Retain: g.IntN(4) == 0}
		switch g.IntN(4) {
		case 0:
			t.SubID = g.Uint32()
		case 1:
			t.SubIDs = []uint32{g.Uint32(), 7}
		case 2:
			t.Share, t.Filter = "group", "t/+"
		}
		list = append(list, t)
		g.mids = append(g.mids, entryKey{sid, g.nextM})
	}
	return list
}

func (g *generator) op() Op {
	if len(g.sids) < 3 || g.IntN(15) == 0 {
		g.next++
		g.sids = append(g.sids, g.next)
		return Op{Kind: PutSession, SID: g.next, Name: fmt.Sprintf("client %d", g.next), Expiry: g.Uint32(), At: g.Int64()}
	}
	filter := fmt.Sprintf("f/%d/#", g.IntN(5))
	switch kind := Kind(g.IntN(18)) + 1; {
	case kind == EndSession && g.IntN(2) == 0:
		return Op{Kind: kind, SID: g.sid()}
	case kind == PutSubscription || kind == EndSubscription:
		return Op{Kind: kind, SID: g.sid(), Name: filter, Options: uint8(g.IntN(64)), SubID: uint32(g.IntN(300))}
	case (kind == Assign || kind == Owe || kind == Complete) && len(g.mids) > 0:
		i := g.IntN(len(g.mids)) // often one that is complete already
		return Op{Kind: kind, SID: g.mids[i].sid, MID: g.mids[i].mid, ID: uint16(1 + g.IntN(65535))}
	case kind == Accept || kind == Forget:
		return Op{Kind: kind, SID: g.sid(), ID: uint16(1 + g.IntN(9))}
	case kind == PutRetained:
		return Op{Kind: kind, Msg: g.message()}
	case kind == EndRetained:
		return Op{Kind: kind, Name: fmt.Sprintf("t/%d", g.IntN(30))}
	case kind == PutWill || kind == EndWill:
		return Op{Kind: kind, SID: g.sid(), Msg: g.message(), Expiry: g.Uint32(), At: g.Int64(), WillExpiry: g.Uint32(), HasWillExpiry: g.IntN(2) == 0}
	}
	g.nextM++
	return Op{Kind: Publish, MID: g.nextM, Msg: g.message(), Targets: g.targets()}
}

// submit waits for the completion.
func submit(j Journal, ops ...Op) error {
	done := make(chan error, 1)
	j.Submit(0, ops, func(err error) { done <- err })
	return <-done
}

func mustOpen(t testing.TB, o Options) *Disk {
	t.Helper()
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustClose(t testing.TB, d *Disk) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustRecover(t testing.TB, d *Disk) (*model, RecoverStats) {
	t.Helper()
	got := newModel()
	s, err := d.Recover(got)
	if err != nil {
		t.Fatal(err)
	}
	return got, s
}

// checkBodies loads every message that waits.
func checkBodies(t *testing.T, d *Disk, want *model) {
	t.Helper()
	for at, msg := range want.bodies {
		done := make(chan struct{})
		d.Load(at.sid, []uint64{at.mid, 1 << 60}, func(got []*session.Message, err error) {
			defer close(done)
			if err != nil || len(got) != 2 || got[0] == nil || got[1] != nil || text(got[0]) != text(msg) {
				t.Errorf("session %d message %d: %.80v, %v; want one of %d bytes", at.sid, at.mid, got, err, msg.Size())
			}
		})
		<-done
	}
}

func TestWhatWasSubmittedIsThereAfterReopening(t *testing.T) {
	for seed := range uint64(manySeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := Options{FS: vfs.NewMem(), Dir: "data", MemTableSize: 256 << 10, Durability: Durability(seed % 3)}
			want := newModel()
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
			for life := range 4 {
				d := mustOpen(t, o)
				got, _ := mustRecover(t, d)
				got.checkOrder(t)
				if diff := want.differences(got); len(diff) > 0 {
					t.Fatalf("life %d:\n%s", life, strings.Join(diff, "\n"))
				}
				checkBodies(t, d, want)
				if d.LastMID() < g.nextM {
					t.Errorf("LastMID is %d, %d was used", d.LastMID(), g.nextM)
				}
				run(t, d, g, want)
				checkBodies(t, d, want)
				mustClose(t, d)
			}
			checkClean(t, o)
		})
	}
}

// run submits some hundred operations, many at a time.
func run(t *testing.T, d *Disk, g *generator, want *model) {
	last := make(chan struct{})
	g.nextM = max(g.nextM, d.LastMID())
	for range 100 {
		ops := make([]Op, 1+g.IntN(5))
		for i := range ops {
			ops[i] = g.op()
			want.apply(ops[i])
		}
		d.Submit(g.IntN(3), ops, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
		if g.IntN(20) == 0 { // the next ones meet a state that is applied
			if err := submit(d); err != nil {
				t.Error(err)
			}
		}
	}
	d.Submit(0, nil, func(error) { close(last) })
	<-last
}

// checkClean reads everything once more, when Recover has deleted what it had to.
func checkClean(t *testing.T, o Options) {
	t.Helper()
	d := mustOpen(t, o)
	mustRecover(t, d)
	mustClose(t, d)
	s, err := Check(o, func(problem string) { t.Error(problem) })
	if err != nil || s.Orphans != 0 || s.Elapsed > time.Minute {
		t.Errorf("check: %+v, %v", s, err)
	}
}
