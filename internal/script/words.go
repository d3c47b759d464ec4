package script

import (
	"fmt"
	"strconv"
	"strings"
)

// word is a part of a line: key, !key, key=value, key=value:second, or key{ and } around
// a group of words.
type word struct {
	key      string
	value    string
	second   string // of a pair
	hasValue bool
	pair     bool
	any      bool // the value is *
	opens    bool // a group follows
	closes   bool // the end of a group
	absent   bool // !key
}

// is tells whether w is just key.
func (w *word) is(key string) bool {
	return w.key == key && !w.hasValue && !w.any && !w.absent && !w.opens && !w.closes
}

// mostRepeated bounds what a repetition such as 5000*x makes.
const mostRepeated = 4 << 20

// split cuts a line into words.
func split(line string) ([]word, error) {
	var words []word
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			break
		}
		if line[0] == '}' {
			words = append(words, word{closes: true})
			line = line[1:]
			continue
		}
		w, rest, err := nextWord(line)
		if err != nil {
			return nil, err
		}
		words = append(words, w)
		line = rest
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("empty line")
	}
	return words, nil
}

func nextWord(line string) (w word, rest string, err error) {
	line, w.absent = strings.CutPrefix(line, "!")
	n := 0
	for n < len(line) && nameByte(line[n]) {
		n++
	}
	if n == 0 {
		return w, "", fmt.Errorf("unexpected %.1q", line)
	}
	w.key, rest = line[:n], line[n:]
	switch {
	case w.absent:
	case strings.HasPrefix(rest, "{"):
		w.opens = true
		return w, rest[1:], nil
	case strings.HasPrefix(rest, "=*"):
		w.any = true
		return w, rest[2:], ended(rest[2:])
	case strings.HasPrefix(rest, "="):
		w.hasValue = true
		if w.value, rest, err = nextValue(rest[1:]); err != nil {
			return w, "", fmt.Errorf("%s: %w", w.key, err)
		}
		if strings.HasPrefix(rest, ":") {
			w.pair = true
			if w.second, rest, err = nextValue(rest[1:]); err != nil {
				return w, "", fmt.Errorf("%s: %w", w.key, err)
			}
		}
	}
	return w, rest, ended(rest)
}

// ended checks that a word ends where rest begins.
func ended(rest string) error {
	if rest == "" || strings.IndexByte(" \t}", rest[0]) >= 0 {
		return nil
	}
	return fmt.Errorf("unexpected %q: put the value in quotes", rest[0])
}

func nextValue(s string) (value, rest string, err error) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n > 0 && n < len(s) && s[n] == '*' {
		times, err := strconv.Atoi(s[:n])
		if err != nil {
			return "", "", err
		}
		one, rest, err := nextAtom(s[n+1:])
		if err != nil {
			return "", "", err
		}
		if len(one) > 0 && times > mostRepeated/len(one) {
			return "", "", fmt.Errorf("%d times %d bytes are too many", times, len(one))
		}
		return strings.Repeat(one, times), rest, nil
	}
	return nextAtom(s)
}

func nextAtom(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", err
		}
		value, err = strconv.Unquote(quoted)
		return value, s[len(quoted):], err
	}
	n := 0
	for n < len(s) && bareByte(s[n]) {
		n++
	}
	if n == 0 {
		return "", "", fmt.Errorf(`no value; an empty one is ""`)
	}
	return s[:n], s[n:], nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
}

func bareByte(c byte) bool { return nameByte(c) || strings.IndexByte("/_$+#@,", c) >= 0 }

func isName(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// longRun is from how many equal bytes on quote writes a repetition.
const longRun = 48

// quote writes a value so that nextValue reads it.
func quote[S ~string | ~[]byte](value S) string {
	s := string(value)
	if len(s) >= longRun && strings.Count(s, s[:1]) == len(s) {
		return strconv.Itoa(len(s)) + "*" + quote(s[:1])
	}
	for i := range len(s) {
		if !bareByte(s[i]) {
			return strconv.Quote(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}
