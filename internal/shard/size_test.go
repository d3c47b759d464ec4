package shard

import (
	"testing"
	"unsafe"
)

// An idle connection is a Conn and a timer: a fleet of them is most of a broker's memory.
// The figures are size classes of the allocator; a field more may cost 16 bytes.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("for 64-bit machines")
	}
	for name, size := range map[string][2]uintptr{
		"Conn":  {unsafe.Sizeof(Conn{}), 80},
		"timer": {unsafe.Sizeof(timer{}), 16},
	} {
		if size[0] > size[1] {
			t.Errorf("%s has %d bytes, want at most %d", name, size[0], size[1])
		}
	}
}

func TestTimerHoldsAnyTime(t *testing.T) {
	for _, at := range []int64{0, 1, 1<<32 - 1, 1 << 32, 26_000_000_000, farthest} {
		timer := newTimer(at, 7, 1<<63|5)
		if timer.at() != at || timer.kind != 7 || timer.key != 1<<63|5 {
			t.Errorf("newTimer(%d): at %d, kind %d, key %#x", at, timer.at(), timer.kind, timer.key)
		}
	}
	if late := newTimer(farthest+5, 1, 1); late.at() != farthest {
		t.Errorf("a time past the farthest: at %d, want %d", late.at(), int64(farthest))
	}
}
