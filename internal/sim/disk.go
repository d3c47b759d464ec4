package sim

import (
	"cmp"
	"maps"
	"slices"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
)

// store keeps a broker's state over crashes. Nothing happens in it by itself.
type store interface {
	recoverable
	// open is called before a broker starts.
	open() error
	// boot tells that a broker starts, or has started: what it reads then comes at once.
	boot(starting bool)
	// commit makes up to n submissions durable, and answers loads; it reports whether
	// there was anything to do.
	commit(n int) bool
	// crash forgets what does not survive the end of the process.
	crash() error
	// close is the end of the run.
	close() error
}

// disk is a simulated journal.Journal: submissions become durable, and complete, one by
// one and in order when the schedule says so. A crash forgets those that did not.
type disk struct {
	pending []submission
	loads   []load
	state   records
	booting bool
}

type submission struct {
	ops  []journal.Op
	done func(error)
}

// load waits until what was submitted before it is durable.
type load struct {
	behind int // submissions
	read   func()
}

// records are what a journal keeps.
type records struct {
	sessions map[uint64]journal.Op
	subs     map[subKey]journal.Op
	accepted map[idKey]bool
	wills    map[uint64]journal.Op
	retained map[string]*session.Message
	waiting  map[uint64]map[uint64]*waiting // by session and message
	last     uint64
}

type subKey struct {
	sid    uint64
	filter string
}

type idKey struct {
	sid uint64
	id  uint16
}

type waiting struct {
	to   journal.Target
	msg  *session.Message
	id   uint16
	owed bool
}

func newDisk() *disk {
	return &disk{state: records{
		sessions: map[uint64]journal.Op{}, subs: map[subKey]journal.Op{}, accepted: map[idKey]bool{},
		wills: map[uint64]journal.Op{}, retained: map[string]*session.Message{}, waiting: map[uint64]map[uint64]*waiting{},
	}}
}

// Volatile is false: operations are wanted.
func (d *disk) Volatile() bool { return false }

// Submit queues.
func (d *disk) Submit(_ int, ops []journal.Op, done func(error)) {
	d.pending = append(d.pending, submission{ops, done})
}

// Load answers when the schedule says so.
func (d *disk) Load(sid uint64, mids []uint64, done func([]*session.Message, error)) {
	read := func() {
		msgs := make([]*session.Message, len(mids))
		for i, mid := range mids {
			if w := d.state.waiting[sid][mid]; w != nil {
				msgs[i] = w.msg
			}
		}
		done(msgs, nil)
	}
	if d.booting && len(d.pending) == 0 { // recovery waits for what it reads
		read()
		return
	}
	d.loads = append(d.loads, load{len(d.pending), read})
}

// commit makes up to n submissions durable, and answers loads.
func (d *disk) commit(n int) bool {
	busy := len(d.pending) > 0 || len(d.loads) > 0
	done := 0
	for ; n > 0 && len(d.pending) > 0; n-- {
		done++
		s := d.pending[0]
		d.pending = d.pending[1:]
		for i := range s.ops {
			d.state.apply(&s.ops[i])
		}
		s.done(nil)
	}
	if len(d.pending) > 0 { // a load reads what was submitted before it
		return busy
	}
	loads := d.loads
	d.loads = nil
	for _, l := range loads {
		if l.behind -= done; l.behind > 0 {
			d.loads = append(d.loads, l)
		} else {
			l.read()
		}
	}
	return busy
}

// crash forgets what is not durable.
func (d *disk) crash() error {
	d.pending, d.loads = nil, nil
	return nil
}

func (d *disk) open() error  { return nil }
func (d *disk) close() error { return nil }

func (d *disk) boot(starting bool) { d.booting = starting }

