package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// sub is the command that subscribes and prints.
type sub struct {
	connection
	streams
	topics, without, unsubscribe []string
	qos, count, timeout          int
	verbose, noNewline, asJSON   bool
	pretty                       bool
	noRetained, onlyRetained     bool
	removeRetained, exitEarly    bool
	retainAsPublished, noLocal   bool
	retainHandling               int
	randomFilter                 float64 // percent
	format                       string

	printer *printer
	once    sync.Once
	over    chan struct{} // closed when the messages wanted are there
	left    int           // of count; the dispatch goroutine's
	failure error         // written before over is closed
}

func newSub(s streams) *cobra.Command {
	p := &sub{streams: s, over: make(chan struct{})}
	cmd := &cobra.Command{
		Use:   "sub -t filter",
		Short: "Subscribe to topics and print the messages",
		Long: `Subscribe to topics and print the messages until interrupted.

The flags and output are those of mosquitto_sub, and so are the exit statuses but
for one: 0 when all is well, the server's code when it refuses the connection, 27
when --timeout has passed, 1 for any other failure, and 2 for flags that make no
sense, for which mosquitto_sub has 1. A connection that is lost is made again.

A --format is text with %t topic, %p payload, %x and %X payload in hexadecimal,
%l its length, %q QoS, %r retained, %m packet identifier, %I and %U time, %j and
%J JSON, %A topic alias, %C content type, %D correlation data, %E expiry,
%F payload format, %P user properties, %R response topic, %S subscription
identifier; @X for %X of strftime, @N nanoseconds; \n \t \e and so on. A number
after % is a width, as in printf.`,
		Example: `  wirebird sub -t 'sensors/#' -v
  wirebird sub -t door/bell -C 1 -W 30 && play ding.wav`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&p.topics, "topic", "t", nil, "topic `filter` to subscribe to; may be repeated")
	f.IntVarP(&p.qos, "qos", "q", 0, "highest quality of service wanted: 0, 1 or 2")
	f.BoolVarP(&p.verbose, "verbose", "v", false, "print the topic before the payload")
	f.StringVarP(&p.format, "format", "F", "", "how to print a message; see above")
	f.BoolVar(&p.asJSON, "json", false, "print each message as a JSON object")
	f.BoolVar(&p.pretty, "pretty", false, "print JSON on several lines")
	f.BoolVarP(&p.noNewline, "no-newline", "N", false, "do not end the line after a message")
	f.IntVarP(&p.count, "count", "C", 0, "exit after this many messages")
	f.IntVarP(&p.timeout, "timeout", "W", 0, "exit with status 27 after this many `seconds`")
	f.BoolVarP(&p.exitEarly, "exit-after-sub", "E", false, "exit when the subscriptions are acknowledged")
	f.BoolVarP(&p.noRetained, "no-retain", "R", false, "do not print retained messages")
	f.BoolVar(&p.onlyRetained, "retained-only", false, "print only retained messages, exit at the first other")
	f.BoolVar(&p.removeRetained, "remove-retained", false, "remove the retained messages that come from the server")
	f.StringArrayVarP(&p.without, "filter-out", "T", nil, "ignore topics that match this `filter`; may be repeated")
	f.StringArrayVarP(&p.unsubscribe, "unsubscribe", "U", nil, "`filter` to unsubscribe from; may be repeated")
	f.Float64Var(&p.randomFilter, "random-filter", 100, "`percentage` of messages to print")
	f.BoolVar(&p.retainAsPublished, "retain-as-published", false, "keep the retain flag as it was published; MQTT 5.0")
	f.IntVar(&p.retainHandling, "retain-handling", 0, "retained messages: 0 send, 1 for a new subscription, 2 do not; MQTT 5.0")
	f.BoolVar(&p.noLocal, "no-local", false, "not the messages of this client; MQTT 5.0")
	p.addTo(cmd)
	return cmd
}

func (p *sub) run(cmd *cobra.Command) error {
	o, err := p.options(cmd)
	if err == nil {
		err = p.check(cmd, &o)
	}
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	var expired <-chan time.Time
	if p.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		timer := time.NewTimer(time.Duration(p.timeout) * time.Second)
		defer timer.Stop()
		expired = timer.C
	}
	p.printer = &printer{w: &lockedWriter{w: p.out}, err: p.err, format: p.layout(), newline: !p.noNewline, pretty: p.pretty}
	p.streams.out = p.printer.w // --debug and the messages share it
	p.left = p.count
	o.OnMessage = p.message
	o.Overflow = client.Block // a slow terminal loses nothing
	c, err := p.dial(ctx, p.streams, o)
	if err != nil {
		return err
	}
	err = p.listen(ctx, c, expired)
	p.leave(context.WithoutCancel(ctx), c)
	return p.report(err)
}

// layout is the format that the flags come down to.
func (p *sub) layout() string {
	switch {
	case p.format != "":
		return p.format
	case p.asJSON:
		return "%j"
	case p.verbose:
		return "%t %p"
	}
	return "%p"
}

