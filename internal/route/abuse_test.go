package route_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/route"
)

// masks are n different filters that all match a/a/…/a of so many levels.
func masks(levels, n int) []string {
	var filters []string
	for mask := range n {
		parts := make([]string, levels)
		for i := range parts {
			parts[i] = "a"
			if mask>>i&1 == 1 {
				parts[i] = "+"
			}
		}
		filters = append(filters, strings.Join(parts, "/"))
	}
	return filters
}

// A search looks at each trie node at most once, whatever the filters are; and at most at
// two for each level and each way to write the levels before it, however many filters
// there are.
func TestSearchIsBoundedByTheTrie(t *testing.T) {
	table := route.New(1)
	for i, filter := range masks(12, 4096) {
		table.Subscribe(filter, handle(0, uint32(i)), 0, 0)
		table.Subscribe(filter+"/#", handle(0, uint32(i)), 0, 0)
	}
	nodes := table.Stats()
	if got := table.Visits(strings.Repeat("a/", 11) + "a"); got > nodes+1 {
		t.Errorf("a search looks at %d of %d nodes", got, nodes)
	}
	for levels, most := range map[int]int{1: 4, 2: 8, 3: 16, 6: 128} {
		if got := table.Visits(strings.Repeat("a/", levels-1) + "a"); got > most {
			t.Errorf("%d levels: a search looks at %d nodes, want at most %d", levels, got, most)
		}
	}
	for i := range uint32(5000) { // filters that do not match cost nothing
		table.Subscribe(fmt.Sprintf("b%d/+/#", i), handle(0, i), 0, 0)
	}
	if got := table.Visits("c/d"); got > 4 {
		t.Errorf("a search looks at %d nodes for a topic that only + leads to", got)
	}
	if got := table.Visits("a" + strings.Repeat("/", 65_534)); got > nodes+1 {
		t.Errorf("a topic of 65,535 levels: %d nodes", got)
	}
}

// A level of a filter costs what docs/configuration.md says.
func TestLevelsCostWhatIsSaid(t *testing.T) {
	const most, filters, levels = 300, 500, 100
	var list []string
	for i := range filters {
		list = append(list, fmt.Sprintf("%d/", i)+strings.Repeat("+/", levels-2)+"#")
	}
	table := route.New(1)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i, filter := range list {
		table.Subscribe(filter, handle(0, uint32(i)), 0, 0)
	}
	deep := int(heap()-before) / (filters * levels)
	named := func(i int) string { // each level a child of its own, in a slice of one
		parts := make([]string, levels)
		for j := range parts {
			parts[j] = fmt.Sprintf("l%d", j)
		}
		return fmt.Sprintf("%d/%s/+", i, strings.Join(parts[2:], "/"))
	}
	before = heap()
	for i := range filters {
		table.Subscribe(named(i), handle(0, uint32(i)), 0, 0)
	}
	wide := int(heap()-before) / (filters * levels)
	if deep > most || wide > most || deep+wide < 20 {
		t.Errorf("a level takes %d bytes, and %d with a name; want at most %d", deep, wide, most)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(list)

	kept := route.NewRetained[*int]()
	before = heap()
	for i := range filters {
		kept.Put(named(i), nil)
	}
	if leaf := int(int64(heap())-int64(before)) / (filters * levels); leaf > 200 {
		t.Errorf("a level of a retained message takes %d bytes, want at most 200", leaf)
	}
	runtime.KeepAlive(kept)
}
