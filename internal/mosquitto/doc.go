// Package mosquitto is pub, sub, rr and passwd as scripts know them from
// Mosquitto: their options, option files, messages, formats, exit statuses and
// packets.
//
// A tool is a program of its own: it reads its arguments, talks to one server
// and ends. It keeps nothing and shares nothing with other calls. It speaks
// MQTT through package packet, not through the client: what it sends, and when,
// is what libmosquitto sends, down to the packet identifiers that -d shows.
//
// The usage text, the completions and the manual pages come from one table of
// options (options.go).
package mosquitto

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Tool is one of the four programs. It is a bit, so that an option can say
// which tools have it.
type Tool byte

// The tools.
const (
	Pub Tool = 1 << iota
	Sub
	RR
	Passwd
)

const (
	anyClient = Pub | Sub | RR
	receiving = Sub | RR
	sending   = Pub | RR
	onlyOurs  = Tool(1 << 7) // of an option; see Option
)

// ToolOf returns the tool that Mosquitto installs under name, as mosquitto_pub.
func ToolOf(name string) (Tool, bool) {
	short, ok := strings.CutPrefix(name, "mosquitto_")
	if !ok {
		return 0, false
	}
	for _, t := range []Tool{Pub, Sub, RR, Passwd} {
		if t.String() == short {
			return t, true
		}
	}
	return 0, false
}

// String is the name of the command.
func (t Tool) String() string {
	switch t {
	case Pub:
		return "pub"
	case Sub:
		return "sub"
	case RR:
		return "rr"
	}
	return "passwd"
}

// Call is one run of a tool.
type Call struct {
	Tool Tool
	// Name is how the tool was called: "mosquitto_pub" or "wirebird pub".
	Name string
	// Version of the program, for --version.
	Version  string
	Args     []string // without the name
	In       io.Reader
	Out, Err io.Writer
	// Saved finds a saved connection, as options of this tool: the one called
	// name (option --context), or the one in use if name is empty. Nil options
	// mean that none is in use, nil Saved that there are none at all.
	Saved func(name string) ([]string, error)
}

// Run runs the tool and returns its exit status.
func Run(ctx context.Context, c Call) int {
	if c.Tool == Passwd {
		return c.passwd()
	}
	cfg, err := c.load()
	if err != nil {
		return c.misused(err)
	}
	r := &run{Call: c, cfg: cfg, out: bufio.NewWriterSize(c.Out, 64<<10)}
	r.Out = r.out
	defer r.stop()
	// Without this a write that nobody reads ends the program at once; flush
	// says farewell to the server.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)
	switch c.Tool {
	case Pub:
		return r.pub(ctx)
	case Sub:
		return r.sub(ctx)
	}
	return r.rr(ctx)
}

// Exit statuses that are no reason codes; the numbers are libmosquitto's.
const (
	exitFailed  = 1
	exitMisused = 2 // under our own name only
	errProtocol = 2
	errInvalid  = 3
	errNoConn   = 4
	errRefused  = 5
	errLost     = 7
	errTLS      = 8
	errAuth     = 11
	errErrno    = 14
	errLookup   = 15
	errProxy    = 16
	errKeep     = 19
	errQoS      = 24
	errOversize = 25
	errTimeout  = 27

	errDismissed = -1 // the server has ended the connection for good, and that has been said
)

// usageError is a command line that makes no sense.
type usageError struct {
	theirs string // what Mosquitto's tool says, line ends included
	own    string // what we say under our own name; empty for the same
	bare   bool   // theirs has no hint at its end
	usage  bool   // the usage text follows theirs, on standard output
}

func (e *usageError) Error() string { return strings.TrimSpace(e.theirs) }

// usagef makes a usageError of what Mosquitto's tool says.
func usagef(format string, args ...any) *usageError {
	return &usageError{theirs: fmt.Sprintf(format, args...)}
}

// own sets what is said under our own name, without "Error: ": what is wrong,
// and how to mend it.
func (e *usageError) ours(format string, args ...any) *usageError {
	e.own = fmt.Sprintf("Error: "+format, args...)
	return e
}

// What --help and --version come to.
var errHelp, errVersion = errors.New("help"), errors.New("version")

// ours reports whether the tool was called under our own name. Then a mistake
// is one line that says how to mend it, and the status is 2.
func (c *Call) ours() bool { return !strings.HasPrefix(c.Name, "mosquitto_") }

// misused says what is wrong with the command line and returns the status.
func (c *Call) misused(err error) int {
	usage, saved := (*usageError)(nil), (*savedError)(nil)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(c.Out, c.Usage())
		if c.ours() {
			return 0
		}
		return exitFailed // as Mosquitto's tools do
	case errors.Is(err, errVersion):
		if c.ours() {
			fmt.Fprintf(c.Out, "wirebird %s\n", c.Version)
			return 0
		}
		fmt.Fprintf(c.Out, "%s version %s running on wirebird %s.\n", c.Name, c.Version, c.Version)
		return exitFailed // as Mosquitto's tools do
	case errors.As(err, &saved):
		fmt.Fprintln(c.Err, saved)
		return exitFailed
	case !errors.As(err, &usage):
		usage = usagef("%v\n", err)
	}
	if c.ours() {
		text := usage.own
		if text == "" {
			text = fmt.Sprintf("%s Run '%s --help' for what there is.", usage.Error(), c.Name)
		}
		fmt.Fprintln(c.Err, text)
		return exitMisused
	}
	fmt.Fprint(c.Err, usage.theirs)
	if !usage.bare {
		fmt.Fprintf(c.Err, "\nUse '%s --help' to see usage.\n", c.Name)
	}
	if usage.usage {
		fmt.Fprint(c.Out, c.Usage())
	}
	return exitFailed
}

// optionsFile is the file of options that holds without -o.
func (t Tool) optionsFile() string {
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return dir + "/mosquitto_" + t.String()
	}
	if dir := os.Getenv("HOME"); dir != "" {
		return dir + "/.config/mosquitto_" + t.String()
	}
	return ""
}
