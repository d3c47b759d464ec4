package server

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// notifyTimeout bounds a message to systemd, which may have stopped reading.
const notifyTimeout = time.Second

// notifier is the address of systemd's notification socket, "" for none; see
// sd_notify(3).
type notifier string

func (n notifier) send(state string) error {
	if n == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: string(n), Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return err
}

// reloading is the state at the beginning of a reload. systemd wants to know when, to
// tell it from the one before.
func reloading() string {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", t.Nano()/1000)
}
