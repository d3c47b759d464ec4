package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wirebird/wirebird/internal/contexts"
)

func newContext(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Save connections under names, and choose one",
		Long: `Save connections under names, and choose one.

A saved connection is used by all commands of a client: the one named by
--context, else the one chosen by 'wirebird context use', unless the command line
names a server of its own (--host, --url, --unix). Single flags win over it. Programs
called by the names of Mosquitto's clients never use it.

They are in $XDG_CONFIG_HOME/wirebird/contexts.json, passwords included, which only
you can read. Exit status: 0, 1 when the file cannot be used or a name is unknown,
2 when the command line makes no sense.`,
		Example: `  wirebird context add home -h broker.lan -u alice -P secret
  wirebird context use home
  wirebird sub -t '#' -v`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newContextAdd(), newContextUse(), newContextList(s), newContextRemove(), newContextShow(s))
	return cmd
}

// savedFlags are the flags that a context keeps, all of them strings there.
func savedFlags() []string {
	return []string{
		"host", "port", "url", "unix", "ws", "ws-path", "username", "pw", "protocol-version", "cafile", "cert", "key",
		"tls-use-os-certs", "insecure", "id", "id-prefix", "keepalive",
	}
}

// contextNames are the names of the saved connections, for completions.
func contextNames() []string {
	file, err := openContexts()
	if err != nil {
		return nil
	}
	return file.Names()
}

// completeContext offers the names of the saved connections.
func completeContext(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return contextNames(), cobra.ShellCompDirectiveNoFileComp
}

// addressFlags name a server: with one of them on the command line the current
// context is left alone.
func addressFlags() []string { return []string{"host", "url", "unix"} }

func openContexts() (*contexts.File, error) {
	path, err := contexts.Path()
	if err != nil {
		return nil, err
	}
	return contexts.Open(path)
}

func newContextAdd() *cobra.Command {
	var v serverFlags
	var id, idPrefix string
	var use bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Save a connection, or replace one",
		Example: `  wirebird context add local -h 127.0.0.1
  wirebird context add cloud -L mqtts://broker.example.com -u alice -P secret -V 5 --use`,
		Args: oneName,
	}
	v.addTo(cmd)
	f := cmd.Flags()
	f.StringVarP(&id, "id", "i", "", "client identifier")
	f.StringVarP(&idPrefix, "id-prefix", "I", "", "client identifier made of this prefix and the process id")
	f.Bool("ws", false, "speak MQTT over WebSocket; for pub and sub, others take it from --url")
	f.String("ws-path", "", "path of the WebSocket; for pub and sub, others take it from --url")
	f.Int("keepalive", 0, "seconds of silence before a ping")
	f.BoolVar(&use, "use", false, "choose it as well")
	_ = f.MarkHidden("context") // a context is made of flags, not of another
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c := contexts.Context{}
		for _, name := range savedFlags() {
			if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
				c[name] = flag.Value.String()
			}
		}
		if v.version != "" {
			if _, err := parseVersion(v.version); err != nil {
				return err
			}
		}
		if _, err := v.address(); err != nil {
			return err
		}
		file, err := openContexts()
		if err != nil {
			return err
		}
		if err := file.Set(args[0], c); err != nil {
			return misused("%v.", err)
		}
		if use {
			file.Current = args[0]
		}
		return file.Save()
	}
	return cmd
}

func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused("want one name, not %d. Run '%s --help'.", len(args), cmd.CommandPath())
	}
	return nil
}

func newContextUse() *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use:               "use NAME | use --none",
		ValidArgsFunction: completeContext,
		Short:             "Choose the connection that commands use",
		Example: `  wirebird context use home
  wirebird context use --none`,
		Args: func(cmd *cobra.Command, args []string) error {
			if none && len(args) == 0 {
				return nil
			}
			return oneName(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := openContexts()
			if err != nil {
				return err
			}
			if file.Current = ""; !none {
				if _, err := file.Get(args[0]); err != nil {
					return err
				}
				file.Current = args[0]
			}
			return file.Save()
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "choose no connection")
	return cmd
}

