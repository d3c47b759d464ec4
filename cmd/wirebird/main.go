// Command wirebird is an MQTT broker, and the tools to talk to one.
package main

import (
	"os"

	"github.com/wirebird/wirebird/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
