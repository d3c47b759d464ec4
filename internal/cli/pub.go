package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// pub is the command that publishes.
type pub struct {
	connection
	streams
	topic, message, file string
	lines, whole, null   bool
	qos, repeat          int
	retain               bool
	repeatDelay          float64 // seconds
}

func newPub(s streams) *cobra.Command {
	p := &pub{streams: s}
	cmd := &cobra.Command{
		Use:   "pub -t topic {-m message | -f file | -l | -s | -n}",
		Short: "Publish messages",
		Long: `Publish messages and wait until the server has them.

The flags and messages are those of mosquitto_pub, and so are the exit statuses
but for one: 0 when all is well, the server's code when it refuses the connection,
7 when the connection is lost on the way, 1 for any other failure, and 2 for flags
that make no sense, for which mosquitto_pub has 1.`,
		Example: `  wirebird pub -t sensors/kitchen -m 21.5 -q 1 -r
  sensor | wirebird pub -L mqtts://user:secret@broker/sensors/cellar -l -q 1`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVarP(&p.topic, "topic", "t", "", "topic to publish to")
	f.StringVarP(&p.message, "message", "m", "", "the message")
	f.StringVarP(&p.file, "file", "f", "", "send what is in this file")
	f.BoolVarP(&p.lines, "stdin-line", "l", false, "send each line of standard input as a message")
	f.BoolVarP(&p.whole, "stdin-file", "s", false, "send all of standard input as one message")
	f.BoolVarP(&p.null, "null-message", "n", false, "send a message without content")
	f.IntVarP(&p.qos, "qos", "q", 0, "quality of service: 0, 1 or 2")
	f.BoolVarP(&p.retain, "retain", "r", false, "let the server keep the message for later subscribers")
	f.IntVar(&p.repeat, "repeat", 1, "send -m, -f, -s or -n this often")
	f.Float64Var(&p.repeatDelay, "repeat-delay", 0, "`seconds` between repetitions")
	p.addTo(cmd)
	return cmd
}

func (p *pub) run(cmd *cobra.Command) error {
	o, err := p.options(cmd)
	if err == nil {
		err = p.check(cmd)
	}
	if err != nil {
		return err
	}
	payload, err := p.payload()
	if err != nil {
		return err
	}
	o.Reconnect.Off = true // whoever runs this wants to know
	ctx := cmd.Context()
	c, err := p.dial(ctx, p.streams, o)
	if err != nil {
		return err
	}
	if p.lines {
		err = p.publishLines(ctx, c)
	} else {
		err = p.publishRepeated(ctx, c, payload)
	}
	p.leave(context.WithoutCancel(ctx), c)
	return p.report(err)
}

func (p *pub) check(cmd *cobra.Command) error {
	if p.topic == "" {
		p.topic = p.urlTopic
	}
	modes := 0
	for _, name := range []string{"message", "file", "stdin-line", "stdin-file", "null-message"} {
		if cmd.Flags().Changed(name) {
			modes++
		}
	}
	switch {
	case p.topic == "" || modes == 0:
		return misused("both topic and message must be supplied; add -t, and -m, -f, -l, -s or -n.")
	case modes > 1:
		return misused("only one type of message can be sent at once; leave one of -m, -f, -l, -s and -n.")
	case p.repeat < 1:
		return misused("--repeat must be at least 1, not %d.", p.repeat)
	case p.repeatDelay < 0:
		return misused("--repeat-delay must not be less than 0.")
	}
	if err := topic.CheckName(p.topic); err != nil {
		if strings.ContainsAny(p.topic, "+#") {
			return misused("Invalid publish topic '%s', does it contain '+' or '#'?", p.topic)
		}
		return misused("Invalid publish topic %q: %v.", p.topic, err)
	}
	return checkQoS("--qos", p.qos)
}

// payload reads the message, unless it is read line by line.
func (p *pub) payload() ([]byte, error) {
	switch {
	case p.whole:
		b, err := io.ReadAll(p.in)
		if err != nil {
			return nil, fmt.Errorf("Error: read standard input: %w", err)
		}
		return b, nil
	case p.file != "":
		b, err := os.ReadFile(p.file)
		if err != nil {
			return nil, fmt.Errorf("Error: Unable to open file %q: %w", p.file, errors.Unwrap(err))
		}
		return b, nil
	}
	return []byte(p.message), nil
}

func (p *pub) build(payload []byte) client.Message {
	return client.Message{
		Topic: p.topic, Payload: payload, QoS: byte(p.qos), Retain: p.retain,
		Properties: p.props.publish,
	}
}

func (p *pub) publishRepeated(ctx context.Context, c *client.Client, payload []byte) error {
	for i := range p.repeat {
		if i > 0 && p.repeatDelay > 0 {
			timer := time.NewTimer(time.Duration(p.repeatDelay * float64(time.Second)))
			select {
			case <-timer.C:
			case <-c.Done():
				timer.Stop()
				return lostError(c.Err())
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
		}
		t, err := c.PublishAsync(ctx, p.build(payload))
		if err == nil {
			err = t.Wait(ctx)
		}
		if err != nil {
			return p.failed(t, err)
		}
	}
	return nil
}

// failed explains an unsuccessful publication.
func (p *pub) failed(t *client.Token, err error) error {
	if e, ok := errors.AsType[*packet.Error](err); ok && !errors.Is(err, client.ErrClosed) {
		id := uint16(0)
		if t != nil {
			id = t.PacketID()
		}
		return &exitError{exitFailed, fmt.Errorf("Warning: Publish %d failed: %s.", id, reasonText(e.Code))}
	}
	if errors.Is(err, context.Canceled) {
		return &exitError{status: exitFailed}
	}
	return lostError(err)
}

// publishLines sends lines as they come, without waiting for the server between
// them, and returns when it has them all.
func (p *pub) publishLines(ctx context.Context, c *client.Client) error {
	lines := make(chan []byte, 256) // so that reading and sending overlap
	ended := make(chan error, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() { // ends with standard input, which cannot be interrupted
		defer close(lines)
		ended <- readLines(p.in, lines, stop)
	}()
	var open []*client.Token
	var failed error
	for failed == nil {
		var line []byte
		var ok bool
		select {
		case line, ok = <-lines:
		case <-c.Done():
			return lostError(c.Err())
		case <-ctx.Done():
			return &exitError{status: exitFailed}
		}
		if !ok {
			break
		}
		t, err := c.PublishAsync(ctx, p.build(line))
		if err != nil {
			failed = p.failed(t, err)
			break
		}
		open, failed = p.settle(append(open, t))
	}
	for _, t := range open {
		if err := t.Wait(ctx); err != nil && failed == nil {
			failed = p.failed(t, err)
		}
	}
	if failed != nil {
		return failed
	}
	if err := <-ended; err != nil {
		return fmt.Errorf("Error: read standard input: %w", err)
	}
	return nil
}

// settle drops the tokens at the front that have completed.
func (p *pub) settle(open []*client.Token) ([]*client.Token, error) {
	for len(open) > 0 {
		select {
		case <-open[0].Done():
			if err := open[0].Err(); err != nil {
				return open[1:], p.failed(open[0], err)
			}
			open = open[1:]
		default:
			return open, nil
		}
	}
	return open, nil
}

// readLines delivers the lines of r without their ends. The last one counts
// even if it has none.
func readLines(r io.Reader, to chan<- []byte, stop <-chan struct{}) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && len(line) == 0 {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if n := len(line); line[n-1] == '\n' {
			line = line[:n-1]
		}
		select {
		case to <- line:
		case <-stop:
			return nil
		}
	}
}
