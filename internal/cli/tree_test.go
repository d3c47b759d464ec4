package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// silent are the commands that print no result which --json could print, with
// what they do instead.
var silent = map[string]string{
	"wirebird": "help", "wirebird bench": "help", "wirebird config": "help", "wirebird context": "help", "wirebird data": "help",
	"wirebird serve": "logs, also as JSON", "wirebird pub": "nothing", "wirebird passwd": "a file",
	"wirebird completion": "a script", "wirebird man": "files",
	"wirebird context add": "a file", "wirebird context rm": "a file", "wirebird context use": "a file",
}

// ran is what a command line came to.
type ran struct {
	status   int
	out, err string
}

func call(args ...string) ran {
	var out, errOut bytes.Buffer
	status := Main(args, strings.NewReader(""), &out, &errOut)
	return ran{status, out.String(), errOut.String()}
}

func TestEveryCommand(t *testing.T) {
	root := newRoot(streams{})
	root.InitDefaultHelpCmd()
	for _, c := range commands(root) {
		if c.Name() == "help" {
			continue
		}
		t.Run(c.CommandPath(), func(t *testing.T) {
			path := strings.Fields(c.CommandPath())[1:]
			t.Run("has a short help", func(t *testing.T) {
				if s := c.Short; s == "" || len(s) > 72 || strings.HasSuffix(s, ".") || strings.ToUpper(s[:1]) != s[:1] {
					t.Errorf("%q: want a sentence of at most 72 bytes without its full stop", s)
				}
			})
			t.Run("has examples that exist", func(t *testing.T) { checkExamples(t, root, c) })
			t.Run("has help", func(t *testing.T) {
				r := call(append(path, "--help")...)
				if r.status != 0 || r.err != "" || !strings.Contains(r.out, "\nUsage:\n") || !strings.Contains(r.out, "\nExamples:\n") {
					t.Errorf("%+v", r)
				}
				for _, l := range strings.Split(r.out, "\n") {
					if strings.TrimRight(l, " ") != l {
						t.Errorf("a line ends with a space: %q", l)
					}
				}
			})
			t.Run("names a flag that is none", func(t *testing.T) {
				r := call(append(path, "--no-such-flag")...)
				if r.status != exitMisused || r.out != "" || strings.Count(r.err, "\n") != 1 ||
					!strings.Contains(r.err, "--no-such-flag") || !strings.Contains(r.err, "--help") {
					t.Errorf("%+v; want one line with the flag and where to look, and status 2", r)
				}
			})
			t.Run("has --json if it prints results", func(t *testing.T) {
				_, quiet := silent[c.CommandPath()]
				if has := flagNames(c)["--json"]; has == quiet {
					t.Errorf("--json: %v; silent: %v", has, quiet)
				}
			})
			t.Run("describes its flags", func(t *testing.T) {
				c.Flags().VisitAll(func(f *pflag.Flag) {
					if f.Usage == "" && !f.Hidden {
						t.Errorf("--%s has no help", f.Name)
					}
				})
			})
		})
	}
	for path := range silent {
		if c, _, err := root.Find(strings.Fields(path)[1:]); err != nil || c.CommandPath() != path {
			t.Errorf("there is no command %q", path)
		}
	}
}

// flagNames are the flags of c as they are written.
func flagNames(c *cobra.Command) map[string]bool {
	names := map[string]bool{"--help": true}
	if t, ok := toolNamed(c.Name()); ok && c.Parent() == c.Root() {
		for _, o := range t.Options() {
			names[o.Short], names[o.Long] = true, true
		}
		return names
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		names["--"+f.Name] = true
		if f.Shorthand != "" {
			names["-"+f.Shorthand] = true
		}
	})
	return names
}

// checkExamples holds the examples to commands and flags that there are.
func checkExamples(t *testing.T, root, c *cobra.Command) {
	if c.Example == "" {
		t.Fatal("no examples")
	}
	for _, line := range strings.Split(c.Example, "\n") {
		if !strings.HasPrefix(line, "  ") {
			t.Errorf("%q is not indented by two spaces", line)
		}
		_, line, ok := strings.Cut(line, "wirebird ")
		if !ok {
			t.Errorf("%q does not call wirebird", line)
		}
		line, _, _ = strings.Cut(line, "|")
		line, _, _ = strings.Cut(line, "&&")
		words := strings.Fields(strings.TrimSuffix(line, ")"))
		called, _, err := root.Find(words)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if called != c && !strings.HasPrefix(called.CommandPath(), c.CommandPath()) && c.CommandPath() != "wirebird context" {
			t.Errorf("%q calls %s", line, called.CommandPath())
		}
		names := flagNames(called)
		for _, w := range words {
			if name, _, _ := strings.Cut(w, "="); len(w) > 1 && w[0] == '-' && (w[1] == '-' || len(name) == 2) && !names[name] {
				t.Errorf("%q: %s has no %s", line, called.CommandPath(), name)
			}
		}
	}
}

func TestManualPagesSayWhatHelpSays(t *testing.T) {
	dir := t.TempDir() + "/man1"
	if r := call("man", dir); r != (ran{}) {
		t.Fatalf("%+v", r)
	}
	for _, c := range commands(newRoot(streams{})) {
		page := readFile(t, dir+"/"+pageName(c)+".1")
		for name := range flagNames(c) {
			if f := c.Flags().Lookup(strings.TrimPrefix(name, "--")); f != nil && f.Hidden {
				continue
			}
			if name != "" && name != "--help" && !strings.Contains(page, escapeRoff(name)) {
				t.Errorf("%s does not tell %s", pageName(c), name)
			}
		}
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES"} {
			if !strings.Contains(page, ".SH \""+section+"\"\n") {
				t.Errorf("%s has no section %s", pageName(c), section)
			}
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
