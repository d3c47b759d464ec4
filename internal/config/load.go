package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const envPrefix = "WIREBIRD_"

// Sources are where Load takes the configuration from.
type Sources struct {
	// File is the path of the file. If empty, the variable WIREBIRD_CONFIG
	// names it; failing that, it is the first that exists of wirebird.yaml,
	// $XDG_CONFIG_HOME/wirebird/wirebird.yaml and /etc/wirebird/wirebird.yaml;
	// and if there is none, all settings have their defaults.
	File string
	// Env holds NAME=value, as os.Environ returns it. A variable with an empty
	// value counts as not set.
	Env []string
	// Flags come last and win.
	Flags []KeyValue
}

// KeyValue is a setting by the name it has in Reference. listen may occur more
// than once and then has all the values; of other keys the last one counts.
type KeyValue struct {
	Key, Value string
	// From is the flag that said so, for errors and Origins.
	From string
}

// Origins tells for each key where its value came from: "default", FILE:LINE,
// the name of a variable, or a flag.
type Origins map[string]string

const fromDefault = "default"

// FlagError is in what Load returns when a flag's value is wrong: whoever typed it can
// mend it at once.
type FlagError struct{ err error }

func (e *FlagError) Error() string { return e.err.Error() }

func (e *FlagError) Unwrap() error { return e.err }

// Load reads and validates the configuration. When it returns an error, which
// may have several lines, the Config holds what could be read; it is good for
// showing and not for running.
func Load(o Sources) (Config, Origins, error) {
	l := &loader{cfg: Default(), origins: make(Origins), settings: settings()}
	for _, s := range l.settings {
		l.origins[s.key] = fromDefault
	}
	env := environment(o.Env)
	path, err := findFile(o.File, env)
	if err != nil {
		return l.cfg, l.origins, err
	}
	if path != "" {
		l.file(path)
	}
	l.env(env)
	l.flags(o.Flags)
	if l.cfg.Data == "" && !l.cfg.InMemory {
		l.cfg.Data = defaultData(env, runtime.GOOS, os.Geteuid())
	}
	if err := errors.Join(l.errs...); err != nil {
		return l.cfg, l.origins, err
	}
	return l.cfg, l.origins, l.cfg.Validate()
}

// loader gathers a configuration from its sources, one after the other.
type loader struct {
	cfg      Config
	origins  Origins
	settings []setting
	errs     []error
}

func (l *loader) setting(key string) (setting, bool) {
	i := slices.IndexFunc(l.settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return setting{}, false
	}
	return l.settings[i], true
}

// set gives a setting its value. where begins an error, origin is noted.
func (l *loader) set(s setting, value, where, origin string) {
	if s.path && value == "" {
		l.errs = append(l.errs, fmt.Errorf(`%s: want a path, not ""; leave it out if none is meant`, where))
		return
	}
	if err := s.set(&l.cfg, value); err != nil {
		l.errs = append(l.errs, fmt.Errorf("%s: %w", where, err))
		return
	}
	l.origins[s.key] = origin
	if s.key == "listen" {
		for _, err := range checkURLs(l.cfg.Listen) {
			l.errs = append(l.errs, fmt.Errorf("%s: %w", where, err))
		}
	}
}

// environment returns the variables that are set, by name.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); value != "" {
			env[name] = value
		} else {
			delete(env, name)
		}
	}
	return env
}

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// serviceVariable matches the NAME=value that Kubernetes sets in every container
// of a namespace that has a service whose name begins with "wirebird". Nobody
// wrote them, so they are no mistakes.
const serviceVariable = `_SERVICE_HOST=|_SERVICE_PORT(_[A-Z0-9_]+)?=|_PORT=[a-z]+://|_PORT_[0-9]+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?=`

func (l *loader) env(env map[string]string) {
	keys := make(map[string]string, len(l.settings)) // variable to key
	names := []string{"CONFIG"}                      // without the prefix, which would make all of them similar
	for _, s := range l.settings {
		keys[envName(s.key)] = s.key
		names = append(names, strings.TrimPrefix(envName(s.key), envPrefix))
	}
	service := regexp.MustCompile(serviceVariable)
	var given []string
	for name := range env {
		if strings.HasPrefix(name, envPrefix) && name != envPrefix+"CONFIG" {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	for _, name := range given {
		switch s, ok := l.setting(keys[name]); {
		case ok:
			l.set(s, env[name], name, name)
		case service.MatchString(name + "=" + env[name]):
		default:
			meant := suggest(strings.TrimPrefix(name, envPrefix), names)
			if meant != "" {
				meant = envPrefix + meant
			}
			l.errs = append(l.errs, fmt.Errorf("%s: unknown variable%s", name, didYouMean("", meant)))
		}
	}
}

func (l *loader) flags(flags []KeyValue) {
	before := len(l.errs)
	defer func() {
		for i, err := range l.errs[before:] {
			l.errs[before+i] = &FlagError{err}
		}
	}()
	var listen []Listener
	for _, kv := range flags {
		from := kv.From
		if from == "" {
			from = "--set " + kv.Key
		}
		s, ok := l.setting(kv.Key)
		if !ok {
			l.errs = append(l.errs, fmt.Errorf("%s: unknown key%s", from, didYouMean(`"`, suggest(kv.Key, l.keys()))))
			continue
		}
		l.set(s, kv.Value, from, from)
		if kv.Key == "listen" {
			listen = append(listen, l.cfg.Listen...)
			l.cfg.Listen = listen
		}
	}
}

func (l *loader) keys() []string {
	var keys []string
	for _, s := range l.settings {
		keys = append(keys, s.key)
	}
	return keys
}

// didYouMean returns the end of an error about an unknown name.
func didYouMean(quote, name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + quote + name + quote + "?"
}

// findFile returns the path of the file to read, "" for none.
func findFile(path string, env map[string]string) (string, error) {
	if path != "" {
		return path, nil
	}
	if path := env[envPrefix+"CONFIG"]; path != "" {
		return path, nil
	}
	candidates := []string{"wirebird.yaml"}
	if dir := env["XDG_CONFIG_HOME"]; filepath.IsAbs(dir) {
		candidates = append(candidates, filepath.Join(dir, "wirebird", "wirebird.yaml"))
	} else if home := env["HOME"]; filepath.IsAbs(home) {
		candidates = append(candidates, filepath.Join(home, ".config", "wirebird", "wirebird.yaml"))
	}
	for _, path := range append(candidates, "/etc/wirebird/wirebird.yaml") {
		switch _, err := os.Stat(path); {
		case err == nil:
			return path, nil
		case !errors.Is(err, os.ErrNotExist):
			// A file that is there but cannot be seen must not be passed over:
			// it may be the one that asks for passwords.
			return "", fmt.Errorf("look for a configuration file: %w", err)
		}
	}
	return "", nil
}

// defaultData returns the directory of durable state, "" if the environment
// offers none.
func defaultData(env map[string]string, goos string, euid int) string {
	switch {
	case euid == 0:
		return "/var/lib/wirebird"
	case filepath.IsAbs(env["XDG_STATE_HOME"]):
		return filepath.Join(env["XDG_STATE_HOME"], "wirebird")
	case goos == "windows" && env["LOCALAPPDATA"] != "":
		return filepath.Join(env["LOCALAPPDATA"], "wirebird")
	case filepath.IsAbs(env["HOME"]):
		return filepath.Join(env["HOME"], ".local", "state", "wirebird")
	}
	return ""
}
