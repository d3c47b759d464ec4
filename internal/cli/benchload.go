package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/internal/bench"
	"github.com/wirebird/wirebird/internal/fault"
	"github.com/wirebird/wirebird/internal/load"
	"github.com/wirebird/wirebird/packet"
)

// benchLoad is what the experiments at running brokers share.
type benchLoad struct {
	streams
	serverFlags
	against             string
	pids, againstPIDs   []int
	runs                int
	yes, asJSON, asCSV  bool
	noPlot              bool
	qos                 []int
	payload             []int
	publishers, clients int
	pattern             string
	window, batch       int
	rate                float64
	warmup, duration    time.Duration
	count, atOnce       int
	idle                bool
	settle              time.Duration
}

func newBenchLoad(s streams) *benchLoad { return &benchLoad{streams: s} }

const benchLoadHelp = `

Servers are the arguments, else the one of -h, -p, -L or --context. With several,
or --against, all do the same work in turns; --against adds ratios to that one.
Transports stand side by side when one broker is named by several URLs: mqtt://,
mqtts://, ws://, wss://, unix://. What is counted is checked: losses, repetitions
and order violations are told, and make the exit status 1. CPU and memory are those
of the broker's process: --pid, or whoever listens at the address on this machine
and may be looked at. Servers of other machines need --yes.

Exit status: 0 when all came, 1 when something was lost or failed, 2 when the
command line makes no sense.`

// shared adds the flags that all experiments have.
func (p *benchLoad) shared(cmd *cobra.Command) {
	p.serverFlags.addTo(cmd)
	f := cmd.Flags()
	f.StringVar(&p.against, "against", "", "`SERVER` to compare with, as host:port or URL")
	f.IntSliceVar(&p.pids, "pid", nil, "`process` of the broker (default: who listens there)")
	f.IntSliceVar(&p.againstPIDs, "against-pid", nil, "`process` of the broker to compare with")
	f.IntVar(&p.runs, "runs", 1, "`times` to measure; brokers take turns")
	f.BoolVar(&p.yes, "yes", false, "load servers of other machines, too")
	f.BoolVar(&p.asJSON, "json", false, "print each row as a JSON object")
	f.BoolVar(&p.asCSV, "csv", false, "print rows as comma-separated values")
	f.BoolVar(&p.noPlot, "no-plot", false, "print no plots")
}

// messageFlags adds those of experiments with messages.
func (p *benchLoad) messageFlags(cmd *cobra.Command, publishers int) {
	f := cmd.Flags()
	f.IntSliceVarP(&p.qos, "qos", "q", []int{0}, "qualities of service, each a row: 0,1,2")
	f.IntSliceVar(&p.payload, "payload", []int{64}, "`bytes` of a message, each a row; 16 at least")
	f.IntVar(&p.publishers, "publishers", publishers, "clients that publish")
	f.IntVar(&p.window, "window", 16, "`messages` of a publisher that are under way")
	f.IntVar(&p.batch, "batch", 8, "`messages` that a publisher writes at once")
	f.Float64Var(&p.rate, "rate", 0, "messages that are due each second, of all publishers together; 0 sends the next when one has come")
	f.DurationVar(&p.duration, "duration", 5*time.Second, "`time` of one measurement")
	f.DurationVar(&p.warmup, "warmup", 500*time.Millisecond, "`time` before it")
}

func newBenchPub(s streams) *cobra.Command {
	p := newBenchLoad(s)
	cmd := &cobra.Command{
		Use:   "pub [SERVER...]",
		Short: "Measure publishing, without subscribers",
		Long: `Measure publishing, without subscribers. Latency is from PUBLISH to PUBACK or
PUBCOMP; at QoS 0 a PINGREQ follows each batch, and its answer counts.` + benchLoadHelp,
		Example: `  wirebird bench pub -q 0,1,2
  wirebird bench pub -q 1 --publishers 50 --payload 64,1024,16384 --json
  wirebird bench pub --against 127.0.0.1:1884 --runs 3`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.pattern = "none"
			return p.messages(cmd, args)
		},
	}
	p.messageFlags(cmd, 10)
	p.shared(cmd)
	return cmd
}

