package interop

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// program is a client program that a test has started.
type program struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  *output // standard output and standard error
	done chan struct{}
}

// command says what to start.
type command struct {
	path  string
	args  []string
	env   []string  // added to this process's own
	dir   string    // empty is this package's
	stdin io.Reader // nil is empty
}

// need returns the path of a client program, or ends the test without it.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		absent(t, name+" is not installed")
	}
	return path
}

// absent skips a test for want of a client; in CI nothing may be wanting.
func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s; scripts/test-deps.sh installs it", what)
	}
	t.Skipf("%s; scripts/test-deps.sh installs it", what)
}

// start starts a program, which is killed if it still runs at the test's end.
func start(t *testing.T, c command) *program {
	t.Helper()
	p := &program{t: t, name: c.path, out: newOutput(), done: make(chan struct{})}
	p.cmd = exec.Command(c.path, c.args...)
	p.cmd.Env = append(os.Environ(), c.env...)
	p.cmd.Dir = c.dir
	p.cmd.Stdin = c.stdin
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", c.path, err)
	}
	go func() {
		p.cmd.Wait() // the exit code is read by wait
		p.out.close()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() && p.out.all() != "" {
			t.Logf("%s:\n%s", strings.Join(p.cmd.Args, " "), p.out.all())
		}
	})
	return p
}

// kill ends the program without a word to the broker.
func (p *program) kill() {
	p.cmd.Process.Kill() // an error means it has ended already
	<-p.done
}

// expect waits for a line that matches the regular expression, passing over
// others, and returns its groups.
func (p *program) expect(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(patience)
	for {
		line, err := p.out.next(deadline)
		if err != nil {
			p.t.Fatalf("%s prints no line like %q: %v", p.name, pattern, err)
		}
		if m := re.FindStringSubmatch(line); m != nil {
			return m
		}
	}
}

// wait waits for the program's end and returns its exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s still runs", p.name)
		return -1
	}
}

// succeed waits for the program to exit with 0 and returns what it printed.
func (p *program) succeed() string {
	p.t.Helper()
	if code := p.wait(); code != 0 {
		p.t.Fatalf("%s exits %d, want 0", p.name, code)
	}
	return p.out.all()
}
