package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/server"
)

func newConfig(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the settings of the broker",
		Example: `  wirebird config check
  wirebird config show --config wirebird.yaml`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(s), newConfigShow(s))
	return cmd
}

func newConfigCheck(s streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell whether the broker would start with these settings",
		Long: `Tell whether the broker would start with these settings.

It reads the configuration as 'wirebird serve' does, with the same flags, and the
files of users and certificates that it names. It opens no address. It prints ok
and exits with 0, or prints each mistake in a line of its own and exits with 1, or with 2 if
one is in the flags.`,
		Example: `  wirebird config check
  wirebird config check --config /etc/wirebird/wirebird.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(configSources(cmd.Flags()))
			if err == nil {
				_, err = server.New(cfg, slog.New(slog.DiscardHandler), readVersion(debug.ReadBuildInfo()).Version)
			}
			if asJSON {
				return checkedJSON(s, err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.out, "ok")
			return err
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// checkedJSON prints what a check has found, and keeps its exit status.
func checkedJSON(s streams, mistake error) error {
	report := struct {
		OK       bool     `json:"ok"`
		Mistakes []string `json:"mistakes"`
	}{mistake == nil, []string{}}
	if mistake != nil {
		report.Mistakes = strings.Split(mistake.Error(), "\n")
	}
	if err := json.NewEncoder(s.out).Encode(report); err != nil || mistake == nil {
		return err
	}
	if e, ok := errors.AsType[*exitError](mistake); ok {
		return &exitError{status: e.status}
	}
	return &exitError{status: exitFailed}
}

func newConfigShow(s streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the settings that hold, and where each comes from",
		Long: `Print the settings that hold, and where each comes from.

The output is a configuration file. With a mistake in the settings it shows what
could be read, tells the mistake on standard error and exits with 1, or with 2 if
it is in the flags.`,
		Example: `  wirebird config show
  wirebird config show --config wirebird.yaml --log-level debug
  wirebird config show > wirebird.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, origins, mistake := loadConfig(configSources(cmd.Flags()))
			if asJSON {
				return errors.Join(config.ShowJSON(s.out, cfg, origins), mistake)
			}
			return errors.Join(config.Show(s.out, cfg, origins), mistake)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object: each setting with its value and where it comes from")
	return cmd
}
