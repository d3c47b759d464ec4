package session

import (
	"fmt"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func message(n int) *Message {
	return &Message{Topic: "t", Payload: fmt.Appendf(nil, "%d", n), QoS: 2}
}

func push(o *Outbound, n int, qos byte) { o.Push(Entry{Msg: message(n), QoS: qos}) }

// next asserts what Next returns.
func next(t *testing.T, o *Outbound, want Kind, payload string) uint16 {
	t.Helper()
	kind, id, e := o.Next(0)
	if kind != want {
		t.Fatalf("Next is %v, want %v", kind, want)
	}
	if payload != "" && string(e.Msg.Payload) != payload {
		t.Fatalf("Next gives message %s, want %s", e.Msg.Payload, payload)
	}
	return id
}

func TestSendQuotaHoldsBackUntilAcknowledged(t *testing.T) {
	var o Outbound
	o.Start(2)
	for n := range 3 {
		push(&o, n, 1)
	}
	first := next(t, &o, Send, "0")
	next(t, &o, Send, "1")
	next(t, &o, Nothing, "")
	if _, ok := o.Puback(first); !ok {
		t.Fatal("PUBACK not known")
	}
	next(t, &o, Send, "2")
	if _, ok := o.Puback(first); ok {
		t.Error("a second PUBACK is known")
	}
}

func TestUnfinishedFlowsAreSentAgainInOrderWithinASmallerReceiveMaximum(t *testing.T) {
	var o Outbound
	o.Start(10)
	ids := make([]uint16, 4)
	for n := range ids {
		push(&o, n, 2)
		ids[n] = next(t, &o, Send, fmt.Sprint(n))
	}
	push(&o, 4, 2)
	if _, _, ok := o.Pubrec(ids[1], false); !ok {
		t.Fatal("PUBREC not known")
	}
	o.Stop()
	next(t, &o, Nothing, "")
	o.Start(2)
	if id := next(t, &o, Resend, "0"); id != ids[0] {
		t.Errorf("resent with identifier %d, want %d", id, ids[0])
	}
	if id := next(t, &o, Release, ""); id != ids[1] {
		t.Errorf("PUBREL %d, want %d", id, ids[1])
	}
	next(t, &o, Resend, "2")
	next(t, &o, Nothing, "") // the quota is spent: 3 waits, and 4 behind it
	if _, ok := o.Pubcomp(ids[1]); !ok {
		t.Fatal("PUBCOMP not known")
	}
	next(t, &o, Nothing, "") // its PUBLISH was not of this connection: nothing comes back
	o.Pubrec(ids[0], false)
	o.Pubcomp(ids[0])
	next(t, &o, Resend, "3")
	next(t, &o, Nothing, "")
	o.Pubrec(ids[2], false)
	o.Pubcomp(ids[2])
	next(t, &o, Send, "4")
}

func TestARefusedPubrecEndsTheMessage(t *testing.T) {
	var o Outbound
	o.Start(1)
	push(&o, 0, 2)
	push(&o, 1, 2)
	id := next(t, &o, Send, "0")
	if e, gone, ok := o.Pubrec(id, true); !ok || !gone || e.Msg == nil {
		t.Fatal("a refusal does not end the message")
	}
	next(t, &o, Send, "1")
}

func TestAcknowledgementsOfTheWrongKindAreUnknown(t *testing.T) {
	var o Outbound
	o.Start(9)
	push(&o, 0, 1)
	push(&o, 1, 2)
	one, two := next(t, &o, Send, "0"), next(t, &o, Send, "1")
	for name, ok := range map[string]bool{
		"PUBREC for QoS 1":      func() bool { _, _, ok := o.Pubrec(one, false); return ok }(),
		"PUBACK for QoS 2":      func() bool { _, ok := o.Puback(two); return ok }(),
		"PUBCOMP before PUBREC": func() bool { _, ok := o.Pubcomp(two); return ok }(),
		"PUBACK 0":              func() bool { _, ok := o.Puback(0); return ok }(),
		"PUBACK of nobody":      func() bool { _, ok := o.Puback(999); return ok }(),
	} {
		if ok {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestExpiredMessagesAreNotSent(t *testing.T) {
	var o Outbound
	o.Start(9)
	m := message(0)
	m.Expires = 50
	o.Push(Entry{Msg: m, QoS: 1})
	if kind, _, e := o.Next(50); kind != Outdated || e.Msg != m {
		t.Errorf("Next is %v", kind)
	}
	if o.Queued() != 0 || o.QueuedBytes() != 0 || !o.Idle() {
		t.Error("an expired message still counts")
	}
}

// The window against a plain model: identifiers in use are never given twice, also
// where they wrap around, and the quota is never exceeded.
func TestWindowAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o Outbound
		o.base = uint32(rapid.IntRange(identifiers-20, identifiers-1).Draw(t, "base"))
		type flow struct {
			id       uint16
			n        int
			released bool
		}
		var flying []flow
		max := rapid.IntRange(1, 20).Draw(t, "receive maximum")
		o.Start(max)
		sent := 0
		for n := range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				push(&o, n, 2)
			case 1:
				kind, id, e := o.Next(0)
				if kind == Nothing {
					if o.Queued() > 0 && len(flying) < max {
						t.Fatalf("held back with %d of %d in flight", len(flying), max)
					}
					continue
				}
				for _, f := range flying {
					if f.id == id {
						t.Fatalf("identifier %d given twice", id)
					}
				}
				sent++
				flying = append(flying, flow{id: id, n: len(e.Msg.Payload)})
				if len(flying) > max {
					t.Fatalf("%d in flight, Receive Maximum %d", len(flying), max)
				}
			case 2:
				if len(flying) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(flying)-1).Draw(t, "flow")
				if f := &flying[i]; !f.released {
					if _, _, ok := o.Pubrec(f.id, false); !ok {
						t.Fatalf("PUBREC %d unknown", f.id)
					}
					f.released = true
					continue
				}
				if _, ok := o.Pubcomp(flying[i].id); !ok {
					t.Fatalf("PUBCOMP %d unknown", flying[i].id)
				}
				flying = append(flying[:i], flying[i+1:]...)
			}
			if o.Inflight() != len(flying) {
				t.Fatalf("Inflight %d, want %d", o.Inflight(), len(flying))
			}
		}
	})
}

