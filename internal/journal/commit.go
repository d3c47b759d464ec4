package journal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// The database stops writers who outrun it, and would keep them even when it has failed
// meanwhile. The committer stops itself before that.
const (
	maxMemTables  = 4
	maxSublevels  = 20
	neverReached  = 1000
	maxUnfinished = 2 // one waits for the disk, one is applied
)

// commitLoop encodes and applies what was submitted.
func (d *Disk) commitLoop() {
	for {
		c := d.take()
		if c == nil {
			return
		}
		if d.write(c) {
			d.makeRoom()
		}
	}
}

// write applies c, and reports whether that went well.
func (d *Disk) write(c *commit) bool {
	if err := d.apply(c); err != nil {
		d.fail(err)
		return false
	}
	d.lastMID.Store(d.enc.lastMID) // before anyone hears of c
	d.queued.Store(d.enc.queued)
	d.mu.Lock()
	c.applied = true
	d.applied += uint64(len(c.subs))
	d.readyLoads()
	d.synced.Signal()
	d.mu.Unlock()
	return true
}

// take waits for submissions and returns some of them as a commit; nil at the end.
func (d *Disk) take() *commit {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.failed == nil && (len(d.pending) == 0 && !d.closed || len(d.commits) >= maxUnfinished) {
		d.work.Wait()
	}
	if d.failed != nil || len(d.pending) == 0 {
		d.drained = true
		d.synced.Signal()
		return nil
	}
	return d.gather(len(d.pending))
}

// gather makes a commit of up to most submissions that wait. mu must be held.
func (d *Disk) gather(most int) *commit {
	n, size := 0, int64(0)
	for n < min(most, len(d.pending)) && (n == 0 || size+d.pending[n].size <= maxCommit) {
		size += d.pending[n].size
		n++
	}
	c := &commit{size: size, begun: time.Now()}
	if n == len(d.pending) {
		c.subs, d.pending = d.pending, nil
	} else {
		c.subs = slices.Clone(d.pending[:n])
		d.pending = slices.Delete(d.pending, 0, n)
	}
	d.commits = append(d.commits, c)
	return c
}

// apply makes c visible and begins to write it.
func (d *Disk) apply(c *commit) (err error) {
	defer func() {
		if r := recover(); r != nil { // of the database: it panics when it cannot go on
			d.mu.Lock()
			d.wedged = true
			d.mu.Unlock()
			err = fmt.Errorf("database: %v", r)
		}
	}()
	batch := d.db.NewBatchWithSize(int(c.size) + int(c.size)/4)
	if err := d.enc.encode(c.subs, batchWriter{batch}); err != nil {
		return errors.Join(err, batch.Close())
	}
	c.batch = batch
	if batch.Empty() {
		return nil
	}
	if d.o.Durability == None {
		return d.db.Apply(batch, pebble.NoSync)
	}
	c.waits = true
	return d.db.ApplyNoSyncWait(batch, pebble.Sync)
}

// makeRoom waits while the database is behind with writing tables.
func (d *Disk) makeRoom() {
	if !d.rotated.Swap(false) {
		return
	}
	for {
		d.mu.Lock()
		d.crowded = true // before behind looks, so that no news is missed
		d.mu.Unlock()
		if !d.behind() || !d.waitRoom() {
			return
		}
	}
}

// waitRoom waits for news of the database, and tells whether the journal is in order.
func (d *Disk) waitRoom() bool {
	// The news may come before the numbers change.
	t := time.AfterFunc(100*time.Millisecond, d.written)
	defer t.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.crowded && d.failed == nil {
		d.work.Wait()
	}
	return d.failed == nil
}

func (d *Disk) behind() bool {
	m := d.db.Metrics()
	// Not the number of memtables: the first ones are small, and wait for each other.
	return m.MemTable.Size >= maxMemTables*d.memTable || m.Levels[0].Sublevels >= maxSublevels
}

// written is told by the database that a table was written.
func (d *Disk) written() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crowded = false
	d.work.Broadcast()
}

// completeLoop waits for the disk and tells the submitters.
func (d *Disk) completeLoop() {
	told := false
	for {
		c, failed, more := d.nextApplied()
		if failed != nil {
			if !told {
				told = true
				d.tellFailure(failed)
			}
			d.completeAll(failed)
		}
		if c != nil {
			d.complete(c)
		}
		if !more {
			return
		}
	}
}

// nextApplied waits for a commit that is applied, for the failure or for the end.
func (d *Disk) nextApplied() (c *commit, failed error, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if len(d.commits) > 0 && d.commits[0].applied {
			return d.commits[0], nil, true
		}
		if d.failed != nil && (len(d.pending) > 0 || len(d.commits) > 0 || !d.told) {
			d.told = true
			return nil, d.failed, true
		}
		if d.drained && d.closed && len(d.commits) == 0 && len(d.pending) == 0 {
			return nil, nil, false
		}
		d.synced.Wait()
	}
}

// complete waits until c is durable.
func (d *Disk) complete(c *commit) {
	var err error
	if c.waits {
		err = c.batch.SyncWait()
	}
	if err != nil {
		d.fail(err)
	}
	size := c.batch.Len()
	_ = c.batch.Close() // gives memory back, writes nothing

	d.mu.Lock()
	err = d.failed // what the disk did before it failed is not known
	d.commits = slices.Delete(d.commits, 0, 1)
	d.pressure.Add(-c.size)
	d.stats.commits++
	d.stats.bytes += int64(size)
	d.stats.latency.add(time.Since(c.begun))
	d.work.Signal()
	d.mu.Unlock()
	for i := range c.subs {
		c.subs[i].done(err)
	}
}

// completeAll gives the error to everything that is not complete.
func (d *Disk) completeAll(failed error) {
	d.mu.Lock()
	var subs []submission
	for _, c := range d.commits {
		subs = append(subs, c.subs...)
	}
	subs = append(subs, d.pending...)
	d.commits, d.pending = nil, nil
	d.pressure.Store(0)
	d.mu.Unlock()
	for i := range subs {
		subs[i].done(failed)
	}
}

func (d *Disk) tellFailure(err error) {
	if d.o.OnFail != nil {
		d.o.OnFail(err)
	} else {
		d.log.Error("journal can store no more", "error", err)
	}
}

// batchWriter is a Pebble batch. Its methods fail for a batch of more than 4 GiB only.
type batchWriter struct{ b *pebble.Batch }

func (w batchWriter) set(key, value []byte)       { must(w.b.Set(key, value, nil)) }
func (w batchWriter) delete(key []byte)           { must(w.b.Delete(key, nil)) }
func (w batchWriter) deleteOnce(key []byte)       { must(w.b.SingleDelete(key, nil)) }
func (w batchWriter) deleteRange(from, to []byte) { must(w.b.DeleteRange(from, to, nil)) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
