//go:build linux && !wirebird_goroutine

package shard

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Driver names the way that Loops are driven.
const Driver = "epoll"

const (
	readBytes     = 64 << 10 // most that one connection is read in a turn
	acceptsATurn  = 64
	deferSeconds  = 1 // that the kernel keeps a silent connection to itself
	eventsAWait   = 256
	acceptRestMs  = 100 // after descriptors have run out
	goschedTurns  = 64
	fewEvents     = 4
	heldWaitMs    = 5  // longest wait during which a Loop keeps its processor
	wakeSlot      = -1 // event data of the eventfd; listeners follow below
	watchedEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// system drives Loops with one epoll set and one goroutine each.
type system struct {
	mu        sync.Mutex
	listeners []*listener // guarded by mu
	drivers   []*epoll
	wg        sync.WaitGroup
}

type listener struct {
	fd       int
	origin   *Origin
	path     string // of a Unix socket, removed at the end
	deferred bool   // connections come with their first bytes, or a second late
}

// epoll is the driver of one Loop. Whoever holds turn owns the Loop: its goroutine, or
// another Loop's that helps it while it sleeps.
type epoll struct {
	turn      sync.Mutex
	g         *Group
	l         *Loop
	ep, efd   int
	buf       []byte
	events    [eventsAWait]unix.EpollEvent
	listeners map[int32]*listener
	rest      []resting // listeners that wait until descriptors are free again
	restUntil int64
	spare     bool  // there is a processor of the Go runtime for everybody else
	calm      bool  // the last wait found little
	yielded   int64 // see yield
	accepts   int   // connections that are taken at once; one more is not asked for in vain
	due       int64 // guarded by turn: the next timer that the goroutine sleeps for, 0 none
	stopping  bool  // guarded by turn
	ended     bool  // guarded by turn
	queueing
	guest
	hosting
	crowd
}

type resting struct {
	slot int32
	li   *listener
}

func (s *system) start(g *Group) error {
	for _, l := range g.loops {
		ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return fmt.Errorf("epoll_create1: %w", err)
		}
		efd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			_ = unix.Close(ep)
			return fmt.Errorf("eventfd: %w", err)
		}
		d := &epoll{g: g, l: l, ep: ep, efd: efd, buf: make([]byte, readBytes), listeners: map[int32]*listener{}}
		d.spare = runtime.GOMAXPROCS(0) > len(g.loops)
		if err := d.watchMail(); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
		l.drv = d
		s.drivers = append(s.drivers, d)
	}
	introduce(s.drivers)
	for _, d := range s.drivers {
		s.wg.Go(d.run)
	}
	return nil
}

func (s *system) listen(_ *Group, ln net.Listener, o *Origin) error {
	li := &listener{origin: o}
	if t, ok := ln.(*net.UnixListener); ok {
		t.SetUnlinkOnClose(false)
		li.path = ln.Addr().String()
	}
	var err error
	if li.fd, err = descriptor(ln); err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	_ = ln.Close()
	if _, ok := ln.(*net.TCPListener); ok { // its connections inherit it
		_ = unix.SetsockoptInt(li.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		li.deferred = unix.SetsockoptInt(li.fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds) == nil
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, li)
	slot := int32(wakeSlot - len(s.listeners))
	s.mu.Unlock()
	for _, d := range s.drivers {
		d.l.Post(func() { d.watchListener(slot, li) })
	}
	return nil
}

// descriptor duplicates ln's, as one that Go's own poller does not watch: it would wake a
// thread with each connection. An os.File of it is watched.
func descriptor(ln net.Listener) (int, error) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("%T has no descriptor", ln)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	if ctlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); ctlErr != nil {
		return -1, ctlErr
	}
	return fd, err
}

func (s *system) closeListeners() {
	s.mu.Lock()
	list := s.listeners
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, d := range s.drivers {
		if len(list) == 0 {
			break
		}
		wg.Add(1)
		d.l.Post(func() {
			defer wg.Done()
			for _, li := range d.listeners {
				_ = unix.EpollCtl(d.ep, unix.EPOLL_CTL_DEL, li.fd, nil)
			}
			clear(d.listeners)
			d.rest = nil
		})
	}
	wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, li := range s.listeners {
		_ = unix.Close(li.fd)
		if li.path != "" {
			_ = os.Remove(li.path)
		}
	}
	s.listeners = nil
}

