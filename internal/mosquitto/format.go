package mosquitto

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// maxWidth limits the width in a format: it is what a line can hold.
const maxWidth = 10000

// separators may stand before x and X, and then between the bytes.
const separators = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|} ~"

// printer writes messages as the options say. One goroutine uses it.
type printer struct {
	w         io.Writer
	complain  func(format string, args ...any)
	format    string // of -F
	hasFormat bool   // else a message has a plain form
	verbose   bool
	newline   bool
	pretty    bool // %j and %J
	buf       []byte
}

func (r *run) newPrinter() *printer {
	c := r.cfg
	return &printer{w: r.Out, complain: r.complain, format: c.format, hasFormat: c.hasFormat, verbose: c.verbose, newline: !c.noNewline, pretty: c.pretty}
}

// print writes m, received at t, with one Write.
func (p *printer) print(m *packet.Publish, t time.Time) {
	p.buf = p.buf[:0]
	switch {
	case p.hasFormat:
		p.formatted(m, t)
	case p.verbose && len(m.Payload) > 0:
		p.buf = append(append(append(p.buf, m.Topic...), ' '), m.Payload...)
	case p.verbose && p.newline:
		p.buf = append(append(p.buf, m.Topic...), " (null)"...)
	case len(m.Payload) == 0:
		return // an empty message is not even a line
	default:
		p.buf = append(p.buf, m.Payload...)
	}
	if p.newline {
		p.buf = append(p.buf, '\n')
	}
	p.w.Write(p.buf) // a buffer, whose flush finds the error
}

