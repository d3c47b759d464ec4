package client

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wirebird/wirebird/topic"
)

// Overflow says what becomes of a QoS 0 message that finds its lane full. QoS 1
// and QoS 2 messages are never dropped: the Receive Maximum bounds them.
type Overflow byte

// The policies of a lane.
const (
	// DropNewest drops the message that finds no room, and counts it. The
	// connection is read on, whatever a handler does.
	DropNewest Overflow = iota
	// DropOldest drops the QoS 0 message that has waited for longest instead.
	DropOldest
	// Block stops reading the connection until there is room, so that the server
	// holds messages back. All lanes wait then. While a call such as Publish
	// waits for the server's answer, reading goes on and Block is DropNewest.
	Block
)

// Handler is a function for the messages that match a filter, and how they wait
// for it.
type Handler struct {
	Filter string                  // may be shared: $share/name/filter
	Func   func(*Client, *Message) // the message is its to keep
	// Queue limits the messages that wait. 0 means Options.QueueSize.
	Queue int
	// Overflow is for QoS 0 messages that find the queue full.
	Overflow Overflow
	// ManualAck leaves acknowledging to Message.Ack, called at any time, by any
	// goroutine and in any order. Options.ManualAck sets it for all handlers.
	ManualAck bool
}

// event is something for a lane's goroutine: a message, or a call to make.
type event struct {
	d    *delivery
	call func()
}

// A lane is the way to one handler: a bounded queue, and a goroutine that takes
// from it in order.
type lane struct {
	Handler
	client  *Client
	match   string // the filter without its share
	ready   sync.Cond
	events  []event
	size    atomic.Int64 // events that are not done
	ended   bool
	discard atomic.Bool
	dropped uint64
	dropLog bool // this overflow has been logged
	handled atomic.Uint64
}

// lanes are those of one client. Its lock guards every lane.
type lanes struct {
	mu       sync.Mutex
	room     sync.Cond // the reader waits for a full lane
	all      []*lane
	limit    int  // the default
	manual   bool // likewise
	waiting  int  // calls that wait for an answer of the server
	stuck    atomic.Bool
	blocks   atomic.Bool // some lane says Block
	freed    time.Time   // when the reader had last waited
	finished bool
	dropped  uint64 // by lanes that are gone
	running  sync.WaitGroup
}

func newLanes(limit int, manual bool) *lanes {
	ls := &lanes{limit: limit, manual: manual}
	ls.room.L = &ls.mu
	return ls
}

// start makes a lane of c.
func (ls *lanes) start(h Handler, c *Client) *lane {
	l := &lane{Handler: h, client: c}
	l.Queue = cmp.Or(h.Queue, ls.limit)
	l.ManualAck = h.ManualAck || ls.manual
	_, l.match = topic.SplitShare(h.Filter)
	l.ready.L = &ls.mu
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.ended = ls.finished
	ls.all = append(ls.all, l)
	if l.Overflow == Block {
		ls.blocks.Store(true)
	}
	ls.running.Go(l.run)
	return l
}

// push adds a message to its lane; it may wait if the lane says Block. It
// returns the message that had to be dropped, nil for none, and whether that is
// the first of its kind.
func (ls *lanes) push(d *delivery) (dropped *delivery, first bool) {
	l := d.lane
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l.Overflow == Block && l.full() && ls.waiting == 0 && !l.ended {
		if ls.stuck.Store(true); l.full() { // else its lane has not seen stuck
			ls.room.Wait()
		}
	}
	if ls.stuck.Load() {
		ls.stuck.Store(false)
		ls.freed = time.Now()
	}
	switch {
	case l.ended:
		return d, false
	case l.full() && d.msg.QoS == 0:
		l.dropped++
		first = !l.dropLog
		l.dropLog = true
		if l.Overflow != DropOldest {
			return d, first
		}
		if dropped = l.oldest(); dropped == nil {
			return d, first
		}
	case !l.full():
		l.dropLog = false
	}
	l.add(event{d: d})
	return dropped, first
}

// full reports whether Queue messages wait behind the one being handled.
func (l *lane) full() bool { return l.size.Load() > int64(l.Queue) }

func (l *lane) add(e event) {
	l.events = append(l.events, e)
	l.size.Add(1)
	if len(l.events) == 1 {
		l.ready.Signal()
	}
}

