package journal

import "math"

// brief finds the queue entries that a commit both adds and removes: the client has
// acknowledged a message before the disk had it. They need not be written. A commit is
// all or nothing, so nobody can see them.
type brief struct {
	at   int              // operations of the commit encoded so far, with the one at hand
	last map[entryKey]int // where an entry is removed for the last time
	gone map[entryKey]struct{}
	rest []Target // scratch
}

// find looks for the Completes of a commit that may belong to its Publishes.
func (b *brief) find(subs []submission) {
	b.at = 0
	if len(b.last) < 1<<12 {
		clear(b.last)
		clear(b.gone)
	} else { // clearing takes as long as they have ever been large
		b.last, b.gone = nil, nil
	}
	first := uint64(math.MaxUint64) // message of the commit
	at := 0
	for i := range subs {
		for j := range subs[i].ops {
			at++
			switch op := &subs[i].ops[j]; op.Kind {
			case Publish:
				first = min(first, op.MID)
			case Complete:
				if op.MID < first {
					continue
				}
				if b.last == nil {
					b.last, b.gone = map[entryKey]int{}, map[entryKey]struct{}{}
				}
				b.last[entryKey{op.SID, op.MID}] = at
			}
		}
	}
}

// stay is the targets of a Publish that are still there at the end of the commit.
func (b *brief) stay(op *Op) []Target {
	if len(b.last) == 0 {
		return op.Targets
	}
	b.rest = b.rest[:0]
	for i := range op.Targets {
		entry := entryKey{op.Targets[i].SID, op.MID}
		if b.last[entry] > b.at {
			b.gone[entry] = struct{}{}
		} else {
			b.rest = append(b.rest, op.Targets[i])
		}
	}
	return b.rest
}

// leaves tells that a Complete is of an entry that was not written.
func (b *brief) leaves(entry entryKey) bool {
	if len(b.gone) == 0 {
		return false
	}
	_, ok := b.gone[entry]
	delete(b.gone, entry)
	return ok
}
