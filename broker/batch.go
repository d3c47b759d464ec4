package broker

import (
	"sync"
	"sync/atomic"

	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
)

// batch is what one shard has for another's sessions in one turn.
type batch struct {
	from  *core
	bytes []byte // payloads and properties of items that bring no stored message
	items []parcel
	count int // sessions that get something
	cost  int // of all items, see mailCost
}

// lightBatch is how many deliveries cost less than to wake another thread.
const lightBatch = 4

// Light tells that the batch is little work.
func (b *batch) Light() bool { return b.count <= lightBatch }

// parcel is one message and who gets it: all of the Match's targets on the receiving
// shard, or via's one.
type parcel struct {
	mt             *route.Match
	via            *xshare
	stored         *session.Message
	mid            uint64
	topic          string
	expires        int64
	from           route.Handle
	payload, props span
	qos            byte
	retain         bool
}

// batchPool recycles batches between shards.
type batchPool struct{ p sync.Pool }

// mailHigh and mailLow are how many bytes one shard may have under way to the others
// before it stops reading its publishers, and when it goes on.
const (
	mailHigh = 4 << 20
	mailLow  = 1 << 20
)

// forward puts m into the mail for another shard.
func (k *core) forward(to int, m *outgoing, mt *route.Match, via *xshare) {
	b := k.batches[to]
	if b == nil {
		b, _ = k.b.batches.p.Get().(*batch)
		if b == nil {
			b = &batch{}
		}
		b.from = k
		k.batches[to] = b
	}
	p := parcel{mt: mt, via: via, topic: m.topic, expires: m.expires, from: m.from, mid: m.mid, qos: m.qos, retain: m.retain}
	if m.qos > 0 || m.stored != nil {
		p.stored = m.message() // some session may have to keep it
	} else {
		start := len(b.bytes)
		b.bytes = append(b.bytes, m.payload...)
		p.payload = span{start, len(b.bytes)}
		b.bytes = append(b.bytes, m.props...)
		p.props = span{p.payload.to, len(b.bytes)}
	}
	b.items = append(b.items, p)
	if via != nil {
		b.count++
	} else {
		b.count += len(mt.ByShard[to])
	}
	cost := m.mailCost()
	b.cost += cost
	k.mailing += cost
}

// mail sends what forward has put together in this turn.
func (k *core) mail() {
	for id, b := range k.batches {
		if b != nil {
			k.l.Send(k.l.Peers()[id], b)
			k.batches[id] = nil
		}
	}
	if k.mailing > 0 { // once a turn: other processors look at the same place
		k.b.mailed[k.id].Add(int64(k.mailing))
		k.mailing = 0
	}
}

// mailed is how many bytes a shard has under way to the others. It has a cache line of
// its own, because those take their shares away.
type mailed struct {
	atomic.Int64
	_ [56]byte
}

const parcelCost = 128

// mailCost is what m counts for while it is under way to another shard, in bytes. User
// Properties count like the payload: a message may have nothing else.
func (m *outgoing) mailCost() int { return len(m.payload) + len(m.props) + parcelCost }

// receive delivers another shard's batch.
func (k *core) receive(b *batch) {
	for i := range b.items {
		p := &b.items[i]
		m := &k.msg
		m.reset()
		if p.stored != nil {
			m.load(p.stored)
		} else {
			m.payload = b.bytes[p.payload.from:p.payload.to]
			m.props = b.bytes[p.props.from:p.props.to]
		}
		m.topic, m.expires, m.from, m.mid, m.qos, m.retain = p.topic, p.expires, p.from, p.mid, p.qos, p.retain
		if p.via != nil {
			if k.session(p.via.target.To) != nil || !k.reroute(m, p.via) {
				k.deliver(m, &p.via.target, p.mt, p.via)
			}
			continue
		}
		targets := p.mt.ByShard[k.id]
		m.many = len(targets) > 1
		for j := range targets {
			k.deliver(m, &targets[j], p.mt, nil)
		}
	}
	k.b.mailed[b.from.id].Add(-int64(b.cost))
	clear(b.items)
	b.from, b.items, b.bytes, b.count, b.cost = nil, b.items[:0], b.bytes[:0], 0, 0
	if cap(b.bytes) <= mailLow {
		k.b.batches.p.Put(b)
	}
}

// reroute gives m to another member of a shared subscription when the one that it was
// sent to has ended meanwhile. It reports false when there is none.
func (k *core) reroute(m *outgoing, via *xshare) bool {
	mt := k.matchString(m.topic)
	for i := range mt.Groups {
		if g := &mt.Groups[i]; g.Share == via.share && g.Filter == via.filter {
			k.stats.redistributed++
			k.routeShared(m, mt, g)
			return true
		}
	}
	return false
}

// overloaded tells whether publishers bring more than the other shards take.
func (k *core) overloaded() bool {
	return len(k.batches) > 1 && k.b.mailed[k.id].Load()+int64(k.mailing) > mailHigh
}

// behind tells whether the journal has more to do than it should. Only who adds to that
// has to wait.
func (k *core) behind() bool { return k.recording && k.b.pressure() > journalHigh }

// pressure is the number of bytes that wait for the disk.
func (b *Broker) pressure() int64 {
	if b.gauge == nil {
		return 0
	}
	return b.gauge.Pressure()
}

// journalHigh and journalLow bound the bytes that wait for the disk.
const (
	journalHigh = 64 << 20
	journalLow  = 32 << 20
)

// stall stops reading a publisher until the mail has gone down.
func (k *core) stall(c *client) {
	if c.conn.Paused() {
		return
	}
	c.conn.Pause()
	k.stats.stalls++
	if len(k.stalled) == 0 {
		k.l.At(k.l.Now(), timeStalled, 0)
	}
	k.stalled = append(k.stalled, c.conn.Key())
}

// unstall lets publishers go on, or looks again with the next tick.
func (k *core) unstall() {
	if k.b.mailed[k.id].Load() > mailLow || k.recording && k.b.pressure() > journalLow {
		k.l.At(k.l.Now(), timeStalled, 0)
		return
	}
	list := k.stalled
	k.stalled = nil
	for _, key := range list {
		conn := k.l.Find(key)
		switch {
		case conn == nil || conn.User.(*client).deciding():
		case k.holdsTooMuch(conn.User.(*client)):
			if len(k.stalled) == 0 {
				k.l.At(k.l.Now(), timeStalled, 0)
			}
			k.stalled = append(k.stalled, key)
		default:
			conn.Resume()
		}
	}
}

// deciding tells that a hook keeps the connection parked.
func (c *client) deciding() bool { return c.rare != nil && c.rare.deciding }
