package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/internal/load"
)

// SuiteOptions say what Suite measures.
type SuiteOptions struct {
	Wirebird  string // path of the program
	Mosquitto string // path of Mosquitto 2; "" measures without it
	Nagle     bool   // leave Mosquitto's set_tcp_nodelay off, as it comes
	// Duration is of one measurement, without its warm-up of a quarter.
	Duration time.Duration
	Runs     int
	// Scale multiplies clients and counts: 1 is the table that the bars are for.
	Scale float64
	// Only are words, of which a row's name has to contain one. None is all rows.
	Only []string
	// Dir is where brokers keep their files, removed after each measurement. "" is the
	// system's for temporary files.
	Dir string
	// Progress is told of each measurement in a line. nil is nobody.
	Progress func(line string)
}

// Validate names the first field that cannot be.
func (o *SuiteOptions) Validate() error {
	switch {
	case o.Duration < 50*time.Millisecond || o.Duration > maxDuration:
		return fmt.Errorf("duration: want 50ms to %v, not %v", maxDuration, o.Duration)
	case o.Runs < 1 || o.Runs > maxRuns:
		return fmt.Errorf("runs: want 1 to %d, not %d", maxRuns, o.Runs)
	case !(o.Scale > 0 && o.Scale <= 1):
		return fmt.Errorf("scale: want more than 0 and at most 1, not %g", o.Scale)
	}
	return nil
}

func (o *SuiteOptions) warmup() time.Duration { return o.Duration / 4 }

// SuiteResult is everything that Suite has measured.
type SuiteResult struct {
	Lines        []Line
	Measurements []Measurement
}

// Faults counts rows in which messages were lost, came twice or out of order at
// Wirebird.
func (r *SuiteResult) Faults() int {
	n := 0
	for i := range r.Measurements {
		if m := &r.Measurements[i]; strings.HasPrefix(m.Broker, "wirebird") && m.Faulty() {
			n++
		}
	}
	return n
}

// Missed counts lines with a bar that Wirebird has not reached.
func (r *SuiteResult) Missed() int {
	n := 0
	for _, l := range r.Lines {
		if l.Verdict() == "missed" {
			n++
		}
	}
	return n
}

// Suite measures the whole table: brokers are started for each measurement and
// take turns. With an error come the lines that were complete.
func Suite(ctx context.Context, o SuiteOptions) (*SuiteResult, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	rows, err := o.rows()
	if err != nil {
		return nil, err
	}
	if o.Scale < 1 { // the bars are for the whole
		for _, r := range rows {
			for i := range r.figures {
				r.figures[i].bar, r.figures[i].ratio = 0, 0
			}
		}
	}
	rows = slices.DeleteFunc(rows, func(r suiteRow) bool { return !o.wanted(r.x.Name) })
	durable := o.wanted("durable")
	if len(rows) == 0 && !durable {
		return nil, fmt.Errorf("no row of the table is called like %s", strings.Join(o.Only, ", "))
	}
	raiseFileLimit()
	out := &SuiteResult{}
	for done := 0; done < len(rows); {
		kin := together(rows[done:])
		m, err := o.measure(ctx, kin, func(i int) string { return fmt.Sprintf("%d of %d", done+i+1, len(rows)) })
		if err != nil {
			return out, err
		}
		for i, r := range kin {
			out.Measurements = append(out.Measurements, m[i]...)
			for _, figure := range r.figures {
				out.Lines = append(out.Lines, figure.line(m[i]))
			}
		}
		done += len(kin)
	}
	more := crossLines(out.Measurements)
	var durableErr error
	if durable {
		var lines []Line
		lines, durableErr = o.durable(ctx)
		more = append(more, lines...)
	}
	if o.Scale < 1 {
		for i := range more {
			more[i].RatioBar = 0
		}
	}
	out.Lines = append(out.Lines, more...)
	return out, durableErr
}

func (o *SuiteOptions) wanted(name string) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(word string) bool { return strings.Contains(name, word) })
}

