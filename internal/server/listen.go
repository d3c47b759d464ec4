package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// listenError says how to mend what is wrong with an address that flag sets.
func listenError(err error, flag string) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Addr == nil {
		return fmt.Errorf("%w; choose another address with %s", err, flag)
	}
	what := fmt.Sprintf("%s %s %s", op.Op, op.Net, op.Addr)
	cause := op.Err
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		cause = call.Err // without the name of the system call
	}
	switch {
	case inUse(err) && op.Net == "unix":
		return fmt.Errorf("%s: %w; stop the other program or choose another path with %s", what, cause, flag)
	case inUse(err):
		return fmt.Errorf("%s: address already in use; stop the other program or choose another port with %s", what, flag)
	case notAllowed(err) && op.Net == "unix":
		return fmt.Errorf("%s: %w; choose a directory that this user may write with %s", what, cause, flag)
	case notAllowed(err):
		return fmt.Errorf("%s: %w; ports below 1024 need special rights, choose a higher one with %s", what, cause, flag)
	case noAddress(err):
		return fmt.Errorf("%s: this machine has no such address; choose one that it has with %s", what, flag)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: its directory does not exist; create it or choose another path with %s", what, flag)
	}
	return fmt.Errorf("%s: %w; choose another address with %s", what, cause, flag)
}
