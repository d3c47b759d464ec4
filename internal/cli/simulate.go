package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/simulate"
)

// simulator is the command that lets many devices publish.
type simulator struct {
	streams
	serverFlags
	group    simulate.Group
	qos      int
	file     string
	duration time.Duration
	seed     uint64
	asJSON   bool
	yes      bool
}

func newSimulate(s streams) *cobra.Command {
	p := &simulator{streams: s}
	cmd := &cobra.Command{
		Use:   "simulate -t topic -m payload",
		Short: "Let many devices publish",
		Long: `Let many devices publish, each a client of its own. Client identifier, topic and
payload are templates:

  {{n}}                 the device's number, from 0
  {{seq}}               the message's number, from 0
  {{time}}              the time, as 2026-01-02T03:04:05.006Z; also {{unix}}, {{unixms}}
  {{int 0 100}}         a random whole number; {{float 18 25}} any, with three decimals
  {{sine 20 5 60s}}     around 20, from 15 to 25 and back in a minute
  {{walk 20 0.5}}       begins at 20, and each time goes 0.5 up or down at most
  {{choice on off}}     one of the words; also {{bool}}
  {{hex 8}}             random bytes in hexadecimal; also {{uuid}}

A scenario file (--file) has several groups of devices; docs/fleet-tools.md shows one.
A device that is refused, or loses its connection, comes back. Servers of other
machines need --yes for more than 100 devices.

Exit status: 0 when all is well, the server's code when it refuses the first
connection, 1 when messages failed, 2 when the command line makes no sense.`,
		Example: `  wirebird simulate --devices 100 -t 'sensors/{{n}}/temp' -m '{"t": {{sine 20 5 60s}}}' --interval 10s
  wirebird simulate --devices 10000 --ramp-up 30s -t 'load/{{n}}' -m '{{seq}}' -q 1 --duration 5m
  wirebird simulate --file fleet.yaml --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVarP(&p.file, "file", "f", "", "read groups of devices from this YAML `file`")
	f.IntVar(&p.group.Devices, "devices", 10, "how many")
	f.StringVarP(&p.group.ClientID, "id", "i", "device-{{n}}", "client identifier, a `template`")
	f.StringVarP(&p.group.Topic, "topic", "t", "", "topic, a `template`")
	f.StringVarP(&p.group.Payload, "message", "m", "", "payload, a `template`")
	f.DurationVar(&p.group.Interval, "interval", time.Second, "`time` between two messages of a device")
	f.DurationVar(&p.group.RampUp, "ramp-up", 0, "`time` over which the devices come")
	f.IntVar(&p.group.Messages, "messages", 0, "messages of a device, 0 for no end")
	f.IntVarP(&p.qos, "qos", "q", 0, "quality of service: 0, 1 or 2")
	f.BoolVarP(&p.group.Retain, "retain", "r", false, "let the server keep the messages for later subscribers")
	f.DurationVar(&p.duration, "duration", 0, "end after this `time`")
	f.Uint64Var(&p.seed, "seed", 0, "`number` that makes random values the same again (default another each time)")
	f.BoolVar(&p.yes, "yes", false, "load servers of other machines, too")
	f.BoolVar(&p.asJSON, "json", false, "print the summary as a JSON object")
	p.serverFlags.addTo(cmd)
	return cmd
}

// groups are those of the file or of the flags.
func (p *simulator) groups(cmd *cobra.Command) ([]simulate.Group, error) {
	if p.file == "" {
		if err := checkQoS("--qos", p.qos); err != nil {
			return nil, err
		}
		p.group.QoS = byte(p.qos)
		return []simulate.Group{p.group}, nil
	}
	for _, flag := range []string{"devices", "id", "topic", "message", "interval", "ramp-up", "messages", "qos", "retain"} {
		if cmd.Flags().Changed(flag) {
			return nil, misused("--file says all about the devices; leave --%s out.", flag)
		}
	}
	file, err := os.Open(p.file)
	if err != nil {
		return nil, fmt.Errorf("Error: %w", err)
	}
	defer file.Close()
	s, err := simulate.ReadScenario(file)
	if err != nil {
		return nil, fmt.Errorf("Error: %s: %w", p.file, err)
	}
	if !cmd.Flags().Changed("duration") {
		p.duration = s.Duration
	}
	if !cmd.Flags().Changed("seed") {
		p.seed = s.Seed
	}
	return s.Groups, nil
}

func (p *simulator) run(cmd *cobra.Command) error {
	groups, err := p.groups(cmd)
	if err != nil {
		return err
	}
	o := simulate.Options{Groups: groups, Seed: p.seed}
	if err := o.Validate(); err != nil {
		return misused("%v. Run '%s --help' for what there is.", err, cmd.CommandPath())
	}
	if p.seed == 0 {
		o.Seed = rand.Uint64()
	}
	co, err := p.options(cmd)
	if err != nil {
		return err
	}
	if err := p.allowed(cmd, groups); err != nil {
		return err
	}
	ctx := cmd.Context()
	if p.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.duration)
		defer cancel()
	}
	co.MaxQueued, co.QueueSize = 16, 1 // a device has one message under way
	o.Connect = func(ctx context.Context, clientID string) (simulate.Publisher, error) {
		own := co
		own.ClientID = clientID
		c, _, err := p.connect(ctx, own)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	live := newProgress(p.err)
	o.Progress = func(s simulate.Stats) {
		live.line("%d of %d devices, %d messages, %d failed", s.Connected, s.Devices, s.Published, s.Failed)
	}
	stats, err := simulate.Run(ctx, o)
	live.clear()
	if err == nil && stats.Failed > 0 {
		err = fmt.Errorf("Error: %d messages failed.", stats.Failed)
	}
	return errors.Join(err, p.summarize(stats))
}

// allowed keeps a large fleet from a server that may serve others.
func (p *simulator) allowed(cmd *cobra.Command, groups []simulate.Group) error {
	const harmless = 100
	devices := 0
	for _, g := range groups {
		devices += g.Devices
	}
	if p.yes || devices <= harmless {
		return nil
	}
	g, _, err := p.target(cmd, "")
	if err == nil && !g.Loopback(cmd.Context()) {
		err = misused("%s is not this machine, and %d devices could harm what it serves; add --yes if it may be loaded.", g.URL, devices)
	}
	return err
}

func (p *simulator) summarize(s simulate.Stats) error {
	if p.asJSON {
		return json.NewEncoder(p.out).Encode(s)
	}
	_, err := fmt.Fprintf(p.out, "%d of %d devices connected; %d messages published, %d failed, %d late; %d connections refused; %v\n",
		s.Connected, s.Devices, s.Published, s.Failed, s.Late, s.Refused, s.Elapsed.Round(time.Millisecond))
	return err
}

var _ simulate.Publisher = (*client.Client)(nil)
