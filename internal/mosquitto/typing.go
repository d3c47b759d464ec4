package mosquitto

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// hideTyping keeps a terminal from showing what is typed, until the function it
// returns is called. It does nothing where standard input is no terminal.
func hideTyping(in io.Reader) func() {
	f, ok := in.(*os.File)
	if !ok {
		return func() {}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func() {}
	}
	echo := func(how string) {
		stty := exec.Command("stty", how)
		stty.Stdin = f
		_ = stty.Run() // without stty, as on Windows, it is shown
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() { // ends when the caller shows typing again, or with the process
		select {
		case s := <-interrupted:
			echo("echo")
			signal.Stop(interrupted)
			if self, err := os.FindProcess(os.Getpid()); err == nil {
				_ = self.Signal(s)
			}
		case <-done:
		}
	}()
	echo("-echo")
	return func() {
		close(done)
		signal.Stop(interrupted)
		echo("echo")
	}
}
