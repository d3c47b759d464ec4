//go:build linux && !wirebird_goroutine

package shard

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where other programs leave the Loops one processor in all, several threads only get in
// each other's way: each runs for a moment, finds little, and hands it over in small
// portions. So the first Loop carries the others on its own thread, as guests with much
// to do, and looks from time to time whether several threads would get more.

const (
	accountEvery = 20e6  // nanoseconds
	watchFor     = 100e6 // nanoseconds that tell whether it is crowded
	watchTimes   = 2     // ... in a row
	leastCarry   = 1e9   // how long guests are carried before several threads are tried
	mostCarry    = 5e9
	crowdedCPU   = 1.15 // processors that this program has in a crowd, at most
	crowdedDelay = 0.2  // ... and that its Loops would take if there were more, at least
)

// queueing is how long a Loop's thread was ready to run and had no processor, in
// nanoseconds. Its goroutine writes it.
type queueing struct {
	waited atomic.Int64
	at     int64
	thread int
	last   int64
}

// account counts what has come since the last time.
func (q *queueing) account(now int64) {
	since := now - q.at
	if since < accountEvery {
		return
	}
	delay, ok := threadDelay()
	if thread := unix.Gettid(); ok && thread == q.thread && since < watchFor {
		q.waited.Add(delay - q.last)
	} else {
		q.thread = thread
	}
	q.at, q.last = now, delay
}

// threadDelay is how long this thread was ever ready to run and had no processor. A
// system without schedstat does not say.
func threadDelay() (nanoseconds int64, ok bool) {
	fd, err := syscall.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer syscall.Close(fd)
	var text [64]byte // "ran waited slices"
	n, err := syscall.Read(fd, text[:])
	if err != nil {
		return 0, false
	}
	_, rest, _ := bytes.Cut(text[:n], []byte(" "))
	waited, _, _ := bytes.Cut(rest, []byte(" "))
	nanoseconds, err = strconv.ParseInt(string(waited), 10, 64)
	return nanoseconds, err == nil
}

// processTime is how long this program's threads have run.
func processTime() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return t.Nano()
}

// crowd is what the host knows of the machine. It is guarded by turn.
type crowd struct {
	crowded      atomic.Bool // guests are carried
	carryUntil   int64
	carryFor     int64
	watchedSince int64 // when watching began, 0: not yet
	cpu, delay   int64 // at that time
	times        int
	carrying     []*epoll // scratch of takeTurns
}

// putDown ends the carrying when its time is over. If it is crowded still, it begins again
// as soon as that is known.
func (d *epoll) putDown(now int64) {
	if c := &d.crowd; c.crowded.Load() && now >= c.carryUntil {
		c.crowded.Store(false)
		d.turnOut()
	}
}

// carries decides whether a host with much to do carries its guests.
func (d *epoll) carries(now int64) bool {
	if d.crowded.Load() {
		return true
	}
	if now-d.watchedSince < watchFor {
		return false
	}
	delay := d.waited.Load()
	for _, g := range d.guests {
		delay += g.waited.Load()
	}
	return d.crowd.watch(now, processTime(), delay)
}

// watch decides at the end of a time of watching.
func (c *crowd) watch(now, cpu, delay int64) bool {
	took, had, missed := now-c.watchedSince, cpu-c.cpu, delay-c.delay
	c.watchedSince, c.cpu, c.delay = now, cpu, delay
	switch {
	case took > 2*watchFor: // there was little to do
		c.times = 0
	case float64(had) > crowdedCPU*float64(took) || float64(missed) < crowdedDelay*float64(took):
		c.times, c.carryFor = 0, 0
	default:
		c.times++
	}
	if c.times < watchTimes {
		return false
	}
	c.times = 0
	c.carryFor = min(max(2*c.carryFor, leastCarry), mostCarry)
	c.carryUntil = now + c.carryFor
	c.crowded.Store(true)
	return true
}

// takeTurns runs a turn of the host, which has n events, and of the guests that it
// carries, as if they were one Loop: all that is ready is read, then their mail to each
// other is seen to, then messages leave, and acknowledgements last. It returns how many
// events the guests had. The host's turn must be held.
func (d *epoll) takeTurns(n int, now int64) (events int, more bool) {
	for i := range n {
		if g := d.guestOf(&d.events[i]); g != nil {
			g.told = true
		}
	}
	all := d.carrying[:0]
	for _, g := range d.guests {
		if m, ok := g.carry(now); ok {
			all = append(all, g)
			events += m
			more = more || g.told
		}
	}
	guests := all
	all = append(all, d) // last: what its connections get next waits longest
	d.begin(n, now)
	d.l.settle()
	for range answersATurn {
		for _, g := range all {
			if g.l.HasMail() {
				g.l.settle()
			}
		}
	}
	for _, g := range all {
		g.l.flushList(&g.l.dirty, flagDirty)
	}
	for _, g := range all {
		g.l.helpOthers()
		g.l.flush()
		more = more || g.l.unsettled()
	}
	for _, g := range guests {
		more = g.putBack() || more
	}
	clear(all)
	d.carrying = all
	return events, more
}

// answersATurn is how often mail between Loops that have their turns together is seen to
// once more: a message goes from one to the other, and word of it back.
const answersATurn = 2

// carry begins the turn of a guest for its host, who goes on with it. It has what is
// ready to be read, n events. The turn is held if ok.
func (d *epoll) carry(now int64) (n int, ok bool) {
	if !d.turn.TryLock() {
		if d.told {
			d.wake() // its goroutine may have looked for events already
		}
		return 0, false
	}
	if d.ended || !d.carried {
		d.turn.Unlock()
		if d.told {
			d.told = false
			d.wake()
		}
		return 0, false
	}
	d.l.asleep.Store(false) // to those that send it mail
	if d.told {
		n = d.poll(0)
		d.told = n == eventsAWait
	}
	d.begin(n, now)
	d.l.settle()
	return n, true
}

// putBack ends that turn, and tells whether there is more to do at once.
func (d *epoll) putBack() (more bool) {
	d.l.asleep.Store(true)
	more = d.l.HasMail() // that came before
	if !d.carried || d.stopping || d.sleepsTooLong() {
		d.wake()
	}
	d.turn.Unlock()
	return more
}
