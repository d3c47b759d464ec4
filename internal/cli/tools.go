package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/internal/mosquitto"
)

// Personality returns what the program is when it is called by the given path:
// under the name of one of Mosquitto's tools, through a link, it is that tool.
func Personality(path string) (mosquitto.Tool, bool) {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	return mosquitto.ToolOf(name)
}

// MainAs runs the tool under Mosquitto's name for it and returns the exit status.
func MainAs(t mosquitto.Tool, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runTool(t, "mosquitto_"+t.String(), args, streams{stdin, stdout, stderr})
}

func runTool(t mosquitto.Tool, name string, args []string, s streams) int {
	call := mosquitto.Call{
		Tool: t, Name: name, Version: readVersion(debug.ReadBuildInfo()).Version, Args: args, In: s.in, Out: s.out, Err: s.err,
	}
	if strings.HasPrefix(name, "wirebird ") { // scripts must not depend on what somebody has saved
		call.Saved = savedOptions
	}
	return mosquitto.Run(context.Background(), call)
}

// savedOptions are those of the saved connection called name, or of the one in
// use for "".
func savedOptions(name string) ([]string, error) {
	saved, _, err := savedContext(name)
	if err != nil || saved == nil {
		return nil, err
	}
	var options []string
	for _, flag := range savedFlags() {
		value, ok := saved[flag]
		switch {
		case !ok:
		case flag == "url":
			o, err := serverOptions(value, saved["cafile"] != "")
			if err != nil {
				return nil, err
			}
			options = append(options, o...)
		case flag == "ws" || flag == "tls-use-os-certs" || flag == "insecure":
			if value == "true" {
				options = append(options, "--"+flag)
			}
		default:
			options = append(options, "--"+flag, value)
		}
	}
	return options, nil
}

// serverOptions takes the URL of a server apart: what the tools call a URL has
// a topic in its path. trusts says that other options make TLS.
func serverOptions(address string, trusts bool) ([]string, error) {
	if !strings.Contains(address, "://") {
		address = "mqtt://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("Error: the URL of the saved connection: %w", err)
	}
	if u.Scheme == "unix" {
		return []string{"--unix", u.Host + u.Path}, nil
	}
	options := []string{"--host", u.Hostname()}
	port, secure := u.Port(), false
	switch u.Scheme {
	case "mqtt", "tcp":
		port = cmp.Or(port, "1883")
	case "mqtts", "tls", "ssl":
		secure, port = true, cmp.Or(port, "8883")
	case "ws", "wss":
		if secure = u.Scheme == "wss"; port == "" {
			port = map[bool]string{false: "80", true: "443"}[secure]
		}
		options = append(options, "--ws")
		if u.Path != "" {
			options = append(options, "--ws-path", u.RequestURI())
		}
	case "mqtt+srv", "mqtts+srv":
		secure, options = u.Scheme == "mqtts+srv", append(options, "-S")
	default:
		return nil, fmt.Errorf("Error: the saved connection has a URL with the scheme %q; use mqtt, mqtts, ws, wss or unix.", u.Scheme)
	}
	if port != "" {
		options = append(options, "--port", port)
	}
	if secure && !trusts {
		options = append(options, "--tls-use-os-certs")
	}
	if u.User != nil {
		options = append(options, "--username", u.User.Username())
		if pw, ok := u.User.Password(); ok {
			options = append(options, "--pw", pw)
		}
	}
	return options, nil
}

// toolNamed finds the tool that is a command of ours.
func toolNamed(name string) (mosquitto.Tool, bool) {
	return mosquitto.ToolOf("mosquitto_" + name)
}

// newTool makes the command for help, completions and manual pages. The tool
// reads its arguments itself: Main calls it before anything looks at them.
func newTool(t mosquitto.Tool, s streams) *cobra.Command {
	name := "wirebird " + t.String()
	cmd := &cobra.Command{
		Use:                t.String() + " " + t.Synopsis(),
		Short:              t.Short(),
		Long:               t.Long(),
		Example:            t.Example(name),
		DisableFlagParsing: true,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			c := t.Complete(args, contextNames())
			switch {
			case c.Files && len(c.Words) == 0:
				return nil, cobra.ShellCompDirectiveDefault
			case c.Dirs:
				return nil, cobra.ShellCompDirectiveFilterDirs
			case c.Files:
				return c.Words, cobra.ShellCompDirectiveDefault
			}
			return c.Words, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if status := runTool(t, name, args, s); status != 0 {
				return &exitError{status: status}
			}
			return nil
		},
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		c := mosquitto.Call{Tool: t, Name: name}
		io.WriteString(cmd.OutOrStdout(), c.Usage())
	})
	return cmd
}
