package config

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

// Flags registers the flags of "wirebird serve" with fs. The path of the file
// is the flag "config", which goes to Sources.File; FromFlags returns the rest.
func Flags(fs *pflag.FlagSet) {
	fs.Var(new(fileFlag), "config", "read settings from `FILE` (default wirebird.yaml here, in $XDG_CONFIG_HOME/wirebird or in /etc/wirebird)")
	c := Default()
	for _, s := range settings() {
		switch {
		case s.flag == "":
		case s.key == "listen":
			fs.StringArray(s.flag, strings.Split(s.format(&c), ","), s.help)
		case s.boolean:
			fs.Bool(s.flag, s.format(&c) == "true", s.help)
		default:
			value := s.format(&c)
			if value == "0" {
				value = "" // the help text says what zero means
			}
			fs.String(s.flag, value, s.help)
		}
	}
	fs.Var(new(setFlag), "set", "set any setting of the file, as `KEY=VALUE`, such as limits.max_packet_size=2MiB; repeatable")
}

// FromFlags returns the settings among the flags of fs that were given, those
// of --set first.
func FromFlags(fs *pflag.FlagSet) []KeyValue {
	var given []KeyValue
	if f := fs.Lookup("set"); f != nil {
		if set, ok := f.Value.(*setFlag); ok {
			given = append(given, *set...)
		}
	}
	for _, s := range settings() {
		f := fs.Lookup(s.flag)
		if s.flag == "" || f == nil || !f.Changed {
			continue
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			given = append(given, KeyValue{Key: s.key, Value: v, From: "--" + s.flag})
		}
	}
	return given
}

// fileFlag is the value of --config. It is not empty: a shell variable that is not set
// must not keep the file away that asks for passwords.
type fileFlag string

func (f *fileFlag) Set(path string) error {
	if path == "" {
		return errors.New("want a path; leave it out if none is meant")
	}
	*f = fileFlag(path)
	return nil
}

func (f *fileFlag) String() string { return string(*f) }

func (f *fileFlag) Type() string { return "FILE" }

// setFlag is the value of --set.
type setFlag []KeyValue

func (f *setFlag) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return errors.New("want KEY=VALUE")
	}
	*f = append(*f, KeyValue{Key: key, Value: value, From: "--set " + key})
	return nil
}

func (f *setFlag) String() string {
	var parts []string
	for _, kv := range *f {
		parts = append(parts, kv.Key+"="+kv.Value)
	}
	return strings.Join(parts, " ")
}

func (f *setFlag) Type() string { return "KEY=VALUE" }
