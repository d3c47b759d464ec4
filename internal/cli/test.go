package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/internal/probe"
)

// tester is the command that finds out what a broker can do.
type tester struct {
	streams
	serverFlags
	asJSON  bool
	timeout time.Duration
	largest int
}

func newTest(s streams) *cobra.Command {
	p := &tester{streams: s}
	cmd := &cobra.Command{
		Use:   "test [HOST:PORT | URL]",
		Short: "Find out what a broker can do",
		Long: `Find out what a broker can do: the versions it accepts, whether it takes clients
without a user name, QoS, retained messages, kinds of subscriptions, and limits. What
MQTT 5.0 lets a server announce is read, the rest is tried with a few messages below
wirebird-test/. Nothing is left behind.

Exit status: 0 when it could be found out, the server's code when it refuses every
connection, 1 for any other failure, 2 when the command line makes no sense.`,
		Example: `  wirebird test 127.0.0.1:1883
  wirebird test mqtts://broker.example.com -u alice -P secret
  wirebird test --json localhost | jq .maximum_packet_size`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misused("want one server, not %d. Run '%s --help'.", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args) },
	}
	f := cmd.Flags()
	f.DurationVar(&p.timeout, "timeout", 5*time.Second, "`time` that each step may take")
	f.IntVar(&p.largest, "largest-packet", 4<<20, "`bytes` of the largest packet to try, where the server announces no limit")
	f.BoolVar(&p.asJSON, "json", false, "print a JSON object")
	p.serverFlags.addTo(cmd)
	return cmd
}

func (p *tester) run(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		if p.url != "" {
			return misused("the server is named twice; leave --url or the argument out.")
		}
		if err := cmd.Flags().Set("url", args[0]); err != nil {
			return err
		}
	}
	if p.timeout <= 0 || p.largest < 1024 || p.largest > 64<<20 {
		return misused("--timeout must be more than 0, --largest-packet from 1024 to %d.", 64<<20)
	}
	o, err := p.options(cmd)
	if err != nil {
		return err
	}
	live := newProgress(p.err)
	r, err := probe.Run(cmd.Context(), probe.Options{
		Client: o, Timeout: p.timeout, LargestPacket: p.largest, Progress: func(step string) { live.line("%s", step) },
	})
	live.clear()
	if err != nil {
		return connectError(err, o.Version, o.URL)
	}
	if g, _, err := p.target(cmd, o.URL); err == nil {
		r.Server = g.URL // without a password
	}
	if p.asJSON {
		return json.NewEncoder(p.out).Encode(r)
	}
	return writeReport(p.out, r)
}

func writeReport(w io.Writer, r *probe.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(t, "%s\t%s\n", name, value) }
	answer := func(name string, a probe.Answer) {
		switch {
		case a.OK:
			row(name, "yes")
		case a.Detail == "":
			row(name, "no")
		default:
			row(name, "no ("+strings.TrimSuffix(a.Detail, ".")+")")
		}
	}
	number := func(name string, n int64, none, unit string) {
		switch n {
		case -1:
			row(name, "unknown")
		case 0:
			row(name, none)
		default:
			row(name, strconv.FormatInt(n, 10)+unit)
		}
	}
	row("server", r.Server)
	row("version", orUnknown(r.SysVersion))
	answer("MQTT 5.0", r.MQTT5)
	answer("MQTT 3.1.1", r.MQTT311)
	answer("MQTT 3.1", r.MQTT31)
	answer("without a user name", r.Anonymous)
	answer("assigns client identifiers", r.AssignsClientID)
	if r.MaxQoS < 0 {
		row("maximum QoS", "unknown: nothing was delivered")
	} else {
		row("maximum QoS", strconv.Itoa(r.MaxQoS))
	}
	answer("retained messages", r.Retain)
	answer("wildcard subscriptions", r.Wildcard)
	answer("shared subscriptions", r.Shared)
	answer("subscription identifiers", r.SubscriptionIdentifiers)
	number("maximum packet size", r.MaxPacketSize, "0", " bytes ("+r.MaxPacketSizeKnown+")")
	number("topic alias maximum", r.TopicAliasMax, "none", "")
	number("receive maximum", r.ReceiveMax, "0", "")
	number("server keep alive", r.ServerKeepAlive, "as the client asks", " s")
	if r.MaxSessionExpiry == 0xFFFFFFFF {
		row("session expiry", "as long as the client asks")
	} else {
		number("session expiry", r.MaxSessionExpiry, "sessions are not kept", " s at most")
	}
	if r.ResponseInfo != "" {
		row("response information", r.ResponseInfo)
	}
	return t.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