func TestMoreThan65535MessagesQueue(t *testing.T) {
	var o Outbound
	const n = 200_000
	for i := range n {
		push(&o, i, 1)
	}
	o.Start(100)
	for i := range n {
		kind, id, e := o.Next(0)
		if kind != Send || string(e.Msg.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d: %v", i, kind)
		}
		if _, ok := o.Puback(id); !ok {
			t.Fatalf("message %d: PUBACK %d unknown", i, id)
		}
	}
	if !o.Idle() || o.queue.buf != nil {
		t.Error("an empty queue keeps its memory")
	}
}

func TestTakeRemovesAndKeepsOrder(t *testing.T) {
	var o Outbound
	for n := range 10 {
		push(&o, n, 1)
	}
	taken := o.Take(func(e *Entry) bool { return (e.Msg.Payload[0]-'0')%2 == 0 })
	if len(taken) != 5 || o.Queued() != 5 || o.QueuedBytes() != 5*2 {
		t.Fatalf("took %d, left %d, %d bytes", len(taken), o.Queued(), o.QueuedBytes())
	}
	o.Start(10)
	for _, want := range []string{"1", "3", "5", "7", "9"} {
		next(t, &o, Send, want)
	}
}

func TestTakeFirstKeepsTheOrderOfTheRest(t *testing.T) {
	for most := range 7 {
		var o Outbound
		for n := range 10 {
			push(&o, n, 1)
		}
		taken := o.TakeFirst(most, func(e *Entry) bool { return (e.Msg.Payload[0]-'0')%2 == 1 })
		if want := min(most, 5); len(taken) != want || o.Queued() != 10-want || o.QueuedBytes() != int64(10-want)*2 {
			t.Fatalf("took %d of at most %d, left %d, %d bytes", len(taken), most, o.Queued(), o.QueuedBytes())
		}
		o.Start(10)
		for n := range 10 {
			if n%2 == 1 && n/2 < most {
				if got := string(taken[n/2].Msg.Payload); got != strconv.Itoa(n) {
					t.Fatalf("took %q in place %d", got, n/2)
				}
				continue
			}
			next(t, &o, Send, strconv.Itoa(n))
		}
	}
}

func TestInboundKnowsRepeats(t *testing.T) {
	var in Inbound
	for id := uint16(1); id <= 100; id++ { // beyond what the list holds
		if !in.Accept(id) || in.Accept(id) || !in.Has(id) {
			t.Fatalf("id %d", id)
		}
	}
	count := 0
	in.Each(func(uint16) { count++ })
	if in.Len() != 100 || count != 100 {
		t.Fatalf("Len %d, Each %d", in.Len(), count)
	}
	for id := uint16(1); id <= 100; id++ {
		if !in.Release(id) || in.Release(id) {
			t.Fatalf("release %d", id)
		}
	}
	if in.Len() != 0 || !in.Accept(7) {
		t.Error("not empty at the end")
	}
}

func TestAliasesStayInTheirRange(t *testing.T) {
	var in AliasIn
	if in.Set(0, 10, []byte("a")) || in.Set(11, 10, []byte("a")) || !in.Set(10, 10, []byte("a")) {
		t.Error("range of 1 to 10 is not kept")
	}
	if in.Get(10) != "a" || in.Get(9) != "" || in.Get(0) != "" || in.Get(500) != "" {
		t.Error("Get")
	}
	in.Set(10, 10, []byte("b"))
	if in.Get(10) != "b" {
		t.Error("an alias cannot be bound anew")
	}
	out := NewAliasOut(1)
	if a, known := out.For("x"); a != 1 || known {
		t.Errorf("first: %d %v", a, known)
	}
	if a, known := out.For("x"); a != 1 || !known {
		t.Errorf("second: %d %v", a, known)
	}
	if a, _ := out.For("y"); a != 0 {
		t.Errorf("beyond the maximum: %d", a)
	}
}