func (p *sub) check(cmd *cobra.Command, o *client.Options) error {
	if len(p.topics) == 0 && p.urlTopic != "" {
		p.topics = []string{p.urlTopic}
	}
	given := cmd.Flags().Changed
	switch {
	case len(p.topics) == 0 && len(p.unsubscribe) == 0:
		return misused("You must specify a topic to subscribe to; add -t.")
	case given("count") && p.count < 1:
		return misused("--count must be at least 1, not %d.", p.count)
	case given("timeout") && p.timeout < 1:
		return misused("--timeout must be at least 1 second, not %d.", p.timeout)
	case p.noRetained && p.onlyRetained:
		return misused("-R and --retained-only exclude each other; leave one out.")
	case p.retainHandling < 0 || p.retainHandling > 2:
		return misused("--retain-handling must be 0, 1 or 2, not %d.", p.retainHandling)
	case p.randomFilter <= 0 || p.randomFilter > 100:
		return misused("--random-filter must be over 0 and at most 100.")
	case o.Version != packet.V5 && (p.retainAsPublished || p.noLocal || p.retainHandling != 0):
		return misused("--retain-as-published, --retain-handling and --no-local need MQTT 5.0; add -V 5.")
	}
	for _, f := range p.topics {
		if topic.CheckFilter(f) != nil {
			return misused("Invalid subscription topic '%s', are all '+' and '#' wildcards correct?", f)
		}
	}
	for _, f := range p.unsubscribe {
		if topic.CheckFilter(f) != nil {
			return misused("Invalid unsubscription topic '%s', are all '+' and '#' wildcards correct?", f)
		}
	}
	for _, f := range p.without {
		if topic.CheckFilter(f) != nil {
			return misused("Invalid filter topic '%s', are all '+' and '#' wildcards correct?", f)
		}
	}
	if err := checkFormat(p.format); err != nil {
		return err
	}
	return checkQoS("--qos", p.qos)
}

// listen subscribes and waits for the end.
func (p *sub) listen(ctx context.Context, c *client.Client, expired <-chan time.Time) error {
	asked := make(chan error, 1)
	ask, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { asked <- p.subscribe(ask, c) }()
	for {
		select {
		case err := <-asked:
			if err != nil || p.exitEarly {
				return err
			}
			asked = nil
		case <-p.over:
			return p.failure
		case <-expired:
			return &exitError{exitTimeout, errors.New("Timed out")}
		case <-c.Done():
			return lostError(c.Err())
		case <-ctx.Done():
			return nil // interrupted, which is how this command usually ends
		}
	}
}

func (p *sub) subscribe(ctx context.Context, c *client.Client) error {
	subs := make([]client.Subscription, len(p.topics))
	for i, f := range p.topics {
		subs[i] = client.Subscription{
			Filter: f, QoS: byte(p.qos), NoLocal: p.noLocal, RetainAsPublished: p.retainAsPublished,
			RetainHandling: byte(p.retainHandling), ID: p.props.subscribeID, User: p.props.subscribe,
		}
	}
	if len(subs) > 0 {
		codes, err := c.Subscribe(ctx, subs...)
		if err := p.granted(codes, err); err != nil {
			return err
		}
	}
	if len(p.unsubscribe) > 0 {
		if _, err := c.UnsubscribeWith(ctx, p.props.unsubscribe, p.unsubscribe...); err != nil {
			return p.askError(ctx, err)
		}
	}
	return nil
}

// granted reports the answers; only when all are refusals is it the end.
func (p *sub) granted(codes []packet.ReasonCode, err error) error {
	if len(codes) == 0 {
		return p.askError(context.Background(), err)
	}
	allowed := false
	text := make([]string, len(codes))
	for i, code := range codes {
		allowed = allowed || code < packet.UnspecifiedError
		text[i] = fmt.Sprint(byte(code))
	}
	if p.debug && !p.quiet {
		fmt.Fprintf(p.streams.out, "Subscribed (mid: 1): %s\n", strings.Join(text, ", "))
	}
	if !allowed {
		return &exitError{exitFailed, errors.New("All subscription requests were denied.")}
	}
	return nil
}

func (p *sub) askError(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if errors.Is(err, client.ErrClosed) {
		return lostError(err)
	}
	return fmt.Errorf("Error: %w", err)
}

// message handles one message; it is client.Options.OnMessage.
func (p *sub) message(c *client.Client, m *client.Message) {
	select {
	case <-p.over:
		return
	default:
	}
	for _, f := range p.without {
		if topic.Match(f, m.Topic) {
			return
		}
	}
	if p.removeRetained && m.Retain {
		// The answer is waited for, so that the last removal is not lost.
		if err := c.Publish(context.Background(), client.Message{Topic: m.Topic, QoS: 1, Retain: true}); err != nil {
			p.finish(fmt.Errorf("Error: %w", err))
			return
		}
	}
	switch {
	case p.onlyRetained && !m.Retain:
		p.finish(nil)
		return
	case p.noRetained && m.Retain:
		return
	case p.randomFilter < 100 && rand.Float64()*100 >= p.randomFilter:
		return
	}
	if err := p.printer.print(m, time.Now()); err != nil {
		p.finish(fmt.Errorf("Error: write: %w", err))
		return
	}
	if p.count == 0 {
		return
	}
	if p.left--; p.left == 0 {
		m.Ack() // before the DISCONNECT that follows
		p.finish(nil)
	}
}

func (p *sub) finish(err error) {
	p.once.Do(func() {
		p.failure = err
		close(p.over)
	})
}

// lockedWriter lets messages and the trace share a writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
