// Package interop runs the client programs and libraries that people use
// against a whole broker: Eclipse Paho for Python and for Go, the Mosquitto
// command line clients and MQTT.js, over TCP, WebSocket, TLS and Unix sockets.
//
// It knows the broker's command line and log, and nothing of its packages. Each
// test starts a broker of its own on ports the system picks and stops it with
// SIGTERM; a broker that does not exit with 0, or that reports a data race,
// fails the test that started it.
//
// Where a client is not installed its tests are skipped, in CI they fail;
// scripts/test-deps.sh installs them. INTEROP_BROKER=mosquitto runs the suite
// against Mosquitto, to tell a broker's mistake from a test's.
package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. It is long because CI has two cores and the race
// detector; a passing test never waits for it.
const patience = 20 * time.Second

// brokerKind names the program under test.
type brokerKind string

const (
	wirebird  brokerKind = "wirebird"
	mosquitto brokerKind = "mosquitto"
)

// underTest is the kind of broker. Like binary it is asked for within a test: go
// test notes the environment and the files a test has looked at, and keeps a
// result until they change, but it does not note what TestMain looks at.
func underTest() brokerKind {
	if os.Getenv("INTEROP_BROKER") == string(mosquitto) {
		return mosquitto
	}
	return wirebird
}

// buildDir is where the broker is built; TestMain makes and removes it.
var buildDir string

// binary returns the path of the broker; the first call builds it.
var binary = sync.OnceValues(func() (string, error) {
	if underTest() == mosquitto {
		if path, err := exec.LookPath("mosquitto"); err == nil {
			return path, nil
		}
		return "/usr/sbin/mosquitto", nil
	}
	path := filepath.Join(buildDir, "wirebird")
	return path, buildBroker(path)
})

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "wirebird-interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return m.Run()
}

// buildBroker builds the broker as this test was built: a race-enabled test
// wants a race-enabled broker, and a driver chosen by a tag is chosen for both.
func buildBroker(binary string) error {
	args := []string{"build", "-o", binary}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("build the broker: this test has no build information")
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "-race" && s.Value == "true":
			args = append(args, "-race")
		case s.Key == "-tags":
			args = append(args, "-tags", s.Value)
		}
	}
	cmd := exec.Command("go", append(args, "./cmd/wirebird")...)
	cmd.Dir = filepath.Join("..", "..")
	if err := readSources(cmd.Dir); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the broker: %v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

// readSources opens the module's folders, so that go test does not answer with
// the kept result of a broker that has changed since.
func readSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "bin") {
			return fs.SkipDir
		}
		return err
	})
}

// brokerOptions says how a test wants its broker.
type brokerOptions struct {
	// listeners are schemes, one listener each; nil means tcp and ws.
	listeners []string
	// passwordFile turns anonymous access off; empty means anyone may connect.
	passwordFile string
	// pair is the server certificate for tls and wss listeners.
	pair *certificate
}

// broker is a running broker. Its log is complete once it has been stopped.
type broker struct {
	t      *testing.T
	binary string
	cmd    *exec.Cmd
	log    *output
	urls   map[string]*url.URL // by scheme
	done   chan struct{}       // closed when the process has ended
	dir    string              // for sockets and files; short enough for a Unix socket
}

// startBroker starts a broker and returns when all its listeners accept. It is
// stopped, and its manner of ending judged, when the test ends.
func startBroker(t *testing.T, o brokerOptions) *broker {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the clients and SIGTERM need a Unix system")
	}
	if testing.Short() {
		t.Skip("a whole broker and its clients take longer than -short allows")
	}
	if o.listeners == nil {
		o.listeners = []string{"tcp", "ws"}
	}
	dir, err := os.MkdirTemp("", "wb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, binary: path, log: newOutput(), urls: map[string]*url.URL{}, done: make(chan struct{}), dir: dir}
	switch underTest() {
	case wirebird:
		b.cmd = wirebirdCommand(b, o)
	case mosquitto:
		b.cmd = mosquittoCommand(b, o)
	}
	// A race-enabled program otherwise lingers for a second before it exits.
	b.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.WaitDelay = time.Second
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("start the broker: %v", err)
	}
	go func() {
		b.cmd.Wait() // the exit code is read by stop
		b.log.close()
		close(b.done)
	}()
	t.Cleanup(b.cleanup)
	switch underTest() {
	case wirebird:
		b.readListeners(o.listeners)
	case mosquitto:
		b.awaitPorts()
	}
	return b
}