func BenchmarkOutboundQoS1(b *testing.B) {
	b.ReportAllocs()
	var o Outbound
	o.Start(100)
	e := Entry{Msg: message(1), QoS: 1}
	for b.Loop() {
		o.Puback(o.Direct(e))
	}
}

func stored(n int, qos byte) Entry {
	return Entry{Msg: message(n), QoS: qos, MID: uint64(n + 1)}
}

func TestStoredMessagesLeaveMemoryAndComeBack(t *testing.T) {
	var o Outbound
	o.Start(2)
	for n := range 5 {
		o.Push(stored(n, 1))
	}
	next(t, &o, Send, "0")
	bytes := o.QueuedBytes()
	o.Stop()
	o.Unload()
	o.Start(10)
	if o.QueuedBytes() != bytes {
		t.Errorf("%d bytes queued, were %d", o.QueuedBytes(), bytes)
	}
	next(t, &o, Absent, "")
	mids := o.Missing(3, 1<<20)
	if fmt.Sprint(mids) != "[1 2 3]" {
		t.Fatalf("Missing %v", mids)
	}
	if lost := o.Fill(mids, []*Message{message(0), nil, message(2)}); len(lost) != 1 || lost[0].MID != 2 {
		t.Fatalf("lost %v", lost)
	}
	next(t, &o, Resend, "0")
	next(t, &o, Send, "2")
	next(t, &o, Absent, "")
	o.Fill(o.Missing(9, 1<<20), []*Message{message(3), message(4)})
	next(t, &o, Send, "3")
	next(t, &o, Send, "4")
	next(t, &o, Nothing, "")
	if o.QueuedBytes() != 0 || o.Inflight() != 4 {
		t.Errorf("%d bytes queued, %d in flight", o.QueuedBytes(), o.Inflight())
	}
}

func TestMissingOfTellsWhatIsAskedFor(t *testing.T) {
	var o Outbound
	o.Start(2)
	for n := range 6 {
		o.Push(stored(n, 1))
	}
	next(t, &o, Send, "0")
	next(t, &o, Send, "1")
	o.Stop()
	o.Unload()
	odd := func(inflight bool, e *Entry) bool { return e.MID%2 == 1 && inflight == (e.MID < 3) }
	if got := fmt.Sprint(o.MissingOf(9, 1<<20, odd), o.MissingOf(2, 1<<20, odd), o.MissingOf(9, 3, odd)); got != "[1 3 5] [1 3] [1 3]" {
		t.Errorf("MissingOf is %s", got)
	}
	mids := o.MissingOf(9, 1<<20, odd)
	if lost := o.Fill(mids, []*Message{message(0), message(2), message(4)}); len(lost) != 0 {
		t.Fatalf("lost %v", lost)
	}
	if got := fmt.Sprint(o.Missing(9, 1<<20)); got != "[2 4 6]" {
		t.Errorf("%s are missing then, want 2, 4 and 6", got)
	}
}

func TestALostMessageInFlightIsDiscarded(t *testing.T) {
	var o Outbound
	o.Start(9)
	o.Push(stored(0, 2))
	next(t, &o, Send, "0")
	o.Stop()
	o.Unload()
	o.Start(9)
	next(t, &o, Absent, "")
	if lost := o.Fill(o.Missing(9, 1<<20), []*Message{nil}); len(lost) != 1 || !o.Idle() {
		t.Errorf("lost %v, idle %v", lost, o.Idle())
	}
}

func TestRestoreKeepsIdentifiers(t *testing.T) {
	for name, ids := range map[string][]uint16{
		"apart":        {3, 0, 7, 0},
		"wrapped":      {65534, 1, 0, 3},
		"out of order": {9, 8, 0, 10},
		"none":         {0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var o Outbound
			var list []Restored
			for n, id := range ids {
				list = append(list, Restored{Entry: stored(n, 2), ID: id, Owed: id == 7})
			}
			o.Restore(list)
			o.Start(100)
			seen := map[uint16]string{}
			for kind, id, e := o.Next(0); kind != Nothing; kind, id, e = o.Next(0) {
				if seen[id] != "" {
					t.Fatalf("identifier %d twice", id)
				}
				seen[id] = kind.String()
				_ = e
			}
			for _, id := range ids {
				want := Resend
				if id == 7 {
					want = Release
				}
				if id != 0 && seen[id] != want.String() {
					t.Errorf("identifier %d: %s, want %v", id, seen[id], want)
				}
			}
			if len(seen) != len(ids) || o.Inflight() != len(ids) {
				t.Errorf("%d sent, %d in flight, want %d", len(seen), o.Inflight(), len(ids))
			}
		})
	}
}
