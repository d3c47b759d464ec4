package tools

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// startBroker starts a broker that listens at socket and returns when it does.
func startBroker(t *testing.T, socket, program string, args ...string) {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		program = path
	} else if _, err := os.Stat("/usr/sbin/" + program); err == nil {
		program = "/usr/sbin/" + program
	} else {
		t.Skip(program + " is not installed")
	}
	cmd := exec.Command(program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, &out)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if nc, err := net.Dial("unix", socket); err == nil {
			nc.Close()
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s does not listen at %s", program, socket)
		}
	}
}

// Password files go from either tool to either broker.
func TestPasswordFilesServeBothBrokers(t *testing.T) {
	b := newBench(t)
	theirs, ours := b.tools(t, "passwd")
	pub, _ := b.tools(t, "pub")
	brokers := map[string]func(t *testing.T, file, socket string){
		"mosquitto": func(t *testing.T, file, socket string) {
			conf := filepath.Join(filepath.Dir(file), "mosquitto.conf")
			text := "listener 0 " + socket + "\npassword_file " + file + "\nallow_anonymous false\nuser root\n"
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			startBroker(t, socket, "mosquitto", "-c", conf)
		},
		"wirebird": func(t *testing.T, file, socket string) {
			startBroker(t, socket, filepath.Join(b.dir, "wirebird"), "serve", "--in-memory", "--listen", "unix://"+socket, "--admin", "off",
				"--log-level", "error", "--password-file", file, "--allow-anonymous=false")
		},
	}
	type step struct {
		tool string
		args []string
	}
	both := []string{"mosquitto", "wirebird"}
	for name, tt := range map[string]struct {
		steps   []step
		brokers []string
	}{
		"theirs": {[]step{
			{theirs, []string{"-c", "-b", "f", "alice", "wrong"}}, {theirs, []string{"-b", "f", "alice", "secret"}},
			{theirs, []string{"-b", "-H", "sha512", "f", "bob", "hunter2"}},
		}, both},
		"ours": {[]step{
			{ours, []string{"-c", "-b", "f", "alice", "wrong"}}, {ours, []string{"-b", "f", "alice", "secret"}},
			{ours, []string{"-b", "-H", "sha512", "f", "bob", "hunter2"}},
		}, both},
		"each changes the other's": {[]step{
			{theirs, []string{"-c", "-b", "f", "alice", "wrong"}}, {ours, []string{"-b", "f", "bob", "hunter2"}},
			{theirs, []string{"-b", "f", "carol", "x"}}, {ours, []string{"-D", "f", "carol"}}, {theirs, []string{"-b", "f", "alice", "secret"}},
		}, both},
		"ours, few iterations": {[]step{
			{ours, []string{"-c", "-b", "-I", "101", "f", "alice", "secret"}}, {ours, []string{"-b", "-I", "101", "f", "bob", "hunter2"}},
		}, both},
		"ours, upgraded":   {[]step{{ours, []string{"-U", "f"}}}, both},
		"theirs, upgraded": {[]step{{theirs, []string{"-U", "f"}}}, both},
		// Mosquitto reads Argon2 from 2.1 on.
		"ours, Argon2": {[]step{
			{ours, []string{"-c", "-b", "-H", "argon2id", "f", "alice", "secret"}}, {ours, []string{"-b", "-H", "argon2id", "f", "bob", "hunter2"}},
		}, []string{"wirebird"}},
	} {
		for _, broker := range tt.brokers {
			t.Run(name+" with "+broker, func(t *testing.T) {
				t.Parallel()
				dir := shortDir(t)
				file := filepath.Join(dir, "f")
				if err := os.WriteFile(file, []byte(plainFile), 0o600); err != nil {
					t.Fatal(err)
				}
				for _, s := range tt.steps {
					call(t, dir, s.tool, s.args...)
				}
				socket := filepath.Join(dir, "s")
				brokers[broker](t, file, socket)
				for _, u := range []struct {
					name, password string
					status         int
				}{{"alice", "secret", 0}, {"bob", "hunter2", 0}, {"alice", "wrong", 5}, {"bob", "secret", 5}, {"carol", "x", 5}} {
					cmd := exec.Command(pub, "--unix", socket, "-t", "a", "-m", "x", "-q", "1", "-u", u.name, "-P", u.password)
					out, _ := cmd.CombinedOutput()
					if got := cmd.ProcessState.ExitCode(); got != u.status && !(u.status == 5 && got == 4) {
						t.Errorf("%s with %q: status %d, %s", u.name, u.password, got, out)
					}
				}
			})
		}
	}
}

// call runs a program that must succeed.
func call(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
}
