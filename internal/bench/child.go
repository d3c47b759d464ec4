package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	readyTimeout = 15 * time.Second
	readyPoll    = 10 * time.Millisecond
	stopTimeout  = 5 * time.Second
	tailBytes    = 4 << 10 // kept of what a broker writes to standard error
)

// child is a broker in a process of its own.
type child struct {
	cmd    *exec.Cmd
	stderr *tail
	exited chan struct{} // closed when the process has ended and waitErr is written
	err    error         // of Wait
}

// startChild runs cmd and returns when it answers a CONNECT at address. On an
// error no process is left.
func startChild(ctx context.Context, cmd *exec.Cmd, address string) (*child, error) {
	c := &child{cmd: cmd, stderr: new(tail), exited: make(chan struct{})}
	cmd.Stderr = c.stderr
	cmd.WaitDelay = stopTimeout
	dieWithParent(cmd)
	started := make(chan error)
	go func() {
		defer close(c.exited)
		// On Linux the child dies with the thread that started it, so that
		// thread is kept until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	if err := c.ready(ctx, address); err != nil {
		_ = c.stop() // when it had ended by itself, err says so
		return nil, err
	}
	return c, nil
}

// ready waits until the broker answers.
func (c *child) ready(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		nc, err := dial(ctx, address, "bench-probe", true)
		if err == nil {
			nc.close()
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("%s ended before it was ready: %s", c.cmd.Path, c.said())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready at %s: %w", c.cmd.Path, address, err)
		case <-poll.C:
		}
	}
}

// said returns the last words of a process that has ended.
func (c *child) said() string {
	if text := c.stderr.String(); text != "" {
		return text
	}
	if c.err != nil {
		return c.err.Error()
	}
	return "it said nothing"
}

// stop asks the process to end, and kills it when it does not. It is an error
// when it had ended before or ends with a failure: a broker that crashes closes
// its connections a moment before it is gone.
func (c *child) stop() error {
	select {
	case <-c.exited:
		return c.crash()
	default:
	}
	switch err := c.cmd.Process.Signal(syscall.SIGTERM); {
	case errors.Is(err, os.ErrProcessDone):
		<-c.exited
		return c.crash()
	case err != nil: // Windows has no such signal
		c.kill()
		return nil
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-c.exited:
		if c.cmd.ProcessState.ExitCode() > 0 {
			return c.crash()
		}
	case <-timer.C:
		c.kill()
	}
	return nil
}

func (c *child) crash() error { return fmt.Errorf("%s ended by itself: %s", c.cmd.Path, c.said()) }

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // the only error is that it has ended
	<-c.exited
}

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte // guarded by mu
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, []byte("?"))))
}

// Ports of brokers: below those that systems give to outgoing connections, which
// would be in the way of a broker that listens on all addresses.
const (
	lowestPort  = 15_000
	highestPort = 32_000
	portTries   = 1000
)

// freeAddresses returns loopback addresses that nobody listened on a moment ago.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range portTries {
		if len(addresses) == n {
			return addresses, nil
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // all are held together, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d of 127.0.0.1", n, lowestPort, highestPort)
}
