package load

const maxMissing = 1 << 20 // numbers that a tracker remembers to be missing

// tracker checks the numbers of one stream at one subscriber.
type tracker struct {
	next    uint32 // above all that have come
	missing map[uint32]struct{}
}

// verdict is what a number says about its message.
type verdict uint8

const (
	fresh    verdict = iota
	late             // came after a later one
	repeated         // has come before
)

func (t *tracker) see(n uint32) verdict {
	switch {
	case n == t.next:
		t.next++
		return fresh
	case n > t.next:
		if t.missing == nil {
			t.missing = map[uint32]struct{}{}
		}
		for ; t.next < n && len(t.missing) < maxMissing; t.next++ {
			t.missing[t.next] = struct{}{}
		}
		t.next = n + 1
		return fresh
	}
	if _, ok := t.missing[n]; ok {
		delete(t.missing, n)
		return late
	}
	return repeated
}

// lost is how many of the first sent numbers have not come.
func (t *tracker) lost(sent uint32) uint64 {
	return uint64(len(t.missing)) + uint64(sent-min(sent, t.next))
}
