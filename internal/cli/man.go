package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wirebird/wirebird/internal/mosquitto"
)

func newMan(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages",
		Long: `Write a manual page of each command into the directory, which is made if need
be. They say what --help says.`,
		Example: `  wirebird man ~/.local/share/man/man1
  wirebird man /tmp/man && man /tmp/man/wirebird-sub.1`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused("want one directory, as: wirebird man ~/.local/share/man/man1.")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("Error: %w", err)
			}
			for _, c := range commands(cmd.Root()) {
				name := filepath.Join(args[0], pageName(c)+".1")
				if err := os.WriteFile(name, []byte(manPage(c)), 0o644); err != nil {
					return fmt.Errorf("Error: %w", err)
				}
			}
			return nil
		},
	}
}

// commands are cmd and all below it that people call, the parents first.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			all = append(all, commands(c)...)
		}
	}
	return all
}

// pageName is the name of the manual page, as wirebird-data-check.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage is the page in the language of man(7).
func manPage(c *cobra.Command) string {
	r := &roff{}
	title := strings.ToUpper(pageName(c))
	r.raw(`.TH "` + title + `" "1" "" "Wirebird" "Wirebird Manual"`)
	r.section("NAME")
	r.raw(escapeRoff(pageName(c)) + ` \- ` + escapeRoff(c.Short))
	r.section("SYNOPSIS")
	r.bold(strings.TrimSuffix(c.UseLine(), " [flags]"))
	if c.HasAvailableSubCommands() {
		r.raw(".br")
		r.bold(c.CommandPath() + " command")
	}
	r.section("DESCRIPTION")
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	r.paragraphs(long)
	if c.HasAvailableSubCommands() {
		r.section("COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				r.item(pageName(sub)+"(1)", sub.Short)
			}
		}
	}
	r.options(c)
	if c.Example != "" {
		r.section("EXAMPLES")
		r.raw(".nf")
		for _, line := range strings.Split(c.Example, "\n") {
			r.text(strings.TrimPrefix(line, "  "))
		}
		r.raw(".fi")
	}
	if p := c.Parent(); p != nil {
		r.section("SEE ALSO")
		r.text(pageName(p) + "(1)")
	}
	return r.b.String()
}

// roff writes the language of man(7).
type roff struct{ b strings.Builder }

func (r *roff) raw(line string)     { r.b.WriteString(line + "\n") }
func (r *roff) section(name string) { r.raw(`.SH "` + name + `"`) }

func (r *roff) text(line string) { r.raw(escapeRoff(line)) }
func (r *roff) bold(line string) { r.raw(`\fB` + escapeRoff(line) + `\fR`) }

// escapeRoff makes a line in which nothing is a command.
func escapeRoff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`).Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}

// paragraphs writes text whose paragraphs have empty lines between them.
func (r *roff) paragraphs(text string) {
	for i, p := range strings.Split(text, "\n\n") {
		if i > 0 {
			r.raw(".PP")
		}
		for _, line := range strings.Split(p, "\n") {
			r.text(line)
		}
	}
}

func (r *roff) item(term, text string) {
	r.raw(".TP")
	r.bold(term)
	r.text(text)
}

// options are those of the table of a tool, or of the flags.
func (r *roff) options(c *cobra.Command) {
	if t, ok := toolNamed(c.Name()); ok && c.Parent() == c.Root() {
		r.toolOptions(t)
		return
	}
	section := false
	c.InitDefaultHelpFlag()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if !section {
			r.section("OPTIONS")
			section = true
		}
		value, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" && f.ShorthandDeprecated == "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if value != "" {
			term += " " + value
		}
		if shown := f.DefValue; shown != "" && shown != "false" && shown != "[]" && shown != "0" && shown != "0s" {
			usage += " (default " + shown + ")"
		}
		r.item(term, usage)
	})
}

func (r *roff) toolOptions(t mosquitto.Tool) {
	group := ""
	for _, o := range t.Options() {
		if o.Group != group {
			group = o.Group
			r.section(strings.ToUpper(group))
		}
		r.item(o.Spelling(), o.Help)
	}
}
