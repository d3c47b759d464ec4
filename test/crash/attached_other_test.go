//go:build !linux

package crash

import "syscall"

// attached leaves the broker in the test's process group: an interrupt ends both.
func attached() *syscall.SysProcAttr { return nil }
