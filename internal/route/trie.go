package route

import (
	"iter"
	"slices"
	"strings"
)

// node is one level of the filters with wildcards. The level's own text is the
// key in the parent's children.
type node struct {
	kids children[node]
	plus *node  // the level +
	hash *entry // the filter that ends with # after this level
	end  *entry // the filter that ends with this level
}

// size counts what hangs on n.
func (n *node) size() int {
	size := n.kids.len()
	if n.plus != nil {
		size++
	}
	if n.hash != nil {
		size++
	}
	if n.end != nil {
		size++
	}
	return size
}

// child returns the child for a level of a filter, nil if there is none.
func (n *node) child(level string) *node {
	if level == "+" {
		return n.plus
	}
	return n.kids.get(level)
}

// search appends to s.entries what matches name, level by level with all nodes
// alive at that level side by side: no recursion, however deep name is.
func (n *node) search(name string, s *scratch) {
	s.cur, s.visits = append(s.cur[:0], n), 1
	system := name != "" && name[0] == '$' // [MQTT-4.7.2-1]
	for more := true; more && len(s.cur) > 0; system = false {
		var level string
		level, name, more = strings.Cut(name, "/")
		s.next = s.next[:0]
		for _, n := range s.cur {
			if n.hash != nil && !system {
				s.entries = append(s.entries, n.hash)
			}
			if n.plus != nil && !system {
				s.next = append(s.next, n.plus)
			}
			if kid := n.kids.get(level); kid != nil {
				s.next = append(s.next, kid)
			}
		}
		s.cur, s.next = s.next, s.cur
		s.visits += len(s.cur)
	}
	for _, n := range s.cur { // all of name is consumed, or nothing is left
		if n.end != nil {
			s.entries = append(s.entries, n.end)
		}
		if n.hash != nil { // a/# matches a
			s.entries = append(s.entries, n.hash)
		}
	}
}

// lookup returns the place of the entry for filter, nil if there is none.
func (n *node) lookup(filter string) **entry {
	for more := true; more; {
		var level string
		level, filter, more = strings.Cut(filter, "/")
		if level == "#" {
			return &n.hash
		}
		if n = n.child(level); n == nil {
			return nil
		}
	}
	return &n.end
}

// insert returns the place of the entry for filter and how many nodes it made.
func (n *node) insert(filter string) (place **entry, made int) {
	whole := filter
	for more := true; more; {
		var level string
		level, filter, more = strings.Cut(filter, "/")
		if level == "#" {
			return &n.hash, made
		}
		kid := n.child(level)
		if kid == nil {
			kid = new(node)
			made++
			if level == "+" {
				n.plus = kid
			} else {
				n.kids.add(keepPart(level, whole), kid)
			}
		}
		n = kid
	}
	return &n.end, made
}

// prune removes the nodes that only served filter, whose entry is gone, and
// returns how many they were. It cuts the branch below the last node that
// serves others too.
func (n *node) prune(filter string) (removed int) {
	keep, cut := n, ""
	first := true
	for more := true; more; {
		var level string
		level, filter, more = strings.Cut(filter, "/")
		if level == "#" {
			break
		}
		if first || n.size() > 1 {
			keep, cut, removed = n, level, 0
			first = false
		}
		n = n.child(level)
		removed++
	}
	switch {
	case removed == 0 || n.size() > 0:
		return 0
	case cut == "+":
		keep.plus = nil
	default:
		keep.kids.remove(cut)
	}
	return removed
}

// each calls fn for every entry below n until fn returns false.
func (n *node) each(fn func(*entry) bool) bool {
	for stack := []*node{n}; len(stack) > 0; {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n.hash != nil && !fn(n.hash) || n.end != nil && !fn(n.end) {
			return false
		}
		if n.plus != nil {
			stack = append(stack, n.plus)
		}
		for _, kid := range n.kids.all() {
			stack = append(stack, kid)
		}
	}
	return true
}

// manyKids is the number of children from which a map serves better than a
// sorted slice, fewKids the one at which a map is given up again.
const (
	manyKids = 16
	fewKids  = 4
)

// children are the nodes one level down, by their level.
type children[N any] struct {
	few  []kid[N] // sorted by level; nil if many is in use
	many map[string]*N
}

type kid[N any] struct {
	level string
	node  *N
}

func (c *children[N]) len() int { return len(c.few) + len(c.many) }

// all ranges over the children in no order.
func (c *children[N]) all() iter.Seq2[string, *N] {
	return func(yield func(string, *N) bool) {
		for _, k := range c.few {
			if !yield(k.level, k.node) {
				return
			}
		}
		for level, n := range c.many {
			if !yield(level, n) {
				return
			}
		}
	}
}

func (c *children[N]) get(level string) *N {
	if c.many != nil {
		return c.many[level]
	}
	if i, ok := findKid(c.few, level); ok {
		return c.few[i].node
	}
	return nil
}

// findKid is the place of level in a sorted list, and whether it is there.
func findKid[N any](list []kid[N], level string) (int, bool) {
	lo, hi := 0, len(list)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if list[mid].level < level {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(list) && list[lo].level == level
}

// add adds a child for a level that has none.
func (c *children[N]) add(level string, n *N) {
	if c.many == nil && len(c.few) < manyKids {
		i, _ := findKid(c.few, level)
		c.few = slices.Insert(c.few, i, kid[N]{level, n})
		return
	}
	if c.many == nil {
		c.many = make(map[string]*N, 2*manyKids)
		for _, k := range c.few {
			c.many[k.level] = k.node
		}
		c.few = nil
	}
	c.many[level] = n
}

// remove removes the child for a level that has one.
func (c *children[N]) remove(level string) {
	if c.many == nil {
		i, _ := findKid(c.few, level)
		if c.few = slices.Delete(c.few, i, i+1); len(c.few) == 0 {
			c.few = nil
		}
		return
	}
	delete(c.many, level)
	if len(c.many) > fewKids {
		return
	}
	many := c.many
	c.many = nil
	for level, n := range many {
		c.add(level, n)
	}
}

// keepPart returns part of the string whole in a form that may be kept after
// whole is forgotten. It is whole's memory, so that a level costs nothing, but
// a copy where a few bytes would hold on to kilobytes.
func keepPart(part, whole string) string {
	const spare = 256
	if len(whole)-len(part) > spare {
		return strings.Clone(part)
	}
	return part
}
