package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockFile is held by the process that uses the directory. It is never removed: a
// process that waits for it could lock a file that is no longer there.
const lockFile = "wirebird.lock"

// errLocked is returned by openLocked when another process holds the file.
var errLocked = errors.New("locked")

// lockData creates the data directory if needed and makes it this process's own, until
// unlockData or the process's end.
func lockData(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dataError(dir, err)
	}
	path := filepath.Join(dir, lockFile)
	f, err := openLocked(path)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("data directory %s is in use by another wirebird%s; stop that one or choose another with --data",
			dir, ownerOf(path))
	}
	if err != nil {
		return nil, dataError(dir, err)
	}
	if err := writePID(f); err != nil {
		_ = f.Close()
		return nil, dataError(dir, err)
	}
	return f, nil
}

func dataError(dir string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the directory is named already
	}
	return fmt.Errorf("data directory %s: %w; choose another with --data, or pass --in-memory", dir, err)
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// ownerOf returns " (pid N)", or "" if the file does not say.
func ownerOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return "" // it is being written
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

// unlockData gives the directory back.
func unlockData(f *os.File) {
	_ = f.Truncate(0) // a stale pid would only mislead
	_ = f.Close()
}
