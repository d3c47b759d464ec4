package route

import "strings"

// node is one level of the filters with wildcards.
type node struct {
	kids  index[node]
	plus  *node  // the level +
	hash  *entry // the filter that ends with # after this level
	end   *entry // the filter that ends with this level
	level string
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
	return n.kid(level, hashOf(level))
}

// kid returns the child for a level that is not +, whose hash is h.
func (n *node) kid(level string, h uint64) *node {
	kid, next := n.kids.find(h, 0)
	for kid != nil && kid.level != level {
		kid, next = n.kids.find(h, next)
	}
	return kid
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
		h := hashOf(level)
		for _, n := range s.cur {
			if n.hash != nil && !system {
				s.entries = append(s.entries, n.hash)
			}
			if n.plus != nil && !system {
				s.next = append(s.next, n.plus)
			}
			if kid := n.kid(level, h); kid != nil {
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
			made++
			if level == "+" {
				kid = new(node)
				n.plus = kid
			} else {
				kid = &node{level: keepPart(level, whole)}
				n.kids.add(hashOf(level), kid)
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
		keep.kids.remove(hashOf(cut), keep.child(cut))
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
		for s := range n.kids.all() {
			stack = append(stack, s.node)
		}
	}
	return true
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