func newBenchSub(s streams) *cobra.Command {
	p := newBenchLoad(s)
	cmd := &cobra.Command{
		Use:   "sub [SERVER...]",
		Short: "Measure delivering: fan-in, fan-out, pairs, wildcards",
		Long: `Measure delivering. The pattern says who gets what: 'pairs' gives each publisher a
subscriber of its own, 'fanin' has one subscriber for all publishers, 'fanout' one
publisher for all subscribers, 'all' sends everything to everybody, 'scatter' lets
each subscriber hold 100 filters and each message match one.` + benchLoadHelp,
		Example: `  wirebird bench sub --pattern fanin --publishers 100 -q 0,1,2
  wirebird bench sub --pattern fanout --subscribers 500 --against 127.0.0.1:1884
  wirebird bench sub mqtt://127.0.0.1 ws://127.0.0.1:8083/mqtt`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.messages(cmd, args) },
	}
	cmd.Flags().StringVar(&p.pattern, "pattern", "pairs", "pairs, fanin, fanout, all or scatter")
	cmd.Flags().IntVar(&p.clients, "subscribers", 0, "clients that subscribe (default 1 for fanin, 500 for fanout, 100 for all and scatter, publishers for pairs)")
	p.messageFlags(cmd, 0)
	p.shared(cmd)
	return cmd
}

func newBenchLatency(s streams) *cobra.Command {
	p := newBenchLoad(s)
	cmd := &cobra.Command{
		Use:   "latency [SERVER...]",
		Short: "Measure latency at a rate, from publisher to subscriber",
		Long: `Measure latency at a rate, from publisher to subscriber. The schedule is open: every
message has an instant at which it is due, latency counts from there, and a broker
that pauses makes all messages late that were due meanwhile.` + benchLoadHelp,
		Example: `  wirebird bench latency --rate 20000 -q 0,1
  wirebird bench latency --rate 1000 --publishers 10 --against 127.0.0.1:1884
  wirebird bench latency --rate 500 mqtt://127.0.0.1 wss://127.0.0.1:8084/mqtt --cafile ca.pem`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.rate <= 0 {
				return misused("--rate must be more than 0.")
			}
			return p.messages(cmd, args)
		},
	}
	p.messageFlags(cmd, 20)
	p.shared(cmd)
	f := cmd.Flags()
	f.StringVar(&p.pattern, "pattern", "pairs", "pairs, fanin, fanout or all")
	f.IntVar(&p.clients, "subscribers", 0, "clients that subscribe, where the pattern lets them differ")
	p.rate, p.batch, p.window = 1000, 1, 1000
	f.Lookup("rate").DefValue, f.Lookup("batch").DefValue, f.Lookup("window").DefValue = "1000", "1", "1000"
	return cmd
}

func newBenchConn(s streams) *cobra.Command {
	p := newBenchLoad(s)
	cmd := &cobra.Command{
		Use:   "conn [SERVER...]",
		Short: "Measure connections: how fast they come and go, what an idle one keeps",
		Long: `Measure connections. Each comes, with the handshakes of its transport, CONNECT and
CONNACK, and goes. With --idle they stay instead, subscribe once and do nothing, and
the broker's memory for each is told.` + benchLoadHelp,
		Example: `  wirebird bench conn --count 5000
  wirebird bench conn --count 10000 --idle
  wirebird bench conn --rate 200 mqtts://127.0.0.1 --cafile ca.pem`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.connections(cmd, args) },
	}
	f := cmd.Flags()
	f.IntVar(&p.count, "count", 5000, "connections in all")
	f.IntVar(&p.atOnce, "at-once", 32, "connections at a time")
	f.Float64Var(&p.rate, "rate", 0, "connections that are due each second; 0 is as many as come")
	f.BoolVar(&p.idle, "idle", false, "keep them, and measure memory")
	f.DurationVar(&p.settle, "settle", 2*time.Second, "`time` before memory is read")
	p.shared(cmd)
	return cmd
}

// messages measures a row for each QoS and payload.
func (p *benchLoad) messages(cmd *cobra.Command, args []string) error {
	subjects, version, err := p.subjects(cmd, args)
	if err != nil {
		return err
	}
	var all []bench.Experiment
	for _, payload := range p.payload {
		for _, qos := range p.qos {
			if err := checkQoS("--qos", qos); err != nil {
				return err
			}
			w := load.Work{
				Version: version, QoS: byte(qos), Payload: payload, Publishers: p.publishers, Subscribers: p.clients,
				Window: p.window, Batch: min(p.batch, p.window), Rate: p.rate, Warmup: p.warmup, Duration: p.duration,
			}
			if err := p.shape(&w); err != nil {
				return err
			}
			name := fmt.Sprintf("q%d, %d B, %d pub", qos, payload, w.Publishers)
			if w.Pattern != load.None {
				name += fmt.Sprintf(", %d sub", w.Subscribers)
			}
			if w.Rate > 0 {
				name += fmt.Sprintf(", %.6g/s", w.Rate)
			}
			x, err := bench.Messages(name, w)
			if err != nil {
				return misused("%v. Run '%s --help' for the flags.", err, cmd.CommandPath())
			}
			all = append(all, x)
		}
	}
	return p.compare(cmd.Context(), subjects, all)
}

