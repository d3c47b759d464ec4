package mosquitto

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// publisher is the state of pub.
type publisher struct {
	*run
	payload  []byte
	count    int         // messages done
	first    bool        // the next message is the first of its connection
	lastLine uint16      // packet identifier of the last line, once the input has ended; else 0
	latest   uint16      // of the latest message
	done     uint16      // of the latest message done
	input    chan []byte // lines of standard input
	ended    bool        // so has the input
	inputErr error       // written before input is closed
}

func (r *run) pub(ctx context.Context) int {
	p := &publisher{run: r, first: true}
	var ok bool
	if p.payload, ok = r.payload(); !ok || !r.prepare() {
		return exitFailed
	}
	if r.connect(ctx) != 0 {
		return cmp.Or(r.exit, exitFailed)
	}
	r.on = handlers{connected: p.connected, published: p.published}
	rc := r.serve()
	for r.cfg.mode == modeLines && (rc == errLost || rc == errKeep) {
		// A message that is lost here is lost: the lines are gone. So this
		// mode alone connects again.
		if rc = p.again(ctx); rc == 0 && r.link != nil {
			rc = r.serve()
		}
	}
	status := r.outcome(rc)
	if p.inputErr != nil && status == 0 {
		r.complain("Error: read standard input: %v.\n", p.inputErr)
		return exitFailed
	}
	return status
}

// again connects until it succeeds or ctx ends.
func (p *publisher) again(ctx context.Context) int {
	p.events.lines = nil // until CONNACK
	return p.reconnect(ctx)
}

// reconnect waits and tries until there is a connection, or ctx ends.
func (r *run) reconnect(ctx context.Context) int {
	quiet := r.cfg.quiet
	r.cfg.quiet = true // attempts fail silently
	defer func() { r.cfg.quiet = quiet }()
	if r.ours() && !quiet {
		fmt.Fprintf(r.Err, "Warning: the connection to %s was lost; connecting again.\n", r.cfg.place(nil))
	}
	for {
		timer := time.NewTimer(reconnectWait)
		flag := r.interrupted(ctx, timer.C)
		timer.Stop()
		if flag != nil {
			*flag = true
			return 0
		}
		rc, ended := r.connectUnless(ctx)
		if ended {
			return 0
		}
		if rc == errLookup && r.ours() {
			continue // DNS can be away as well
		}
		if rc == 0 || rc == errTLS || rc == errLookup || rc == errProxy {
			return rc
		}
	}
}

// interrupted waits for done. If something ends the run before, it returns which
// flag of r is to be set.
func (r *run) interrupted(ctx context.Context, done <-chan time.Time) *bool {
	select {
	case <-done:
		return nil
	case <-r.events.deadline:
		return &r.timedOut
	case <-r.events.signals:
	case <-ctx.Done():
	}
	return &r.ending
}

// connectUnless connects, and gives up when something ends the run.
func (r *run) connectUnless(ctx context.Context) (rc int, ended bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	made, done := make(chan int, 1), make(chan time.Time)
	go func() { // until connect returns, which cancel hastens
		made <- r.connect(ctx)
		close(done)
	}()
	flag := r.interrupted(ctx, done)
	cancel()
	rc = <-made
	if flag == nil {
		return rc, false
	}
	if *flag = true; r.link != nil {
		r.drop()
	}
	return rc, true
}

