// Package conform holds the broker to every statement of MQTT, keeps
// docs/conformance.md true, and shows that the checks can fail.
package conform

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/internal/conform"
	"github.com/wirebird/wirebird/internal/nodetest"
	"github.com/wirebird/wirebird/internal/scram"
	"github.com/wirebird/wirebird/packet"
)

var update = flag.Bool("update", false, "rewrite docs/conformance.md")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = nodetest.Patience

const (
	user     = "alice"
	password = "correct horse"
)

// node is a running broker.
type node struct{ tcp, ws string } // host:port, host:port/path

// start runs a broker until the test ends. Clients need no password, but alice has one,
// for SCRAM-SHA-256 too.
func start(t *testing.T, anonymous bool) node {
	t.Helper()
	cfg := nodetest.Config("tcp://127.0.0.1:0", "ws://127.0.0.1:0/mqtt")
	cfg.AllowAnonymous = anonymous
	cfg.PasswordFile = nodetest.Write(t, "passwords", passwords)
	cfg.ScramFile = nodetest.Write(t, "scram", user+":"+scram.Derive(password, []byte("salt of the test"), 4096).String()+"\n")
	at := nodetest.Run(t, cfg)
	return node{at[0], at[1] + "/mqtt"}
}

// options are for alice, with time for a machine that is busy.
func (n node) options(v packet.Version) conform.Options {
	return conform.Options{Address: n.tcp, WebSocket: n.ws, Version: v, Username: user, Password: password, Timeout: patience}
}

// results are those of all versions against a broker with users, which are the document's.
func results(t *testing.T) map[packet.Version][]conform.Result {
	t.Helper()
	n := start(t, false)
	all := map[packet.Version][]conform.Result{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, v := range conform.Versions() {
		wg.Go(func() {
			checks, err := conform.Run(t.Context(), n.options(v))
			if err != nil {
				t.Errorf("MQTT %v: %v", v, err)
				return
			}
			list, err := conform.ByStatement(v, checks)
			if err != nil {
				t.Errorf("MQTT %v: %v", v, err)
			}
			mu.Lock()
			defer mu.Unlock()
			all[v] = list
		})
	}
	wg.Wait()
	return all
}

func TestBrokerKeepsEveryStatement(t *testing.T) {
	t.Parallel()
	all := results(t)
	for _, v := range conform.Versions() {
		var failed []conform.Result
		for _, r := range all[v] {
			if r.Outcome != conform.Pass {
				failed = append(failed, r)
			}
		}
		if len(failed) > 0 || len(all[v]) == 0 {
			var text strings.Builder
			conform.WriteText(&text, failed, false)
			t.Errorf("MQTT %v:\n%s", v, text.String())
		}
	}
	path := filepath.Join("..", "..", "docs", "conformance.md")
	page := document(t, all)
	if *update && !t.Failed() {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(have), "\r\n", "\n") != page {
		t.Errorf("%s is stale; run make conform", path)
	}
}

// Over WebSocket all is as over TCP.
func TestBrokerKeepsStatementsOverWebSocket(t *testing.T) {
	t.Parallel()
	n := start(t, true)
	o := n.options(packet.V5)
	o.Address, o.WebSocket = "ws://"+n.ws, ""
	o.Pattern = "^(session|takeover|will|order|resend|flow|retain|connect)"
	checks, err := conform.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.Outcome == conform.Fail {
			t.Errorf("%s: %s", c.Name, c.Reason)
		}
	}
}

// Each statement has a check or says why not, and not both.
func TestEveryStatementIsCovered(t *testing.T) {
	for _, v := range conform.Versions() {
		statements, err := conform.Statements(v)
		if err != nil {
			t.Fatal(err)
		}
		covered := map[string]bool{}
		for _, id := range conform.Covered(v) {
			covered[id] = true
		}
		for _, s := range statements {
			switch {
			case !covered[s.ID] && s.Why == "":
				t.Errorf("MQTT %v: %s has neither a check nor a reason", v, s.ID)
			case covered[s.ID] && s.Why != "":
				t.Errorf("MQTT %v: %s has a check, and a reason for having none", v, s.ID)
			}
			delete(covered, s.ID)
		}
		for id := range covered {
			t.Errorf("MQTT %v: a check names %s, which is not in the table", v, id)
		}
	}
}

