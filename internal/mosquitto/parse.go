package mosquitto

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
)

// parser turns arguments into a config, one after the other: of two that
// contradict each other the later one holds.
type parser struct {
	tool    Tool
	ours    bool   // called by our own name
	name    string // by which the tool was called
	config  *config
	options []Option
}

// parse reads a command line without the name of the program.
func (p *parser) parse(args []string) error {
	for i := 0; i < len(args); i++ {
		o, value, joined := p.joined(args[i])
		switch {
		case joined && (o.Arg == "" || o.Short == "-D"):
			return usagef("").ours("%s takes no value behind =. Run '%s --help' for what there is.", o.Long, p.name)
		case joined:
			if err := o.set(p, value); err != nil {
				return err
			}
		case o == nil:
			return p.unknown(args[i])
		case o.Short == "-D":
			n, err := p.property(args[i+1:])
			if err != nil {
				return err
			}
			i += n
		case o.Arg == "":
			if err := o.set(p, ""); err != nil {
				return err
			}
		case i+1 == len(args):
			return usagef("Error: %s argument given but %s specified.\n\n", o.named(), o.missing).ours("%s needs an argument: %s.%s", args[i], o.Arg, p.hint(o))
		default:
			i++
			if err := o.set(p, args[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// given are the options in args, by their short or else long name, with the
// last argument of each. It stops where parse would complain.
func (p *parser) given(args []string) map[string]string {
	found := map[string]string{}
	for i := 0; i < len(args); i++ {
		o, joinedValue, joined := p.joined(args[i])
		if o == nil {
			break
		}
		name, value, words := cmp.Or(o.Short, o.Long), joinedValue, 0
		switch {
		case joined:
		case o.Short == "-D":
			words = propertyLength(args[i+1:])
		case o.Arg != "":
			words = 1
		}
		if i += words; words > 0 && i < len(args) {
			value = args[i]
		}
		found[name] = value
	}
	return found
}

// joined splits --name=value, which only we take.
func (p *parser) joined(arg string) (o *Option, value string, ok bool) {
	if o = p.option(arg); o != nil || !p.ours || !strings.HasPrefix(arg, "--") {
		return o, "", false
	}
	name, value, ok := strings.Cut(arg, "=")
	if o = p.option(name); o == nil {
		return nil, "", false
	}
	return o, value, ok
}

func (p *parser) unknown(arg string) error {
	e := usagef("Error: Unknown option '%s'.\n", arg)
	if !strings.HasPrefix(arg, "-") {
		return e.ours("unexpected argument %q; a topic goes behind -t, a message behind -m.", arg)
	}
	return e.ours("unknown option %q. Run '%s --help' for what there is.", arg, p.name)
}

// hint is for an option whose argument is missing.
func (p *parser) hint(o *Option) string {
	switch {
	case o.Short == "-h":
		return fmt.Sprintf(" For help run '%s --help'.", p.name)
	case o.Short == "-t" && p.tool == Sub:
		return " A shell takes # for a comment: write '#'."
	}
	return ""
}

func (p *parser) option(arg string) *Option {
	for i := range p.options {
		if o := &p.options[i]; arg == o.Short && arg != "" || arg == o.Long && arg != "" {
			return o
		}
	}
	return nil
}

// named is how messages call the option.
func (o *Option) named() string {
	if o.Short == "" || o.Short == "-V" {
		return o.Long
	}
	return o.Short
}

// file reads the options in the file of -o, or in the one of this tool. A line
// is one option and the rest of the line its argument; # starts a comment.
func (p *parser) file(args []string) error {
	path, given := "", false
	for i, a := range args {
		if a != "-o" {
			continue
		}
		if given {
			return usagef("Error: Duplicate -o argument given.\n\n").ours("-o is there twice; leave one out.")
		}
		if i+1 == len(args) {
			return usagef("Error: -o argument given but no options file specified.\n\n").ours("-o needs an argument: file.")
		}
		path, given = args[i+1], true
	}
	if !given {
		path = p.tool.optionsFile()
	}
	f, err := os.Open(path)
	if err != nil {
		if given {
			return &usageError{theirs: "Error: Unable to open options file \"" + path + "\": " + cause(err) + ".\n", bare: true}
		}
		return nil // it need not exist
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(line, " "), " ")
		if name == "" {
			continue
		}
		words := []string{name}
		if has {
			words = append(words, value)
		}
		if has && (name == "-D" || name == "--property") {
			words = append(words[:1], propertyWords(value)...)
		}
		if err := p.parse(words); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return &usageError{theirs: "Error: Unable to read options file \"" + path + "\": " + cause(err) + ".\n", bare: true}
	}
	return nil
}

// propertyWords splits what follows -D in a file: the value is the rest.
func propertyWords(s string) []string {
	words := strings.SplitN(s, " ", 3)
	if len(words) == 3 && words[1] == "user-property" {
		return append(words[:2], strings.SplitN(words[2], " ", 2)...)
	}
	return words
}

// cause is the innermost error, without the path.
func cause(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		err = e.Err
	}
	return capital(err.Error())
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
