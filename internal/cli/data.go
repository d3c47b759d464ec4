package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/server"
)

// journalDir is the journal's place in the data directory.
const journalDir = "journal"

func newData(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Check, count, back up and restore what the broker has stored",
		Example: `  wirebird data check
  wirebird data backup /backup/wirebird`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDataCheck(s), newDataStats(s), newDataBackup(s), newDataRestore(s))
	return cmd
}

// dataTool is what the commands have in common.
type dataTool struct {
	streams
	asJSON bool
}

// command finishes a command: its flags, and what it does with the settings.
func (d *dataTool) command(cmd *cobra.Command, run func(cmd *cobra.Command, cfg config.Config, args []string) error) *cobra.Command {
	settings := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.Flags(settings)
	for _, name := range []string{"config", "data", "admin"} {
		f := settings.Lookup(name)
		if name == "config" {
			f.Shorthand = "c"
		}
		cmd.Flags().AddFlag(f)
	}
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print a JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, _, err := loadConfig(configSources(cmd.Flags()))
		if err != nil {
			return err
		}
		if cfg.Data == "" {
			return misused("there is no data directory: the settings say in_memory. Name one with --data.")
		}
		return run(cmd, cfg, args)
	}
	return cmd
}

// oneDirectory is for commands with a directory as their argument.
func oneDirectory(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return misused("want one directory, not %d arguments. Run '%s --help' for an example.", len(args), cmd.CommandPath())
}

func (d *dataTool) options(cfg config.Config) journal.Options {
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel)
	return journal.Options{Dir: filepath.Join(cfg.Data, journalDir), Logger: server.NewLogger(d.err, cfg.LogFormat, level)}
}

// offline explains the error of a directory that a broker has open.
func offline(err error) error {
	if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("%w; stop the broker first", err)
	}
	return err
}

// dataReport is what check and stats print.
type dataReport struct {
	Dir           string   `json:"dir"`
	Bytes         int64    `json:"bytes"`
	Sessions      int64    `json:"sessions"`
	Subscriptions int64    `json:"subscriptions"`
	Waiting       int64    `json:"waiting"`
	Bodies        int64    `json:"bodies"`
	Retained      int64    `json:"retained"`
	Wills         int64    `json:"wills"`
	Accepted      int64    `json:"accepted"`
	Orphans       int64    `json:"orphans"`
	Problems      int64    `json:"problems"`
	Findings      []string `json:"findings,omitempty"`
}

func newDataCheck(s streams) *cobra.Command {
	d := &dataTool{streams: s}
	return d.command(&cobra.Command{
		Use:   "check",
		Short: "Read everything that is stored and tell what is damaged",
		Long: `Read everything that is stored and tell what is damaged.

It reads each record with its checksum and looks for what it refers to. It changes
nothing. Records that belong to nothing are no damage: the broker deletes them when
it starts. With damage it exits with 1. The broker must not be running.`,
		Example: `  wirebird data check
  wirebird data check --data /var/lib/wirebird --json`,
		Args: noArguments,
	}, func(_ *cobra.Command, cfg config.Config, _ []string) error { return d.check(cfg, true) })
}

func newDataStats(s streams) *cobra.Command {
	d := &dataTool{streams: s}
	return d.command(&cobra.Command{
		Use:   "stats",
		Short: "Count what is stored",
		Long: `Count what is stored.

It reads everything, as check does, and prints numbers only. The broker must not be
running; one that runs has numbers of its own among its metrics.`,
		Example: `  wirebird data stats
  wirebird data stats --json`,
		Args: noArguments,
	}, func(_ *cobra.Command, cfg config.Config, _ []string) error { return d.check(cfg, false) })
}

// check prints what is stored, and with findings each thing that is wrong.
func (d *dataTool) check(cfg config.Config, findings bool) error {
	o := d.options(cfg)
	r := dataReport{Dir: o.Dir}
	s, err := journal.Check(o, func(text string) {
		switch {
		case !findings:
		case d.asJSON:
			r.Findings = append(r.Findings, text)
		default:
			fmt.Fprintln(d.out, text)
		}
	})
	if err != nil && s.Problems == 0 {
		return offline(err)
	}
	r.Bytes = dirBytes(o.Dir)
	r.Sessions, r.Subscriptions, r.Waiting, r.Bodies = s.Sessions, s.Subscriptions, s.Waiting, s.Bodies
	r.Retained, r.Wills, r.Accepted, r.Orphans, r.Problems = s.Retained, s.Wills, s.Accepted, s.Orphans, s.Problems
	return errors.Join(d.print(r, findings && err == nil), err)
}

