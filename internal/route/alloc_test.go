//go:build !race

package route_test // the race detector makes sync.Pool forget at random

import (
	"testing"

	"github.com/wirebird/wirebird/internal/route"
)

func TestMatchingAgainDoesNotAllocate(t *testing.T) {
	table := route.New(2)
	for i := range uint32(50) {
		for _, filter := range []string{"a/b", "a/+", "#", "$share/g/a/#", "$share/h/a/b"} {
			table.Subscribe(filter, handle(int(i%2), i), 1, i)
		}
	}
	var m route.Match
	if n := testing.AllocsPerRun(100, func() { table.Match("a/b", &m) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if m.N != 50 || len(m.Groups) != 2 || len(m.IDs) != 49*3 {
		t.Errorf("%d targets, %d groups, %d identifiers, want 50, 2, 147", m.N, len(m.Groups), len(m.IDs))
	}
}
