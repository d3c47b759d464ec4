package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// While a Rename runs, records that have moved stand in tables of their own, so that
// two sessions can change places; stagedBit makes a table's letter a capital.
const stagedBit = 'a' - 'A'

// Rename moves all records of sessions to other numbers: pairs maps the old to the new,
// which no session outside of pairs may have. It is for a changed number of shards, and
// called before Recover or after it, but before the first Submit. It is done in full
// even when the process ends meanwhile: the next Open goes on.
func (d *Disk) Rename(pairs map[uint64]uint64) error {
	if err := d.checkRename(pairs); err != nil {
		return err
	}
	plan := []byte{recordVersion}
	for from, to := range pairs {
		plan = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(plan, from), to)
	}
	if err := d.db.Set(textKey(nil, tableMeta, metaRename), plan, pebble.Sync); err != nil {
		return fmt.Errorf("rename sessions: %w", err)
	}
	if err := d.resumeRename(); err != nil {
		return fmt.Errorf("rename sessions: %w", err)
	}
	// What is known of waiting messages goes by the session.
	sides := make(map[uint64][]uint64, len(d.enc.sides))
	for sid, mids := range d.enc.sides {
		if to, ok := pairs[sid]; ok {
			sid = to
		}
		sides[sid] = mids
	}
	d.enc.sides = sides
	return nil
}

func (d *Disk) checkRename(pairs map[uint64]uint64) error {
	taken := make(map[uint64]struct{}, len(pairs))
	for from, to := range pairs {
		if _, ok := taken[to]; ok {
			return fmt.Errorf("rename sessions: two become %d", to)
		}
		taken[to] = struct{}{}
		if _, ok := pairs[to]; ok || from == to {
			continue
		}
		found, err := reading{d.db}.get(sidKey(nil, tableSession, to), func([]byte) error { return nil })
		if err != nil {
			return fmt.Errorf("rename sessions: %w", err)
		}
		if found {
			return fmt.Errorf("rename sessions: %d is to become %d, which is another", from, to)
		}
	}
	return nil
}

// resumeRename does what a stored plan has left to do.
func (d *Disk) resumeRename() error {
	key := textKey(nil, tableMeta, metaRename)
	var pairs map[uint64]uint64
	found, err := reading{d.db}.get(key, func(v []byte) (err error) {
		pairs, err = decodePlan(v)
		return wrapRecord(key, err)
	})
	if err != nil || !found {
		return err
	}
	if pairs != nil {
		m := &mover{db: d.db, batch: d.db.NewBatch()}
		for from, to := range pairs {
			if err := m.stage(from, to); err != nil {
				return m.giveUp(err)
			}
		}
		// From now on a session with an old number is one that has got it.
		m.check(m.batch.Set(key, []byte{recordVersion}, nil))
		if err := m.flush(pebble.Sync); err != nil {
			return err
		}
	}
	m := &mover{db: d.db, batch: d.db.NewBatch()}
	for _, table := range bySession {
		if err := m.settle(table); err != nil {
			return m.giveUp(err)
		}
	}
	m.check(m.batch.Delete(key, nil))
	return errors.Join(m.flush(pebble.Sync), d.failure())
}

// decodePlan returns nil when everything is staged.
func decodePlan(v []byte) (map[uint64]uint64, error) {
	r := newReader(v)
	if r.err != nil || len(r.b) == 0 {
		return nil, r.err
	}
	if len(r.b)%16 != 0 {
		return nil, errShort
	}
	pairs := make(map[uint64]uint64, len(r.b)/16)
	for b := r.b; len(b) > 0; b = b[16:] {
		pairs[binary.BigEndian.Uint64(b)] = binary.BigEndian.Uint64(b[8:])
	}
	return pairs, nil
}

// mover moves records, each within one batch, so that it is always in one place.
type mover struct {
	db    *pebble.DB
	batch *pebble.Batch
	key   []byte
	err   error
}

func (m *mover) check(err error) {
	if m.err == nil {
		m.err = err
	}
}

// stage moves all records of a session.
func (m *mover) stage(from, to uint64) error {
	for _, table := range bySession {
		prefix := sidKey(nil, table, from)
		err := reading{m.db}.scan(prefix, endOf(prefix), func(key, value []byte) (bool, error) {
			m.key = append(sidKey(m.key, table-stagedBit, to), key[9:]...)
			return true, m.move(key, m.key, value)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settle moves a staged table to where it belongs.
func (m *mover) settle(table byte) error {
	staged := table - stagedBit
	return reading{m.db}.scan([]byte{staged}, []byte{staged + 1}, func(key, value []byte) (bool, error) {
		m.key = append(append(m.key[:0], table), key[1:]...)
		return true, m.move(key, m.key, value)
	})
}

func (m *mover) move(from, to, value []byte) error {
	m.check(m.batch.Set(to, value, nil))
	m.check(m.batch.Delete(from, nil))
	if m.err == nil && m.batch.Len() > maxCommit {
		if err := m.flush(pebble.NoSync); err != nil {
			return err
		}
		m.batch = m.db.NewBatch()
	}
	return m.err
}

func (m *mover) flush(o *pebble.WriteOptions) error {
	if m.err == nil {
		m.err = m.batch.Commit(o)
	}
	err := errors.Join(m.err, m.batch.Close())
	m.batch = nil
	return err
}

func (m *mover) giveUp(err error) error {
	if m.batch != nil {
		err = errors.Join(err, m.batch.Close())
	}
	return err
}
