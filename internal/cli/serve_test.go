package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// process is a running `wirebird serve`.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  chan map[string]any // lines of standard error; closed at its end
	out  chan string         // lines of standard output; closed at its end
	urls []string
}

// serve starts the program, in a directory of its own, and waits until it is ready.
func serve(t *testing.T, args ...string) *process {
	t.Helper()
	return serveAs(t, "wirebird", t.TempDir(), args...)
}

// serveAs is serve in a certain directory, with the program called by a name.
func serveAs(t *testing.T, program, dir string, args ...string) *process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the end is asked for with SIGTERM")
	}
	p := &process{t: t, log: make(chan map[string]any, 1000), out: make(chan string, 1000)}
	p.cmd = exec.Command(program, append([]string{"serve"}, args...)...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "HOME="+p.cmd.Dir, "XDG_CONFIG_HOME=") // no file but the test's
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	go p.readOutput(stdout)
	go p.readLog(stderr)
	for {
		e := p.line("listening", "ready")
		if e["msg"] == "ready" {
			return p
		}
		url, _ := e["url"].(string)
		p.urls = append(p.urls, url)
	}
}

func (p *process) readOutput(r io.Reader) {
	defer close(p.out)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		p.out <- lines.Text()
	}
}

func (p *process) readLog(r io.Reader) {
	defer close(p.log)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		e := map[string]any{}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			e["msg"] = lines.Text() // an error for people
		}
		p.log <- e
	}
}

// line waits for a line with one of these messages.
func (p *process) line(messages ...string) map[string]any {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-p.log:
			if !ok {
				p.t.Fatalf("the program ends without a line %q", messages)
			}
			for _, m := range messages {
				if e["msg"] == m {
					return e
				}
			}
		case <-timeout:
			p.t.Fatalf("no line %q", messages)
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// output returns the lines of standard output up to one with this beginning, or all.
func (p *process) output(last string) []string {
	p.t.Helper()
	timeout := time.After(patience)
	for lines := []string{}; ; {
		select {
		case line, ok := <-p.out:
			if !ok {
				return lines
			}
			if lines = append(lines, line); last != "" && strings.HasPrefix(line, last) {
				return lines
			}
		case <-timeout:
			p.t.Fatalf("the output does not end: %q", lines)
		}
	}
}

// wait waits for the end of the program and returns its exit status.
func (p *process) wait() int {
	p.t.Helper()
	p.output("")
	for range p.log { // Wait closes the pipes, so they have to be read before
	}
	p.cmd.Wait() // the exit status says it
	return p.cmd.ProcessState.ExitCode()
}

func TestServeEndsWithStatusZero(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := serve(t, "--in-memory", "--admin", "off", "--listen", "tcp://127.0.0.1:0")
		p.signal(sig)
		if status := p.wait(); status != 0 {
			t.Errorf("exit status %d after %v; want 0", status, sig)
		}
	}
}

func TestServeSaysWhatItIs(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, "--data", data, "--listen", "tcp://127.0.0.1:0", "--listen", "ws://127.0.0.1:0/mqtt", "--admin", "127.0.0.1:0")
	text := strings.Join(p.output("  wirebird pub"), "\n")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.urls[0], "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		" is ready\n",
		p.urls[0], p.urls[1] + "  anonymous clients of this machine only",
		"http://127.0.0.1:",
		"data: " + data + " (an acknowledged message is on disk)",
		"\n  wirebird sub -p " + port + " -t 'python/#' -v\n  wirebird pub -p " + port + " -t python/mqtt -m hello",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the output lacks %q:\n%s", want, text)
		}
	}
}