func wirebirdCommand(b *broker, o brokerOptions) *exec.Cmd {
	args := []string{"serve", "--in-memory", "--admin", "off"}
	for _, scheme := range o.listeners {
		address := scheme + "://127.0.0.1:0"
		switch scheme {
		case "ws", "wss":
			address += "/mqtt"
		case "unix":
			address = "unix://" + filepath.Join(b.dir, "mqtt.sock")
		}
		args = append(args, "--listen", address)
	}
	if o.passwordFile != "" {
		args = append(args, "--password-file", o.passwordFile)
	} else {
		args = append(args, "--allow-anonymous")
	}
	if o.pair != nil {
		args = append(args, "--tls-cert", o.pair.certFile, "--tls-key", o.pair.keyFile)
	}
	return exec.Command(b.binary, args...)
}

// readListeners takes the addresses from the log lines that name them, one a
// listener in the order asked for.
func (b *broker) readListeners(schemes []string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for _, scheme := range schemes {
		for b.urls[scheme] == nil {
			line, err := b.log.next(deadline)
			if err != nil {
				b.t.Fatalf("broker names no %s listener: %v", scheme, err)
			}
			var entry struct{ Msg, URL string }
			if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg != "listening" {
				continue
			}
			u, err := url.Parse(entry.URL)
			if err != nil || u.Scheme != scheme {
				b.t.Fatalf("broker listens on %q, want a %s address: %v", entry.URL, scheme, err)
			}
			b.urls[scheme] = u
		}
	}
}

// url returns the address of the listener for scheme.
func (b *broker) url(scheme string) *url.URL {
	b.t.Helper()
	u := b.urls[scheme]
	if u == nil {
		b.t.Fatalf("this broker has no %s listener", scheme)
	}
	return u
}

// environment gives a client program the address of a listener.
func (b *broker) environment(scheme string) []string {
	u := b.url(scheme)
	env := []string{"MQTT_URL=" + u.String(), "MQTT_HOST=" + u.Hostname(), "MQTT_PORT=" + u.Port()}
	if scheme == "ws" || scheme == "wss" {
		return append(env, "MQTT_TRANSPORT=websockets", "MQTT_PATH="+u.Path)
	}
	return append(env, "MQTT_TRANSPORT=tcp")
}

// stop ends the broker with SIGTERM and returns its exit code, -1 when it had
// to be killed.
func (b *broker) stop() int {
	b.cmd.Process.Signal(syscall.SIGTERM) // an error means it has ended already
	select {
	case <-b.done:
	case <-time.After(patience):
		b.cmd.Process.Kill()
		<-b.done
		return -1
	}
	return b.cmd.ProcessState.ExitCode()
}

func (b *broker) cleanup() {
	if code := b.stop(); code != 0 {
		b.t.Errorf("broker exits %d after SIGTERM, want 0 (%v)", code, b.cmd.ProcessState)
	}
	log := b.log.all()
	for _, bad := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(log, bad) {
			b.t.Errorf("broker's log has %q", bad)
		}
	}
	if b.t.Failed() {
		b.t.Logf("broker's log:\n%s", log)
	}
}

// output collects what a program writes, in lines that a test can wait for.
type output struct {
	mu     sync.Mutex
	text   bytes.Buffer  // guarded by mu
	read   int           // bytes that next has returned; guarded by mu
	closed bool          // guarded by mu
	more   chan struct{} // has a token when text or closed has changed
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.signal()
	return o.text.Write(p)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.signal()
}

func (o *output) signal() {
	select {
	case o.more <- struct{}{}:
	default:
	}
}

func (o *output) all() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var (
	errOutputEnded = errors.New("the program's output has ended")
	errTooLate     = errors.New("no further line in time")
)

// next returns the next line without its end. One goroutine reads at a time.
func (o *output) next(deadline time.Time) (string, error) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		line, ended, ok := o.take()
		switch {
		case ok:
			return line, nil
		case ended:
			return "", errOutputEnded
		}
		select {
		case <-o.more:
		case <-timer.C:
			return "", errTooLate
		}
	}
}

// take returns a line when there is one, and whether none can follow.
func (o *output) take() (line string, ended, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.text.Bytes()[o.read:]
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		return "", o.closed, false
	}
	o.read += end + 1
	return strings.TrimSuffix(string(rest[:end]), "\r"), false, true
}
