// Package cli is the command line of wirebird, one file a command.
//
// It turns arguments into calls of other packages and results into text and an
// exit status: 0 for success, 1 for failure, 2 for a command line that makes no
// sense; pub, sub, rr and passwd have those of Mosquitto's tools, which scripts
// know. It keeps no state between calls and touches no global of the process
// but its signals.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/internal/mosquitto"
)

// Exit statuses.
const (
	exitFailed  = 1
	exitMisused = 2
	exitLost    = 7 // libmosquitto's MOSQ_ERR_CONN_LOST
)

// exitError is an error with an exit status of its own.
type exitError struct {
	status int
	err    error // nil: everything has been said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// misused is for a command line that makes no sense. The message says what is
// wrong and how to mend it.
func misused(format string, args ...any) error {
	return &exitError{exitMisused, fmt.Errorf("Error: "+format, args...)}
}

// streams are what a command talks to.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the command line without the program's name and returns the exit
// status. The process's interrupt and termination signals end it early.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		if t, ok := toolNamed(args[0]); ok {
			return runTool(t, "wirebird "+args[0], args[1:], streams{stdin, stdout, stderr})
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(streams{stdin, stdout, stderr})
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	status := exitFailed
	if e, ok := errors.AsType[*exitError](err); ok {
		status = e.status
		if e.err == nil {
			return status
		}
	}
	fmt.Fprintln(stderr, err)
	return status
}

func newRoot(s streams) *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "wirebird",
		Short: "An MQTT broker, and the tools to talk to one",
		Example: `  wirebird serve
  wirebird sub -t 'sensors/#' -v
  wirebird pub -t sensors/kitchen -m 21.5`,
		SilenceUsage:  true,
		SilenceErrors: true,
		// Ours has examples, and leaves out what we do not test.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return printVersion(s.out)
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&version, "version", false, "print the version of this program")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misused("%v. Run '%s --help' for what there is.", err, cmd.CommandPath())
	})
	root.AddCommand(
		newServe(s),
		newTool(mosquitto.Pub, s),
		newTool(mosquitto.Sub, s),
		newTool(mosquitto.RR, s),
		newTool(mosquitto.Passwd, s),
		newBench(s),
		newRecord(s),
		newReplay(s),
		newSimulate(s),
		newTest(s),
		newContext(s),
		newConform(s),
		newConfig(s),
		newData(s),
		newCompletion(s),
		newMan(s),
		newVersion(s),
	)
	return root
}

// noCommand explains a first argument that is no command.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("Run '%s --help' for the commands.", cmd.CommandPath())
	for cmd.SuggestionsMinimumDistance = 1; cmd.SuggestionsMinimumDistance <= 2; cmd.SuggestionsMinimumDistance++ {
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("Did you mean '%s %s'?", cmd.CommandPath(), near[0])
			break
		}
	}
	return misused("unknown command %q. %s", args[0], hint)
}

// noArguments is for commands that take flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return misused("unexpected argument %q. Run '%s --help' for the flags.", args[0], cmd.CommandPath())
}
