package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wirebird/wirebird/internal/session"
)

// Will is a stored Will Message.
type Will struct {
	Msg       *session.Message
	Due       int64  // unix nanoseconds, 0 while the connection lived
	Delay     uint32 // Will Delay Interval, in seconds
	Expiry    uint32 // Message Expiry Interval counted from publication, in seconds
	HasExpiry bool
}

// Waiting is a message that waits for a session, without its bytes: Load brings them.
type Waiting struct {
	SubIDs        []uint32 // the Subscription Identifiers when there are several
	Topic         string   // "" unless Share is set
	Share, Filter string   // of the shared subscription that the message came by
	MID           uint64
	Size          int   // session.Message.Size
	Expires       int64 // session.Message.Expires
	SubID         uint32
	ID            uint16 // assigned packet identifier, 0 is none
	QoS           byte
	Retain        bool
	Owed          bool // PUBREC came, PUBREL is owed
}

// Visitor takes what is stored. What it is given is its own.
type Visitor interface {
	Session(sid uint64, clientID string, expiry uint32, offlineAt int64)
	Subscription(sid uint64, filter string, options uint8, subID uint32)
	Accepted(sid uint64, id uint16)
	Will(sid uint64, w Will)
	Retained(msg *session.Message)
	Waiting(sid uint64, w Waiting)
}

// RecoverStats counts what Recover has found.
type RecoverStats struct {
	Sessions, Subscriptions, Accepted, Wills, Retained, Waiting int64
	Bodies                                                      int64 // messages stored as records of their own
	Orphans                                                     int64 // records that nothing refers to, or that refer to nothing; deleted
	Elapsed                                                     time.Duration
}

// Recover gives everything stored to v: sessions, subscriptions, accepted packet
// identifiers, wills, retained messages, and waiting messages by session and then by
// MID. It deletes what belongs to no session. It is called once, before the first
// Submit and Load.
func (d *Disk) Recover(v Visitor) (RecoverStats, error) {
	c := &collector{v: v, from: reading{d.db}, enc: d.enc, progress: d.logProgress()}
	start := time.Now()
	err := c.collect()
	if err == nil && len(c.orphans) > 0 {
		err = d.purge(c.orphans)
	}
	c.stats.Elapsed = time.Since(start)
	if err != nil {
		return c.stats, readError(d.o.Dir, err)
	}
	d.lastMID.Store(d.enc.lastMID)
	d.queued.Store(d.enc.queued)
	return c.stats, nil
}

// logProgress returns a function that logs every five seconds at most.
func (d *Disk) logProgress() func(records int64) {
	last := time.Now()
	return func(records int64) {
		if now := time.Now(); now.Sub(last) >= 5*time.Second {
			last = now
			d.log.Info("reading stored data", "records", records)
		}
	}
}

// purge deletes keys.
func (d *Disk) purge(keys [][]byte) error {
	d.log.Warn("deleting stored records that belong to no session", "records", len(keys))
	batch := d.db.NewBatch()
	for _, k := range keys {
		if err := batch.Delete(k, nil); err != nil {
			return errors.Join(err, batch.Close())
		}
		if batch.Len() > maxCommit {
			if err := errors.Join(batch.Commit(pebble.NoSync), batch.Close()); err != nil {
				return err
			}
			batch = d.db.NewBatch()
		}
	}
	return errors.Join(batch.Commit(pebble.Sync), batch.Close(), d.failure())
}

// collector reads all tables in the order that Visitor wants.
type collector struct {
	v        Visitor
	from     stored
	enc      *encoder
	progress func(int64)
	report   func(error) // takes what cannot be read; nil stops there
	stats    RecoverStats
	known    map[uint64]struct{} // sessions
	orphans  [][]byte
	sides    map[entryKey]side
	records  int64
}

type side struct {
	id   uint16
	owed bool
}

func (c *collector) collect() error {
	c.known = map[uint64]struct{}{}
	c.sides = map[entryKey]side{}
	for _, table := range []struct {
		name byte
		each func(key, value []byte) error
	}{
		{tableSession, c.session}, {tableSubscription, c.subscription}, {tableAccepted, c.accepted},
		{tableWill, c.will}, {tableRetained, c.retained}, {tableBody, c.body}, {tableSide, c.side}, {tableQueue, c.waiting},
	} {
		if err := c.table(table.name, table.each); err != nil {
			if c.report == nil {
				return err
			}
			c.report(fmt.Errorf("table %q ends early: %w", table.name, err))
		}
	}
	for mid, n := range c.enc.refs {
		if n == 0 {
			delete(c.enc.refs, mid)
			c.orphan(bodyKey(nil, mid))
		}
	}
	for at := range c.sides { // those of messages that are gone
		c.enc.dropSide(at.sid, at.mid)
		c.orphan(midKey(nil, tableSide, at.sid, at.mid))
	}
	return nil
}

