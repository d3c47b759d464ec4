package session

import "testing"

// A full queue is purged for each message that comes: that must not cost a look at all.
func TestPurgeLooksOnlyWhenSomethingMayHaveExpired(t *testing.T) {
	var o Outbound
	add := func(expires int64) {
		m := message(1)
		m.Expires = expires
		o.Push(Entry{Msg: m, QoS: 1})
	}
	for range 10 {
		add(0)
	}
	if o.soonest != 0 || o.Purge(1e18) != nil {
		t.Error("messages that never expire are looked at")
	}
	add(100e9)
	add(50e9)
	if o.Purge(49e9) != nil || o.soonest != 50 {
		t.Errorf("soonest %d, want 50", o.soonest)
	}
	if gone := o.Purge(50e9); len(gone) != 1 || o.soonest != 100 || o.Queued() != 11 {
		t.Errorf("%d gone, soonest %d, %d queued", len(gone), o.soonest, o.Queued())
	}
	if gone := o.Purge(100e9); len(gone) != 1 || o.soonest != 0 {
		t.Errorf("%d gone, soonest %d", len(gone), o.soonest)
	}
}