func (r *records) apply(op *journal.Op) {
	switch op.Kind {
	case journal.PutSession:
		r.sessions[op.SID] = *op
	case journal.EndSession:
		delete(r.sessions, op.SID)
		delete(r.wills, op.SID)
		delete(r.waiting, op.SID)
		maps.DeleteFunc(r.subs, func(k subKey, _ journal.Op) bool { return k.sid == op.SID })
		maps.DeleteFunc(r.accepted, func(k idKey, _ bool) bool { return k.sid == op.SID })
	case journal.PutSubscription:
		r.subs[subKey{op.SID, op.Name}] = *op
	case journal.EndSubscription:
		delete(r.subs, subKey{op.SID, op.Name})
	case journal.Publish:
		r.last = max(r.last, op.MID)
		for _, t := range op.Targets {
			if r.waiting[t.SID] == nil {
				r.waiting[t.SID] = map[uint64]*waiting{}
			}
			r.waiting[t.SID][op.MID] = &waiting{to: t, msg: op.Msg}
		}
	case journal.Assign:
		if w := r.waiting[op.SID][op.MID]; w != nil {
			w.id = op.ID
		}
	case journal.Owe:
		if w := r.waiting[op.SID][op.MID]; w != nil {
			w.id, w.owed = op.ID, true
		}
	case journal.Complete:
		delete(r.waiting[op.SID], op.MID)
	case journal.Accept:
		r.accepted[idKey{op.SID, op.ID}] = true
	case journal.Forget:
		delete(r.accepted, idKey{op.SID, op.ID})
	case journal.PutRetained:
		r.retained[op.Msg.Topic] = op.Msg
	case journal.EndRetained:
		delete(r.retained, op.Name)
	case journal.PutWill:
		r.wills[op.SID] = *op
	case journal.EndWill:
		delete(r.wills, op.SID)
	}
}

// Recover tells v of everything durable.
func (d *disk) Recover(v journal.Visitor) (journal.RecoverStats, error) {
	r := &d.state
	for sid := range r.waiting {
		if _, ok := r.sessions[sid]; !ok {
			delete(r.waiting, sid) // of a session that ended meanwhile
		}
	}
	for _, sid := range slices.Sorted(maps.Keys(r.sessions)) {
		op := r.sessions[sid]
		v.Session(sid, op.Name, op.Expiry, op.At)
	}
	subs := slices.SortedFunc(maps.Keys(r.subs), func(a, b subKey) int {
		return cmp.Or(cmp.Compare(a.sid, b.sid), cmp.Compare(a.filter, b.filter))
	})
	for _, k := range subs {
		op := r.subs[k]
		v.Subscription(k.sid, op.Name, op.Options, op.SubID)
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.accepted), func(a, b idKey) int {
		return cmp.Or(cmp.Compare(a.sid, b.sid), cmp.Compare(a.id, b.id))
	}) {
		v.Accepted(k.sid, k.id)
	}
	for _, sid := range slices.Sorted(maps.Keys(r.wills)) {
		op := r.wills[sid]
		v.Will(sid, journal.Will{Msg: op.Msg, Due: op.At, Delay: op.Expiry, Expiry: op.WillExpiry, HasExpiry: op.HasWillExpiry})
	}
	for _, topic := range slices.Sorted(maps.Keys(r.retained)) {
		v.Retained(r.retained[topic])
	}
	for _, sid := range slices.Sorted(maps.Keys(r.waiting)) {
		for _, mid := range slices.Sorted(maps.Keys(r.waiting[sid])) {
			w := r.waiting[sid][mid]
			v.Waiting(sid, journal.Waiting{
				MID: mid, Size: w.msg.Size(), Expires: w.msg.Expires, QoS: w.to.QoS, Retain: w.to.Retain,
				SubID: w.to.SubID, SubIDs: w.to.SubIDs, Share: w.to.Share, Filter: w.to.Filter, ID: w.id, Owed: w.owed,
			})
		}
	}
	return journal.RecoverStats{}, nil
}

// Rename moves sessions to other identifiers.
func (d *disk) Rename(pairs map[uint64]uint64) error {
	r, old := &d.state, d.state
	*r = newDisk().state
	r.retained, r.last = old.retained, old.last
	to := func(sid uint64) uint64 {
		if n, ok := pairs[sid]; ok {
			return n
		}
		return sid
	}
	for sid, op := range old.sessions {
		op.SID = to(sid)
		r.sessions[op.SID] = op
	}
	for k, op := range old.subs {
		r.subs[subKey{to(k.sid), k.filter}] = op
	}
	for k := range old.accepted {
		r.accepted[idKey{to(k.sid), k.id}] = true
	}
	for sid, op := range old.wills {
		r.wills[to(sid)] = op
	}
	for sid, list := range old.waiting {
		r.waiting[to(sid)] = list
	}
	return nil
}

// LastMID is the highest name of a message.
func (d *disk) LastMID() uint64 { return d.state.last }
