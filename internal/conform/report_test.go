package conform_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/conform"
	"github.com/wirebird/wirebird/packet"
)

// byStatement gathers made-up results of checks.
func byStatement(t *testing.T, checks ...conform.CheckResult) []conform.Result {
	t.Helper()
	results, err := conform.ByStatement(packet.V5, checks)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestAStatementIsAsGoodAsItsChecks(t *testing.T) {
	const pass, fail, skip = conform.Pass, conform.Fail, conform.Skip
	for name, tt := range map[string]struct {
		checks []conform.Outcome
		want   conform.Outcome
	}{
		"one passes":               {[]conform.Outcome{pass}, pass},
		"one fails":                {[]conform.Outcome{pass, fail, pass}, fail},
		"one fails, one skips":     {[]conform.Outcome{fail, skip}, fail},
		"one passes, one skips":    {[]conform.Outcome{skip, pass}, pass},
		"all skip":                 {[]conform.Outcome{skip, skip}, skip},
		"a skip hides no failure":  {[]conform.Outcome{skip, fail}, fail},
		"a pass hides no failure":  {[]conform.Outcome{fail, pass}, fail},
		"a failure after the pass": {[]conform.Outcome{pass, fail}, fail},
	} {
		t.Run(name, func(t *testing.T) {
			var checks []conform.CheckResult
			for _, o := range tt.checks {
				checks = append(checks, conform.CheckResult{Name: "c", IDs: []string{"MQTT-3.12.4-1"}, Outcome: o, Reason: "why"})
			}
			got := byStatement(t, checks...)
			if len(got) != 1 || got[0].Outcome != tt.want || len(got[0].Checks) != len(checks) {
				t.Fatalf("got %+v, want %s", got, tt.want)
			}
			if (got[0].Reason != "") != (tt.want == skip) {
				t.Errorf("%s with the reason %q", tt.want, got[0].Reason)
			}
		})
	}
}

// failure is a check as a real one fails, of two statements.
func failure(t *testing.T) conform.CheckResult {
	t.Helper()
	b := (&fake{mute: true}).start(t)
	c := run(t, conform.Options{Address: b.address(), Pattern: "^pingreq$", Timeout: haste})[0]
	c.IDs = append(c.IDs, "MQTT-3.14.4-2")
	return c
}

func TestTextSaysWhatWasSentWhatCameAndWhatWasExpected(t *testing.T) {
	results := byStatement(t, failure(t), conform.CheckResult{Name: "fine", IDs: []string{"MQTT-1.5.4-1"}, Outcome: conform.Pass},
		conform.CheckResult{Name: "left-out", IDs: []string{"MQTT-1.5.5-1"}, Outcome: conform.Skip, Reason: "not here"})
	var brief, all bytes.Buffer
	if err := conform.WriteText(&brief, results, false); err != nil {
		t.Fatal(err)
	}
	if err := conform.WriteText(&all, results, true); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(brief.String(), "\n")
	for _, want := range []string{
		"PASS MQTT-1.5.4-1: ", "SKIP MQTT-1.5.5-1: not here", "FAIL MQTT-3.12.4-1: ", "    FAIL pingreq (",
		"      a> CONNECT v5 id=", "      a< CONNACK success", "         2003000000", "      a> PINGREQ", "         c000",
		"      a< nothing came within 50ms, expected PINGRESP", "FAIL MQTT-3.14.4-2: ", "    FAIL pingreq: see MQTT-3.12.4-1",
		"1 passed, 2 failed, 1 skipped",
	} {
		at := -1
		for i, line := range lines {
			if strings.HasPrefix(line, want) {
				at = i
				break
			}
		}
		if at < 0 {
			t.Fatalf("no line %q, or out of order, in\n%s", want, brief.String())
		}
		lines = lines[at+1:]
	}
	if strings.Contains(brief.String(), "fine") || !strings.Contains(all.String(), "    PASS fine (") {
		t.Errorf("only -v tells of checks that pass:\n%s", all.String())
	}
}

func TestPasswordsAreNotShown(t *testing.T) {
	b := (&fake{}).start(t)
	checks := run(t, conform.Options{Address: b.address(), Pattern: "^pingreq$", Username: "alice", Password: "hunter2", Timeout: patience})
	var out bytes.Buffer
	if err := conform.WriteText(&out, byStatement(t, checks...), true); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74657232") || !strings.Contains(got, "password=secret") {
		t.Errorf("the password is shown, or nothing in its place:\n%s", got)
	}
}

// A line of JSON is a statement with its checks; the last is the summary.
func TestJSONHasAStatementALine(t *testing.T) {
	var out bytes.Buffer
	if err := conform.WriteJSON(&out, byStatement(t, failure(t))); err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	for s := bufio.NewScanner(&out); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		lines = append(lines, line)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3", len(lines))
	}
	first := lines[0]
	checks, _ := first["checks"].([]any)
	if first["id"] != "MQTT-3.12.4-1" || first["outcome"] != "FAIL" || first["statement"] == "" || len(checks) != 1 {
		t.Fatalf("got %v", first)
	}
	check := checks[0].(map[string]any)
	events, _ := check["events"].([]any)
	if check["name"] != "pingreq" || check["reason"] != "a< nothing came within 50ms, expected PINGRESP" || len(events) < 3 {
		t.Fatalf("got %v", check)
	}
	kinds := map[any]bool{}
	for _, e := range events {
		kinds[e.(map[string]any)["kind"]] = true
	}
	if !kinds["sent"] || !kinds["received"] {
		t.Errorf("events of the kinds %v, want sent and received", kinds)
	}
	summary, _ := lines[2]["summary"].(map[string]any)
	if summary["passed"] != 0.0 || summary["failed"] != 2.0 || summary["skipped"] != 0.0 {
		t.Errorf("summary %v", summary)
	}
}