func (d *dataTool) print(r dataReport, ok bool) error {
	if d.asJSON {
		return json.NewEncoder(d.out).Encode(r)
	}
	t := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "directory\t%s\nbytes\t%d\n", r.Dir, r.Bytes)
	for _, row := range []struct {
		name string
		n    int64
	}{
		{"sessions", r.Sessions}, {"subscriptions", r.Subscriptions}, {"waiting messages", r.Waiting},
		{"bodies of their own", r.Bodies}, {"retained messages", r.Retained}, {"wills", r.Wills},
		{"accepted identifiers", r.Accepted}, {"orphans", r.Orphans}, {"problems", r.Problems},
	} {
		fmt.Fprintf(t, "%s\t%d\n", row.name, row.n)
	}
	err := t.Flush()
	if ok {
		_, okErr := fmt.Fprintln(d.out, "ok")
		err = errors.Join(err, okErr)
	}
	return err
}

// dirBytes is the size of the files in dir; what cannot be seen does not count.
func dirBytes(dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
	}
	return n
}

func newDataBackup(s streams) *cobra.Command {
	d := &dataTool{streams: s}
	return d.command(&cobra.Command{
		Use:   "backup DIR",
		Short: "Copy what is stored, also while the broker runs",
		Long: `Copy what is stored, also while the broker runs.

The copy holds everything that was acknowledged when it began, and the sum of each
file. DIR must not exist. When the broker runs, it makes the copy itself: it is
asked at its admin address, and DIR is on its machine.`,
		Example: `  wirebird data backup /backup/wirebird-monday
  wirebird data backup --data /var/lib/wirebird --admin 127.0.0.1:18083 /backup/wirebird-monday`,
		Args: oneDirectory,
	}, d.backup)
}

func (d *dataTool) backup(cmd *cobra.Command, cfg config.Config, args []string) error {
	dir, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	o := d.options(cfg)
	if _, err := os.Stat(o.Dir); err != nil {
		return fmt.Errorf("there is no data in %s: %w", o.Dir, err)
	}
	var m journal.Manifest
	disk, err := journal.Open(o)
	switch {
	case errors.Is(err, journal.ErrLocked):
		m, err = askForBackup(cmd.Context(), cfg.Admin, dir)
	case err == nil:
		m, err = disk.Backup(dir)
		err = errors.Join(err, disk.Close())
	}
	if err != nil {
		return err
	}
	return d.done("backed up", dir, m)
}

// askForBackup lets the broker that has the directory open make the backup.
func askForBackup(ctx context.Context, admin, dir string) (m journal.Manifest, err error) {
	if admin == "" {
		return m, errors.New("the broker is running and its admin address is off: stop it, or give it one with --admin")
	}
	ask := url.URL{Scheme: "http", Host: admin, Path: "/backup", RawQuery: url.Values{"dir": {dir}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ask.String(), nil)
	if err != nil {
		return m, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return m, fmt.Errorf("the data directory is in use, but no broker answers at the admin address %s: %w; name its address with --admin, or stop it", admin, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest))
	if err != nil {
		return m, fmt.Errorf("ask the broker at %s for a backup: %w", admin, err)
	}
	if resp.StatusCode != http.StatusOK {
		return m, fmt.Errorf("the broker at %s made no backup: %s: %s", admin, resp.Status, firstLine(text))
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("what answers at %s is not a broker of this version: %w", admin, err)
	}
	return m, nil
}

// maxManifest is the largest answer to a request for a backup, in bytes.
const maxManifest = 64 << 20

func firstLine(text []byte) string {
	for i, c := range text {
		if c == '\n' || i == 500 {
			return string(text[:i])
		}
	}
	return string(text)
}

func newDataRestore(s streams) *cobra.Command {
	d := &dataTool{streams: s}
	return d.command(&cobra.Command{
		Use:   "restore DIR",
		Short: "Put a backup in place of what is stored",
		Long: `Put a backup in place of what is stored.

DIR is what 'wirebird data backup' has made. Each file is compared with the sum in
it. Nothing is overwritten: the data directory must be new, or be cleared first.
The broker must not be running.`,
		Example: `  wirebird data restore --data /var/lib/wirebird /backup/wirebird-monday`,
		Args:    oneDirectory,
	}, d.restore)
}

func (d *dataTool) restore(_ *cobra.Command, cfg config.Config, args []string) error {
	o := d.options(cfg)
	m, err := journal.ReadManifest(nil, args[0])
	if err != nil {
		return err
	}
	if n := m.Bytes(); n > longCopy {
		fmt.Fprintf(d.err, "copying %d MiB\n", n>>20)
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	if m, err = journal.Restore(o, args[0]); err != nil {
		return err
	}
	return d.done("restored", o.Dir, m)
}

// longCopy is from what size on a copy is announced.
const longCopy = 256 << 20

func (d *dataTool) done(what, dir string, m journal.Manifest) error {
	if d.asJSON {
		return json.NewEncoder(d.out).Encode(struct {
			Dir   string `json:"dir"`
			Files int    `json:"files"`
			Bytes int64  `json:"bytes"`
		}{dir, len(m.Files), m.Bytes()})
	}
	_, err := fmt.Fprintf(d.out, "%s %d files, %d bytes, to %s\n", what, len(m.Files), m.Bytes(), dir)
	return err
}
