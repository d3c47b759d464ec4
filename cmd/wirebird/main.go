// Command wirebird is an MQTT broker, and the tools to talk to one.
package main

import (
	"os"

	"github.com/wirebird/wirebird/internal/cli"
)

func main() {
	if tool, ok := cli.Personality(os.Args[0]); ok {
		os.Exit(cli.MainAs(tool, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
