//go:build linux && !wirebird_goroutine

package shard

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// While there is little to do, one thread does it: the first Loop hosts the others. A
// guest has given its epoll set into the host's, so that an event wakes the host, which
// runs the guest's turn. The guest's own goroutine sleeps on its eventfd, for mail that
// makes work and for its timers. As soon as host or guest have much to do, the guest
// takes its set back, unless it is carried: see crowd_epoll.go.

const (
	busyEvents = 8    // of a turn and its guests' that show that one thread may not be enough
	strainOn   = 16   // see epoll.tell
	leastCalm  = 10e6 // nanoseconds that a Loop must have had little to do before it is a guest
	mostCalm   = 10e9
	shortStay  = 1e9      // a guest that leaves sooner must be calm for longer the next time
	guestSlots = -1 << 24 // event data of the first guest; others follow below
)

// guest is what a Loop that may be one knows of it. Host is nil in the host itself, and
// in a Loop that has no other. The rest is guarded by turn.
type guest struct {
	host      *epoll
	staying   bool
	carried   bool  // it stays even with much to do
	told      bool  // it may have events: its host's to know
	since     int64 // when it came
	calmSince int64
	calmFor   int64 // how long it must be calm before it comes again
}

// hosting is what a Loop knows of its guests. It is guarded by turn, but for lodged.
type hosting struct {
	guests   []*epoll     // all that may be guests
	lodged   atomic.Int32 // those that are
	strain   int
	strained atomic.Int64 // when it last had much to do, in unix nanoseconds
}

// introduce makes the first driver the others' host.
func introduce(drivers []*epoll) {
	for _, d := range drivers[1:] {
		d.guest = guest{host: drivers[0], calmFor: leastCalm}
	}
	drivers[0].guests = drivers[1:]
}

// choose decides whether the Loop is a guest from here on, after a turn of its goroutine
// that had n events. The turn must be held.
func (d *epoll) choose(n int, more bool) {
	busy := n >= busyEvents || more
	if busy {
		d.calmSince = d.l.now
	}
	crowded := d.host != nil && d.host.crowded.Load()
	switch {
	case crowded:
		d.lodge()
	case busy:
		d.leave(d.l.now)
	case d.calm:
		d.visit()
	}
	d.carried = crowded && d.staying
}

// visit makes the Loop a guest if it has been calm for long enough.
func (d *epoll) visit() {
	h := d.host
	if h != nil && d.l.now-max(d.calmSince, h.strained.Load()) >= d.calmFor {
		d.lodge()
	}
}

// lodge makes the Loop a guest. What is ready in its epoll set reaches the host at once.
func (d *epoll) lodge() {
	h := d.host
	if h == nil || d.staying || d.stopping || len(d.rest) > 0 {
		return
	}
	h.lodged.Add(1) // before the host can hear of it
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(guestSlots - d.l.id)}
	if unix.EpollCtl(h.ep, unix.EPOLL_CTL_ADD, d.ep, &ev) != nil {
		h.lodged.Add(-1)
		return
	}
	_ = unix.EpollCtl(d.ep, unix.EPOLL_CTL_DEL, d.efd, nil)
	d.staying, d.since = true, d.l.now
}

// leave ends that. The turn must be held; the goroutine must be woken if it sleeps.
func (d *epoll) leave(now int64) {
	if !d.staying {
		return
	}
	d.staying = false
	d.carried = false
	d.host.lodged.Add(-1)
	_ = unix.EpollCtl(d.host.ep, unix.EPOLL_CTL_DEL, d.ep, nil)
	_ = d.watchMail()
	d.calmSince = now
	if now-d.since < shortStay {
		d.calmFor = min(2*d.calmFor, mostCalm)
	} else {
		d.calmFor = leastCalm
	}
}

// sleepAsGuest waits for mail or the next timer.
func (d *epoll) sleepAsGuest(timeout int) {
	fds := [1]unix.PollFd{{Fd: int32(d.efd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds[:], timeout); err == nil && n > 0 {
		var count [8]byte
		_, _ = unix.Read(d.efd, count[:])
	}
}

// serveGuests runs a turn of each guest that has events, and returns how many it had.
func (d *epoll) serveGuests(events []unix.EpollEvent) (n int) {
	for i := range events {
		if g := d.guestOf(&events[i]); g != nil {
			n += g.serve(d.g.o.Clock())
		}
	}
	return n
}

// guestOf is the guest that an event is of, nil when it is of something else.
func (d *epoll) guestOf(ev *unix.EpollEvent) *epoll {
	if at := guestSlots - ev.Fd; at > 0 {
		return d.guests[at-1]
	}
	return nil
}

// serve is called by the host.
func (d *epoll) serve(now int64) (n int) {
	if !d.turn.TryLock() {
		d.wake() // its goroutine may have looked for events already
		return 0
	}
	defer d.turn.Unlock()
	if d.ended || !d.staying {
		return 0
	}
	n = d.poll(0)
	if more := d.takeTurn(n, now); more || !d.staying || n == eventsAWait || d.sleepsTooLong() {
		d.wake()
	}
	return n
}

// tell counts what a turn had to do, its guests' included. Many events in a row mean
// that one thread may not be enough, and guests must go, unless there is no more than one
// thread's worth of processors to be had. The turn must be held.
func (d *epoll) tell(n int, more bool) {
	if len(d.guests) == 0 {
		return
	}
	d.putDown(d.l.now)
	if n < busyEvents && !more {
		d.strain = max(0, d.strain-1)
		return
	}
	if d.strain = min(d.strain+2, strainOn); d.strain < strainOn {
		return
	}
	d.strained.Store(d.l.now)
	if !d.carries(d.l.now) && d.lodged.Load() > 0 {
		d.turnOut()
	}
}

// turnOut makes guests leave. One whose turn is held by another goroutine stays until
// the next time; its own goroutine looks for what may have come meanwhile.
func (d *epoll) turnOut() {
	for _, g := range d.guests {
		if g.turn.TryLock() {
			if g.staying && !g.ended {
				g.leave(d.l.now)
				g.wake()
			}
			g.turn.Unlock()
		} else {
			g.wake()
		}
	}
}

// closeHouse sends all guests home for good, before the host's epoll set is closed.
func (d *epoll) closeHouse() {
	for _, g := range d.guests {
		g.turn.Lock()
		if !g.ended {
			g.leave(d.l.now)
		}
		g.host = nil
		g.turn.Unlock()
		g.wake()
	}
}
