package config

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// plainYAML is text that means itself in YAML without quotes.
const plainYAML = `^[A-Za-z0-9/][A-Za-z0-9_./:-]*[A-Za-z0-9_/]$`

// Show writes c as a file that Load reads, with the origin of each value in a
// comment. No value is a secret: passwords and keys appear as paths only.
func Show(w io.Writer, c Config, o Origins) error {
	p := &printer{plain: regexp.MustCompile(plainYAML)}
	group := ""
	for _, s := range settings() {
		prefix, name, nested := strings.Cut(s.key, ".")
		if !nested {
			prefix, name = "", s.key
		}
		if prefix != group {
			p.line(prefix+":", "")
			group = prefix
		}
		from := o[s.key]
		if from == "" {
			from = fromDefault
		}
		value := s.format(&c)
		switch {
		case s.key == "listen":
			p.listen(c.Listen, from)
			continue
		case s.path && value == "":
			p.line("# "+s.key+":", from) // an empty one would not be read back
			continue
		case !s.plain:
			value = p.quote(value)
		}
		if nested {
			name = "  " + name
		}
		p.line(name+": "+value, from)
	}
	_, err := io.WriteString(w, p.out.String())
	return err
}

// printer collects the lines of one Show.
type printer struct {
	out   strings.Builder
	plain *regexp.Regexp
}

// line writes text and, behind it, where it came from.
func (p *printer) line(text, from string) {
	if from == "" {
		p.out.WriteString(text + "\n")
		return
	}
	if !printable(from) {
		from = strconv.Quote(from) // a path may contain anything
	}
	pad := strings.Repeat(" ", max(1, 40-utf8.RuneCountInString(text)))
	fmt.Fprintf(&p.out, "%s%s# %s\n", text, pad, from)
}

func (p *printer) listen(list []Listener, from string) {
	if len(list) == 0 {
		p.line("listen: []", from)
		return
	}
	p.line("listen:", from)
	for _, l := range list {
		if l.AllowAnonymous == nil && len(l.Origins) == 0 {
			p.line("  - "+p.quote(l.URL), from)
			continue
		}
		p.line("  - url: "+p.quote(l.URL), from)
		if l.AllowAnonymous != nil {
			p.line("    allow_anonymous: "+strconv.FormatBool(*l.AllowAnonymous), from)
		}
		var origins []string
		for _, pattern := range l.Origins {
			origins = append(origins, p.quote(pattern))
		}
		if len(origins) > 0 {
			p.line("    origins: ["+strings.Join(origins, ", ")+"]", from)
		}
	}
}

func (p *printer) quote(s string) string {
	if p.plain.MatchString(s) && !strings.EqualFold(s, "null") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