// table gives each record of a table to each. The bytes are valid during the call.
func (c *collector) table(name byte, each func(key, value []byte) error) error {
	return c.from.scan([]byte{name}, []byte{name + 1}, func(key, value []byte) (bool, error) {
		if c.records++; c.records%4096 == 0 {
			c.progress(c.records)
		}
		err := wrapRecord(key, each(key, value))
		if err != nil && c.report != nil {
			c.report(err)
			err = nil
		}
		return true, err
	})
}

func (c *collector) orphan(key []byte) {
	c.stats.Orphans++
	c.orphans = append(c.orphans, append([]byte(nil), key...))
}

var errKey = errors.New("key makes no sense")

// owner takes a key apart; ok is false when its session is gone, and the record with it.
func (c *collector) owner(key []byte, fixed int) (sid uint64, rest []byte, ok bool, err error) {
	sid, rest, ok = sidOf(key, fixed)
	if !ok {
		return 0, nil, false, errKey
	}
	if _, ok = c.known[sid]; !ok {
		c.orphan(key)
	}
	return sid, rest, ok, nil
}

func (c *collector) session(key, value []byte) error {
	sid, _, ok := sidOf(key, 0)
	if !ok {
		return errKey
	}
	clientID, expiry, offlineAt, err := decodeSession(value)
	if err != nil {
		return err
	}
	c.known[sid] = struct{}{}
	c.stats.Sessions++
	c.v.Session(sid, clientID, expiry, offlineAt)
	return nil
}

func (c *collector) subscription(key, value []byte) error {
	sid, filter, ok, err := c.owner(key, -1)
	if !ok {
		return err
	}
	options, subID, err := decodeSubscription(value)
	if err != nil {
		return err
	}
	c.stats.Subscriptions++
	c.v.Subscription(sid, string(filter), options, subID)
	return nil
}

func (c *collector) accepted(key, value []byte) error {
	sid, id, ok, err := c.owner(key, 2)
	if !ok {
		return err
	}
	if err := decodeAccepted(value); err != nil {
		return err
	}
	c.stats.Accepted++
	c.v.Accepted(sid, binary.BigEndian.Uint16(id))
	return nil
}

func (c *collector) will(key, value []byte) error {
	sid, _, ok, err := c.owner(key, 0)
	if !ok {
		return err
	}
	w, err := decodeWill(value)
	if err != nil {
		return err
	}
	c.stats.Wills++
	c.v.Will(sid, w)
	return nil
}

func (c *collector) retained(key, value []byte) error {
	m, err := decodeRetained(string(key[1:]), value)
	if err != nil {
		return err
	}
	c.stats.Retained++
	c.v.Retained(m)
	return nil
}

// body notes that a message is there, waited for by nobody yet.
func (c *collector) body(key, value []byte) error {
	mid, _, ok := sidOf(key, 0)
	if !ok {
		return errKey
	}
	r := newReader(value)
	r.messageHead(true)
	c.enc.refs[mid] = 0
	c.enc.lastMID = max(c.enc.lastMID, mid)
	c.stats.Bodies++
	return r.end()
}

func (c *collector) side(key, value []byte) error {
	sid, mid, ok, err := c.owner(key, 8)
	if !ok {
		return err
	}
	at := entryKey{sid, binary.BigEndian.Uint64(mid)}
	id, owed, err := decodeSide(value)
	if err != nil {
		return err
	}
	c.sides[at] = side{id, owed}
	c.enc.addSide(at.sid, at.mid)
	return nil
}

func (c *collector) waiting(key, value []byte) error {
	sid, rest, ok, err := c.owner(key, 8)
	if !ok {
		return err
	}
	w, inline, err := decodeWaiting(value)
	if err != nil {
		return err
	}
	w.MID = binary.BigEndian.Uint64(rest)
	if !inline {
		n, ok := c.enc.refs[w.MID]
		if !ok { // a message without bytes cannot be delivered
			c.orphan(key)
			return nil
		}
		if n == math.MaxUint32 {
			return fmt.Errorf("message %d waits for too many sessions", w.MID)
		}
		c.enc.refs[w.MID] = n + 1
	}
	at := entryKey{sid, w.MID}
	if s, ok := c.sides[at]; ok {
		w.ID, w.Owed = s.id, s.owed
		delete(c.sides, at)
	}
	c.enc.lastMID = max(c.enc.lastMID, w.MID)
	c.enc.queued++
	c.stats.Waiting++
	c.v.Waiting(sid, w)
	return nil
}