func (s *system) stop(*Group) {
	for _, d := range s.drivers {
		d.l.Post(func() { d.stopping = true })
	}
	s.wg.Wait()
	for _, d := range s.drivers { // not before: a Loop may wake one that has ended
		_ = unix.Close(d.efd)
	}
}

// run is the Loop's goroutine.
func (d *epoll) run() {
	defer d.release()
	more, guest, turns := false, false, 0
	for stop := false; !stop; {
		n, guests := d.wait(more, guest), 0
		crowded := d.crowded.Load()
		if !crowded && d.lodged.Load() > 0 {
			d.l.asleep.Store(true)
			guests = d.serveGuests(d.events[:n]) // first: their mail to this Loop waits no longer
			d.l.asleep.Store(false)
		}
		d.turn.Lock()
		if d.staying { // the host may have taken events since
			n = d.poll(0)
		}
		if crowded {
			guests, more = d.takeTurns(n, d.g.o.Clock())
		} else {
			more = d.takeTurn(n, d.g.o.Clock()) || d.staying && n == eventsAWait
		}
		d.choose(n, more)
		stop, guest = d.stopping, d.staying
		now := d.l.now // a neighbour may run the next turn
		d.tell(n+guests, more)
		d.turn.Unlock()
		if len(d.g.loops) > 1 {
			d.account(now)
		}
		d.yield(now)
		if turns++; turns%goschedTurns == 0 && !d.spare {
			runtime.Gosched()
		}
	}
}

// takeTurn runs a turn with n events. The turn must be held.
func (d *epoll) takeTurn(n int, now int64) (more bool) {
	d.begin(n, now)
	return d.l.End()
}

// begin is the first part of a turn: what n events bring.
func (d *epoll) begin(n int, now int64) {
	d.l.Begin(now)
	for i := range n {
		d.event(&d.events[i])
	}
	d.readReady()
	d.endRest()
}

// wait returns how many events there are, and waits for one or for the next timer.
//
// A busy Loop looks without waiting first, so that its neighbours need not wake it. One
// that waits keeps its processor of the Go runtime for a few milliseconds if there is
// one to spare: a wait that the scheduler knows of costs more than the wait itself,
// because the processor is taken away, has to be won back, and keeps the runtime's
// monitor busy. A signal ends such a wait, so that it stops no collection.
//
// A guest's events are its host's to look for, until the turn is held.
func (d *epoll) wait(more, guest bool) int {
	if !guest && (more || !d.calm) {
		if n := d.poll(0); n > 0 || more {
			d.calm = n < fewEvents && !more
			return n
		}
	}
	if !d.spare {
		runtime.Gosched()
	}
	d.l.asleep.Store(true)
	defer d.l.asleep.Store(false)
	if d.l.HasMail() || more {
		return 0
	}
	timeout, still := d.timeout()
	if guest {
		if still {
			d.sleepAsGuest(timeout)
		}
		return 0
	}
	if d.spare && timeout != 0 {
		held := heldWaitMs
		if timeout > 0 {
			held = min(held, timeout)
		}
		if n := d.poll(held); n > 0 || held == timeout {
			d.calm = n < fewEvents
			return n
		}
		timeout, _ = d.timeout()
	}
	n, err := unix.EpollWait(d.ep, d.events[:], timeout)
	if err != nil {
		return 0
	}
	d.calm = n < fewEvents
	return n
}

// poll waits as the Go scheduler does not see, for at most ms milliseconds.
func (d *epoll) poll(ms int) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(d.ep),
		uintptr(unsafe.Pointer(&d.events[0])), eventsAWait, uintptr(ms), 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// timeout is how long to wait, in milliseconds, and whether as a guest.
func (d *epoll) timeout() (ms int, guest bool) {
	d.turn.Lock()
	defer d.turn.Unlock()
	d.due = d.l.NextTimer()
	switch {
	case d.stopping: // a helper ran the mail that says so
		return 0, false
	case len(d.rest) > 0:
		return acceptRestMs, d.staying
	case d.due == 0:
		return -1, d.staying
	}
	return int(max(0, min((d.due-d.g.o.Clock()+999_999)/1_000_000, 1<<30))), d.staying
}

