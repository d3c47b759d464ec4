package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/internal/conform"
)

// conformance is the command that checks a broker against the standard.
type conformance struct {
	streams
	conform.Options
	version         string
	asJSON, verbose bool
}

func newConform(s streams) *cobra.Command {
	p := &conformance{streams: s}
	cmd := &cobra.Command{
		Use:   "conform HOST:PORT",
		Short: "Check a broker against each statement of the MQTT standard",
		Long: `Check a broker against each numbered statement of the MQTT standard that binds
a server, over raw sockets.

A line of the output is a statement with PASS, FAIL or SKIP. Under one that fails
stands what was sent (>), what came (<), both in hexadecimal as well, and what was
expected. The address may be ws://HOST:PORT/PATH to do it all over WebSocket.

Topics and client identifiers are of this run only, and sessions and retained
messages are removed in the end. The broker should let clients connect without a
password, or --user must name one that may do everything. With --user and
--password enhanced authentication is tried with SCRAM-SHA-256.

The exit status is 0 when nothing fails, 1 when something does, and 2 when the
command line makes no sense or the broker cannot be reached.`,
		Example: `  wirebird conform localhost:1883
  wirebird conform localhost:1883 --mqtt 3.1.1 --ws localhost:8083/mqtt
  wirebird conform localhost:1883 --run 'MQTT-3.1.2-*' -v`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&p.version, "mqtt", "5.0", "`version` to check: 3.1, 3.1.1 or 5.0")
	f.StringVar(&p.Pattern, "run", "", "only statements or checks that match this `pattern`, a regular expression; MQTT-3.1.2-* works too")
	f.StringVar(&p.WebSocket, "ws", "", "`HOST:PORT/PATH` of the broker's WebSocket, for the statements about it")
	f.StringVarP(&p.Username, "user", "u", "", "user `name`")
	f.StringVarP(&p.Password, "password", "P", "", "password; better in $WIREBIRD_PASSWORD")
	f.DurationVar(&p.Timeout, "timeout", 5*time.Second, "how long to wait for what must come")
	f.IntVar(&p.Parallel, "parallel", 16, "checks at a `time`")
	f.BoolVarP(&p.verbose, "verbose", "v", false, "tell the whole of each check, not of those that fail only")
	f.BoolVar(&p.asJSON, "json", false, "print each statement as a JSON object")
	return cmd
}

func (p *conformance) run(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused("want one address, HOST:PORT. Run '%s --help' for the flags.", cmd.CommandPath())
	}
	p.Address = args[0]
	v, err := conform.ParseVersion(p.version)
	if err != nil {
		return misused("--mqtt: %v.", err)
	}
	p.Version = v
	if p.Password == "" {
		p.Password = os.Getenv("WIREBIRD_PASSWORD")
	}
	switch {
	case p.Timeout <= 0:
		return misused("--timeout must be over 0, not %v.", p.Timeout)
	case p.Parallel < 1:
		return misused("--parallel must be at least 1, not %d.", p.Parallel)
	}
	if err := p.Validate(); err != nil {
		return misused("%v.", err)
	}
	checks, err := conform.Run(cmd.Context(), p.Options)
	switch {
	case errors.Is(err, conform.ErrUnreachable):
		return misused("%v. Is the broker there, and the address right?", err)
	case errors.Is(err, conform.ErrNothingToDo):
		return misused("%v.", err)
	case err != nil:
		return err
	}
	results, err := conform.ByStatement(v, checks)
	if err != nil {
		return err
	}
	if p.asJSON {
		err = conform.WriteJSON(p.out, results)
	} else {
		err = conform.WriteText(p.out, results, p.verbose)
	}
	switch failed := conform.Summarize(results).Failed; {
	case err != nil || failed == 0:
		return err
	case failed == 1:
		return &exitError{exitFailed, errors.New("1 statement fails")}
	default:
		return &exitError{exitFailed, fmt.Errorf("%d statements fail", failed)}
	}
}
