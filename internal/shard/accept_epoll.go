//go:build linux && !wirebird_goroutine

package shard

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func (d *epoll) watchListener(slot int32, li *listener) {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: slot}
	if err := unix.EpollCtl(d.ep, unix.EPOLL_CTL_ADD, li.fd, &ev); err == nil {
		d.listeners[slot] = li
	}
}

func (d *epoll) accept(slot int32, li *listener) {
	most := max(1, d.accepts)
	if d.staying { // the host hears of new connections only: all must be taken
		most = acceptsATurn
	}
	for got := range most {
		fd, errno := accept(li.fd)
		switch errno {
		case 0:
			if got+1 >= d.accepts { // there may be more: the next turn will see
				d.accepts = min(2*got+2, acceptsATurn)
			}
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			d.g.refused.Add(1)
			d.tireOf(slot, li)
			return
		default: // EAGAIN, or a connection that has already gone
			d.accepts = got
			return
		}
		flags, ok := d.g.admit()
		if !ok {
			_ = unix.Close(fd)
			continue
		}
		c := newConn(li.origin)
		c.fd, c.flags = int32(fd), flags
		d.l.filterFor(c)
		d.l.open(c)
		d.greet(c, li.deferred)
	}
	d.leave(d.l.now) // as a guest it would have to take the rest now
}

// greet begins to watch a new connection. What it has sent already is read before, so
// that one that moves to another Loop with its first packet is watched there only.
func (d *epoll) greet(c *Conn, spoke bool) {
	if spoke {
		c.flags |= flagFresh
		d.read(c, false)
		if c.flags&(flagGone|flagMoving) != 0 {
			return
		}
		c.flags &^= flagFresh
	}
	if err := d.attach(c); err != nil {
		d.l.Hangup(c, err)
	}
}

// accept takes a connection. It asks nothing more of the kernel, as unix.Accept4 would.
func accept(listener int) (fd int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(r), errno
}

// tireOf stops watching a listener for a moment: without descriptors it would only spin.
func (d *epoll) tireOf(slot int32, li *listener) {
	_ = unix.EpollCtl(d.ep, unix.EPOLL_CTL_DEL, li.fd, nil)
	delete(d.listeners, slot)
	d.rest = append(d.rest, resting{slot, li})
	d.restUntil = d.l.now + acceptRestMs*1e6
}

func (d *epoll) endRest() {
	if len(d.rest) == 0 || d.l.now < d.restUntil {
		return
	}
	rest := d.rest
	d.rest = nil
	for _, r := range rest {
		d.watchListener(r.slot, r.li)
	}
}
