package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// command is this test binary as a broker at an address.
func command(t *testing.T, do string) (cmd *exec.Cmd, address string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := freeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self, addresses[0])
	cmd.Env = append(os.Environ(), childVariable+"="+do)
	return cmd, addresses[0]
}

func TestAChildServesUntilItIsStopped(t *testing.T) {
	cmd, address := command(t, "serve")
	c, err := startChild(t.Context(), cmd, address)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := dial(t.Context(), address, "test", true)
	if err != nil {
		t.Error(err)
	} else {
		nc.close()
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if cmd.ProcessState == nil {
		t.Error("stop has not waited for the process")
	}
}

func TestAChildThatCannotStartSaysWhy(t *testing.T) {
	cmd, address := command(t, "refuse")
	if _, err := startChild(t.Context(), cmd, address); err == nil || !strings.HasSuffix(err.Error(), "ready: unknown key") {
		t.Errorf("%v, want what it wrote", err)
	}
	cmd = exec.Command("/nowhere/broker")
	if _, err := startChild(t.Context(), cmd, address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that there is no such program", err)
	}
}

func TestNoChildIsLeftWhenItsStartIsCancelled(t *testing.T) {
	cmd, _ := command(t, "serve")
	elsewhere, err := freeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := startChild(ctx, cmd, elsewhere[0]); err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("%v, want that it is not ready", err)
	}
	if cmd.ProcessState == nil {
		t.Error("the process has not been waited for")
	}
}

func TestLastWordsOfACrashedChild(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be asked to end there, so a crash cannot be told from being killed")
	}
	_, err := Durable(t.Context(), Options{
		Brokers: []Broker{{Name: "a", Start: func(ctx context.Context, _ string) (*Instance, error) {
			cmd, address := command(t, "serve until published")
			c, err := startChild(ctx, cmd, address)
			if err != nil {
				return nil, err
			}
			return &Instance{Address: address, PID: cmd.Process.Pid, Stop: c.stop}, nil
		}}},
		Publishers: []int{1}, Window: 1, Payload: 16, Duration: time.Minute, Runs: 1, Dir: t.TempDir(),
	})
	if err == nil || !strings.Contains(err.Error(), "panic: out of ideas") {
		t.Errorf("%v, want the last words", err)
	}
}

func TestOnlyTheTailIsKept(t *testing.T) {
	var out tail
	for range 3 * tailBytes {
		if n, err := out.Write([]byte("x\xFF")); n != 2 || err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := out.Write([]byte(" end\n")); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.HasSuffix(s, "x? end") || len(s) > tailBytes {
		t.Errorf("%d bytes, ending in %q", len(s), s[max(0, len(s)-10):])
	}
}
