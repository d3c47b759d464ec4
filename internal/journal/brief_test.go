package journal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wirebird/wirebird/internal/session"
)

func TestWhatLeavesWithinItsCommitIsNotWritten(t *testing.T) {
	small := &session.Message{Topic: "t", Payload: []byte("x")}
	publish := Op{Kind: Publish, MID: 5, Msg: small, Targets: []Target{{SID: 1, QoS: 1}, {SID: 2, QoS: 1}}}
	complete := func(sid uint64) Op { return Op{Kind: Complete, SID: sid, MID: 5} }
	for name, tt := range map[string]struct {
		ops  []Op
		want int // records but that of the highest number
	}{
		"both leave":           {[]Op{publish, complete(1), complete(2)}, 0},
		"one leaves":           {[]Op{publish, complete(2)}, 1},
		"one leaves and comes": {[]Op{publish, complete(1), complete(2), {Kind: Publish, MID: 5, Msg: small, Targets: []Target{{SID: 2}}}}, 1},
		"with an identifier":   {[]Op{publish, {Kind: Assign, SID: 1, MID: 5, ID: 3}, complete(1), complete(2)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{records: map[string][]byte{}}
			e := newEncoder(r)
			if err := e.encode([]submission{{ops: tt.ops[:1]}, {ops: tt.ops[1:]}}, r); err != nil {
				t.Fatal(err)
			}
			delete(r.records, "mmid")
			if len(r.records) != tt.want || e.queued != int64(tt.want) {
				t.Errorf("%d records and %d queue entries are left, want %d: %q", len(r.records), e.queued, tt.want, r.log)
			}
			if tt.want == 0 && len(r.log) > 3 { // at most the highest number, and an identifier
				t.Errorf("wrote %q", r.log)
			}
		})
	}
}

// However operations are cut into commits, they lead to the same records.
func TestCommitsOfAnySizeLeadToTheSameRecords(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		subs := randomSubmissions(rng)
		whole, single := encodeIn(t, subs, len(subs)+1), encodeIn(t, subs, 1)
		cut := encodeIn(t, subs, 1+rng.IntN(8))
		if !maps.Equal(whole, single) || !maps.Equal(cut, single) {
			t.Fatalf("seed %d: one commit leads to %q,\nmany to %q,\nothers to %q", seed, whole, single, cut)
		}
	}
}

// randomSubmissions are valid ones: what completes is there.
func randomSubmissions(rng *rand.Rand) (subs []submission) {
	there := map[entryKey]bool{}
	for range 5 + rng.IntN(40) {
		sid, mid := uint64(1+rng.IntN(3)), uint64(1+rng.IntN(6))
		op := Op{SID: sid, MID: mid}
		switch n := rng.IntN(20); {
		case n < 9:
			op = Op{Kind: Publish, MID: mid, Msg: &session.Message{Topic: "t", Payload: []byte{byte(mid)}}}
			for sid := range uint64(3) {
				if at := (entryKey{sid + 1, mid}); !there[at] && rng.IntN(2) == 0 {
					there[at] = true
					op.Targets = append(op.Targets, Target{SID: sid + 1, QoS: 1})
				}
			}
		case n < 17:
			if !there[entryKey{sid, mid}] {
				continue
			}
			delete(there, entryKey{sid, mid})
			op.Kind = Complete
		case n < 19:
			if !there[entryKey{sid, mid}] {
				continue
			}
			op.Kind, op.ID = Assign, uint16(mid)
		default:
			op = Op{Kind: EndSession, SID: sid}
			maps.DeleteFunc(there, func(k entryKey, _ bool) bool { return k.sid == sid })
		}
		subs = append(subs, submission{ops: []Op{op}})
	}
	return subs
}

// encodeIn encodes subs in commits of so many, and returns the queue as it is then: how a
// message is stored depends on the commits, which messages are does not.
func encodeIn(t *testing.T, subs []submission, size int) map[string]string {
	r := &recorder{records: map[string][]byte{}}
	e := newEncoder(r)
	for part := range slices.Chunk(subs, size) {
		if err := e.encode(part, r); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]string{}
	for k, v := range r.records {
		switch {
		case k[0] == tableQueue && sharedBody(v):
			body := r.records["b"+k[9:]]
			if body == nil {
				t.Fatalf("%q has lost its body", k)
			}
			out[k] = fmt.Sprint(body[len(body)-1])
		case k[0] == tableQueue:
			out[k] = fmt.Sprint(v[len(v)-1])
		case k[0] == tableSide:
			out[k] = string(v)
		}
	}
	return out
}
