package mosquitto

import (
	"io"
	"os"
	"os/exec"
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
	echo("-echo")
	return func() { echo("echo") }
}