// What the program says to try has to work as it stands.
func TestWhatServeSuggestsWorks(t *testing.T) {
	dir, err := os.MkdirTemp("", "wb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, args := range map[string][]string{
		"tcp":       {"--listen", "tcp://127.0.0.1:0"},
		"all":       {"--listen", "tcp://0.0.0.0:0", "--allow-anonymous"},
		"WebSocket": {"--listen", "ws://127.0.0.1:0/other", "--listen", "ws://127.0.0.1:0/mqtt"},
		"Unix":      {"--listen", "unix://" + dir + "/s"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, append(args, "--in-memory", "--admin", "off")...)
			defer func() {
				p.signal(syscall.SIGTERM)
				p.wait()
			}()
			lines := p.output("  wirebird pub")
			sub, pub := shell(lines[len(lines)-2], "-C 1"), shell(lines[len(lines)-1], "-r")
			if out, err := pub.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", pub, err, out)
			}
			out, err := sub.CombinedOutput() // the message is retained
			if err != nil || string(out) != "python/mqtt hello\n" {
				t.Errorf("%s: %v, prints %q", sub, err, out)
			}
		})
	}
}

// After `make run` the program is bin/wirebird, and no wirebird is in PATH, or another.
func TestWhatServeSuggestsWorksWithoutPath(t *testing.T) {
	self, err := exec.LookPath("wirebird")
	if err != nil {
		t.Fatal(err)
	}
	dir, path := t.TempDir(), os.Getenv("PATH")
	for _, sub := range []string{"bin", "other"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, filepath.Join(dir, "bin", "wirebird")); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other", "wirebird"), []byte("#!/bin/sh\nexit 9\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	without := strings.TrimPrefix(path, filepath.Dir(self)+string(os.PathListSeparator))
	for name, path := range map[string]string{
		"none":    without,
		"another": filepath.Join(dir, "other") + string(os.PathListSeparator) + without,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", path)
			p := serveAs(t, "bin/wirebird", dir, "--listen", "tcp://127.0.0.1:0", "--in-memory", "--admin", "off")
			defer func() {
				p.signal(syscall.SIGTERM)
				p.wait()
			}()
			lines := p.output("  bin/wirebird pub")
			pub := shell(lines[len(lines)-1], "")
			pub.Dir = dir
			if out, err := pub.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", pub, err, out)
			}
		})
	}
}

// shell is a command line as a person types it, with more behind it.
func shell(line, more string) *exec.Cmd { return exec.Command("sh", "-c", line+" "+more) }

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := serve(t, "--in-memory", "--admin", "off", "--listen", "tcp://127.0.0.1:0", "--set", "shutdown_timeout=1h")
	nc := subscribeAndSleep(t, p.urls[0])
	defer nc.Close()
	p.signal(syscall.SIGTERM)
	p.line("shutting down")
	p.signal(syscall.SIGTERM) // too soon: it counts as the first
	stop := time.AfterFunc(time.Second, func() { p.signal(syscall.SIGTERM) })
	defer stop.Stop()
	p.line("ended at once by a second signal; clients may have lost what was not yet sent")
	if status := p.wait(); status != 1 {
		t.Errorf("exit status %d; want 1", status)
	}
}

// subscribeAndSleep makes a client that does not read the 20 MiB sent to it.
func subscribeAndSleep(t *testing.T, url string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	r := packet.NewReader(nc, packet.V311, 0)
	for _, k := range []packet.Packet{
		&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: []byte("sleeper")},
		&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("big")}}},
	} {
		if _, err := nc.Write(k.Append(nil, packet.V311)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadPacket(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var messages []client.Message
	for range 80 {
		messages = append(messages, client.Message{Topic: "big", Payload: make([]byte, 256<<10), QoS: 1})
	}
	if err := client.PublishOnce(ctx, client.Options{URL: url}, messages...); err != nil {
		t.Fatal(err)
	}
	return nc
}

func TestHangupReloads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wirebird.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const settings = "in_memory: true\nadmin: off\nlisten: [tcp://127.0.0.1:0]\n"
	write(settings)
	p := serve(t, "-c", file)
	for _, step := range []struct{ text, msg, attr, value string }{
		{settings + "log_level: debug\n", "reloaded", "level", "debug"},
		{settings + "log_level: loud\n", "reload, the old stays", "setting", "log_level"},
		{settings + "shards: 3\n", "other settings have changed as well; they take effect when the server starts again", "level", "WARN"},
	} {
		write(step.text)
		p.signal(syscall.SIGHUP)
		if e := p.line(step.msg); e[step.attr] != step.value {
			t.Errorf("%s: %v; want %s=%s", step.text, e, step.attr, step.value)
		}
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d; want 0", status)
	}
}
