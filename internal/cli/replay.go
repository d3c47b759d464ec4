package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/record"
	"github.com/wirebird/wirebird/packet"
)

// replayer is the command that plays a recording.
type replayer struct {
	streams
	serverFlags
	record.Replay
	rewrites          []string
	loop, qos         int
	noRetain, asJSON  bool
	messages, repeats int
}

func newReplay(s streams) *cobra.Command {
	p := &replayer{streams: s}
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Publish the messages of a recording at their times",
		Long: `Publish the messages of a recording at their times. FILE may be - for standard
input, which cannot be repeated. QoS, retain flag, payload and properties are those
that were recorded; properties travel with MQTT 5.0 only.

A recording that was cut off is played to its last whole message, and the exit status
is 1. Exit status: 0 when all was published, the server's code when it refuses the
connection, 7 when the connection is lost, 1 for any other failure, 2 when the command
line makes no sense.`,
		Example: `  wirebird replay day.jsonl --speed 60
  wirebird replay day.jsonl -t 'sensors/+/temp' --rewrite sensors=test/sensors --loop 3
  wirebird replay day.jsonl --topic-prefix staging/ --speed 0`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.Float64Var(&p.Speed, "speed", 1, "`times` as fast as it came; 0 does not wait")
	f.IntVar(&p.loop, "loop", 1, "`times` to play it; 0 is for ever")
	f.StringArrayVarP(&p.Filters, "topic", "t", nil, "play only topics that match this `filter`; may be repeated")
	f.StringArrayVarP(&p.Without, "filter-out", "T", nil, "leave out topics that match this `filter`; may be repeated")
	f.StringVar(&p.Prefix, "topic-prefix", "", "`text` before every topic")
	f.StringArrayVar(&p.rewrites, "rewrite", nil, "`FROM=TO`: put TO where a topic begins with the levels FROM; may be repeated, the first that fits counts")
	f.IntVarP(&p.qos, "qos", "q", -1, "publish all with this quality of service, -1 for that of each message")
	f.BoolVar(&p.noRetain, "no-retain", false, "publish nothing retained")
	f.BoolVar(&p.asJSON, "json", false, "print the summary as a JSON object")
	p.serverFlags.addTo(cmd)
	return cmd
}

func (p *replayer) check() error {
	if p.qos >= 0 {
		if err := checkQoS("--qos", p.qos); err != nil {
			return err
		}
	}
	if p.Speed < 0 || p.loop < 0 || p.qos < -1 {
		return misused("--speed, --loop and --qos must not be less than 0.")
	}
	for _, r := range p.rewrites {
		w, err := record.ParseRewrite(r)
		if err != nil {
			return misused("--rewrite: %v.", err)
		}
		p.Rewrites = append(p.Rewrites, w)
	}
	return errors.Join(checkFilters("--topic", p.Filters), checkFilters("--filter-out", p.Without))
}

func (p *replayer) run(cmd *cobra.Command, path string) error {
	if err := p.check(); err != nil {
		return err
	}
	o, err := p.options(cmd)
	if err != nil {
		return err
	}
	open := func() (io.ReadCloser, error) { return os.Open(path) }
	if path == "-" {
		if p.loop != 1 {
			return misused("standard input cannot be repeated; leave --loop out or name a file.")
		}
		open = func() (io.ReadCloser, error) { return io.NopCloser(p.in), nil }
	}
	file, err := open()
	if err != nil {
		return fmt.Errorf("Error: %w", err)
	}
	first, err := record.NewReader(file)
	if err != nil {
		return errors.Join(fmt.Errorf("Error: %s: %w", path, err), file.Close())
	}
	ctx := cmd.Context()
	c, version, err := p.connect(ctx, o)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	defer c.Close()
	p.stage(c, version)
	err = p.play(ctx, first, file, open)
	switch {
	case errors.Is(err, context.Canceled):
		err = &exitError{status: exitFailed}
	case errors.Is(err, client.ErrClosed):
		err = lostError(err)
	case err != nil:
		err = fmt.Errorf("Error: %s: %w", path, err)
	}
	return errors.Join(err, p.summarize())
}

// stage sets what Replay needs of the world.
func (p *replayer) stage(c *client.Client, version packet.Version) {
	live := newProgress(p.err)
	p.Now = time.Now
	p.Wait = func(ctx context.Context, until time.Time) error {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Canceled
		}
	}
	p.Publish = func(ctx context.Context, m client.Message) error {
		if p.qos >= 0 {
			m.QoS = byte(p.qos)
		}
		if p.noRetain {
			m.Retain = false
		}
		if version != packet.V5 {
			m.Properties = client.Properties{}
		}
		m.Payload = bytes.Clone(m.Payload)
		if err := c.Publish(ctx, m); err != nil {
			return err
		}
		p.messages++
		if p.messages%100 == 0 {
			live.line("%d messages", p.messages)
		}
		return nil
	}
}

func (p *replayer) play(ctx context.Context, r *record.Reader, file io.Closer, open func() (io.ReadCloser, error)) error {
	for {
		n, err := p.Play(ctx, r)
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
		if p.repeats++; p.repeats == p.loop || n == 0 { // nothing to repeat
			return nil
		}
		next, err := open()
		if err != nil {
			return err
		}
		file = next
		if r, err = record.NewReader(next); err != nil {
			return errors.Join(err, file.Close())
		}
	}
}

func (p *replayer) summarize() error {
	if p.asJSON {
		return json.NewEncoder(p.out).Encode(map[string]int{"messages": p.messages})
	}
	_, err := fmt.Fprintf(p.out, "published %d messages\n", p.messages)
	return err
}