// oldest removes the QoS 0 message that has waited for longest.
func (l *lane) oldest() *delivery {
	for i, e := range l.events {
		if e.d != nil && e.d.msg.QoS == 0 {
			copy(l.events[i:], l.events[i+1:])
			l.events[len(l.events)-1] = event{}
			l.events = l.events[:len(l.events)-1]
			l.size.Add(-1)
			return e.d
		}
	}
	return nil
}

// tell adds a call; it never waits.
func (ls *lanes) tell(l *lane, call func()) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !l.ended {
		l.add(event{call: call})
	}
}

// take waits for events and returns all there are, in exchange for the empty
// slice spare. It returns none after the last ones.
func (ls *lanes) take(l *lane, spare []event) []event {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for len(l.events) == 0 && !l.ended {
		l.ready.Wait()
	}
	got := l.events
	l.events = spare
	return got
}

// done says that l has done with one event.
func (ls *lanes) done(l *lane) {
	l.size.Add(-1)
	if ls.stuck.Load() {
		ls.mu.Lock()
		ls.room.Broadcast()
		ls.mu.Unlock()
	}
}

// wait counts a call that waits for an answer, until waited is called with what
// wait returned.
func (ls *lanes) wait() bool {
	if !ls.blocks.Load() {
		return false
	}
	ls.mu.Lock()
	ls.waiting++
	ls.room.Broadcast()
	ls.mu.Unlock()
	return true
}

func (ls *lanes) waited(counted bool) {
	if !counted {
		return
	}
	ls.mu.Lock()
	ls.waiting--
	ls.mu.Unlock()
}

// flush returns when every lane has done with what it had.
func (ls *lanes) flush(ctx context.Context, stopped <-chan struct{}) error {
	ls.mu.Lock()
	passed := make(chan struct{}, len(ls.all))
	n := 0
	for _, l := range ls.all {
		if !l.ended && l.size.Load() > 0 {
			l.add(event{call: func() { passed <- struct{}{} }})
			n++
		}
	}
	ls.mu.Unlock()
	for range n {
		select {
		case <-passed:
		case <-ctx.Done():
			return ctx.Err()
		case <-stopped:
			return ErrClosed
		}
	}
	return nil
}

// run is the lane's goroutine.
func (l *lane) run() {
	var spare []event
	for {
		events := l.client.lanes.take(l, spare)
		if len(events) == 0 {
			return
		}
		for i := range events {
			e := events[i]
			events[i] = event{}
			if !l.discard.Load() {
				l.handle(e)
			}
			l.client.lanes.done(l)
		}
		if spare = events[:0]; cap(spare) > keptEvents {
			spare = nil
		}
	}
}

// keptEvents is the largest queue that is kept for its memory.
const keptEvents = 4096

func (l *lane) handle(e event) {
	if e.call != nil {
		e.call()
		return
	}
	if e.d.in.again.Load() {
		return
	}
	l.Func(l.client, &e.d.msg)
	l.handled.Add(1)
	if !l.ManualAck {
		l.client.delivered(e.d)
	}
}

// finish lets l run out after the events there are; discard leaves none.
func (ls *lanes) finish(l *lane, discard bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.end(l, discard)
	for i, other := range ls.all {
		if other == l {
			ls.all = append(ls.all[:i:i], ls.all[i+1:]...)
			ls.dropped += l.dropped
		}
	}
}

// finishAll ends every lane, and those to come.
func (ls *lanes) finishAll(discard bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.finished = true
	for _, l := range ls.all {
		ls.end(l, discard)
	}
}

func (ls *lanes) end(l *lane, discard bool) {
	l.ended = true
	if discard {
		l.discard.Store(true)
		l.size.Add(-int64(len(l.events)))
		clear(l.events)
		l.events = l.events[:0]
	}
	l.ready.Broadcast()
	ls.room.Broadcast()
}

// idle reports whether no lane has anything to do.
func (ls *lanes) idle() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		if l.size.Load() > 0 {
			return false
		}
	}
	return true
}

// blocked returns when the reader last was unable to read: now, if it waits.
func (ls *lanes) blocked(now time.Time) time.Time {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.stuck.Load() {
		return now
	}
	return ls.freed
}

// stats returns the figures of every lane, and how much was dropped in all.
func (ls *lanes) stats() (out []LaneStats, dropped uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	dropped = ls.dropped
	for _, l := range ls.all {
		dropped += l.dropped
		out = append(out, LaneStats{Filter: l.Filter, Queued: int(l.size.Load()), Handled: l.handled.Load(), Dropped: l.dropped})
	}
	return out, dropped
}
