package journal

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wirebird/wirebird/internal/session"
)

// load is one call of Load.
type load struct {
	done  func([]*session.Message, error)
	mids  []uint64
	sid   uint64
	after uint64 // how many submissions must be applied before
}

// Load is that of Journal. It goes on when nothing can be stored any more.
func (d *Disk) Load(sid uint64, mids []uint64, done func([]*session.Message, error)) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		done(nil, ErrClosed)
		return
	}
	l := load{done, mids, sid, d.submitted}
	if d.failed != nil || l.after <= d.applied {
		d.ready = append(d.ready, l)
		d.readable.Signal()
	} else {
		d.loads = append(d.loads, l)
	}
	d.mu.Unlock()
}

// readyLoads hands on the loads that need not wait any more. mu must be held.
func (d *Disk) readyLoads() {
	n := 0
	for n < len(d.loads) && (d.failed != nil || d.loads[n].after <= d.applied) {
		n++
	}
	if n > 0 {
		d.ready = append(d.ready, d.loads[:n]...)
		d.loads = slices.Delete(d.loads, 0, n)
		d.readable.Broadcast()
	}
}

// loadLoop reads messages.
func (d *Disk) loadLoop() {
	for {
		l, ok := d.nextLoad()
		if !ok {
			return
		}
		d.read(l)
	}
}

func (d *Disk) read(l load) {
	msgs, err := loadAll(d.db, l.sid, l.mids)
	if err != nil {
		err = readError(d.o.Dir, err)
	}
	l.done(msgs, err)
}

func (d *Disk) nextLoad() (load, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.ready) == 0 {
		if d.closed && len(d.loads) == 0 {
			return load{}, false
		}
		d.readable.Wait()
	}
	l := d.ready[0]
	d.ready = slices.Delete(d.ready, 0, 1)
	return l, true
}

// loadAll reads the queue of a session in one pass, and then the bodies that it shares
// with other sessions in another. mids ascend, as a rule.
func loadAll(db pebble.Reader, sid uint64, mids []uint64) ([]*session.Message, error) {
	msgs := make([]*session.Message, len(mids))
	var shared []int
	err := seekAll(db, tableQueue, len(mids), func(key []byte, i int) []byte {
		return midKey(key, tableQueue, sid, mids[i])
	}, func(i int, v []byte) (err error) {
		if sharedBody(v) {
			shared = append(shared, i)
			return nil
		}
		msgs[i], err = decodeInline(v)
		return err
	})
	if err != nil || len(shared) == 0 {
		return msgs, err
	}
	err = seekAll(db, tableBody, len(shared), func(key []byte, i int) []byte {
		return bodyKey(key, mids[shared[i]])
	}, func(i int, v []byte) (err error) {
		msgs[shared[i]], err = decodeBody(v)
		return err
	})
	return msgs, err
}

// seekAll calls found for those of n keys that are there. What is next to each other is
// read without searching for each.
func seekAll(db pebble.Reader, table byte, n int, key func(dst []byte, i int) []byte, found func(i int, v []byte) error) error {
	bound := []byte{table, table + 1}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: bound[:1], UpperBound: bound[1:]})
	if err != nil {
		return err
	}
	var want []byte
	for i := 0; i < n && err == nil; i++ {
		want = key(want, i)
		if !it.Valid() || !it.Next() || !bytes.Equal(it.Key(), want) {
			if !it.SeekGE(want) || !bytes.Equal(it.Key(), want) {
				err = it.Error()
				continue
			}
		}
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = wrapRecord(want, found(i, v))
		}
	}
	return errors.Join(err, it.Close())
}

// reading is what is stored in a Pebble database.
type reading struct{ db pebble.Reader }

func (r reading) get(key []byte, fn func([]byte) error) (found bool, err error) {
	v, closer, err := r.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = fn(v)
	return true, errors.Join(err, closer.Close())
}

func (r reading) scan(from, to []byte, fn func(key, value []byte) (bool, error)) error {
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	more := true
	for ok := it.First(); ok && more && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			more, err = fn(it.Key(), v)
		}
	}
	return errors.Join(err, it.Close()) // Close repeats an error of the iteration
}
