// Package script is a small language for conversations between MQTT clients and a
// broker, one step a line. People read its files as documentation of what the broker
// does; tests run them.
//
//	# A second connection takes the session over.
//	a> CONNECT v5 id=x clean keepalive=60
//	a< CONNACK success
//	b> CONNECT v5 id=x keepalive=60
//	a< DISCONNECT session-taken-over
//	a< closed
//	b< CONNACK success
//	clock +90s
//
// A line that begins with a connection's name and one of > + < ! is about that
// connection: > sends a packet, + sends one together with the next, < expects one, and
// ! does something to the network. Any other line is a directive to whoever runs the
// script. Properties stand among the other words of their packet:
//
//	a> PUBLISH q1 id=1 topic=a/b payload=hello retain expiry=10 user=k:v
//	a> hex 30 05 00 03 61 2F 62
//	a< PUBACK id=1 no-matching-subscribers
//	a< closed
//	a< nothing
//	a! cut
//
// Values are bare words, Go strings in quotes, or repetitions such as 5000*x. An
// expectation lists the properties that matter, with all their values; others may be there
// unless the line ends with exactly. A value of * is any, and !name says that a property
// is absent.
//
// The package knows packets and no broker: it reads, writes and compares lines.
package script

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// Kind is what a Step does.
type Kind uint8

// The kinds of Step.
const (
	Remark    Kind = iota // an empty line or a comment
	Directive             // Words, for whoever runs the script
	Send                  // Packet or Bytes go to the broker
	Queue                 // as Send, but together with the next Send
	Expect                // Packet comes from the broker
	Closed                // the broker ends the connection
	Nothing               // nothing more has come
	Network               // Words happen to the connection
)

// Step is one line of a Script.
type Step struct {
	Kind Kind
	// Number is the line's, from 1, and Text the line as written.
	Number int
	Text   string
	// Conn names the connection; "" for Remark and Directive.
	Conn string
	// Words are those of a Directive or Network step.
	Words []string
	// Packet is what is sent or expected; nil when Bytes are sent.
	Packet packet.Packet
	Bytes  []byte

	any     []string // keys whose value does not matter
	absent  []string // keys of properties that must not be there
	exactly bool     // no properties but those of Packet
}

// Parse reads a script. An error names the line.
func Parse(text string) ([]Step, error) {
	var steps []Step
	text = strings.TrimSuffix(text, "\n")
	for i, line := range strings.Split(text, "\n") {
		s, err := parseLine(strings.TrimRight(line, " \t\r"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		s.Number = i + 1
		steps = append(steps, s)
	}
	return steps, nil
}

func parseLine(line string) (Step, error) {
	s := Step{Text: line}
	if line == "" || line[0] == '#' {
		return s, nil
	}
	head, rest, _ := strings.Cut(line, " ")
	mark := head[len(head)-1]
	if !strings.ContainsRune(">+<!", rune(mark)) {
		s.Kind, s.Words = Directive, strings.Fields(line)
		return s, nil
	}
	s.Conn = head[:len(head)-1]
	if !isName(s.Conn) {
		return s, fmt.Errorf("%q is no name for a connection", s.Conn)
	}
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return s, fmt.Errorf("nothing after %s", head)
	}
	switch mark {
	case '!':
		s.Kind, s.Words = Network, strings.Fields(rest)
		return s, nil
	case '<':
		return s, s.parseExpect(rest)
	case '+':
		s.Kind = Queue
	default:
		s.Kind = Send
	}
	return s, s.parseSend(rest)
}

func (s *Step) parseSend(rest string) (err error) {
	if digits, ok := strings.CutPrefix(rest, "hex "); ok {
		s.Bytes, err = hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		return err
	}
	s.Packet, err = ParsePacket(rest)
	return err
}

func (s *Step) parseExpect(rest string) error {
	switch rest {
	case "closed":
		s.Kind = Closed
		return nil
	case "nothing":
		s.Kind = Nothing
		return nil
	}
	s.Kind = Expect
	words, err := split(rest)
	if err != nil {
		return err
	}
	if n := len(words); words[n-1].is("exactly") {
		s.exactly, words = true, words[:n-1]
	}
	kept := words[:0]
	for _, w := range words {
		switch {
		case w.any:
			s.any = append(s.any, w.key)
		case w.absent:
			s.absent = append(s.absent, w.key)
		default:
			kept = append(kept, w)
		}
	}
	s.Packet, err = parsePacket(kept)
	return err
}

// Matches tells whether got is what an Expect step describes.
func (s *Step) Matches(got packet.Packet) bool {
	wantFields, wantProps := formatPacket(s.Packet)
	gotFields, gotProps := formatPacket(got)
	for _, key := range s.any {
		var inFields, inProps bool
		gotFields, inFields = without(gotFields, key)
		gotProps, inProps = without(gotProps, key)
		if !inFields && !inProps {
			return false
		}
		wantFields, _ = without(wantFields, key)
	}
	if strings.Join(wantFields, " ") != strings.Join(gotFields, " ") {
		return false
	}
	for _, key := range s.absent {
		if _, found := without(gotProps, key); found {
			return false
		}
	}
	if !s.exactly {
		gotProps = slices.DeleteFunc(gotProps, func(w string) bool {
			key, _, _ := strings.Cut(w, "=")
			_, listed := without(wantProps, key)
			return !listed
		})
	}
	return slices.Equal(wantProps, gotProps)
}

// without returns words but those of a key, and whether there were any.
func without(words []string, key string) (rest []string, found bool) {
	for _, w := range words {
		if strings.HasPrefix(w, key+"=") {
			found = true
		} else {
			rest = append(rest, w)
		}
	}
	return rest, found
}
