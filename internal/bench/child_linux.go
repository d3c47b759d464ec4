package bench

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets the kernel kill the child when this process is killed and
// cannot do it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// raiseFileLimit lets this process and its children open as many files as the
// system allows: each connection is one.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // without it large numbers of clients fail by name
	}
}
