package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/server"
)

func newServe(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the broker",
		Long: `Run the broker.

Without flags it serves this machine only: MQTT on port 1883, MQTT over WebSocket
on port 8083, health and metrics on port 18083. Every setting can stand in a file
(--config), in the environment (WIREBIRD_...) or in a flag; the later wins. Run
'wirebird config show' to see what holds and where it comes from.

SIGTERM and SIGINT end it: clients are told and get what was written to them; a
second signal ends it at once. SIGHUP reads the files of users and certificates
and the log level again.`,
		Example: `  wirebird serve
  wirebird serve --listen tcp://:1883 --password-file users
  wirebird serve --listen tls://:8883 --tls-cert cert.pem --tls-key key.pem --password-file users
  wirebird serve --config /etc/wirebird/wirebird.yaml --set limits.max_packet_size=4MiB
  wirebird serve --in-memory --listen tcp://127.0.0.1:0 --admin off`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), configSources(cmd.Flags()), s)
		},
	}
	addConfigFlags(cmd)
	return cmd
}

// addConfigFlags gives a command every setting as a flag.
func addConfigFlags(cmd *cobra.Command) {
	settings := pflag.NewFlagSet("", pflag.ContinueOnError)
	settings.SortFlags = false
	config.Flags(settings)
	cmd.Flags().SortFlags = false
	settings.VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" {
			f.Shorthand = "c"
		}
		cmd.Flags().AddFlag(f)
	})
}

func configSources(flags *pflag.FlagSet) config.Sources {
	return config.Sources{File: flags.Lookup("config").Value.String(), Env: os.Environ(), Flags: config.FromFlags(flags)}
}

// loadConfig is config.Load; a mistake in a flag's value has the exit status of any other
// mistake in the command line.
func loadConfig(from config.Sources) (config.Config, config.Origins, error) {
	cfg, origins, err := config.Load(from)
	if _, ok := errors.AsType[*config.FlagError](err); ok {
		err = &exitError{exitMisused, err}
	}
	return cfg, origins, err
}

// serve runs a server until ctx ends or a signal comes.
func serve(ctx context.Context, from config.Sources, s streams) error {
	cfg, _, err := loadConfig(from)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel)
	log := server.NewLogger(s.err, cfg.LogFormat, level)
	version := readVersion(debug.ReadBuildInfo()).Version
	srv, err := server.New(cfg, log, version)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // Windows never sends the last
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- srv.Run(ctx, func(sum server.Summary) { printSummary(s.out, sum) })
	}()
	stopping, since := false, time.Time{}
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP:
				reloadConfig(from, cfg, level, log)
				srv.Reload()
			case stopping && time.Since(since) < sameSignal:
			case stopping:
				// Run goes on until the process ends, which is now.
				return errors.New("ended at once by a second signal; clients may have lost what was not yet sent")
			default:
				stopping, since = true, time.Now()
				cancel()
			}
		}
	}
}

// sameSignal is how soon after the first a further signal counts as the same one:
// supervisors often signal a process and then its group.
const sameSignal = 300 * time.Millisecond

// reloadConfig takes over what can change in a running server: the log level.
func reloadConfig(from config.Sources, running config.Config, level *slog.LevelVar, log *slog.Logger) {
	cfg, _, err := config.Load(from)
	if err != nil {
		log.Error("reload, the old stays", "setting", "log_level", "error", err)
		return
	}
	level.Set(cfg.LogLevel)
	log.Info("reloaded", "setting", "log_level", "level", strings.ToLower(cfg.LogLevel.String()))
	cfg.LogLevel = running.LogLevel
	if !reflect.DeepEqual(cfg, running) {
		log.Warn("other settings have changed as well; they take effect when the server starts again")
	}
}

// promises say what an acknowledgement means.
var promises = map[string]string{
	"fsync": "an acknowledged message is on disk",
	"os":    "an acknowledged message survives the broker, not the machine",
	"none":  "what is acknowledged may be lost when the broker ends without a stop",
}

// printSummary tells a person what has started and what to try.
func printSummary(w io.Writer, sum server.Summary) {
	fmt.Fprintf(w, "wirebird %s is ready\n", sum.Version)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range sum.Listeners {
		fmt.Fprintf(t, "  %s\t%s\n", l.URL, l.Clients)
	}
	if sum.Admin != "" {
		fmt.Fprintf(t, "  %s\tmetrics and health\n", sum.Admin)
	}
	_ = t.Flush() // standard output may be closed; the log says the same
	data := "no directory; messages and sessions end with this process"
	if sum.Data != "" {
		data = sum.Data + " (" + promises[sum.Durability] + ")"
	}
	fmt.Fprintf(w, "  data: %s\n", data)
	if flags, ok := tryFlags(sum.Listeners); ok {
		name := programName()
		fmt.Fprintf(w, "Try in two other terminals:\n  %s sub%s -t 'python/#' -v\n  %s pub%s -t python/mqtt -m hello\n", name, flags, name, flags)
	}
}

// programName is what to type for this program: wirebird if that is it, else the path by
// which it was called.
func programName() string {
	self, err := os.Executable()
	if err != nil {
		return "wirebird"
	}
	for _, name := range []string{"wirebird", os.Args[0]} {
		if path, err := exec.LookPath(name); err == nil && sameFile(path, self) {
			return shellQuote(name)
		}
	}
	return shellQuote(self) // whoever started it called it by another name
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// tryFlags are the flags of pub and sub that reach the first listener that they can
// reach without certificates.
func tryFlags(list []server.ListenerSummary) (string, bool) {
	for _, l := range list {
		u := l.Transport
		if u.TLS || u.Proxy || !l.Anonymous && !l.Passwords || u.WebSocket && u.Path != "/mqtt" {
			continue
		}
		flags := ""
		if u.Network == "unix" {
			flags = " --unix " + shellQuote(u.Address)
		} else {
			flags = hostFlags(u.Address, u.WebSocket)
		}
		if !l.Anonymous {
			flags += " -u USER -P PASSWORD"
		}
		return flags, true
	}
	return "", false
}

// hostFlags leave out what is the default: localhost, and port 1883.
func hostFlags(address string, webSocket bool) string {
	flags := ""
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err == nil && !ip.IsUnspecified() && ip.Unmap() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		flags += " -h " + host
	}
	if webSocket {
		return flags + " --ws -p " + port
	}
	if port != "1883" {
		flags += " -p " + port
	}
	return flags
}

// shellQuote quotes a path for a shell if it has to be.
func shellQuote(s string) string {
	also := "/._-"
	if runtime.GOOS == "windows" {
		also += `\:` // parts of a path, which no shell there takes for something else
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(also, r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