// document is the page as tables and results say.
func document(t *testing.T, all map[packet.Version][]conform.Result) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(intro)
	for _, v := range conform.Versions() {
		statements, err := conform.Statements(v)
		if err != nil {
			t.Fatal(err)
		}
		broker := map[string]conform.Result{}
		for _, r := range all[v] {
			broker[r.ID] = r
		}
		client := clientResults(t, v, statements)
		fmt.Fprintf(&b, "## MQTT %v\n\n%d statements\n\n", v, len(statements))
		fmt.Fprintf(&b, "- broker: %v, %d without a check\n", conform.Summarize(all[v]), len(statements)-len(all[v]))
		fmt.Fprintf(&b, "- client: %v, %d bind a client and have no check\n\n", conform.Summarize(slices.Collect(maps.Values(client))), unchecked(statements, client))
		b.WriteString("| statement | binds | what it says | broker | client | checks, or why there is none |\n|---|---|---|---|---|---|\n")
		for _, s := range statements {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", s.ID, s.Binds, cell(s.Text), outcome(broker, s.ID), outcome(client, s.ID),
				cell(explain(s, broker, client)))
		}
		b.WriteString("\n")
	}
	table, err := os.ReadFile("mosquitto.md")
	if err != nil {
		t.Fatal(err)
	}
	b.Write(table)
	return b.String()
}

// clientResults are those of the client's checks, by statement. They run when the page is
// written; else TestClientConformance tells when one fails.
func clientResults(t *testing.T, v packet.Version, statements []conform.Statement) map[string]conform.Result {
	var outcomes map[string]string
	if *update {
		outcomes = clientOutcomes(t, v)
	}
	results := map[string]conform.Result{}
	for _, s := range statements {
		r := conform.Result{ID: s.ID, Outcome: conform.Pass}
		for _, name := range clientChecksOf(v, s.ID) {
			r.Checks = append(r.Checks, conform.CheckResult{Name: name})
			if outcomes[name] != "" {
				r.Outcome = conform.Fail
			}
		}
		if len(r.Checks) > 0 {
			results[s.ID] = r
		}
	}
	return results
}

// unchecked counts the statements that bind a client and have no check of it.
func unchecked(statements []conform.Statement, client map[string]conform.Result) int {
	n := 0
	for _, s := range statements {
		if _, ok := client[s.ID]; s.BindsClient() && !ok {
			n++
		}
	}
	return n
}

func outcome(results map[string]conform.Result, id string) string {
	if r, ok := results[id]; ok {
		return string(r.Outcome)
	}
	return "–"
}

// explain names the checks of a statement, or says why there is none.
func explain(s conform.Statement, broker, client map[string]conform.Result) string {
	text := cmp.Or(names(broker[s.ID]), s.Why)
	if s.BindsClient() {
		text += "; client: " + cmp.Or(names(client[s.ID]), s.WhyClient)
	}
	return text
}

func names(r conform.Result) string {
	var list []string
	for _, c := range r.Checks {
		list = append(list, c.Name)
	}
	return strings.Join(list, ", ")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

const intro = `# Conformance

Each numbered statement of MQTT 3.1.1 and 5.0, paraphrased, and what checking this broker for it came
to. MQTT 3.1 numbers no statements; its table lists what it has to itself, under names of ours. A test
makes this page and fails when it is stale: ` + "`make conform`" + `.

` + "`wirebird conform HOST:PORT --mqtt 5.0`" + ` runs the same checks against any broker, over raw sockets, and
tells for each that fails what was sent, what came and what was expected. ` + "`--run`" + ` takes a statement or a
name of the last column. PASS here is the result with users, SCRAM-SHA-256 and WebSocket configured.

The client column is about the Go client of this project, which a scripted server drives:
` + "`go test ./test/conform -run TestClientConformance/5.0/MQTT-3.1.2-20`" + `. Each check, of the broker and of the
client, is known to fail when its rule is broken: tests break answers and packets on their way.

`
