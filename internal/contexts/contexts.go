// Package contexts keeps connections under names in a file of the user.
//
// It knows the file and nothing of what the values mean: a context is flags of
// the command line by their long names. Who uses it decides which.
package contexts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// version of the file.
const version = 1

// Context is the flags of one connection: long name to value.
type Context map[string]string

// Redacted is a copy without passwords.
func (c Context) Redacted() Context {
	out := maps.Clone(c)
	if _, ok := out["pw"]; ok {
		out["pw"] = "***"
	}
	if u, err := url.Parse(out["url"]); err == nil && u.User != nil {
		if _, ok := u.User.Password(); ok {
			u.User = url.UserPassword(u.User.Username(), "***")
			out["url"] = strings.Replace(u.String(), "%2A%2A%2A", "***", 1)
		}
	}
	return out
}

// File is all contexts of a user.
type File struct {
	Current  string             // the one in use; "" is none
	Contexts map[string]Context // by name

	path string
}

// onDisk is the file's form.
type onDisk struct {
	Version  int                `json:"version"`
	Current  string             `json:"current"`
	Contexts map[string]Context `json:"contexts"`
}

// Path is where the file of this user is.
func Path() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", fmt.Errorf("Error: no place for saved connections: %w; set XDG_CONFIG_HOME", err)
		}
	}
	return filepath.Join(dir, "wirebird", "contexts.json"), nil
}

// Open reads the file at path. One that is not there has no contexts.
func Open(path string) (*File, error) {
	f := &File{Contexts: map[string]Context{}, path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("Error: saved connections: %w", err)
	}
	var d onDisk
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("Error: saved connections: %s: %w; mend or remove the file", path, err)
	}
	if d.Version != version {
		return nil, fmt.Errorf("Error: saved connections: %s has version %d, this program knows %d", path, d.Version, version)
	}
	f.Current = d.Current
	maps.Copy(f.Contexts, d.Contexts)
	return f, nil
}

// Names are those of all contexts, in their order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

// Get returns the context called name.
func (f *File) Get(name string) (Context, error) {
	c, ok := f.Contexts[name]
	if !ok {
		known := "none is saved"
		if len(f.Contexts) > 0 {
			known = "there are " + strings.Join(f.Names(), ", ")
		}
		return nil, fmt.Errorf("Error: no connection is saved as %q; %s. Save it with 'wirebird context add %[1]s'.", name, known)
	}
	return c, nil
}

// Set saves c under a name of letters, digits, points, dashes and underscores.
func (f *File) Set(name string, c Context) error {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`).MatchString(name) {
		return fmt.Errorf("the name %q must have 1 to 64 letters, digits, points, dashes and underscores", name)
	}
	f.Contexts[name] = c
	return nil
}

// Remove forgets a context; if it was in use, none is.
func (f *File) Remove(name string) error {
	if _, err := f.Get(name); err != nil {
		return err
	}
	delete(f.Contexts, name)
	if f.Current == name {
		f.Current = ""
	}
	return nil
}

// Save writes the file so that only its owner can read it. Whatever happens on
// the way, it is the old one or the new one.
func (f *File) Save() error {
	text, err := json.MarshalIndent(onDisk{version, f.Current, f.Contexts}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("Error: saved connections: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".contexts-") // 0600 by itself
	if err != nil {
		return fmt.Errorf("Error: saved connections: %w", err)
	}
	_, err = tmp.Write(append(text, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("Error: saved connections: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}
