package broker

import (
	"testing"
	"unsafe"
)

// What an idle client costs; see also TestSizes of package shard. The figures are size
// classes of the allocator.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("for 64-bit machines")
	}
	for name, size := range map[string][2]uintptr{
		"client": {unsafe.Sizeof(client{}), 64},
		"sess":   {unsafe.Sizeof(sess{}), 112},
		"sub":    {unsafe.Sizeof(sub{}), 24},
	} {
		if size[0] > size[1] {
			t.Errorf("%s has %d bytes, want at most %d", name, size[0], size[1])
		}
	}
}
