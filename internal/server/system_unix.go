//go:build unix

package server

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// openLocked opens the file for this process alone; errLocked if another has it.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}

// raiseFileLimit raises the number of file descriptors to what the process may have,
// and returns it; 0 is no limit.
func raiseFileLimit() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	if soft := l.Cur; soft < l.Max {
		l.Cur = l.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			l.Cur = soft // macOS calls it unlimited and then refuses
		}
	}
	if uint64(l.Cur) > math.MaxInt32 {
		return 0
	}
	return int(l.Cur)
}

func inUse(err error) bool      { return errors.Is(err, unix.EADDRINUSE) }
func notAllowed(err error) bool { return errors.Is(err, unix.EACCES) }
func noAddress(err error) bool  { return errors.Is(err, unix.EADDRNOTAVAIL) }
