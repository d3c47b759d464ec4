package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/record"
	"github.com/wirebird/wirebird/topic"
)

// recorder is the command that writes messages to a file.
type recorder struct {
	streams
	serverFlags
	topics, without []string
	qos, count      int
	duration        time.Duration
	noRetained      bool
	force, asJSON   bool

	mu      sync.Mutex
	w       *record.Writer // guarded by mu
	began   time.Time      // of the first message; guarded by mu
	n       int            // guarded by mu
	bytes   int64          // guarded by mu
	failure error          // guarded by mu
	once    sync.Once
	over    chan struct{} // closed when no more is wanted
}

func newRecord(s streams) *cobra.Command {
	p := &recorder{streams: s, over: make(chan struct{})}
	cmd := &cobra.Command{
		Use:   "record FILE",
		Short: "Write messages, with their timing, to a file",
		Long: `Write messages, with their timing, to a file until interrupted. FILE may be - for
standard output; the summary then goes to standard error. docs/formats/recording.md
describes the file; payloads and properties are kept byte by byte. 'wirebird replay'
plays it. A connection that is lost is made again.

Exit status: 0 when all is well, the server's code when it refuses the connection,
1 for any other failure, 2 when the command line makes no sense.`,
		Example: `  wirebird record day.jsonl -t 'sensors/#' --duration 24h
  wirebird record - -t '#' -T 'debug/#' -C 100 | gzip > some.jsonl.gz`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&p.topics, "topic", "t", []string{"#"}, "topic `filter` to record; may be repeated")
	f.StringArrayVarP(&p.without, "filter-out", "T", nil, "leave out topics that match this `filter`; may be repeated")
	f.IntVarP(&p.qos, "qos", "q", 2, "highest quality of service wanted")
	f.IntVarP(&p.count, "count", "C", 0, "end after this many messages")
	f.DurationVar(&p.duration, "duration", 0, "end after this `time`")
	f.BoolVarP(&p.noRetained, "no-retain", "R", false, "leave out retained messages from before")
	f.BoolVar(&p.force, "force", false, "replace FILE if it is there")
	f.BoolVar(&p.asJSON, "json", false, "print the summary as a JSON object")
	p.serverFlags.addTo(cmd)
	return cmd
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused("want one file, not %d. Run '%s --help'.", len(args), cmd.CommandPath())
	}
	return nil
}

func thereAlready(path string) error {
	return fmt.Errorf("Error: %s is there already; add --force to replace it.", path)
}

func checkFilters(flag string, filters []string) error {
	for _, f := range filters {
		if err := topic.CheckFilter(f); err != nil {
			return misused("%s: filter %q: %v.", flag, f, err)
		}
	}
	return nil
}

func (p *recorder) run(cmd *cobra.Command, path string) (err error) {
	if err := errors.Join(checkQoS("--qos", p.qos), checkFilters("--topic", p.topics), checkFilters("--filter-out", p.without)); err != nil {
		return err
	}
	if p.count < 0 || p.duration < 0 {
		return misused("--count and --duration must not be less than 0.")
	}
	o, err := p.options(cmd)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil && path != "-" && !p.force {
		return thereAlready(path)
	}
	o.OnMessage = func(_ *client.Client, m *client.Message) { p.take(m, time.Now()) } // once there are subscriptions
	c, _, err := p.connect(cmd.Context(), o)
	if err != nil {
		return err // and what is in the file stays
	}
	defer c.Close()
	out, summary := p.out, p.out
	if path == "-" {
		summary = p.err
	} else {
		flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
		if p.force {
			flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		}
		file, err := os.OpenFile(path, flags, 0o644)
		if errors.Is(err, os.ErrExist) {
			return thereAlready(path)
		}
		if err != nil {
			return fmt.Errorf("Error: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	redacted, _ := p.address() // it has been taken before
	if g, _, err := p.target(cmd, redacted); err == nil {
		redacted = g.URL
	}
	if p.w, err = record.NewWriter(out, record.Header{Created: time.Now().UTC(), Server: redacted, Filters: p.topics}); err != nil {
		return fmt.Errorf("Error: write: %w", err)
	}
	err = p.listen(cmd.Context(), c)
	return errors.Join(err, p.summarize(summary))
}

// listen records until it is interrupted or has what was wanted.
func (p *recorder) listen(ctx context.Context, c *client.Client) error {
	if err := p.subscribe(ctx, c); err != nil {
		return err
	}
	var ended <-chan time.Time
	if p.duration > 0 {
		timer := time.NewTimer(p.duration)
		defer timer.Stop()
		ended = timer.C
	}
	live := newProgress(p.err)
	defer live.clear()
	flush := time.NewTicker(time.Second) // what a kill can take
	defer flush.Stop()
	for {
		select {
		case <-p.over:
			return p.close()
		case <-ended:
			return p.close()
		case <-ctx.Done():
			return p.close()
		case <-c.Done():
			return errors.Join(lostError(c.Err()), p.close())
		case <-flush.C:
			p.mu.Lock()
			err := p.w.Flush()
			n, bytes := p.n, p.bytes
			p.mu.Unlock()
			if err != nil {
				return fmt.Errorf("Error: write: %w", err)
			}
			live.line("%d messages, %d bytes", n, bytes)
		}
	}
}

func (p *recorder) subscribe(ctx context.Context, c *client.Client) error {
	var subs []client.Subscription
	for _, f := range p.topics {
		subs = append(subs, client.Subscription{Filter: f, QoS: byte(p.qos), RetainAsPublished: true})
	}
	if _, err := c.Subscribe(ctx, subs...); err != nil {
		return fmt.Errorf("Error: subscribe: %w", err)
	}
	return nil
}

// take writes a message; the first begins the clock.
func (p *recorder) take(m *client.Message, now time.Time) {
	for _, f := range p.without {
		if topic.Match(f, m.Topic) {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil || p.noRetained && m.Retain || p.count > 0 && p.n == p.count {
		return
	}
	if p.n == 0 {
		p.began = now
	}
	if err := p.w.Write(record.Entry{At: now.Sub(p.began), Message: *m}); err != nil {
		p.failure = fmt.Errorf("Error: write: %w", err)
		p.once.Do(func() { close(p.over) })
		return
	}
	p.n++
	p.bytes += int64(len(m.Payload))
	if p.n == p.count {
		p.once.Do(func() { close(p.over) })
	}
}

// close writes what is left.
func (p *recorder) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return p.failure
	}
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("Error: write: %w", err)
	}
	return nil
}

func (p *recorder) summarize(w io.Writer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"messages": p.n, "payload_bytes": p.bytes})
	}
	_, err := fmt.Fprintf(w, "recorded %d messages, %d bytes of payload\n", p.n, p.bytes)
	return err
}
