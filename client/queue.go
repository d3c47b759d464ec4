package client

import (
	"sync"
	"time"
)

// event is something for the dispatch goroutine: one of its fields is set.
type event struct {
	in        *inbound
	connected *Connack
	lost      error
}

// A queue stands between the goroutine that reads the connection and the one
// that calls the application.
//
// While it is full the reader waits, and the server notices. But an application
// may wait for an answer inside OnMessage, and only the reader can find it. So
// while a call waits the reader goes on: QoS 0 messages that find the queue full
// are dropped and counted, and the others, which the Receive Maximum limits, are
// taken all the same.
type queue struct {
	mu       sync.Mutex
	changed  sync.Cond
	events   []event
	limit    int
	waiting  int       // calls that wait for an answer
	stuck    bool      // push waits
	freed    time.Time // when push had last waited
	finished bool
	dropped  uint64
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.changed.L = &q.mu
	return q
}

// push adds a message; it may wait.
func (q *queue) push(in *inbound) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) >= q.limit && q.waiting == 0 && !q.finished {
		q.stuck = true
		q.changed.Wait()
	}
	if q.stuck {
		q.stuck, q.freed = false, time.Now()
	}
	switch {
	case q.finished:
	case len(q.events) >= q.limit && in.msg.QoS == 0:
		q.dropped++
	default:
		q.events = append(q.events, event{in: in})
		q.changed.Broadcast()
	}
}

// tell adds an event that is no message; it never waits.
func (q *queue) tell(e event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.finished {
		q.events = append(q.events, e)
		q.changed.Broadcast()
	}
}

// pop waits for the next event. It returns false after the last one.
func (q *queue) pop() (event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) == 0 {
		if q.finished {
			return event{}, false
		}
		q.changed.Wait()
	}
	e := q.events[0]
	q.events[0] = event{}
	q.events = q.events[1:]
	q.changed.Broadcast()
	return e, true
}

// wait counts a call that waits for an answer, until the function it returns is
// called.
func (q *queue) wait() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting++
	q.changed.Broadcast()
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.waiting--
	}
}

// forgetUnacked removes messages that the server is going to send again.
func (q *queue) forgetUnacked() {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := q.events[:0]
	for _, e := range q.events {
		if e.in == nil || e.in.msg.QoS != 1 {
			kept = append(kept, e)
		}
	}
	clear(q.events[len(kept):])
	q.events = kept
	q.changed.Broadcast()
}

// finish lets pop run out after the events there are; discard leaves none.
func (q *queue) finish(discard bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finished = true
	if discard {
		q.events = nil
	}
	q.changed.Broadcast()
}

// drops returns how many messages found no room.
func (q *queue) drops() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// blocked returns when the reader last was unable to read: now, if it waits.
func (q *queue) blocked(now time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stuck {
		return now
	}
	return q.freed
}
