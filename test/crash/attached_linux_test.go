package crash

import "syscall"

// attached keeps an interrupt from the keyboard away from the broker, whose end is ours,
// and has the system kill it when the test dies without doing so.
func attached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