func (d *epoll) event(ev *unix.EpollEvent) {
	if ev.Fd < 0 {
		// The eventfd is told of by edges: its count may go on growing.
		if li := d.listeners[ev.Fd]; li != nil {
			d.accept(ev.Fd, li)
		}
		return
	}
	c := d.l.lookup(uint32(ev.Fd), uint32(ev.Pad))
	if c == nil {
		return // closed earlier in this turn
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		d.l.Writable(c)
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		d.read(c, ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// read reads once; a full buffer or a hang-up means that there is more. recv and send do
// what read and write do to a socket, without what those have in common for all files.
func (d *epoll) read(c *Conn, hup bool) {
	if c.flags&(flagPaused|flagClogged) != 0 && c.flags&flagClosing == 0 {
		c.flags |= flagUnread
		return
	}
	d.l.reads++
	r, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&d.buf[0])), readBytes, 0, 0, 0)
	switch n := int(r); {
	case errno == unix.EAGAIN:
	case errno == unix.EINTR:
		d.l.readAgain(c)
	case errno != 0:
		d.l.Hangup(c, errno)
	case n == 0:
		d.l.Hangup(c, io.EOF)
	default:
		d.l.Feed(c, d.buf[:n])
		if (n == readBytes || hup) && c.flags&flagQuick == 0 {
			d.l.readAgain(c)
		}
	}
}

// readReady reads connections that had more than a turn's share.
func (d *epoll) readReady() {
	list := d.l.ready
	d.l.ready = d.l.spare[:0]
	for i, c := range list {
		list[i] = nil
		c.flags &^= flagReady
		if c.flags&(flagGone|flagMoving) == 0 && c.loop == d.l {
			d.read(c, true)
		}
	}
	d.l.spare = list[:0]
}

func (d *epoll) write(c *Conn, b []byte) (int, error) {
	sent := 0
	for {
		d.l.writes++
		r, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return sent, nil
		case errno != 0:
			return sent, errno
		default:
			// A short write means a full socket buffer: EPOLLOUT will tell.
			return sent + int(r), nil
		}
	}
}

func (d *epoll) shutdown(c *Conn) { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) }

func (d *epoll) close(c *Conn) {
	if c.fd >= 0 {
		_ = unix.Close(int(c.fd)) // leaves the epoll set by itself
		c.fd = -1
		d.g.conns.Add(-1)
	}
}

func (d *epoll) attach(c *Conn) error {
	ev := unix.EpollEvent{Events: watchedEvents, Fd: int32(c.idx), Pad: int32(c.gen)}
	if err := unix.EpollCtl(d.ep, unix.EPOLL_CTL_ADD, int(c.fd), &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (d *epoll) detach(c *Conn) { _ = unix.EpollCtl(d.ep, unix.EPOLL_CTL_DEL, int(c.fd), nil) }

func (d *epoll) rewatch(c *Conn) {
	if c.flags&flagUnread != 0 {
		c.flags &^= flagUnread
		d.l.readAgain(c)
	}
}

// help runs a turn of a Loop that sleeps, for another one that has a little mail for it:
// less work than a wake-up, and sooner done.
func (d *epoll) help(now int64) bool {
	if !d.l.asleep.Load() || !d.turn.TryLock() {
		return false
	}
	defer d.turn.Unlock()
	if d.ended {
		return true
	}
	d.l.Begin(now)
	return !d.l.End() && !d.sleepsTooLong()
}

// sleepsTooLong tells that something is due that the goroutine does not know of.
func (d *epoll) sleepsTooLong() bool {
	next := d.l.NextTimer()
	return len(d.rest) > 0 || next != 0 && (d.due == 0 || next < d.due)
}

// watchMail adds the eventfd to the epoll set.
func (d *epoll) watchMail() error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	return unix.EpollCtl(d.ep, unix.EPOLL_CTL_ADD, d.efd, &ev)
}

func (d *epoll) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(d.efd, one[:])
}

// release closes what is left when the Loop ends.
func (d *epoll) release() {
	d.closeHouse()
	d.turn.Lock()
	defer d.turn.Unlock()
	d.ended = true
	for _, c := range d.l.conns {
		if c != nil {
			d.l.finish(c, nil)
		}
	}
	d.leave(d.l.now)
	_ = unix.Close(d.ep)
}

// RemoteAddr is the peer's address as the socket knows it; "" when there is none.
func (c *Conn) RemoteAddr() string {
	if c.fd < 0 {
		return portAddr(c)
	}
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	if _, _, errno := syscall.RawSyscall(unix.SYS_GETPEERNAME, uintptr(c.fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return ""
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), bigEndian(&in.Port)).String()
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), bigEndian(&in.Port)).String()
	case unix.AF_UNIX:
		return "unix"
	}
	return ""
}

// bigEndian is a port as the kernel writes it.
func bigEndian(port *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(port))[:])
}
