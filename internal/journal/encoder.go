package journal

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// maxInline is the largest body, in bytes, that is stored within the queue entry of the
// only session that waits for it: one record instead of two.
const maxInline = 1 << 10

// maxPointDeletes is up to how many records of a table EndSession deletes one by one.
// Range deletes slow down later reads when there are many of them.
const maxPointDeletes = 1 << 10

// writer takes the changes of one commit.
type writer interface {
	set(key, value []byte)
	delete(key []byte)
	deleteOnce(key []byte) // of a key that was set exactly once since it was last deleted
	deleteRange(from, to []byte)
}

// stored reads what earlier commits have written. What is given out is valid during
// the call.
type stored interface {
	get(key []byte, fn func(value []byte) error) (found bool, err error)
	scan(from, to []byte, fn func(key, value []byte) (more bool, err error)) error
}

type entryKey struct{ sid, mid uint64 }

// encoder turns operations into records. It has no clock and no randomness; its owner
// guards it.
type encoder struct {
	from stored
	// refs counts the queue entries of each body that is a record of its own.
	refs map[uint64]uint32
	// sides are the messages of a session that have a side record, sorted.
	sides map[uint64][]uint64
	// fresh tells of queue entries with a shared body what this commit did to them.
	fresh map[entryKey]bool
	// touched are the sessions that got records within this commit, from its first
	// EndSession on; nil before.
	touched map[uint64]struct{}
	brief   brief
	lastMID uint64
	mids    bool  // this commit raised lastMID
	queued  int64 // queue entries, about: a second Complete is counted again
	key     []byte
	value   []byte
}

func newEncoder(from stored) *encoder {
	return &encoder{from: from, refs: map[uint64]uint32{}, sides: map[uint64][]uint64{}, fresh: map[entryKey]bool{}}
}

// encode writes one commit.
func (e *encoder) encode(subs []submission, w writer) error {
	e.brief.find(subs)
	for i := range subs {
		for j := range subs[i].ops {
			op := &subs[i].ops[j]
			e.brief.at++
			if op.Kind == EndSession && e.touched == nil {
				e.touch(subs[:i], subs[i].ops[:j])
			}
			if err := e.apply(op, w); err != nil {
				return err
			}
		}
	}
	if e.mids {
		w.set(textKey(e.key, tableMeta, metaMID), appendNumber(e.value[:0], e.lastMID))
	}
	e.mids, e.touched = false, nil
	if len(e.fresh) < 1<<12 {
		clear(e.fresh)
	} else { // clearing takes as long as it has ever been large
		e.fresh = map[entryKey]bool{}
	}
	return nil
}

// touch notes the sessions of the operations before the first EndSession of a commit.
func (e *encoder) touch(subs []submission, rest []Op) {
	e.touched = map[uint64]struct{}{}
	for i := range subs {
		for j := range subs[i].ops {
			e.touchOp(&subs[i].ops[j])
		}
	}
	for j := range rest {
		e.touchOp(&rest[j])
	}
}

func (e *encoder) touchOp(op *Op) {
	switch op.Kind {
	case PutSubscription, Assign, Owe, Accept:
		e.touched[op.SID] = struct{}{}
	case Publish:
		for i := range op.Targets {
			e.touched[op.Targets[i].SID] = struct{}{}
		}
	}
}

// apply writes one operation.
func (e *encoder) apply(op *Op, w writer) error {
	if e.touched != nil {
		e.touchOp(op)
	}
	k, v := e.key, e.value
	switch op.Kind {
	case PutSession:
		e.put(w, sidKey(k, tableSession, op.SID), appendSession(v[:0], op))
	case EndSession:
		return e.endSession(op.SID, w)
	case PutSubscription:
		e.put(w, nameKey(k, tableSubscription, op.SID, op.Name), appendSubscription(v[:0], op))
	case EndSubscription:
		e.drop(w, nameKey(k, tableSubscription, op.SID, op.Name))
	case Publish:
		return e.publish(op, w)
	case Assign, Owe:
		e.addSide(op.SID, op.MID)
		e.put(w, midKey(k, tableSide, op.SID, op.MID), appendSide(v[:0], op.ID, op.Kind == Owe))
	case Complete:
		return e.complete(op, w)
	case Accept:
		e.put(w, idKey(k, op.SID, op.ID), append(v[:0], recordVersion))
	case Forget:
		e.drop(w, idKey(k, op.SID, op.ID))
	case PutRetained:
		if op.Msg == nil {
			return errNoMessage(op)
		}
		e.put(w, textKey(k, tableRetained, op.Msg.Topic), appendBody(v[:0], op.Msg, false))
	case EndRetained:
		e.drop(w, textKey(k, tableRetained, op.Name))
	case PutWill:
		if op.Msg == nil {
			return errNoMessage(op)
		}
		e.put(w, sidKey(k, tableWill, op.SID), appendWill(v[:0], op))
	case EndWill:
		e.drop(w, sidKey(k, tableWill, op.SID))
	default:
		return fmt.Errorf("operation has unknown kind %d", op.Kind)
	}
	return nil
}

func errNoMessage(op *Op) error { return fmt.Errorf("operation of kind %d has no message", op.Kind) }

// put and drop keep the buffers for the next record.
func (e *encoder) put(w writer, key, value []byte) {
	w.set(key, value)
	e.key, e.value = key, value
	if cap(e.value) > 1<<16 {
		e.value = nil
	}
}

func (e *encoder) drop(w writer, key []byte) {
	w.delete(key)
	e.key = key
}

