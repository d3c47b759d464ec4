//go:build linux && !wirebird_goroutine

package shard

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// A yield runs what else waits for the processor, and comes back.
func TestYieldRunsOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var ran atomic.Bool
	d := &epoll{spare: true}
	for now := int64(yieldEvery); now < 100*yieldEvery; now += yieldEvery {
		ran.Store(false)
		go ran.Store(true)
		if d.yield(now); !ran.Load() {
			t.Fatal("the other goroutine has not run")
		}
	}
	for _, d := range []*epoll{{}, {spare: true, yielded: 1}} {
		before := d.yielded
		if d.yield(yieldEvery); d.yielded != before {
			t.Errorf("spare %v, last yield at %d: yields again", d.spare, before)
		}
	}
}
