package conform

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/conform"
	"github.com/wirebird/wirebird/internal/nodetest"
	"github.com/wirebird/wirebird/packet"
)

// The files of the section about mosquitto: reasons, which people write, and the section,
// which a run makes.
const (
	explanationsFile = "mosquitto.tsv"
	sectionFile      = "mosquitto.md"
)

// mosquittoRuns are what mosquitto is asked, in the order of the table.
var mosquittoRuns = []string{"3.1", "3.1.1", "5.0", "WebSocket"}

// explanation tells why a check fails.
type explanation struct {
	runs  []string // in which it does
	wrong string   // who is: mosquitto, or the check
	why   string
}

// explanations are the reasons by the name of the check, and the names in their order.
func explanations(t *testing.T) (map[string]explanation, []string) {
	t.Helper()
	text, err := os.ReadFile(explanationsFile)
	if err != nil {
		t.Fatal(err)
	}
	all, names := map[string]explanation{}, []string(nil)
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		row := strings.Split(line, "\t")
		if len(row) != 4 || row[2] != "mosquitto" && row[2] != "check" || row[3] == "" {
			t.Fatalf("%s:%d: want check, runs, mosquitto or check, and why", explanationsFile, i+2)
		}
		for _, run := range strings.Fields(row[1]) {
			if !slices.Contains(mosquittoRuns, run) {
				t.Errorf("%s:%d: there is no run %q", explanationsFile, i+2, run)
			}
		}
		if _, twice := all[row[0]]; twice || !slices.Contains(conform.Names(), row[0]) {
			t.Errorf("%s:%d: %s is no check, or there twice", explanationsFile, i+2, row[0])
		}
		all[row[0]] = explanation{strings.Fields(row[1]), row[2], row[3]}
		names = append(names, row[0])
	}
	return all, names
}

