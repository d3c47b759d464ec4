package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// Script is everything that decides a run: what the broker is like, and what happens in
// which order. A Script without some of its steps is a Script: a step that has lost its
// sense does nothing.
type Script struct {
	World World
	Steps []Step
}

// World is what the broker is like. A limit of 0 is the broker's own.
type World struct {
	Store      Store
	Shards     int // of the first broker; a crash names those of the next
	Inflight   int // Limits.MaxInflight
	ReceiveMax int // Limits.ReceiveMaximum
	Aliases    int // Limits.TopicAliasMaximum
	Queue      int // Limits.MaxQueuedMessages
	DropOldest bool
}

// Store is where the broker's state is.
type Store string

// The stores. Model is a journal that is simulated itself; the others are the real one on a
// disk that loses its power, by the durability that is asked of it.
const (
	Memory    Store = "memory"
	Model     Store = "model"
	Power     Store = "power"
	PowerOS   Store = "power-os"
	PowerNone Store = "power-none"
)

var allStores = []Store{Memory, Model, Power, PowerOS, PowerNone}

func (s Store) onDisk() bool { return s != Memory && s != Model }

// Verb is what a Step does.
type Verb string

// The verbs. Those of a client come first.
const (
	Send    Verb = ">"       // Packet, when the client may
	Network Verb = "network" // A: shard that accepts the next connection, B: bytes on the way to the client
	Up      Verb = "up"      // A bytes arrive at the broker
	Down    Verb = "down"    // A bytes arrive at the client
	Ghost   Verb = "ghost"   // A bytes of an abandoned connection arrive at the broker
	Ack     Verb = "ack"     // A acknowledgements are sent
	Slow    Verb = "slow"    // the client reads no more
	Fast    Verb = "fast"    // ... or reads again
	Cut     Verb = "cut"     // after A more bytes up and B more bytes down
	Turn    Verb = "turn"    // of shard A
	Commit  Verb = "commit"  // A submissions become durable
	Clock   Verb = "clock"   // A ticks of 67 ms
	Crash   Verb = "crash"   // the broker ends, the next has A shards

	// Those of a broker whose state is on a disk.
	Write  Verb = "write"  // A submissions are written as one commit
	Sync   Verb = "sync"   // A syncs that were asked for take effect
	Done   Verb = "done"   // A commits that are synced are told to the broker
	Load   Verb = "load"   // A loads are answered, perhaps before what they saw is safe
	Table  Verb = "table"  // the log becomes a table
	Off    Verb = "off"    // the power fails, see power.off
	Backup Verb = "backup" // and the power fails, on a copy of the disk; see power.backup
)

// Step is one decision.
type Step struct {
	Client     string
	Verb       Verb
	A, B, C, D int
	Packet     packet.Packet
}

// String is the step as Parse reads it.
func (s Step) String() string {
	if s.Verb == Send {
		return s.Client + "> " + script.Format(s.Packet)
	}
	words := []string{string(s.Verb)}
	for i, n := range []int{s.A, s.B, s.C, s.D} {
		if i < operands[s.Verb] {
			words = append(words, strconv.Itoa(n))
		}
	}
	if s.Client != "" {
		return s.Client + "! " + strings.Join(words, " ")
	}
	return strings.Join(words, " ")
}

// operands is how many numbers a verb takes.
var operands = map[Verb]int{
	Network: 2, Up: 1, Down: 1, Ghost: 1, Ack: 1, Slow: 0, Fast: 0, Cut: 2,
	Turn: 1, Commit: 1, Clock: 1, Crash: 1,
	Write: 1, Sync: 1, Done: 1, Load: 1, Table: 0, Off: 4, Backup: 3,
}

// String is the script as Parse reads it.
func (s *Script) String() string {
	var b strings.Builder
	b.WriteString(s.World.String() + "\n")
	for i := range s.Steps {
		b.WriteString(s.Steps[i].String() + "\n")
	}
	return b.String()
}

func (w World) String() string {
	words := []string{"broker", "store=" + string(w.Store)}
	for _, f := range w.fields() {
		if *f.n != 0 {
			words = append(words, fmt.Sprintf("%s=%d", f.name, *f.n))
		}
	}
	if w.DropOldest {
		words = append(words, "drop-oldest")
	}
	return strings.Join(words, " ")
}

type field struct {
	name string
	n    *int
}

func (w *World) fields() []field {
	return []field{
		{"shards", &w.Shards}, {"inflight", &w.Inflight}, {"receive-max", &w.ReceiveMax},
		{"aliases", &w.Aliases}, {"queue", &w.Queue},
	}
}

// Parse reads a Script. It takes comments, and ignores what connections are said to get.
func Parse(text string) (*Script, error) {
	lines, err := script.Parse(text)
	if err != nil {
		return nil, err
	}
	s := &Script{}
	for i := range lines {
		if err := s.add(&lines[i]); err != nil {
			return nil, fmt.Errorf("line %d: %w", lines[i].Number, err)
		}
	}
	if s.World.Store == "" {
		return nil, fmt.Errorf("no line that begins with broker")
	}
	return s, nil
}

func (s *Script) add(line *script.Step) error {
	switch line.Kind {
	case script.Send:
		if line.Packet == nil {
			return fmt.Errorf("bytes instead of a packet")
		}
		s.Steps = append(s.Steps, Step{Client: line.Conn, Verb: Send, Packet: line.Packet})
		return nil
	case script.Directive:
		if line.Words[0] == "broker" {
			return s.World.parse(line.Words[1:])
		}
	case script.Network:
	default:
		return nil
	}
	step := Step{Client: line.Conn, Verb: Verb(line.Words[0])}
	want, ok := operands[step.Verb]
	if !ok || len(line.Words) != want+1 {
		return fmt.Errorf("%q: unknown, or not %d numbers", strings.Join(line.Words, " "), want)
	}
	for i, to := range []*int{&step.A, &step.B, &step.C, &step.D} {
		if i >= want {
			break
		}
		n, err := strconv.Atoi(line.Words[i+1])
		if err != nil {
			return err
		}
		*to = n
	}
	s.Steps = append(s.Steps, step)
	return nil
}

func (w *World) parse(words []string) (err error) {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		fields := w.fields()
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == key })
		switch {
		case at >= 0:
			*fields[at].n, err = strconv.Atoi(value)
		case key == "store":
			w.Store = Store(value)
			if !slices.Contains(allStores, w.Store) {
				err = fmt.Errorf("no store %q", value)
			}
		case word == "drop-oldest":
			w.DropOldest = true
		default:
			err = fmt.Errorf("%q: unknown", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