func newContextList(s streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the saved connections",
		Example: `  wirebird context ls
  wirebird context ls --json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			file, err := openContexts()
			if err != nil {
				return err
			}
			t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			enc := json.NewEncoder(s.out)
			for _, name := range file.Names() {
				c := file.Contexts[name]
				if asJSON {
					if err := enc.Encode(contextJSON(name, name == file.Current, c)); err != nil {
						return err
					}
					continue
				}
				mark := " "
				if name == file.Current {
					mark = "*"
				}
				server := cmp.Or(c.Redacted()["url"], c["unix"], cmp.Or(c["host"], "localhost")+":"+cmp.Or(c["port"], "default"))
				fmt.Fprintf(t, "%s %s\t%s\t%s\n", mark, name, server, c["username"])
			}
			return t.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each as a JSON object, without passwords")
	return cmd
}

func contextJSON(name string, current bool, c contexts.Context) any {
	return struct {
		Name    string           `json:"name"`
		Current bool             `json:"current"`
		Flags   contexts.Context `json:"flags"`
	}{name, current, c.Redacted()}
}

func newContextRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME",
		ValidArgsFunction: completeContext,
		Aliases:           []string{"remove"},
		Short:             "Forget a saved connection",
		Example:           "  wirebird context rm home",
		Args:              oneName,
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := openContexts()
			if err != nil {
				return err
			}
			if err := file.Remove(args[0]); err != nil {
				return err
			}
			return file.Save()
		},
	}
}

func newContextShow(s streams) *cobra.Command {
	var asJSON, secrets bool
	cmd := &cobra.Command{
		Use:               "show [NAME]",
		ValidArgsFunction: completeContext,
		Short:             "Show a saved connection, or the one in use",
		Example: `  wirebird context show
  wirebird context show home --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return oneName(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := openContexts()
			if err != nil {
				return err
			}
			name := file.Current
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" {
				return errors.New("Error: no connection is in use; choose one with 'wirebird context use NAME'.")
			}
			c, err := file.Get(name)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(s.out).Encode(contextJSON(name, name == file.Current, c))
			}
			shown := c
			if !secrets {
				shown = c.Redacted()
			}
			fmt.Fprintf(s.out, "%s\n", name)
			for _, flag := range savedFlags() {
				if value, ok := shown[flag]; ok {
					fmt.Fprintf(s.out, "  --%s %s\n", flag, strconv.Quote(value))
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object, without passwords")
	cmd.Flags().BoolVar(&secrets, "secrets", false, "show passwords as well")
	return cmd
}

// applyContext sets the flags that were not given from the saved connection
// called name, or from the one in use.
func applyContext(cmd *cobra.Command, name string) error {
	flags := cmd.Flags()
	if name == "" {
		for _, flag := range addressFlags() {
			if flags.Changed(flag) {
				return nil
			}
		}
	}
	saved, name, err := savedContext(name)
	if err != nil || saved == nil {
		return err
	}
	return setFlags(flags, name, saved)
}

// savedContext is the saved connection called name, or the one in use for "";
// nil if none is. It returns its name as well.
func savedContext(name string) (contexts.Context, string, error) {
	path, err := contexts.Path()
	if err != nil {
		if name == "" { // nobody asked for one
			return nil, "", nil
		}
		return nil, "", err
	}
	file, err := contexts.Open(path)
	if err != nil {
		return nil, "", err
	}
	if name = cmp.Or(name, file.Current); name == "" {
		return nil, "", nil
	}
	c, err := file.Get(name)
	return c, name, err
}

func setFlags(flags *pflag.FlagSet, name string, saved contexts.Context) error {
	elsewhere := false // another server is named than the saved one
	for _, flag := range addressFlags() {
		elsewhere = elsewhere || flags.Changed(flag)
	}
	ownID := flags.Changed("id") || flags.Changed("id-prefix")
	for _, flag := range savedFlags() {
		value, ok := saved[flag]
		switch f := flags.Lookup(flag); {
		case !ok || f == nil || f.Changed:
			continue
		case elsewhere && (flag == "host" || flag == "port" || flag == "url" || flag == "unix" || flag == "ws" || flag == "ws-path"):
			continue
		case ownID && (flag == "id" || flag == "id-prefix"):
			continue
		}
		if err := flags.Set(flag, value); err != nil {
			return fmt.Errorf("Error: context %q: --%s: %w", name, flag, err)
		}
	}
	return nil
}
