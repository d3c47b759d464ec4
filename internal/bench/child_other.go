//go:build !linux

package bench

import "os/exec"

// dieWithParent does nothing: only Linux can do this.
func dieWithParent(*exec.Cmd) {}

// raiseFileLimit does nothing: Go has raised the limit of this process.
func raiseFileLimit() {}
