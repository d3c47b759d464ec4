package load

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	epollReadBytes = 256 << 10
	epollEvents    = 256
	yieldTurns     = 64 // busy turns after which other goroutines get their chance
	heldWait       = 5 * time.Millisecond
)

func newDriver() (driver, error) { return newEpoll() }

// epoll drives all connections from one thread.
type epoll struct {
	ep     int
	conns  []*conn // by slot
	free   []int
	events [epollEvents]unix.EpollEvent
	buf    []byte
	busy   int
	spare  bool // there is a processor of the Go runtime for everybody else
}

func newEpoll() (driver, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	runtime.LockOSThread()
	// A wait ends within a microsecond of its time, not within 50.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	return &epoll{ep: ep, buf: make([]byte, epollReadBytes), spare: runtime.GOMAXPROCS(0) > 1}, nil
}

// adopt keeps a second descriptor of the socket and gives the first, with its
// place in Go's own poller, back.
func (d *epoll) adopt(c *conn, nc net.Conn) error {
	fd, err := duplicate(nc)
	_ = nc.Close() // the duplicate keeps the socket open
	if err != nil {
		return err
	}
	c.fd = fd
	if n := len(d.free); n > 0 {
		c.slot, d.free = d.free[n-1], d.free[:n-1]
		d.conns[c.slot] = c
	} else {
		c.slot = len(d.conns)
		d.conns = append(d.conns, c)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.slot)}
	if err := unix.EpollCtl(d.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		c.gone = true
		d.drop(c)
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func duplicate(nc net.Conn) (int, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("%T has no descriptor", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(own uintptr) {
		fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = dupErr
	}
	if err != nil {
		return 0, fmt.Errorf("duplicate the descriptor: %w", err)
	}
	return fd, nil
}

// portLater lets the kernel choose the port when it knows where a connection goes: one
// that bind chooses may serve no other connection from the same address.
func portLater(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}

func (d *epoll) drop(c *conn) {
	_ = unix.Close(c.fd)
	d.conns[c.slot] = nil
	d.free = append(d.free, c.slot)
	c.fd = -1
}

func (d *epoll) close() {
	for _, c := range d.conns {
		if c != nil {
			c.gone = true
			_ = unix.Close(c.fd)
		}
	}
	_ = unix.Close(d.ep)
	runtime.UnlockOSThread()
}

func (d *epoll) send(c *conn, b []byte) {
	if c.gone {
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	n, ok := d.write(c, b)
	if ok && n < len(b) {
		c.out = append(c.out, b[n:]...)
		d.watch(c, true)
	}
}

// write returns how many bytes the socket took, and false after a failure.
func (d *epoll) write(c *conn, b []byte) (int, bool) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	switch errno {
	case 0:
		return int(n), true
	case unix.EAGAIN, unix.EINTR:
		return 0, true
	}
	c.fail(errno)
	return 0, false
}

func (d *epoll) watch(c *conn, out bool) {
	if c.wait == out {
		return
	}
	c.wait = out
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.slot)}
	if out {
		ev.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(d.ep, unix.EPOLL_CTL_MOD, c.fd, &ev); err != nil {
		c.fail(fmt.Errorf("epoll_ctl: %w", err))
	}
}

// turn asks once without waiting, which lets the runtime know nothing and costs
// least, and only then waits in a way that gives the processor away.
func (d *epoll) turn(wait time.Duration) {
	n := d.poll()
	if n == 0 && wait > 0 {
		d.busy = 0
		n = d.block(wait)
	}
	if d.busy++; d.busy >= yieldTurns {
		d.busy = 0
		runtime.Gosched()
	}
	for i := range n {
		ev := &d.events[i]
		c := d.conns[ev.Fd]
		if c == nil {
			continue
		}
		if ev.Events&unix.EPOLLOUT != 0 {
			d.writable(c)
		}
		if ev.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 && !c.gone {
			d.readable(c)
		}
	}
}

func (d *epoll) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(d.ep), uintptr(unsafe.Pointer(&d.events[0])), epollEvents, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// block waits with the precision of nanoseconds where the kernel has that. It keeps its
// processor of the Go runtime for the first milliseconds if there is another: to win it
// back takes tens of microseconds, in which the peer would be measured against a sleeper.
// A signal ends such a wait, so that it stops no collection.
func (d *epoll) block(wait time.Duration) int {
	if d.spare {
		held := min(wait, heldWait)
		ts := unix.NsecToTimespec(int64(held))
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(d.ep), uintptr(unsafe.Pointer(&d.events[0])), epollEvents,
			uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno == 0 && n > 0 {
			return int(n)
		}
		if errno == unix.EINTR || held == wait {
			runtime.Gosched()
			return 0
		}
		wait -= held
	}
	ts := unix.NsecToTimespec(int64(wait))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(d.ep), uintptr(unsafe.Pointer(&d.events[0])), epollEvents,
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno == unix.ENOSYS { // before Linux 5.11
		k, err := unix.EpollWait(d.ep, d.events[:], int((wait+time.Millisecond-1)/time.Millisecond))
		if err != nil {
			return 0
		}
		return k
	}
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (d *epoll) writable(c *conn) {
	if len(c.out) > 0 {
		n, ok := d.write(c, c.out)
		if !ok {
			return
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	if len(c.out) == 0 {
		c.out = nil
		d.watch(c, false)
	}
}

func (d *epoll) readable(c *conn) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&d.buf[0])), uintptr(len(d.buf)))
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		c.fail(errno)
	case n == 0:
		c.fail(io.EOF)
	default:
		c.input(d.buf[:n])
	}
}
