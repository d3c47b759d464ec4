package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

var (
	// ErrClosed is given to what is submitted after Close.
	ErrClosed = errors.New("journal is closed")
	// ErrVolatile is given to Load where nothing is stored.
	ErrVolatile = errors.New("nothing is stored in memory-only operation")
	// ErrNewer is in the error of Open and Recover for data of a later version.
	ErrNewer = errors.New("written by a newer wirebird")
	// ErrLocked is in the error of Open when another process has the directory open.
	ErrLocked = errors.New("in use by another process")
	// ErrDamaged is in the error of Open, Recover and Check for data that cannot be read.
	ErrDamaged = errors.New("data is damaged")
)

// errForeign is for a directory that something else has made.
var errForeign = errors.New("it holds a database that is not of wirebird")

// openError says in one sentence what keeps dir from being opened.
func openError(dir string, err error) error {
	var errno syscall.Errno
	_, ours := errors.AsType[*recordError](err)
	switch {
	case ours || errors.Is(err, ErrNewer):
		return readError(dir, err)
	case errors.Is(err, errForeign):
	case strings.Contains(err.Error(), "unknown format major version"): // of the database
		return fmt.Errorf("the data in %s cannot be read: it was %w (%v)", dir, ErrNewer, err)
	case errors.Is(err, fs.ErrNotExist) || pebble.IsCorruptionError(err) || !errors.As(err, &errno):
		return damaged(dir, err)
	}
	return fmt.Errorf("open the data in %s: %w", dir, err)
}

func lockError(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	return fmt.Errorf("the data in %s is %w", dir, ErrLocked)
}

func damaged(dir string, err error) error {
	return fmt.Errorf("the %w in %s (%v); 'wirebird data check' tells what can be read, and 'wirebird data restore' puts a backup in its place", ErrDamaged, dir, err)
}

// readError is for what goes wrong while records are read.
func readError(dir string, err error) error {
	if errors.Is(err, ErrNewer) {
		return fmt.Errorf("the data in %s cannot be read: %w", dir, err)
	}
	if _, ok := errors.AsType[*recordError](err); ok || pebble.IsCorruptionError(err) {
		return damaged(dir, err)
	}
	return fmt.Errorf("read the data in %s: %w", dir, err)
}

// recordError is a record that makes no sense.
type recordError struct {
	key []byte
	err error
}

func (e *recordError) Error() string { return fmt.Sprintf("record %q: %v", e.key, e.err) }
func (e *recordError) Unwrap() error { return e.err }

// wrapRecord names the record in err; nil stays nil.
func wrapRecord(key []byte, err error) error {
	if err == nil {
		return nil
	}
	return &recordError{append([]byte(nil), key...), err}
}
