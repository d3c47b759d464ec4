package route

import "slices"

// manyKin is the number of children from which a map serves better than a
// sorted slice, fewKin the one at which a map is given up again.
const (
	manyKin = 16
	fewKin  = 4
)

// kin are the children of a leaf. A few are a sorted list. Many are a map and a
// list in which a Walk can go on where it stopped.
type kin[V any] struct {
	few  []kid[V] // nil if crowd is in use
	many *crowd[V]
}

// crowd is many children.
type crowd[V any] struct {
	byLevel map[string]*leaf[V]
	order   []*leaf[V] // nil where one was removed while a Walk was under way
}

func (c *kin[V]) len() int {
	if c.many != nil {
		return len(c.many.byLevel)
	}
	return len(c.few)
}

func (c *kin[V]) get(level string) *leaf[V] {
	if c.many != nil {
		return c.many.byLevel[level]
	}
	if i, ok := findKid(c.few, level); ok {
		return c.few[i].node
	}
	return nil
}

// add adds a child for a level that has none.
func (c *kin[V]) add(level string, l *leaf[V]) {
	if c.many == nil && len(c.few) < manyKin {
		i, _ := findKid(c.few, level)
		c.few = slices.Insert(c.few, i, kid[V]{level, l})
		return
	}
	if c.many == nil {
		c.many = &crowd[V]{byLevel: make(map[string]*leaf[V], 2*manyKin)}
		for _, k := range c.few {
			c.many.add(k.level, k.node)
		}
		c.few = nil
	}
	c.many.add(level, l)
}

// remove removes the child for a level that has one. While somebody walks, the
// others keep their places.
func (c *kin[V]) remove(level string, walked bool) {
	if c.many == nil {
		i, _ := findKid(c.few, level)
		if c.few = slices.Delete(c.few, i, i+1); len(c.few) == 0 {
			c.few = nil
		}
		return
	}
	c.many.remove(level, walked)
	if walked || len(c.many.byLevel) > fewKin {
		return
	}
	many := c.many.byLevel
	c.many = nil
	for level, l := range many {
		c.add(level, l)
	}
}

func (c *crowd[V]) add(level string, l *leaf[V]) {
	l.at = uint32(len(c.order))
	c.order = append(c.order, l)
	c.byLevel[level] = l
}

func (c *crowd[V]) remove(level string, walked bool) {
	at := c.byLevel[level].at
	delete(c.byLevel, level)
	if walked {
		c.order[at] = nil
		return
	}
	last := len(c.order) - 1
	if moved := c.order[last]; moved != nil {
		moved.at = at
	}
	c.order[at], c.order[last] = c.order[last], nil
	c.order = c.order[:last]
	if len(c.order) > 2*len(c.byLevel) {
		c.close()
	}
}

// close takes out the places of those that were removed.
func (c *crowd[V]) close() {
	c.order = slices.DeleteFunc(c.order, func(l *leaf[V]) bool { return l == nil })
	for i, l := range c.order {
		l.at = uint32(i)
	}
}

type kid[V any] struct {
	level string
	node  *leaf[V]
}

// findKid is the place of level in a sorted list, and whether it is there.
func findKid[V any](list []kid[V], level string) (int, bool) {
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
