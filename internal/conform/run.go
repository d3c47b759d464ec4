package conform

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// Options say which broker is checked, and how. Address is needed, the rest may be zero.
type Options struct {
	// Address is HOST:PORT, or ws://HOST:PORT/PATH to run all checks over WebSocket.
	Address string
	// WebSocket is HOST:PORT/PATH for the statements about WebSocket; "" skips them
	// unless Address is one.
	WebSocket string
	// Version is one of Versions. 0 means 5.0.
	Version packet.Version
	// Pattern chooses checks by statement or by name, as a regular expression; "" is all.
	Pattern string
	// Username and Password are of a user who may do everything. With both, the checks
	// of enhanced authentication try SCRAM-SHA-256.
	Username, Password string
	// Timeout bounds each wait for something that must come. 0 means 5 s.
	Timeout time.Duration
	// Parallel is how many checks run at a time. 0 means 16.
	Parallel int
}

// Validate tells what is wrong with the options.
func (o *Options) Validate() error {
	if _, _, err := net.SplitHostPort(o.host()); err != nil {
		return fmt.Errorf("address %q: want HOST:PORT or ws://HOST:PORT/PATH", o.Address)
	}
	if o.WebSocket != "" {
		host, _, _ := strings.Cut(o.webSocket(), "/")
		if _, _, err := net.SplitHostPort(host); err != nil {
			return fmt.Errorf("WebSocket address %q: want HOST:PORT/PATH", o.WebSocket)
		}
	}
	if !slices.Contains(append(Versions(), 0), o.Version) {
		return fmt.Errorf("there is no version %d", o.Version)
	}
	if _, err := regexp.Compile(o.Pattern); err != nil {
		return fmt.Errorf("pattern: %v", err)
	}
	if o.Timeout < 0 || o.Parallel < 0 {
		return errors.New("timeout and number of checks at a time must be over 0")
	}
	return nil
}

// overWebSocket returns HOST:PORT/PATH if Address is a WebSocket.
func (o *Options) overWebSocket() (address string, ok bool) {
	return strings.CutPrefix(o.Address, "ws://")
}

func (o *Options) host() string {
	if address, ok := o.overWebSocket(); ok {
		host, _, _ := strings.Cut(address, "/")
		return host
	}
	return strings.TrimPrefix(strings.TrimPrefix(o.Address, "mqtt://"), "tcp://")
}

func (o *Options) webSocket() string {
	if address, ok := o.overWebSocket(); ok && o.WebSocket == "" {
		return address
	}
	return strings.TrimPrefix(o.WebSocket, "ws://")
}

// dial opens a connection to the broker, WebSocket included.
func (o *Options) dial() (net.Conn, error) {
	nc, err := net.DialTimeout("tcp", o.host(), o.Timeout)
	if err != nil {
		return nil, err
	}
	address, ok := o.overWebSocket()
	if !ok {
		return nc, nil
	}
	resp, ws, err := upgrade(nc, address, []string{"mqtt"}, o.Timeout)
	if err == nil && ws == nil {
		err = fmt.Errorf("the upgrade to WebSocket is refused: %s", resp.Status)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return ws, nil
}

// CheckResult is what one check came to.
type CheckResult struct {
	Name    string   `json:"name"`
	IDs     []string `json:"ids"`
	Outcome Outcome  `json:"outcome"`
	// Reason of a failure says what came and what was expected, of a skip why.
	Reason   string        `json:"reason,omitempty"`
	Duration time.Duration `json:"duration_ns"`
	Events   []Event       `json:"events,omitempty"`
}

// Run returns these when no network connection can be made, and when the pattern matches
// no check.
var (
	ErrUnreachable = errors.New("cannot connect")
	ErrNothingToDo = errors.New("no check")
)

// Run runs the checks that the options choose and returns their results in the order of
// the checks. It returns early when ctx ends.
func Run(ctx context.Context, o Options) ([]CheckResult, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.defaults()
	chosen, err := choose(&o)
	if err != nil {
		return nil, err
	}
	nc, err := o.dial()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
	}
	nc.Close()
	results := make([]CheckResult, len(chosen))
	base := newTag()
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(o.Parallel, len(chosen)) {
		wg.Go(func() {
			for i := range next {
				results[i] = runOne(&o, &chosen[i], base+pad36(i))
			}
		})
	}
	err = feed(ctx, next, len(chosen))
	wg.Wait()
	return results, err
}

func (o *Options) defaults() {
	if o.Version == 0 {
		o.Version = packet.V5
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Parallel == 0 {
		o.Parallel = 16
	}
}

func feed(ctx context.Context, next chan<- int, n int) error {
	defer close(next)
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func runOne(o *Options, c *check, tag string) CheckResult {
	start := time.Now()
	t := &trial{o: o, v: o.Version, tag: tag}
	t.play(c)
	return CheckResult{Name: c.name, IDs: c.ids(o.Version), Outcome: t.outcome, Reason: t.reason,
		Duration: time.Since(start), Events: t.events}
}

// choose returns the checks of the version that the pattern wants.
func choose(o *Options) ([]check, error) {
	re, err := regexp.Compile(o.Pattern)
	if err != nil {
		return nil, err
	}
	var chosen []check
	for _, c := range checks() {
		ids := c.ids(o.Version)
		if len(ids) > 0 && (re.MatchString(c.name) || slices.ContainsFunc(ids, re.MatchString) || glob(o.Pattern, ids)) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%w of MQTT %v matches %q", ErrNothingToDo, o.Version, o.Pattern)
	}
	return chosen, nil
}

// glob lets people write MQTT-3.1.2-*, in which a regular expression would see less.
func glob(pattern string, ids []string) bool {
	return slices.ContainsFunc(ids, func(id string) bool {
		ok, err := path.Match(pattern, id)
		return ok && err == nil
	})
}

// newTag is a beginning for topics and client identifiers that nobody else has.
func newTag() string {
	var b [8]byte
	rand.Read(b[:])
	return "c" + strconv.FormatUint(binary.BigEndian.Uint64(b[:])%(36*36*36*36*36*36*36), 36)
}

// pad36 is i in two letters and digits, so that no tag begins with another.
func pad36(i int) string {
	s := "0" + strconv.FormatInt(int64(i), 36)
	return s[len(s)-2:]
}