func (p *printer) formatted(m *packet.Publish, t time.Time) {
	for rest := p.format; rest != ""; {
		i := strings.IndexAny(rest, `%@\`)
		if i < 0 {
			i = len(rest)
		}
		p.buf = append(p.buf, rest[:i]...)
		if rest = rest[i:]; rest == "" {
			break
		}
		switch rest[0] {
		case '%':
			s, n, _ := parseSpec(rest) // checkFormat has seen it
			p.parameter(s, m, t)
			rest = rest[n:]
		case '@':
			p.buf = appendTime(p.buf, rest[1], t)
			rest = rest[2:]
		default:
			p.buf = append(p.buf, escape(rest[1]))
			rest = rest[2:]
		}
	}
}

// checkFormat reports what print could not make sense of.
func checkFormat(format string) error {
	for rest := format; rest != ""; {
		i := strings.IndexAny(rest, `%@\`)
		if i < 0 {
			return nil
		}
		rest = rest[i:]
		n := 2
		switch {
		case rest == `\`:
			return usagef("Error: Incomplete escape specifier.\n").ours("-F: \\ at the end is incomplete; write \\\\ for one.")
		case len(rest) == 1:
			return usagef("Error: Incomplete format specifier.\n").ours("-F: %s at the end is incomplete; write %s%s for one.", rest, rest, rest)
		case rest[0] == '%':
			var err error
			if _, n, err = parseSpec(rest); err != nil {
				return err
			}
		case rest[0] == '\\' && !strings.ContainsRune(`\0aenrtv`, rune(rest[1])):
			return usagef("Error: Invalid escape specifier '%c'.\n", rest[1]).ours("-F: there is no \\%c; there are \\n \\t \\r \\e \\a \\v \\0 \\\\.", rest[1])
		}
		rest = rest[n:]
	}
	return nil
}

func escape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'a':
		return '\a'
	case 'e':
		return 0x1b
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'v':
		return '\v'
	}
	return c
}

// spec is one parameter of a format: %[-][0][width][.max][separator]letter.
type spec struct {
	zero, left bool
	width, max int // max is -1 for none
	separator  byte
	letter     byte
}

// parseSpec reads the parameter that s starts with and returns its length.
func parseSpec(s string) (spec, int, error) {
	out := spec{max: -1}
	i := 1
	if i < len(s) && s[i] == '-' {
		out.left = true
		i++
	}
	if i < len(s) && s[i] == '0' {
		out.zero = true
		i++
	}
	out.width, i = digits(s, i)
	if i < len(s) && s[i] == '.' {
		out.max, i = digits(s, i+1)
	}
	if i+1 < len(s) && (s[i+1] == 'x' || s[i+1] == 'X') && strings.IndexByte(separators, s[i]) >= 0 {
		out.separator = s[i]
		i++
	}
	if i == len(s) {
		return out, i, usagef("Error: Incomplete format specifier.\n").ours("-F: %q is incomplete; write %%%% for a %%.", s)
	}
	if out.width > maxWidth {
		return out, i, usagef("Error: The width in \"%s\" is over %d.\n", s[:i+1], maxWidth)
	}
	if out.letter = s[i]; !strings.ContainsRune("%ACDEFIJPRSUXdfjlmpqrtx", rune(out.letter)) {
		return out, i, usagef("Error: Invalid format specifier '%c'.\n", out.letter).ours("-F: there is no parameter %q; --help lists them.", s[:i+1])
	}
	return out, i + 1, nil
}

// digits reads a number; one beyond maxWidth reads as maxWidth+1.
func digits(s string, i int) (n, end int) {
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		n = min(10*n+int(s[i]-'0'), maxWidth+1)
	}
	return n, i
}

// text appends a string at its width, counted in bytes as printf does.
func (p *printer) text(s spec, v string) {
	if s.max >= 0 && len(v) > s.max {
		v = v[:s.max]
	}
	p.pad(s, v, ' ')
}

func (p *printer) pad(s spec, v string, fill byte) {
	n := s.width - len(v)
	if !s.left {
		p.fill(fill, n)
	}
	p.buf = append(p.buf, v...)
	if s.left {
		p.fill(' ', n)
	}
}

func (p *printer) fill(c byte, n int) {
	for ; n > 0; n-- {
		p.buf = append(p.buf, c)
	}
}

// filler is what a number or payload is filled with in front.
func (s spec) filler() byte {
	if s.zero {
		return '0'
	}
	return ' '
}

// number pads v; a property that is not there is nothing but its width.
func (p *printer) number(s spec, v uint64, present bool) {
	if !present {
		p.fill(s.filler(), s.width)
		return
	}
	p.pad(s, strconv.FormatUint(v, 10), s.filler())
}

// payload pads the payload, or its hexadecimal form, and cuts it at its width.
func (p *printer) payload(s spec, b []byte) {
	v := string(b)
	if s.letter != 'p' {
		v = hexText(b, s)
	}
	if s.width > 0 && len(v) > s.width {
		v = v[:s.width]
		if s.letter != 'p' && s.separator == 0 {
			v = v[:s.width&^1] // whole bytes
		}
	}
	p.pad(s, v, s.filler())
}

func hexText(b []byte, s spec) string {
	v := hex.EncodeToString(b)
	if s.letter == 'X' {
		v = strings.ToUpper(v)
	}
	if s.separator == 0 || len(b) < 2 {
		return v
	}
	out := []byte(v[:2])
	for i := 2; i < len(v); i += 2 {
		out = append(append(out, s.separator), v[i:i+2]...)
	}
	return string(out)
}

func (p *printer) parameter(s spec, m *packet.Publish, t time.Time) {
	pr := &m.Properties
	switch s.letter {
	case '%':
		p.buf = append(p.buf, '%')
	case 't':
		p.text(s, string(m.Topic))
	case 'p', 'x', 'X':
		p.payload(s, m.Payload)
	case 'd', 'f':
		p.float(s, m)
	case 'l':
		p.number(s, uint64(len(m.Payload)), true)
	case 'q':
		p.buf = append(p.buf, '0'+m.QoS)
	case 'r':
		p.buf = append(p.buf, '0'+byte(digit(m.Retain)))
	case 'm':
		p.number(s, uint64(m.ID), true)
	case 'I':
		p.text(s, t.Format("2006-01-02T15:04:05-0700"))
	case 'U':
		p.buf = fmt.Appendf(p.buf, "%d.%09d", t.Unix(), t.Nanosecond())
	case 'j', 'J':
		p.json(m, t, s.letter == 'J')
	default:
		p.property(s, pr)
	}
}

func (p *printer) property(s spec, pr *packet.Properties) {
	switch s.letter {
	case 'A':
		p.number(s, uint64(pr.TopicAlias), pr.Has(packet.PropTopicAlias))
	case 'C':
		if !pr.Has(packet.PropContentType) {
			p.fill(' ', s.width)
			return
		}
		p.text(s, string(pr.ContentType))
	case 'D':
		if pr.Has(packet.PropCorrelationData) {
			p.buf = append(p.buf, pr.CorrelationData...)
		}
	case 'E':
		p.number(s, uint64(pr.MessageExpiry), pr.Has(packet.PropMessageExpiry))
	case 'F':
		p.number(s, uint64(pr.PayloadFormat), pr.Has(packet.PropPayloadFormat))
	case 'P':
		if !pr.Has(packet.PropUser) {
			return
		}
		for i, u := range pr.User {
			if i > 0 {
				p.buf = append(p.buf, ' ')
			}
			p.buf = append(append(append(p.buf, u.Key...), ':'), u.Value...)
		}
	case 'R':
		if pr.Has(packet.PropResponseTopic) {
			p.text(s, string(pr.ResponseTopic))
		}
	case 'S':
		if !pr.Has(packet.PropSubscriptionID) || len(pr.SubscriptionIDs) == 0 {
			p.number(s, 0, false)
			return
		}
		p.number(s, uint64(pr.SubscriptionIDs[0]), true)
	}
}

// float prints a payload of 4 bytes (%f) or 8 bytes (%d) as the floating-point
// number it holds, in the byte order of today's processors.
func (p *printer) float(s spec, m *packet.Publish) {
	v, err := decodeFloat(m.Payload, s.letter == 'd')
	if err != nil {
		p.complain("Error: %v on topic %s.\n", err, m.Topic)
		return
	}
	precision := 6
	if s.max >= 0 {
		precision = s.max
	}
	p.pad(s, strconv.FormatFloat(v, 'f', precision, 64), s.filler())
}
