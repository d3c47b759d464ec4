package broker_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata/*.txt")

// TestConversations runs each script of testdata on one, two and three shards, with
// packets that arrive whole and byte by byte: what clients see is always the same.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		steps, err := script.Parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if *update {
			t.Run(name, func(t *testing.T) {
				p := &play{t: t, file: file, steps: steps, update: true}
				p.run(1, false)
				if err := os.WriteFile(file, []byte(strings.Join(p.rewritten, "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			})
			continue
		}
		for shards := 1; shards <= 3; shards++ {
			for _, bytewise := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d,bytewise=%v", name, shards, bytewise), func(t *testing.T) {
					p := &play{t: t, file: file, steps: steps}
					p.run(shards, bytewise)
				})
			}
		}
	}
}

// play runs one script.
type play struct {
	t         *testing.T
	file      string
	steps     []script.Step
	update    bool
	rewritten []string

	o     broker.Options
	s     *stage
	conns map[string]*wire
	queue map[string][]byte
}

func (p *play) run(shards int, bytewise bool) {
	p.o.Shards = shards
	p.conns, p.queue = map[string]*wire{}, map[string][]byte{}
	for i := 0; i < len(p.steps); {
		block := i + 1 // the lines up to the next action
		for block < len(p.steps) && !acts(p.steps[block].Kind) {
			block++
		}
		step := &p.steps[i]
		first := i
		if acts(step.Kind) {
			if err := p.act(step, bytewise); err != nil {
				p.t.Fatalf("%s:%d: %s: %v", p.file, step.Number, step.Text, err)
			}
			p.rewritten = append(p.rewritten, step.Text)
			first++
		}
		p.compare(p.steps[first:block])
		i = block
	}
	if p.s == nil {
		p.t.Fatal("the script does nothing")
	}
	p.s.finish()
}

func acts(k script.Kind) bool {
	return k == script.Directive || k == script.Send || k == script.Queue || k == script.Network
}

// compare checks the lines that follow an action: all that has come must be expected.
func (p *play) compare(block []script.Step) {
	var problem string
	got := map[string][]packet.Packet{}
	for name, w := range p.conns {
		got[name] = w.got
		w.got = nil
	}
	told := map[string]bool{}
	for i := range block {
		if s := &block[i]; s.Kind != script.Remark && problem == "" {
			problem = p.check(s, got, told)
		}
	}
	for _, name := range names(p.conns) {
		w := p.conns[name]
		switch left := wanting(block, name, got[name]); {
		case problem != "":
		case left != nil:
			problem = fmt.Sprintf("%s got %s as well", name, script.Format(left))
		case w.ended() && !w.told && !told[name]:
			problem = fmt.Sprintf("%s was closed", name)
		}
	}
	p.close(block, got, problem)
}

// wanting is the first packet in got that no line of the block has taken.
func wanting(block []script.Step, name string, got []packet.Packet) packet.Packet {
	n := 0
	for i := range block {
		if block[i].Kind == script.Expect && block[i].Conn == name {
			n++
		}
	}
	if n < len(got) {
		return got[n]
	}
	return nil
}

// check compares one expectation with what has come; taken counts by its number of calls.
func (p *play) check(s *script.Step, got map[string][]packet.Packet, told map[string]bool) string {
	at := fmt.Sprintf("%s:%d: ", p.file, s.Number)
	w := p.conns[s.Conn]
	if w == nil {
		return at + "no such connection"
	}
	n := 0 // expectations of this connection before s
	for j := range p.steps {
		before := &p.steps[j]
		if before.Number >= s.Number {
			break
		}
		if acts(before.Kind) {
			n = 0
		} else if before.Kind == script.Expect && before.Conn == s.Conn {
			n++
		}
	}
	list := got[s.Conn]
	switch {
	case s.Kind == script.Closed:
		told[s.Conn] = true
		if !w.ended() {
			return at + s.Conn + " is open"
		}
	case s.Kind == script.Nothing:
		if len(list) > n {
			return at + "got " + script.Format(list[n])
		}
	case n >= len(list):
		return at + s.Text + ": nothing came"
	case !s.Matches(list[n]):
		return fmt.Sprintf("%s\n got %s\nwant %s", at, script.Format(list[n]), strings.TrimSpace(s.Text))
	}
	return ""
}

// close ends a block: it reports the problem, or writes down what has really come.
func (p *play) close(block []script.Step, got map[string][]packet.Packet, problem string) {
	if problem != "" && !p.update {
		p.t.Fatal(problem)
	}
	if problem != "" {
		for _, name := range names(p.conns) {
			for _, g := range got[name] {
				p.rewritten = append(p.rewritten, name+"< "+brief(g))
			}
			if w := p.conns[name]; w.ended() && !w.told {
				p.rewritten = append(p.rewritten, name+"< closed")
			}
		}
	}
	for i := range block {
		if problem == "" || block[i].Kind == script.Remark {
			p.rewritten = append(p.rewritten, block[i].Text)
		}
	}
	for _, w := range p.conns {
		w.told = w.ended()
	}
}

// brief formats a packet, without the properties that each CONNACK has.
func brief(g packet.Packet) string {
	if c, ok := g.(*packet.Connack); ok {
		for id, usual := range map[packet.PropertyID]bool{
			packet.PropReceiveMax: c.Properties.ReceiveMax == 1024, packet.PropTopicAliasMax: c.Properties.TopicAliasMax == 32,
			packet.PropMaxPacketSize: c.Properties.MaxPacketSize == 1<<20,
		} {
			if usual {
				c.Properties.Unmark(id)
			}
		}
	}
	return script.Format(g)
}

func names[V any](m map[string]V) []string {
	var list []string
	for name := range m {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}

// act carries out a line.
func (p *play) act(s *script.Step, bytewise bool) error {
	if s.Kind == script.Directive {
		switch s.Words[0] {
		case "option":
			return options(&p.o, s.Words[1:])
		case "hooks":
			p.o.Hooks = toyHooks()
			return nil
		}
	}
	if p.s == nil {
		p.s = newStage(p.t, p.o)
		p.s.bytewise = bytewise
	}
	switch s.Kind {
	case script.Directive:
		return p.direct(s)
	case script.Network:
		return p.network(s)
	}
	w := p.conns[s.Conn]
	if w == nil || w.ended() || w.closed {
		w = p.s.open()
		p.conns[s.Conn] = w
	}
	b := p.queue[s.Conn]
	if s.Packet == nil {
		b = append(b, s.Bytes...)
	} else if c, ok := s.Packet.(*packet.Connect); ok {
		if w.written == 0 && len(b) == 0 {
			w.version = c.Version
		}
		b = c.Append(b, c.Version)
	} else {
		b = s.Packet.Append(b, w.version)
	}
	p.queue[s.Conn] = b
	if s.Kind == script.Send {
		delete(p.queue, s.Conn)
		w.send(b)
	}
	return nil
}

func (p *play) network(s *script.Step) error {
	w := p.conns[s.Conn]
	if s.Words[0] == "connect" {
		p.conns[s.Conn] = p.s.open()
		return nil
	}
	if w == nil {
		return fmt.Errorf("no such connection")
	}
	switch s.Words[0] {
	case "cut":
		w.cut()
	case "stop-reading":
		w.stop(0)
	case "resume-reading":
		w.resume()
	default:
		return fmt.Errorf("what is %q?", s.Words[0])
	}
	return nil
}

func (p *play) direct(s *script.Step) error {
	switch s.Words[0] {
	case "clock":
		d, err := time.ParseDuration(s.Words[1])
		if err != nil {
			return err
		}
		p.s.wait(d)
		return nil
	case "publish":
		parsed, err := script.ParsePacket("PUBLISH " + strings.Join(s.Words[1:], " "))
		if err != nil {
			return err
		}
		m := parsed.(*packet.Publish)
		return p.s.during(func() error {
			return p.s.b.Publish(context.Background(), broker.Message{
				Topic: string(m.Topic), Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Properties: m.Properties})
		})
	case "stats":
		return p.figures(s.Words[1:])
	}
	return fmt.Errorf("what is %q?", s.Words[0])
}

// figures compares Stats.
func (p *play) figures(words []string) error {
	tally := p.s.b.StatsNow()
	figures := map[string]int64{
		"routed": int64(tally.Routed), "delivered": int64(tally.Delivered), "expired": int64(tally.Expired),
		"inflight": tally.Inflight, "queued": tally.Queued, "queued-bytes": tally.QueuedBytes,
		"retained": tally.Retained, "sessions": tally.Sessions, "online": tally.SessionsOnline,
		"subscriptions": tally.Subscriptions, "shared": tally.SharedSubscriptions, "takeovers": int64(tally.Takeovers),
		"wills": int64(tally.Wills), "no-local": int64(tally.NoLocal), "repeats": int64(tally.Repeats),
		"unknown-acks": int64(tally.UnknownAcks), "redistributed": int64(tally.Redistributed),
		"retained-sent": int64(tally.RetainedSent), "lost": int64(tally.LostConnections),
		"handshake-timeouts": int64(tally.HandshakeTimeouts), "oversized": int64(tally.Oversized),
	}
	for _, d := range broker.Drops() {
		figures["dropped/"+d.String()] = int64(tally.Dropped[d])
	}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		want, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return err
		}
		if got, ok := figures[name]; !ok || got != want {
			return fmt.Errorf("%s is %d (known: %v), want %d", name, got, ok, want)
		}
	}
	return nil
}

// options reads the words of the directive option.
func options(o *broker.Options, words []string) error {
	l := &o.Limits
	numbers := map[string]*int{
		"max-packet-size": &l.MaxPacketSize, "max-topic-levels": &l.MaxTopicLevels, "max-topic-length": &l.MaxTopicLength, "max-client-id": &l.MaxClientIDLength,
		"max-subscriptions": &l.MaxSubscriptions, "max-inflight": &l.MaxInflight, "receive-maximum": &l.ReceiveMaximum,
		"topic-alias-maximum": &l.TopicAliasMaximum, "max-queued": &l.MaxQueuedMessages,
		"max-retained": &l.MaxRetainedMessages, "outbound-buffer": &l.OutboundBuffer, "max-qos": &l.MaxQoS,
		"max-connect-rate": &l.MaxConnectRate, "max-takeover-rate": &l.MaxTakeoverRate, "max-sessions": &l.MaxSessions,
		"max-subscription-levels": &l.MaxSubscriptionLevels, "max-subscription-levels-total": &l.MaxSubscriptionLevelsTotal,
		"max-subscription-ids": &l.MaxSubscriptionIDs, "max-user-properties": &l.MaxUserProperties,
	}
	times := map[string]*time.Duration{
		"handshake-timeout": &l.HandshakeTimeout, "packet-timeout": &l.PacketTimeout, "max-keepalive": &l.MaxKeepAlive,
		"max-session-expiry": &l.MaxSessionExpiry, "sys-interval": &o.SysInterval,
	}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		var err error
		switch {
		case numbers[name] != nil:
			*numbers[name], err = strconv.Atoi(value)
		case times[name] != nil:
			*times[name], err = time.ParseDuration(value)
		case name == "max-retained-bytes":
			l.MaxRetainedBytes, err = strconv.ParseInt(value, 10, 64)
		case name == "max-queued-bytes":
			l.MaxQueuedBytes, err = strconv.ParseInt(value, 10, 64)
		case name == "response-information":
			o.ResponseInformation = value
		case name == "retain-unavailable":
			l.RetainUnavailable = true
		case name == "version":
			o.Version = value
		default:
			err = fmt.Errorf("no option %q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
