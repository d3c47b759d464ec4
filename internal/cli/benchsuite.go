package cli

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/internal/bench"
)

// benchSuite is the command that measures the whole table.
type benchSuite struct {
	streams
	bench.SuiteOptions
	versus string
	asJSON bool
	strict bool
}

func newBenchSuite(s streams) *cobra.Command {
	p := &benchSuite{streams: s}
	cmd := &cobra.Command{
		Use:   "suite",
		Short: "Measure the whole table: this program against Mosquitto, with bars",
		Long: `Measure the whole table: what a message, a connection and a subscription cost this
program, keeping nothing on disk, against Mosquitto 2, as ratios in one run. Brokers
are started for each measurement on free ports of 127.0.0.1, take turns, and are
stopped after it. With the defaults it takes less than ten minutes. docs/bench.md says
what the rows mean and where the bars come from.

Exit status: 0 when all was measured, 1 when something failed or Wirebird lost
messages, with --strict also when a bar was missed, 2 when the command line makes no
sense.`,
		Example: `  wirebird bench suite
  wirebird bench suite --only pairs,fanin --duration 5s
  wirebird bench suite --vs none --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.DurationVar(&p.Duration, "duration", 2*time.Second, "`time` of one measurement; a quarter of it comes before as warm-up")
	f.IntVar(&p.Runs, "runs", 3, "`times` to measure; brokers take turns")
	f.Float64Var(&p.Scale, "scale", 1, "`share` of the clients and counts; the bars are for 1")
	f.StringSliceVar(&p.Only, "only", nil, "`words`, of which the name of a row has to contain one (default all rows)")
	f.StringVar(&p.Dir, "data", "", "`DIR` for the files of the brokers (default /var/tmp if there is one, else the system's for temporary files)")
	f.StringVar(&p.versus, "vs", "mosquitto", "other `broker`: mosquitto, mosquitto-nagle or none")
	f.BoolVar(&p.strict, "strict", false, "exit with status 1 when a bar was missed")
	f.BoolVar(&p.asJSON, "json", false, "print each line, then each measurement, as a JSON object")
	return cmd
}

func (p *benchSuite) run(cmd *cobra.Command) error {
	switch p.versus {
	case "none":
	case "mosquitto", "mosquitto-nagle":
		p.Nagle = p.versus == "mosquitto-nagle"
		if p.Mosquitto = bench.FindMosquitto(); p.Mosquitto == "" {
			if cmd.Flags().Changed("vs") {
				return misused("--vs %s: there is no mosquitto on this machine. Install it or use --vs none.", p.versus)
			}
			fmt.Fprintln(p.err, "no mosquitto on this machine to compare with")
		}
	default:
		return misused("--vs: want mosquitto, mosquitto-nagle or none, not %q", p.versus)
	}
	var err error
	if p.Wirebird, err = os.Executable(); err != nil {
		return err
	}
	if err := p.Validate(); err != nil {
		return misused("%v. Run '%s --help' for the flags.", err, cmd.CommandPath())
	}
	if p.Dir == "" {
		p.Dir = benchDir()
	}
	p.Progress = func(line string) { fmt.Fprintln(p.err, line) }
	began := time.Now()
	r, err := bench.Suite(cmd.Context(), p.SuiteOptions)
	if r == nil {
		return err
	}
	switch {
	case p.asJSON:
		err = errors.Join(err, bench.WriteLinesJSON(p.out, r))
	default:
		fmt.Fprintf(p.out, "%s/%s, %d processors, shared with the generator; %v a run, medians of %d, %v in all\n\n",
			runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), p.Duration, p.Runs, time.Since(began).Round(time.Second))
		err = errors.Join(err, bench.WriteLines(p.out, r))
	}
	if err == nil && (r.Faults() > 0 || p.strict && r.Missed() > 0) {
		return &exitError{status: exitFailed}
	}
	return err
}
