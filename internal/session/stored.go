package session

import "slices"

// Unload lets go of all Messages that are stored.
func (o *Outbound) Unload() {
	for i := range o.window.n {
		o.window.at(i).unload()
	}
	for i := range o.queue.n {
		o.unload(o.queue.at(i))
	}
}

// UnloadLast lets go of the Message of the entry that was pushed last, if it is stored;
// with behind, only if that of the entry before it is gone, too.
func (o *Outbound) UnloadLast(behind bool) {
	if n := o.queue.n; n > 0 && (!behind || n > 1 && o.queue.at(n-2).Msg == nil) {
		o.unload(o.queue.at(n - 1))
	}
}

func (o *Outbound) unload(e *Entry) {
	if e.Msg == nil {
		return
	}
	if e.unload(); e.Msg == nil {
		o.load(-int64(e.Size))
	}
}

// Sparse tells whether a Message that is only stored is among the next n of the queue.
func (o *Outbound) Sparse(n int) bool {
	return o.queue.n > 0 && o.queue.at(min(n, o.queue.n)-1).Msg == nil
}

// Missing lists, in order, up to most stored Messages that Next will ask for, of about
// so many bytes together.
func (o *Outbound) Missing(most int, bytes int64) []uint64 {
	var mids []uint64
	for i := 0; i < o.window.n && len(mids) < most && bytes > 0; i++ {
		if e := o.window.at(i); e.Msg == nil && e.state == waiting {
			mids = append(mids, e.MID)
			bytes -= int64(e.Size)
		}
	}
	for i := 0; i < o.queue.n && len(mids) < most && bytes > 0; i++ {
		if e := o.queue.at(i); e.Msg == nil {
			mids = append(mids, e.MID)
			bytes -= int64(e.Size)
		} else if len(mids) == 0 && i >= most {
			break // what is at hand will do for a while
		}
	}
	return mids
}

// MissingOf is Missing for those entries that fn is true for.
func (o *Outbound) MissingOf(most int, bytes int64, fn func(inflight bool, e *Entry) bool) []uint64 {
	var mids []uint64
	look := func(inflight bool, e *Entry) bool {
		if e.Msg == nil && e.state == waiting && fn(inflight, e) {
			mids = append(mids, e.MID)
			bytes -= int64(e.Size)
		}
		return len(mids) < most && bytes > 0
	}
	for i := range o.window.n {
		if !look(true, o.window.at(i)) {
			return mids
		}
	}
	for i := range o.queue.n {
		if !look(false, o.queue.at(i)) {
			break
		}
	}
	return mids
}

// Fill brings Messages back: msgs[i] is that of mids[i], which are in the order of
// Missing or MissingOf. It returns the entries whose Message is nil: they are gone.
func (o *Outbound) Fill(mids []uint64, msgs []*Message) (lost []Entry) {
	next := 0
	fill := func(e *Entry) bool {
		if next < len(mids) && e.MID == mids[next] && e.Msg == nil {
			e.Msg = msgs[next]
			next++
			return e.Msg != nil
		}
		return true
	}
	for i := 0; i < o.window.n && next < len(mids); i++ {
		if e := o.window.at(i); e.state == waiting && !fill(e) {
			lost = append(lost, *e)
			o.Discard(o.id(i))
		}
	}
	for i := 0; i < o.queue.n && next < len(mids); i++ {
		e := o.queue.at(i)
		absent := e.Msg == nil
		if fill(e); absent && e.Msg != nil {
			o.load(int64(e.Size))
		}
	}
	if next == len(mids) && len(lost) == 0 && !slices.Contains(msgs, nil) {
		return nil
	}
	gone := map[uint64]bool{}
	for i, mid := range mids {
		if msgs[i] == nil {
			gone[mid] = true
		}
	}
	return append(lost, o.Take(func(e *Entry) bool { return e.Msg == nil && gone[e.MID] })...)
}

// Restored is an entry of a Session that comes back from the journal.
type Restored struct {
	Entry Entry
	ID    uint16 // packet identifier that it was sent with; 0 none
	Owed  bool   // PUBREC came
}

// Restore fills an empty Outbound with what a journal kept, in the order of arrival.
// Those with a packet identifier go to the window, where the identifiers say; the
// identifiers between them count as done.
func (o *Outbound) Restore(list []Restored) {
	byID := map[uint16]*Restored{}
	var used []int
	for i := range list {
		r := &list[i]
		if r.ID == 0 || byID[r.ID] != nil {
			o.Push(r.Entry)
			continue
		}
		byID[r.ID] = r
		used = append(used, int(r.ID))
	}
	if len(used) == 0 {
		return
	}
	slices.Sort(used)
	// The window begins behind the widest gap between identifiers.
	first, widest := 0, used[0]+identifiers-used[len(used)-1]
	for i := 1; i < len(used); i++ {
		if gap := used[i] - used[i-1]; gap > widest {
			first, widest = i, gap
		}
	}
	o.base = uint32(used[first] - 1)
	for range identifiers {
		r := byID[uint16((int(o.base)+o.window.n)%identifiers+1)]
		e := Entry{state: done}
		if r != nil {
			e = r.Entry
			e.measure()
			e.state = waiting
			if r.Owed {
				e.state = released
			}
			o.live++
			used = used[1:]
		}
		o.window.push(e)
		if len(used) == 0 {
			break
		}
	}
}
