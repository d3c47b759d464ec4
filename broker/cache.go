package broker

import "github.com/wirebird/wirebird/internal/route"

// cache keeps the subscribers of the Topic Names that a shard sees often. An entry holds
// as long as the table's generation does.
//
// A name enters with its second publication within a while: a fleet of devices, each
// with a topic of its own that is used once an hour, must not fill memory with entries
// that nobody asks for again.
//
// Matches that are in the cache, or have targets on other shards, are not changed any
// more, but for the rotation of shared subscriptions, so that other shards may hold them.
type cache struct {
	byName  map[string]*route.Match
	seen    []uint32 // hashes of names that missed, by their low bits
	scratch *route.Match
	shard   int // whose cache it is
}

const (
	cacheLimit   = 16384 // names
	cacheTargets = 4096  // subscribers that a kept name may have
	cacheSeen    = 4096
)

func newCache(shard int) cache {
	return cache{
		byName: make(map[string]*route.Match), seen: make([]uint32, cacheSeen), scratch: new(route.Match), shard: shard,
	}
}

// refresh finds the subscribers of a cached name anew.
func (c *cache) refresh(t *route.Table, name string) *route.Match {
	m := new(route.Match)
	t.Match(name, m)
	if m.N > cacheTargets {
		delete(c.byName, name)
		return m
	}
	c.byName[name] = m
	return m
}

// miss finds the subscribers of a name that is not cached. If they are none, or all on
// this shard, the next miss may use the Match again.
func (c *cache) miss(t *route.Table, name string) *route.Match {
	h := uint32(2166136261) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	if at := &c.seen[h%cacheSeen]; *at != h {
		*at = h
		m := c.scratch
		t.Match(name, m)
		if len(m.Groups) > 0 || len(m.ByShard[c.shard]) < m.N || m.N > cacheTargets {
			c.scratch = new(route.Match) // another shard's mail may hold m, or it is large
		}
		return m
	}
	for key := range c.byName { // make room: any will do
		if len(c.byName) < cacheLimit {
			break
		}
		delete(c.byName, key)
	}
	return c.refresh(t, name)
}
