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

func newBench(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure brokers: messages, latency, connections, durability",
		Example: `  wirebird bench sub --qos 1
  wirebird bench latency --rate 1000 --against localhost:1884
  wirebird bench suite`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchPub(s), newBenchSub(s), newBenchConn(s), newBenchLatency(s), newBenchDurable(s), newBenchSuite(s))
	return cmd
}

// benchDurable is the command that measures what durability costs.
type benchDurable struct {
	streams
	bench.Options
	versus string
	asJSON bool
}

func newBenchDurable(s streams) *cobra.Command {
	p := &benchDurable{streams: s}
	cmd := &cobra.Command{
		Use:   "durable",
		Short: "Measure what it costs that acknowledged messages survive a power loss",
		Long: `Measure what it costs that acknowledged messages survive a power loss.

Publishers send at QoS 1 to one persistent session, whose client is there and
acknowledges. The brokers are this program with durability fsync, this program
with nothing on disk, and Mosquitto 2 if it is installed, without persistence and
without limits on messages under way. Each is started for each measurement, on a
free port of 127.0.0.1, and stopped after it.

A row is the median of the runs. CPU is the broker's, user and system; generator
is what this program used itself, on the same processors. Syncs are those of the
broker's journal. Latency is that of a closed load: a publisher sends the next
message when one of its window is acknowledged.`,
		Example: `  wirebird bench durable
  wirebird bench durable --publishers 1 --window 1 --data /mnt/disk
  wirebird bench durable --vs none --runs 5 --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntSliceVar(&p.Publishers, "publishers", []int{1, 16, 256}, "numbers of publishers to measure with")
	f.DurationVar(&p.Duration, "duration", 3*time.Second, "`time` of one measurement; a fifth of it, at most 1s, comes before as warm-up")
	f.IntVar(&p.Payload, "payload", 256, "`bytes` of a message")
	f.IntVar(&p.Window, "window", 16, "`messages` a publisher has unacknowledged")
	f.StringVar(&p.Dir, "data", "", "`DIR` on the disk to measure (default /var/tmp if there is one, else the system's for temporary files)")
	f.StringVar(&p.versus, "vs", "mosquitto", "other `broker` to compare with: mosquitto or none")
	f.IntVar(&p.Runs, "runs", 3, "`times` to measure; brokers take turns")
	f.BoolVar(&p.asJSON, "json", false, "print each row as a JSON object")
	return cmd
}

func (p *benchDurable) run(cmd *cobra.Command) error {
	if err := p.brokers(cmd.Flags().Changed("vs")); err != nil {
		return err
	}
	if err := p.Validate(); err != nil {
		return misused("%v. Run '%s --help' for the flags.", err, cmd.CommandPath())
	}
	if p.Dir == "" {
		p.Dir = benchDir()
	}
	disk, err := bench.MeasureDisk(p.Dir)
	if err != nil {
		return err
	}
	p.Progress = func(line string) { fmt.Fprintln(p.err, line) }
	p.Progress(fmt.Sprintf("this takes about %v", p.Expected().Round(time.Second)))
	rows, err := bench.Durable(cmd.Context(), p.Options)
	return errors.Join(err, p.write(rows, disk))
}

// write prints what there is; after an error or an interrupt that can be less
// than was asked for.
func (p *benchDurable) write(rows []bench.Row, disk bench.Disk) error {
	if len(rows) == 0 {
		return nil
	}
	if p.asJSON {
		return bench.WriteJSON(p.out, rows)
	}
	fmt.Fprintf(p.out, "QoS 1 to one persistent session, %d bytes, window %d, %v a run, medians of %d\n",
		p.Payload, p.Window, p.Duration, p.Runs)
	fmt.Fprintf(p.out, "%s/%s, %d processors, shared with the generator\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintf(p.out, "%s: an append of 4 KiB with an fsync takes %v (p50), %v (p99)\n\n",
		p.Dir, disk.P50.Round(time.Microsecond), disk.P99.Round(time.Microsecond))
	return bench.WriteTable(p.out, rows)
}

// benchDir prefers /var/tmp, as /tmp is often in memory, where an fsync costs
// nothing and proves nothing.
func benchDir() string {
	if info, err := os.Stat("/var/tmp"); err == nil && info.IsDir() {
		return "/var/tmp"
	}
	return os.TempDir()
}

// brokers lists what is measured. Mosquitto must be there only if it was asked for.
func (p *benchDurable) brokers(asked bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	memory := bench.Wirebird(self, "")
	memory.Baseline = true
	p.Brokers = []bench.Broker{bench.Wirebird(self, "fsync"), memory}
	switch p.versus {
	case "none":
		return nil
	case "mosquitto":
	default:
		return misused("--vs: want mosquitto or none, not %q", p.versus)
	}
	path := bench.FindMosquitto()
	if path == "" && asked {
		return misused("--vs mosquitto: there is no mosquitto on this machine. Install it or use --vs none.")
	}
	if path == "" {
		fmt.Fprintln(p.err, "no mosquitto on this machine to compare with")
		return nil
	}
	other := bench.Mosquitto(path)
	other.Baseline = true
	p.Brokers = append(p.Brokers, other)
	return nil
}
