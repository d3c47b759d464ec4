package server

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// openLocked opens the file for this process alone; errLocked if another has it. Others
// may read it, which tells them whose it is.
func openLocked(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ,
		nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil, errLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// raiseFileLimit returns 0: sockets are not counted here.
func raiseFileLimit() int { return 0 }

func inUse(err error) bool      { return errors.Is(err, windows.WSAEADDRINUSE) }
func notAllowed(err error) bool { return errors.Is(err, windows.WSAEACCES) }
func noAddress(err error) bool  { return errors.Is(err, windows.WSAEADDRNOTAVAIL) }
