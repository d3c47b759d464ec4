//go:build !unix

package outbox

import (
	"os"
	"path/filepath"
)

// lockDir only makes the file: this system has no lock in the standard library.
func lockDir(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
}

// syncDir has nothing to do: directories cannot be synced here.
func syncDir(string) error { return nil }
