package tools

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// start starts a tool against a server of the mode. The function it returns
// waits for its end and tells what there is to compare.
func (b *bench) start(t *testing.T, tool, mode, args string, out *os.File) (cmd *exec.Cmd, end func() string) {
	t.Helper()
	s := &server{}
	modes(b.certs)[mode](s)
	address, stop := s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	cmd = exec.CommandContext(ctx, tool, b.words(line{args: args}, address)...)
	cmd.Env = []string{"HOME=" + b.dir, "GORACE=atexit_sleep_ms=0"}
	var errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, func() string {
		_ = cmd.Wait()
		cancel()
		stop()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		return fmt.Sprintf("exited %v %d, signal %v\n%s\n%s", status.Exited(), status.ExitStatus(), status.Signal(), &errOut, strings.Join(s.seen, "\n"))
	}
}

// pipe returns both ends of one.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func TestSignalsEndTheToolsAsTheyEndMosquittos(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		tool, args string
	}{{"sub", "-t a"}, {"sub", "-t a -V 5 --will-topic w"}, {"pub", "-t a -l -d"}} {
		theirs, ours := b.tools(t, tt.tool)
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(fmt.Sprintf("%s %s %v", tt.tool, tt.args, sig), func(t *testing.T) {
				t.Parallel()
				var got [2]string
				for i, tool := range []string{theirs, ours} {
					r, w := pipe(t)
					cmd, end := b.start(t, tool, "one", tt.args, w)
					w.Close()
					if tt.tool == "sub" {
						_, _ = bufio.NewReader(r).ReadString('\n') // a message: it is connected
					}
					if err := cmd.Process.Signal(sig); err != nil && tt.tool == "sub" {
						t.Fatal(err)
					}
					got[i] = end()
					r.Close()
				}
				if tt.tool == "pub" { // it may be connected or not
					got[0], _, _ = strings.Cut(got[0], "\n")
					got[1], _, _ = strings.Cut(got[1], "\n")
				}
				if got[0] != got[1] {
					t.Errorf("got\n%s\nwant\n%s", got[1], got[0])
				}
			})
		}
	}
}

// sub | head -1 must not go on for ever.
func TestNobodyReadsTheOutput(t *testing.T) {
	b := newBench(t)
	theirs, ours := b.tools(t, "sub")
	var got [2]string
	for i, tool := range []string{theirs, ours} {
		r, w := pipe(t)
		r.Close()
		_, end := b.start(t, tool, "one", "-t a", w)
		w.Close()
		got[i] = end()
	}
	if got[0] != got[1] || !strings.Contains(got[1], "DISCONNECT") {
		t.Errorf("got %s, want %s", got[1], got[0])
	}
}

func TestReaderOfTheOutputMayBeSlow(t *testing.T) {
	b := newBench(t)
	_, ours := b.tools(t, "sub")
	r, w := pipe(t)
	_, end := b.start(t, ours, "many", "-t a -C 5000", w)
	w.Close()
	n := 0
	for in := bufio.NewScanner(r); in.Scan(); n++ {
	}
	if text := end(); n != 5000 || !strings.HasPrefix(text, "exited true 0") {
		t.Errorf("%d lines, %s", n, text)
	}
	r.Close()
}

// Lines that come after the connection was lost go over the next one.
func TestLinesGoOnAfterTheConnectionWasLost(t *testing.T) {
	b := newBench(t)
	_, ours := b.tools(t, "pub")
	for _, qos := range []string{"0", "1"} {
		t.Run("QoS "+qos, func(t *testing.T) {
			t.Parallel()
			s := &server{}
			modes(b.certs)["hangpub1"](s)
			s.again = make(chan struct{})
			address, stop := s.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, ours, b.words(line{args: "-t a -l -q " + qos}, address)...)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(in, "one")
			select {
			case <-s.again:
			case <-ctx.Done():
				t.Fatal("no second connection")
			}
			fmt.Fprintln(in, "two")
			in.Close()
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v", err)
			}
			stop()
			if text := strings.Join(s.seen, "\n"); !strings.Contains(text, `"two"`) || !strings.HasSuffix(text, `DISCONNECT code="success"`) {
				t.Errorf("the server saw\n%s", text)
			}
		})
	}
}

// A server that accepts and says nothing does not keep a signal from ending sub.
func TestSignalEndsAnAttemptToConnect(t *testing.T) {
	b := newBench(t)
	_, ours := b.tools(t, "sub")
	s := &server{}
	modes(b.certs)["tlsstall"](s)
	s.again = make(chan struct{})
	address, stop := s.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, ours, b.words(line{args: cafile + "-t a"}, address)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.again:
	case <-ctx.Done():
		t.Fatal("no second connection")
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v", err)
	}
	stop()
}