// shape turns --pattern into numbers of clients.
func (p *benchLoad) shape(w *load.Work) error {
	fill := func(v *int, n int) {
		if *v == 0 {
			*v = n
		}
	}
	switch p.pattern {
	case "none":
		w.Pattern = load.None
		fill(&w.Publishers, 10)
	case "pairs":
		w.Pattern = load.Pairs
		fill(&w.Publishers, max(p.clients, 100*min(p.clients+1, 1)))
		fill(&w.Subscribers, w.Publishers)
	case "fanin":
		w.Pattern = load.All
		fill(&w.Publishers, 100)
		fill(&w.Subscribers, 1)
	case "fanout":
		w.Pattern = load.All
		w.Publishers = 1
		fill(&w.Subscribers, 500)
	case "all":
		w.Pattern = load.All
		fill(&w.Publishers, 10)
		fill(&w.Subscribers, 100)
	case "scatter":
		w.Pattern = load.Scatter
		fill(&w.Publishers, 20)
		fill(&w.Subscribers, 100)
	default:
		return misused("--pattern %q is none of pairs, fanin, fanout, all and scatter.", p.pattern)
	}
	return nil
}

func (p *benchLoad) connections(cmd *cobra.Command, args []string) error {
	subjects, version, err := p.subjects(cmd, args)
	if err != nil {
		return err
	}
	if p.idle {
		x := bench.IdleConnections(fmt.Sprintf("%d idle", p.count), load.Idle{Version: version, Count: p.count, Settle: p.settle})
		return p.compare(cmd.Context(), subjects, []bench.Experiment{x})
	}
	x, err := bench.Connections(fmt.Sprintf("%d connections", p.count), load.Connect{
		Version: version, Count: p.count, AtOnce: p.atOnce, Rate: p.rate,
	})
	if err != nil {
		return misused("%v. Run '%s --help' for the flags.", err, cmd.CommandPath())
	}
	return p.compare(cmd.Context(), subjects, []bench.Experiment{x})
}

// subjects are the brokers to measure, the one of --against last.
func (p *benchLoad) subjects(cmd *cobra.Command, args []string) ([]bench.Subject, packet.Version, error) {
	if p.runs < 1 || p.runs > 100 {
		return nil, 0, misused("--runs must be from 1 to 100, not %d.", p.runs)
	}
	if p.asJSON && p.asCSV {
		return nil, 0, misused("--json and --csv exclude each other; leave one out.")
	}
	if len(args) == 0 {
		args = []string{""}
	}
	var subjects []bench.Subject
	var version packet.Version
	add := func(address string, pids []int) error {
		t, v, err := p.target(cmd, address)
		if err != nil {
			return err
		}
		if !p.yes && !t.Loopback(cmd.Context()) {
			return misused("%s is not this machine, and a load could harm what it serves; add --yes if it may be loaded.", t.URL)
		}
		version = v
		if pid := t.Listening(); len(pids) == 0 && pid > 0 {
			pids = []int{pid}
		}
		subjects = append(subjects, bench.Subject{Name: t.URL, Target: t, PIDs: pids})
		return nil
	}
	for _, a := range args {
		if err := add(a, p.pids); err != nil {
			return nil, 0, err
		}
	}
	if p.against != "" {
		if err := add(p.against, p.againstPIDs); err != nil {
			return nil, 0, err
		}
		subjects[len(subjects)-1].Baseline = true
	}
	return subjects, version, nil
}

// unreached explains the failure to connect to one of the brokers.
func unreached(err error, subjects []bench.Subject) error {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		for _, s := range subjects {
			if strings.Contains(err.Error(), s.Name) {
				return errors.New("Error: " + fault.Explain(place(s.Name), err))
			}
		}
	}
	return fmt.Errorf("Error: %w", err)
}

// compare measures and prints.
func (p *benchLoad) compare(ctx context.Context, subjects []bench.Subject, all []bench.Experiment) error {
	live := newProgress(p.err)
	rows, err := bench.Compare(ctx, bench.Comparison{Subjects: subjects, Experiments: all, Runs: p.runs, Progress: live.tell})
	live.clear()
	if err != nil {
		err = unreached(err, subjects)
	}
	return errors.Join(err, p.write(rows))
}

func (p *benchLoad) write(rows []bench.Measurement) error {
	var err error
	switch {
	case len(rows) == 0:
		return nil
	case p.asJSON:
		err = bench.WriteMeasurementsJSON(p.out, rows)
	case p.asCSV:
		err = bench.WriteMeasurementsCSV(p.out, rows)
	default:
		fmt.Fprintf(p.out, "%s/%s, %d processors, shared with the generator\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
		err = bench.WriteMeasurements(p.out, rows)
		if err == nil && !p.noPlot {
			err = bench.WritePlots(p.out, rows)
		}
	}
	for i := range rows {
		if rows[i].Faulty() && err == nil {
			return &exitError{status: exitFailed}
		}
	}
	return err
}
