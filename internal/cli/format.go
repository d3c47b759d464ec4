package cli

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wirebird/wirebird/client"
)

// maxWidth limits the width in a format: it is what a line can hold.
const maxWidth = 10000

// printer writes messages in a format of Mosquitto's -F. One goroutine uses it.
type printer struct {
	w       io.Writer
	err     io.Writer // for payloads that are not what %J wants
	format  string
	newline bool
	pretty  bool // %j and %J
	buf     []byte
}

// print writes m, received at t, with one Write.
func (p *printer) print(m *client.Message, t time.Time) error {
	p.buf = p.buf[:0]
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
			s, n, err := parseSpec(rest)
			if err != nil {
				return err
			}
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
	if p.newline {
		p.buf = append(p.buf, '\n')
	}
	_, err := p.w.Write(p.buf)
	return err
}

// checkFormat reports what print could not make sense of.
func checkFormat(format string) error {
	for rest := format; rest != ""; {
		i := strings.IndexAny(rest, `%@\`)
		if i < 0 {
			return nil
		}
		rest = rest[i:]
		if len(rest) == 1 {
			return misused("--format: incomplete sequence at its end; double the %s to print one.", rest)
		}
		n := 2
		switch rest[0] {
		case '%':
			var err error
			if _, n, err = parseSpec(rest); err != nil {
				return misused("--format: %v; --help lists them.", err)
			}
		case '\\':
			if !strings.ContainsRune(`\0aenrtv`, rune(rest[1])) {
				return misused(`--format: there is no \%c; use one of \\ \0 \a \e \n \r \t \v.`, rest[1])
			}
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

// spec is one parameter of a format: %[0|-][width][.max]letter.
type spec struct {
	zero, left bool
	width, max int // max is -1 for none
	letter     byte
}

// parseSpec reads the parameter that s starts with and returns its length.
func parseSpec(s string) (spec, int, error) {
	out := spec{max: -1}
	i := 1
	for ; i < len(s) && (s[i] == '0' || s[i] == '-'); i++ {
		out.zero = out.zero || s[i] == '0'
		out.left = out.left || s[i] == '-'
	}
	out.width, i = digits(s, i)
	if i < len(s) && s[i] == '.' {
		out.max, i = digits(s, i+1)
	}
	if i == len(s) {
		return out, i, fmt.Errorf("incomplete parameter %q", s)
	}
	if out.width > maxWidth {
		return out, i, fmt.Errorf("the width in %q is over %d", s[:i+1], maxWidth)
	}
	if out.letter = s[i]; !strings.ContainsRune("%ACDEFIJPRSUXdfjlmpqrtx", rune(out.letter)) {
		_, size := utf8.DecodeRuneInString(s[i:])
		return out, i, fmt.Errorf("there is no parameter %q", s[:i+size])
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

// pad appends text at its width. Only numbers are filled with zeros.
func (p *printer) pad(s spec, text string, number bool) {
	if s.max >= 0 && len(text) > s.max && !number {
		text = text[:s.max]
	}
	fill := byte(' ')
	if s.zero && !s.left && number {
		fill = '0'
	}
	n := s.width - utf8.RuneCountInString(text)
	if !s.left {
		p.buf = appendFill(p.buf, fill, n)
	}
	p.buf = append(p.buf, text...)
	if s.left {
		p.buf = appendFill(p.buf, ' ', n)
	}
}

func appendFill(b []byte, c byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, c)
	}
	return b
}

// number pads v; a property that is not there prints as nothing but its width.
func (p *printer) number(s spec, v uint64, present bool) {
	if !present {
		p.pad(s, "", false)
		return
	}
	p.pad(s, strconv.FormatUint(v, 10), true)
}

func (p *printer) parameter(s spec, m *client.Message, t time.Time) {
	pr := &m.Properties
	switch s.letter {
	case '%':
		p.buf = append(p.buf, '%')
	case 't':
		p.pad(s, m.Topic, false)
	case 'p':
		if s.width == 0 {
			p.buf = append(p.buf, m.Payload...)
			return
		}
		s.max = -1 // it has a meaning for text only
		p.pad(s, string(m.Payload), s.zero)
	case 'x':
		p.pad(s, hex.EncodeToString(m.Payload), true)
	case 'X':
		p.pad(s, strings.ToUpper(hex.EncodeToString(m.Payload)), true)
	case 'd', 'f':
		p.float(s, m)
	case 'l':
		p.number(s, uint64(len(m.Payload)), true)
	case 'q':
		p.buf = append(p.buf, '0'+m.QoS)
	case 'r':
		p.buf = append(p.buf, '0'+byte(digit(m.Retain)))
	case 'm':
		p.number(s, uint64(m.PacketID), true)
	case 'I':
		p.pad(s, t.Format("2006-01-02T15:04:05-0700"), false)
	case 'U':
		p.buf = fmt.Appendf(p.buf, "%d.%09d", t.Unix(), t.Nanosecond())
	case 'j', 'J':
		p.json(m, t, s.letter == 'J')
	case 'A':
		p.number(s, uint64(pr.TopicAlias), pr.TopicAlias != 0)
	case 'C':
		p.pad(s, pr.ContentType, false)
	case 'D':
		p.buf = append(p.buf, pr.CorrelationData...)
	case 'E':
		p.number(s, uint64(pr.MessageExpiry/time.Second), pr.MessageExpiry != 0)
	case 'F':
		p.number(s, uint64(pr.PayloadFormat), pr.PayloadFormat != 0)
	case 'P':
		for i, u := range pr.User {
			if i > 0 {
				p.buf = append(p.buf, ' ')
			}
			p.buf = append(p.buf, u.Key+":"+u.Value...)
		}
	case 'R':
		p.pad(s, pr.ResponseTopic, false)
	case 'S':
		ids := make([]string, len(pr.SubscriptionIDs))
		for i, id := range pr.SubscriptionIDs {
			ids[i] = strconv.FormatUint(uint64(id), 10)
		}
		p.pad(s, strings.Join(ids, " "), len(ids) == 1)
	}
}

// float prints a payload of 4 bytes (%f) or 8 bytes (%d) as the floating-point
// number it holds, in the byte order of today's processors.
func (p *printer) float(s spec, m *client.Message) {
	v, err := decodeFloat(m.Payload, s.letter == 'd')
	if err != nil {
		fmt.Fprintf(p.err, "Error: %v on topic %s.\n", err, m.Topic)
		return
	}
	precision := 6
	if s.max >= 0 {
		precision = s.max
	}
	s.max = -1
	p.pad(s, strconv.FormatFloat(v, 'f', precision, 64), true)
}

// json prints the message as a JSON object; parsed puts the payload into it as
// the JSON value it is.
func (p *printer) json(m *client.Message, t time.Time, parsed bool) {
	o := newMessageJSON(m, t)
	if parsed {
		if !json.Valid(m.Payload) {
			fmt.Fprintf(p.err, "Error: Message payload is not valid JSON on topic %s.\n", m.Topic)
			return
		}
		o.PayloadBase64, o.Payload = nil, m.Payload
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if p.pretty {
		e.SetIndent("", "\t")
	}
	if err := e.Encode(o); err != nil { // our own structure: it cannot fail
		panic(err)
	}
	p.buf = append(p.buf, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
