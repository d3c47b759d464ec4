package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildDir is where the broker is built; TestMain makes and removes it.
var buildDir string

// binary returns the path of the broker; the first call builds it.
var binary = sync.OnceValues(func() (string, error) {
	if *brokerPath != "" {
		return filepath.Abs(*brokerPath)
	}
	path := filepath.Join(buildDir, "wirebird")
	cmd := exec.Command("go", "build", raceFlag, "-o", path, "./cmd/wirebird")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// broker is a program that is started and killed again and again.
type broker struct {
	path    string
	dir     string // all of it: data and log
	args    []string
	address string
	ledger  *ledger

	shards int      // 0 is the default
	proc   *process // nil when none runs
	starts int
	slow   time.Duration // longest start
	total  time.Duration // of all starts
}

// process is one run of the broker.
type process struct {
	cmd      *exec.Cmd
	ready    chan struct{} // closed when it listens
	done     chan struct{} // closed when it has ended
	err      error         // valid after done
	expected sync.Once     // consumed by whoever ends it on purpose
}

// inMemory makes the broker keep nothing.
const inMemory = "--in-memory"

const (
	startPatience = 30 * time.Second
	stopPatience  = 20 * time.Second
)

func newBroker(t *testing.T, l *ledger, extra ...string) *broker {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wirebird-crash-")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{path: path, dir: dir, ledger: l, address: freeAddress(t)}
	b.args = append([]string{"serve", "--listen", "tcp://" + b.address, "--admin", "off", "--log-level", "info", "--log-format", "json"}, extra...)
	if !slices.Contains(extra, inMemory) {
		b.args = append(b.args, "--data", filepath.Join(dir, "data"))
	}
	t.Cleanup(func() {
		b.kill()
		if t.Failed() {
			t.Logf("the data directory and the broker's log are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return b
}

// freeAddress finds a port that stays free while the broker is down. It is below those
// that systems give to outgoing connections: a client could get such a port, and one that
// dials it over and over would in the end connect to itself.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))
		if nl, err := net.Listen("tcp", address); err == nil {
			nl.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// launch starts the broker and does not wait for it.
func (b *broker) launch() error {
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	args := b.args
	if b.shards > 0 {
		args = append(slices.Clone(args), "--shards", strconv.Itoa(b.shards))
	}
	p := &process{cmd: exec.Command(b.path, args...), ready: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Dir = b.dir
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "WIREBIRD_") {
			p.cmd.Env = append(p.cmd.Env, e)
		}
	}
	p.cmd.SysProcAttr = attached()
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		log.Close()
		return err
	}
	started := make(chan error)
	go func() {
		// Linux ends the broker with the thread that has started it; see attached.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			b.watch(p, stderr, log)
		}
		log.Close()
	}()
	if err := <-started; err != nil {
		return err
	}
	b.proc = p
	b.starts++
	return nil
}

// watch copies the log of a process and waits for its end.
func (b *broker) watch(p *process, stderr io.Reader, log io.Writer) {
	defer close(p.done)
	listening := false
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		_, _ = io.WriteString(log, line)
		if !listening && strings.Contains(line, `"msg":"listening"`) {
			listening = true
			close(p.ready)
		}
		if alarming(line) {
			b.ledger.fail(faultBroker, nil, "it says: %s", strings.TrimSpace(line))
		}
		if err != nil {
			break
		}
	}
	p.err = p.cmd.Wait()
	p.expected.Do(func() { b.ledger.fail(faultBroker, nil, "it ended by itself: %v", p.err) })
}

// alarming reports whether a line of the log tells of a failure.
func alarming(line string) bool {
	for _, prefix := range []string{"panic:", "fatal error:", "WARNING: DATA RACE"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return strings.Contains(line, `"level":"ERROR"`)
}

// start starts the broker and waits until it listens.
func (b *broker) start() error {
	began := time.Now()
	if err := b.launch(); err != nil {
		return err
	}
	select {
	case <-b.proc.ready:
		b.total += time.Since(began)
		b.slow = max(b.slow, time.Since(began))
		return nil
	case <-b.proc.done:
		return fmt.Errorf("the broker does not start: %w\n%s", b.proc.err, b.tail())
	case <-time.After(startPatience):
		return fmt.Errorf("the broker does not listen within %v\n%s", startPatience, b.tail())
	}
}

// kill ends the broker as a power failure of the process would.
func (b *broker) kill() {
	if b.proc == nil {
		return
	}
	b.proc.expected.Do(func() {})
	_ = b.proc.cmd.Process.Kill() // an error means it has ended
	<-b.proc.done
	b.proc = nil
}

// stop asks the broker to end and expects it to do so with exit code 0.
func (b *broker) stop() error {
	b.proc.expected.Do(func() {})
	if err := b.proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	select {
	case <-b.proc.done:
	case <-time.After(stopPatience):
		b.kill()
		return errors.New("it does not end after SIGTERM")
	}
	err := b.proc.err
	b.proc = nil
	if err != nil {
		return fmt.Errorf("it ended after SIGTERM with %w\n%s", err, b.tail())
	}
	return nil
}

// tail returns the end of the log.
func (b *broker) tail() string {
	text, err := os.ReadFile(filepath.Join(b.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
