package conform

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// Result is what the checks of one statement came to.
type Result struct {
	ID      string  `json:"id"`
	Text    string  `json:"statement"`
	Outcome Outcome `json:"outcome"`
	// Reason is why it was skipped.
	Reason string        `json:"reason,omitempty"`
	Checks []CheckResult `json:"checks"`
}

// ByStatement gathers results of checks by statement, in the order of the statements. A
// statement fails when one of its checks does, and passes when one does and none fails.
func ByStatement(v packet.Version, checks []CheckResult) ([]Result, error) {
	statements, err := Statements(v)
	if err != nil {
		return nil, err
	}
	var list []Result
	for _, s := range statements {
		r := Result{ID: s.ID, Text: s.Text, Outcome: Skip}
		for _, c := range checks {
			if !slices.Contains(c.IDs, s.ID) {
				continue
			}
			r.Checks = append(r.Checks, c)
			switch {
			case c.Outcome == Fail, c.Outcome == Pass && r.Outcome == Skip:
				r.Outcome = c.Outcome
			case c.Outcome == Skip && r.Reason == "":
				r.Reason = c.Reason
			}
		}
		if r.Outcome != Skip {
			r.Reason = ""
		}
		if len(r.Checks) > 0 {
			list = append(list, r)
		}
	}
	return list, nil
}

// Summary counts statements.
type Summary struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// Summarize counts results.
func Summarize(results []Result) Summary {
	var s Summary
	for _, r := range results {
		switch r.Outcome {
		case Pass:
			s.Passed++
		case Fail:
			s.Failed++
		default:
			s.Skipped++
		}
	}
	return s
}

func (s Summary) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", s.Passed, s.Failed, s.Skipped)
}

// WriteText writes a line for each statement and, for those that fail or for all, what
// was sent, what came and what was expected. A check of several statements is told in
// full at the first only.
func WriteText(w io.Writer, results []Result, all bool) error {
	var b strings.Builder
	told := map[string]string{} // name of a check to the statement that told it
	for _, r := range results {
		fmt.Fprintf(&b, "%s %s", r.Outcome, r.ID)
		if r.Outcome == Skip {
			fmt.Fprintf(&b, ": %s\n", r.Reason)
		} else {
			fmt.Fprintf(&b, ": %s\n", r.Text)
		}
		for _, c := range r.Checks {
			if !all && c.Outcome != Fail {
				continue
			}
			if told[c.Name] != "" {
				fmt.Fprintf(&b, "    %s %s: see %s\n", c.Outcome, c.Name, told[c.Name])
				continue
			}
			told[c.Name] = r.ID
			writeCheck(&b, c)
		}
	}
	fmt.Fprintln(&b, Summarize(results))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeCheck(b *strings.Builder, c CheckResult) {
	fmt.Fprintf(b, "    %s %s (%v)\n", c.Outcome, c.Name, c.Duration.Round(time.Millisecond))
	for i, e := range c.Events {
		if skipped := len(c.Events) - mostEvents; skipped > 0 && i == mostEvents/2 {
			fmt.Fprintf(b, "      … %d more …\n", skipped)
		}
		if i >= mostEvents/2 && i < len(c.Events)-mostEvents/2 {
			continue
		}
		fmt.Fprintf(b, "      %s\n", e)
		if e.Hex != "" {
			fmt.Fprintf(b, "         %s\n", e.Hex)
		}
	}
	if c.Reason != "" {
		fmt.Fprintf(b, "      %s\n", c.Reason)
	}
}

// mostEvents is how many events of a check are printed.
const mostEvents = 60

// WriteJSON writes an object for each statement, one a line, and one for the summary.
func WriteJSON(w io.Writer, results []Result) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, r := range results {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return enc.Encode(struct {
		Summary Summary `json:"summary"`
	}{Summarize(results)})
}

// Names lists the checks, in the order in which they run.
func Names() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// Covered lists the statements of a version that have a check.
func Covered(v packet.Version) []string {
	var ids []string
	for _, c := range checks() {
		ids = append(ids, c.ids(v)...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