// startMosquitto runs it with its defaults until the test ends, and returns its version.
func startMosquitto(t *testing.T) (node, string) {
	t.Helper()
	binary, err := exec.LookPath("mosquitto")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("mosquitto is not installed; scripts/test-deps.sh does it")
			}
			t.Skip("mosquitto is not installed; scripts/test-deps.sh does it")
		}
	}
	help, _ := exec.Command(binary, "-h").Output() // its status is 1
	version := regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+`).FindString(string(help))
	n := node{freeAddress(t), freeAddress(t)}
	port := func(address string) string { return address[strings.LastIndex(address, ":")+1:] }
	conf := nodetest.Write(t, "mosquitto.conf", fmt.Sprintf("user root\nallow_anonymous true\nlistener %s 127.0.0.1\nlistener %s 127.0.0.1\nprotocol websockets\n",
		port(n.tcp), port(n.ws)))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-v", "-c", conf)
	cmd.Dir = filepath.Dir(conf)
	log := &watched{want: []byte(" running\n"), found: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait() // its status is that of the kill
	})
	select {
	case <-log.found:
	case <-time.After(patience):
		t.Fatalf("mosquitto does not start:\n%s", log.text.Bytes())
	}
	n.ws += "/mqtt"
	return n, version
}

// freeAddress is one that nobody listens on: mosquitto cannot choose its port itself.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// watched tells when a text has been written, and keeps what came before it.
type watched struct {
	want  []byte
	found chan struct{} // closed then
	text  bytes.Buffer
	done  bool
}

func (w *watched) Write(b []byte) (int, error) {
	if !w.done {
		w.text.Write(b)
		if bytes.Contains(w.text.Bytes(), w.want) {
			w.done = true
			close(w.found)
		}
	}
	return len(b), nil
}

// mosquittoOptions are those of a run.
func mosquittoOptions(n node, run string) conform.Options {
	o := conform.Options{Address: n.tcp, WebSocket: n.ws, Version: packet.V5}
	if run == "WebSocket" {
		o.Address, o.WebSocket = "ws://"+n.ws, ""
	} else {
		o.Version, _ = conform.ParseVersion(run)
	}
	return o
}

// askMosquitto runs all checks. One that fails without a reason is given more time.
func askMosquitto(t *testing.T, n node, run string, known map[string]explanation) []conform.CheckResult {
	o := mosquittoOptions(n, run)
	o.Timeout = 2 * time.Second
	checks, err := conform.Run(t.Context(), o)
	if err != nil {
		t.Errorf("%s: %v", run, err)
		return nil
	}
	for i, c := range checks {
		if c.Outcome != conform.Fail || slices.Contains(known[c.Name].runs, run) {
			continue
		}
		o.Timeout, o.Pattern = patience, "^"+c.Name+"$"
		again, err := conform.Run(t.Context(), o)
		if err != nil {
			t.Errorf("%s: %v", run, err)
			return nil
		}
		checks[i] = again[0]
	}
	return checks
}

// Each failure of mosquitto has a reason, each reason a failure, and the section of the
// page is what a run makes.
func TestMosquittoIsExplained(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	known, order := explanations(t)
	n, version := startMosquitto(t)
	all := map[string][]conform.CheckResult{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, run := range mosquittoRuns {
		wg.Go(func() {
			checks := askMosquitto(t, n, run, known)
			mu.Lock()
			defer mu.Unlock()
			all[run] = checks
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	have, err := os.ReadFile(sectionFile)
	if err != nil {
		t.Fatal(err)
	}
	if !*update && !strings.Contains(string(have), "mosquitto "+version+"\n") {
		t.Skipf("the section is about another version than %s; make conform writes it anew", version)
	}
	compareExplanations(t, all, known)
	section := mosquittoSection(t, version, all, known, order)
	if *update && !t.Failed() {
		if err := os.WriteFile(sectionFile, []byte(section), 0o644); err != nil {
			t.Fatal(err)
		}
		have = []byte(section)
	}
	if strings.ReplaceAll(string(have), "\r\n", "\n") != section {
		t.Errorf("%s is stale; run make conform. A run makes:\n%s", sectionFile, section)
	}
}

func compareExplanations(t *testing.T, all map[string][]conform.CheckResult, known map[string]explanation) {
	unused := map[string]bool{}
	for name, e := range known {
		for _, run := range e.runs {
			unused[name+" in "+run] = true
		}
	}
	for run, checks := range all {
		for _, c := range checks {
			if c.Outcome != conform.Fail {
				continue
			}
			if !unused[c.Name+" in "+run] {
				t.Errorf("%s fails in %s without a reason in %s: %s", c.Name, run, explanationsFile, c.Reason)
			}
			delete(unused, c.Name+" in "+run)
		}
	}
	for key := range unused {
		t.Errorf("%s has a reason for the failure of %s, which does not fail", explanationsFile, key)
	}
}

// mosquittoSection is the section of the page.
func mosquittoSection(t *testing.T, version string, all map[string][]conform.CheckResult, known map[string]explanation, order []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Against mosquitto %s\n\n%s\n| run | passed | failed | skipped |\n|---|---|---|---|\n", version, mosquittoIntro)
	broken := map[string][]string{} // statements by check
	for _, run := range mosquittoRuns {
		v := mosquittoOptions(node{}, run).Version
		results, err := conform.ByStatement(v, all[run])
		if err != nil {
			t.Fatal(err)
		}
		sum := conform.Summarize(results)
		name := run
		if run == "WebSocket" {
			name = "5.0 over WebSocket"
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", name, sum.Passed, sum.Failed, sum.Skipped)
		for _, c := range all[run] {
			if c.Outcome == conform.Fail {
				broken[c.Name] = append(broken[c.Name], c.IDs...)
			}
		}
	}
	b.WriteString("\n| check | fails in | statements | wrong is | what it does |\n|---|---|---|---|---|\n")
	for _, name := range order {
		ids := broken[name]
		slices.Sort(ids)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, strings.Join(known[name].runs, ", "), strings.Join(slices.Compact(ids), ", "),
			known[name].wrong, cell(known[name].why))
	}
	return b.String()
}

const mosquittoIntro = `Debian's mosquitto with its defaults, over TCP and over WebSocket. ` + "`make conform`" + ` makes this section from a
run. A test looks whether each failure has a reason in ` + "`test/conform/mosquitto.tsv`" + ` and each reason a
failure. The reasons are what its packets show, not what its source says. Skipped are enhanced authentication,
which it lacks, more than 65,535 queued messages, which it does not keep, and what needs a user or a client
identifier that is refused.
`
