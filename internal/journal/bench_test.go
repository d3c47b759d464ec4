package journal

import (
	"fmt"
	"sync"
	"testing"

	"github.com/wirebird/wirebird/internal/session"
)

// BenchmarkPublish stores messages of 256 bytes for one session and completes them some
// time later, with n of them outstanding.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := mustOpen(b, Options{Dir: b.TempDir()})
			before := d.Stats()
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for lane := range n {
				wg.Go(func() { publisher(b, d, lane, b.N/n+min(1, max(0, b.N%n-lane))) })
			}
			wg.Wait()
			b.StopTimer()
			after := d.Stats()
			b.ReportMetric(float64(after.Syncs-before.Syncs)/float64(b.N), "fsyncs/op")
			mustClose(b, d)
		})
	}
}

func publisher(b *testing.B, d *Disk, lane, n int) {
	msg := &session.Message{Topic: "site/plant/line/device/state", Payload: make([]byte, 256), QoS: 1}
	done := make(chan error, 1)
	answer := func(err error) { done <- err }
	for i := range n {
		mid := uint64(lane)<<40 | uint64(i+1)
		ops := []Op{{Kind: Publish, MID: mid, Msg: msg, Targets: []Target{{SID: uint64(lane), QoS: 1}}}}
		if i > 100 {
			ops = append(ops, Op{Kind: Complete, SID: uint64(lane), MID: mid - 100})
		}
		d.Submit(lane, ops, answer)
		if err := <-done; err != nil {
			b.Error(err)
			return
		}
	}
}

// BenchmarkEncode is the work of the committer but for the database.
func BenchmarkEncode(b *testing.B) {
	d := mustOpen(b, Options{Dir: b.TempDir(), Durability: None})
	defer mustClose(b, d)
	msg := &session.Message{Topic: "site/plant/line/device/state", Payload: make([]byte, 256), QoS: 1}
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("targets=%d", n), func(b *testing.B) {
			e := newEncoder(reading{d.db})
			op := []submission{{ops: []Op{{Kind: Publish, Msg: msg, Targets: make([]Target, n)}}}}
			for i := range n {
				op[0].ops[0].Targets[i] = Target{SID: uint64(i), QoS: 1}
			}
			batch := d.db.NewBatch()
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				op[0].ops[0].MID++
				if err := e.encode(op, batchWriter{batch}); err != nil {
					b.Fatal(err)
				}
				delete(e.refs, op[0].ops[0].MID)
			}
		})
	}
}