// payload reads the message, unless it comes line by line.
func (r *run) payload() ([]byte, bool) {
	switch c := r.cfg; c.mode {
	case modeText:
		return []byte(c.message), true
	case modeInput:
		b, err := io.ReadAll(io.LimitReader(r.In, packet.MaxVarint+1))
		switch {
		case len(b) > packet.MaxVarint && r.ours():
			r.complain("Error: standard input is larger than a message can be, %d bytes; -l sends it line by line.\n", packet.MaxVarint)
		case len(b) > packet.MaxVarint:
			r.complain("Error: Message length must be less than %d bytes.\n\nError loading input from stdin.\n", packet.MaxVarint)
		case err != nil && r.ours():
			r.complain("Error: read standard input: %v.\n", err)
		case err != nil:
			r.complain("Error loading input from stdin.\n")
		case len(b) == 0 && r.ours():
			r.complain("Error: standard input is empty; use -n to send a message without content.\n")
		case len(b) == 0:
			r.complain("Error: Zero length input.\nError loading input from stdin.\n")
		default:
			return b, true
		}
		return nil, false
	case modeFile:
		if info, err := os.Stat(c.file); err == nil && info.Size() > packet.MaxVarint {
			r.complain("%s", r.name(
				fmt.Sprintf("Error: File must be less than %d bytes.\n\nError loading input file \"%s\".\n", packet.MaxVarint, c.file),
				fmt.Sprintf("Error: -f %s: the file is larger than a message can be, %d bytes.\n", c.file, packet.MaxVarint)))
			return nil, false
		}
		b, err := os.ReadFile(c.file)
		if err != nil {
			if r.ours() {
				r.complain("Error: -f %s: %s.\n", c.file, cause(err))
				return nil, false
			}
			r.complain("Error: Unable to open file \"%s\".\nError loading input file \"%s\".\n", c.file, c.file)
			return nil, false
		}
		return b, true
	}
	return nil, true
}

func (p *publisher) connected() {
	p.first = true
	if p.cfg.mode != modeLines {
		p.one(p.payload)
		return
	}
	if p.input == nil {
		p.events.onLine = p.line
		p.startLines()
	}
	if !p.ended {
		p.events.lines = p.input
	}
}

func (p *publisher) startLines() {
	lines := make(chan []byte)
	p.input = lines
	go func() { // ends with standard input, which cannot be interrupted
		defer close(lines)
		p.inputErr = readLines(p.In, lines)
	}()
}

// one publishes. With a Topic Alias the name goes along the first time only.
func (p *publisher) one(payload []byte) {
	name := []byte(p.cfg.topic)
	m := packet.Publish{QoS: p.cfg.qos, Retain: p.cfg.retain, Topic: name, Payload: payload}
	if p.cfg.version == packet.V5 {
		m.Properties = p.cfg.properties.publish
		if m.Properties.Has(packet.PropTopicAlias) && !p.first {
			m.Topic = nil
		}
	}
	p.first = false
	if p.noRetain && m.Retain { // [MQTT-3.2.2-14]
		m.Retain = false
		if p.ours() {
			p.complain("Warning: The server keeps no retained messages; sent without --retain.\n")
		}
	}
	if rc := p.unsendable(&m); rc != 0 {
		p.unsent(rc)
		return
	}
	p.latest = p.publish(m)
}

// unsent ends the run over a message that cannot be sent.
func (p *publisher) unsent(rc int) {
	if p.exit = rc; p.cfg.mode == modeLines {
		p.complain("Error: %s\n", errorText(rc))
		p.ending = true
		return
	}
	text := errorText(rc)
	if rc == errQoS {
		if text = "Message QoS not supported on broker, try a lower QoS."; !p.ours() {
			p.exit = 0 // as mosquitto_pub has it
		}
	}
	p.complain("Error: %s\n", text)
	p.disconnect(packet.Success)
}

func (p *publisher) line(line []byte, ok bool) {
	if ok {
		p.one(line)
		return
	}
	p.events.lines, p.ended = nil, true
	if p.lastLine = p.latest; p.lastLine == p.done || p.lastLine == 0 {
		p.disconnect(packet.Success)
	}
}

func (p *publisher) published(mid uint16, code packet.ReasonCode, props *packet.Properties) {
	if code >= packet.UnspecifiedError {
		if p.ours() { // mosquitto_pub calls it a success
			p.exit = exitFailed
		}
		p.complain("Warning: Publish %d failed: %s.\n", mid, reasonText(code))
		if p.ours() && props.Has(packet.PropReasonString) {
			p.complain("%s\n", props.ReasonString)
		}
	}
	p.count++
	p.done = mid
	switch {
	case p.cfg.mode == modeLines:
		if mid == p.lastLine {
			p.disconnect(packet.Success)
		}
	case p.count < p.cfg.repeat:
		p.events.timer = time.After(p.cfg.repeatDelay)
		p.events.onTimer = func() { p.one(p.payload) }
	default:
		p.disconnect(packet.Success)
	}
}

// readLines delivers the lines of r without their ends. The last one counts
// even if it has none.
func readLines(r io.Reader, to chan<- []byte) error {
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
		to <- line
	}
}