func (e *encoder) publish(op *Op, w writer) error {
	if op.Msg == nil {
		return errNoMessage(op)
	}
	if len(op.Targets) == 0 {
		return nil
	}
	if op.MID > e.lastMID {
		e.lastMID, e.mids = op.MID, true
	}
	targets := e.brief.stay(op)
	if len(targets) == 0 {
		return nil
	}
	refs := e.refs[op.MID]
	// A message that goes to one more session joins the body that is there.
	if refs == 0 && len(targets) == 1 && op.Msg.Size() <= maxInline {
		t := &targets[0]
		e.put(w, midKey(e.key, tableQueue, t.SID, op.MID), appendQueue(e.value[:0], t, op.Msg, true))
		e.queued++
		return nil
	}
	if refs == 0 {
		e.put(w, bodyKey(e.key, op.MID), appendBody(e.value[:0], op.Msg, true))
	}
	for i := range targets {
		t := &targets[i]
		e.put(w, midKey(e.key, tableQueue, t.SID, op.MID), appendQueue(e.value[:0], t, op.Msg, false))
		if at := (entryKey{t.SID, op.MID}); !e.fresh[at] {
			e.fresh[at] = true
			refs++
			e.queued++
		}
	}
	e.refs[op.MID] = refs
	return nil
}

func (e *encoder) complete(op *Op, w writer) error {
	if e.dropSide(op.SID, op.MID) {
		e.drop(w, midKey(e.key, tableSide, op.SID, op.MID))
	}
	if e.brief.leaves(entryKey{op.SID, op.MID}) {
		return nil
	}
	e.key = midKey(e.key, tableQueue, op.SID, op.MID)
	if len(e.refs) > 0 && e.refs[op.MID] > 0 {
		// A second Complete must not take the body from those that still wait for it.
		shared, err := e.waits(entryKey{op.SID, op.MID}, e.key)
		if err != nil {
			return err
		}
		if shared {
			e.fresh[entryKey{op.SID, op.MID}] = false
			w.deleteOnce(e.key)
			e.queued--
			e.unref(op.MID, w)
			return nil
		}
	}
	w.deleteOnce(e.key)
	e.queued--
	return nil
}

// waits tells whether a queue entry with a shared body is there.
func (e *encoder) waits(at entryKey, key []byte) (bool, error) {
	if there, ok := e.fresh[at]; ok {
		return there, nil
	}
	shared := false
	_, err := e.from.get(key, func(v []byte) error {
		shared = sharedBody(v)
		return nil
	})
	return shared, err
}

// unref lets go of a shared body, and deletes it with its last reference.
func (e *encoder) unref(mid uint64, w writer) {
	switch e.refs[mid] {
	case 0: // unknown: Recover will find it
	case 1:
		delete(e.refs, mid)
		e.key = bodyKey(e.key, mid)
		w.deleteOnce(e.key)
	default:
		e.refs[mid]--
	}
}

func (e *encoder) addSide(sid, mid uint64) {
	list := e.sides[sid]
	if i, ok := slices.BinarySearch(list, mid); !ok { // at the end, as a rule
		e.sides[sid] = slices.Insert(list, i, mid)
	}
}

func (e *encoder) dropSide(sid, mid uint64) bool {
	if len(e.sides) == 0 {
		return false
	}
	list := e.sides[sid]
	i, ok := slices.BinarySearch(list, mid)
	switch {
	case !ok:
		return false
	case len(list) == 1:
		delete(e.sides, sid)
	case i == 0: // as a rule: acknowledgements come in order
		e.sides[sid] = list[1:]
	default:
		e.sides[sid] = slices.Delete(list, i, i+1)
	}
	return true
}

func (e *encoder) endSession(sid uint64, w writer) error {
	delete(e.sides, sid)
	for _, table := range bySession {
		e.key = sidKey(e.key, table, sid)
		if table == tableSession || table == tableWill {
			w.delete(e.key)
			continue
		}
		if err := e.endTable(table, sid, w); err != nil {
			return err
		}
	}
	if _, ok := e.touched[sid]; !ok {
		return nil
	}
	for at, there := range e.fresh {
		if at.sid == sid && there {
			e.fresh[at] = false
			e.queued--
			e.unref(at.mid, w)
		}
	}
	return nil
}

// endTable deletes the records of a session in one table.
func (e *encoder) endTable(table byte, sid uint64, w writer) error {
	from := sidKey(nil, table, sid)
	to := endOf(from)
	_, wide := e.touched[sid]
	n := 0
	var shared []uint64
	err := e.from.scan(from, to, func(key, value []byte) (bool, error) {
		if n++; n > maxPointDeletes {
			wide = true
		} else {
			w.delete(key)
		}
		if table != tableQueue {
			return !wide, nil
		}
		e.queued--
		if sharedBody(value) && len(key) == 17 {
			mid := binary.BigEndian.Uint64(key[9:])
			if _, known := e.fresh[entryKey{sid, mid}]; !known {
				shared = append(shared, mid)
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if wide {
		w.deleteRange(from, to)
	}
	for _, mid := range shared {
		e.fresh[entryKey{sid, mid}] = false
		e.unref(mid, w)
	}
	return nil
}

func appendNumber(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, recordVersion), n)
}

func decodeNumber(v []byte) (uint64, error) {
	r := newReader(v)
	if r.err == nil && len(r.b) != 8 {
		r.fail(errShort)
	}
	if r.err != nil {
		return 0, r.err
	}
	return binary.BigEndian.Uint64(r.b), nil
}
