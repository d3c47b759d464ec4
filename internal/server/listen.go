package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/transport"
)

// origins are the web pages that may connect at l, none for any.
//
// A browser runs pages from anywhere on this machine. Where clients need no password only
// because they are on this machine, nobody has said that such pages may come in, so that
// those from elsewhere are refused.
func origins(cfg config.Config, l config.Listener) []string {
	said := len(l.Origins) > 0 || l.AllowAnonymous != nil || cfg.AllowAnonymous
	u, err := transport.ParseListen(l.URL)
	if err != nil || said || !u.WebSocket || !cfg.Anonymous(l) {
		return l.Origins
	}
	var local []string
	for _, scheme := range []string{"http://", "https://"} {
		for _, host := range []string{"localhost", "127.0.0.1", `\[::1]`} { // a pattern's [ needs a backslash
			local = append(local, scheme+host, scheme+host+":*")
		}
	}
	return local
}

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