func (o *SuiteOptions) progress(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// together are the first of the rows that take turns.
func together(rows []suiteRow) []suiteRow {
	n := 1
	for n < len(rows) && rows[0].kin != "" && rows[n].kin == rows[0].kin {
		n++
	}
	return rows[:n]
}

// turn is one measurement of a row, at one of its brokers.
type turn struct{ row, broker int }

// turns are all measurements of rows, in the order in which they are done: of all
// rows at all brokers in each round, each round with another broker first.
func turns(rows []suiteRow) (all []turn) {
	rounds := 0
	for _, r := range rows {
		rounds = max(rounds, r.turns, r.others)
	}
	for round := range rounds {
		for i, r := range rows {
			for b := range r.brokers {
				at := (b + round) % len(r.brokers)
				if at == 0 && round < r.turns || at > 0 && round < r.others {
					all = append(all, turn{row: i, broker: at})
				}
			}
		}
	}
	return all
}

// measure does the experiments of rows at brokers that are started for them.
func (o *SuiteOptions) measure(ctx context.Context, rows []suiteRow, number func(row int) string) ([][]Measurement, error) {
	type taken struct {
		subjects []Subject
		runs     [][][]Part
	}
	all := make([]taken, len(rows))
	for i, r := range rows {
		all[i] = taken{make([]Subject, len(r.brokers)), make([][][]Part, len(r.brokers))}
	}
	told := -1
	for _, at := range turns(rows) {
		r := rows[at.row]
		if told != at.row {
			told = at.row
			o.progress("%s: %s", number(at.row), r.x.Name)
		}
		s, parts, err := o.once(ctx, r, r.brokers[at.broker])
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", r.x.Name, r.brokers[at.broker].Name, err)
		}
		all[at.row].subjects[at.broker] = s
		all[at.row].runs[at.broker] = append(all[at.row].runs[at.broker], parts)
		last := parts[len(parts)-1]
		o.progress("  %-20s %10.0f/s  %8.3f us of CPU each", s.Name, last.PerSecond(), last.PerMessage(last.Broker.CPU*1e6))
	}
	rowsOf := make([][]Measurement, len(rows))
	for i, r := range rows {
		rowsOf[i] = summarize(r.x, all[i].subjects, all[i].runs)
	}
	return rowsOf, nil
}

func (o *SuiteOptions) once(ctx context.Context, r suiteRow, b Broker) (s Subject, parts []Part, err error) {
	dir, err := os.MkdirTemp(o.Dir, "wirebird-bench-")
	if err != nil {
		return s, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in, err := startAgain(ctx, b, dir)
	if err != nil {
		return s, nil, fmt.Errorf("start: %w", err)
	}
	defer func() { err = errors.Join(err, in.Stop()) }()
	if s, err = in.subject(b, r.transport); err != nil {
		return s, nil, err
	}
	parts, err = r.x.Measure(ctx, s, nil)
	return s, parts, err
}

// startAgain starts a broker. It tries again when another process was quicker to
// take a port.
func startAgain(ctx context.Context, b Broker, dir string) (in *Instance, err error) {
	for range startTries {
		if in, err = b.Start(ctx, dir); err == nil || ctx.Err() != nil {
			return in, err
		}
	}
	return nil, err
}

const startTries = 3

// durable measures what durability costs, in the largest of the steps that
// `bench durable` has.
func (o *SuiteOptions) durable(ctx context.Context) ([]Line, error) {
	publishers := max(int(256*o.Scale), 1)
	memory := Wirebird(o.Wirebird, "")
	memory.Baseline = true
	d := Options{
		Brokers: []Broker{Wirebird(o.Wirebird, "fsync"), memory}, Publishers: []int{publishers},
		Window: 16, Payload: 256, Duration: o.Duration, Runs: o.Runs, Dir: o.Dir,
		Progress: func(line string) { o.progress("  %s", line) },
	}
	if o.Mosquitto != "" {
		other := Mosquitto(o.Mosquitto)
		other.Baseline = true
		d.Brokers = append(d.Brokers, other)
	}
	o.progress("durable q1, %d publishers", publishers)
	rows, err := Durable(ctx, d)
	if err != nil {
		return nil, err
	}
	own, inMemory := rows[0], rows[1]
	lines := []Line{
		{Row: "durable q1: rate", Unit: "/s", Wirebird: own.Rate, Other: inMemory.Rate, OtherName: inMemory.Broker, RatioBar: 0.5, AtLeast: true},
		{Row: "durable q1: CPU", Unit: "us", Wirebird: own.CPU, Other: inMemory.CPU, OtherName: inMemory.Broker, RatioBar: 1.5},
	}
	if len(rows) > 2 {
		lines = append(lines, Line{
			Row: "durable q1: rate", Unit: "/s", Wirebird: own.Rate, Other: rows[2].Rate, OtherName: rows[2].Broker, RatioBar: 1, AtLeast: true,
		})
	}
	for i := range lines {
		lines[i].Ratio = lines[i].Wirebird / lines[i].Other
	}
	for _, r := range rows[:2] {
		if r.Lost+r.Disordered > 0 {
			return lines, fmt.Errorf("durable, %s: %d messages lost and %d out of order or twice", r.Broker, r.Lost, r.Disordered)
		}
	}
	return lines, nil
}

// scaled is n at the scale, at least least.
func (o *SuiteOptions) scaled(n, least int) int { return max(int(float64(n)*o.Scale), least) }

// messages completes a work with what all have in common.
func (o *SuiteOptions) messages(name string, w load.Work) (Experiment, error) {
	w.Payload, w.Warmup, w.Duration = 64, o.warmup(), o.Duration
	x, err := Messages(name, w)
	if err != nil {
		return x, fmt.Errorf("%s: %w", name, err)
	}
	return x, nil
}
