package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Line is a figure of the table, with its bars.
type Line struct {
	Row       string `json:"row"`
	Unit      string `json:"unit"`
	Wirebird  Figure `json:"wirebird"`
	Other     Figure `json:"other"`
	OtherName string `json:"other_name"`
	Ratio     Figure `json:"ratio"`
	Bar       Figure `json:"bar"`       // 0 is none
	RatioBar  Figure `json:"ratio_bar"` // 0 is none
	AtLeast   bool   `json:"at_least"`  // the bars are lower bounds
}

func (f figure) line(rows []Measurement) Line {
	l := Line{
		Row: f.name, Unit: f.unit, Bar: f.bar, RatioBar: f.ratio, Wirebird: unknown(), Other: unknown(), Ratio: unknown(),
	}
	var own *Measurement
	for i := range rows {
		m := &rows[i]
		if f.part != "" && !strings.HasSuffix(m.Experiment, " "+f.part) {
			continue
		}
		if own == nil {
			l.Wirebird, own = f.value(m), m
			continue
		}
		l.Other, l.OtherName, l.Ratio = f.value(m), m.Broker, own.ratioTo(m, f.value)
	}
	return l
}

// crossLines compare rows of Wirebird with each other.
func crossLines(rows []Measurement) []Line {
	of := func(name string) *Measurement {
		for i := range rows {
			if rows[i].Experiment == name && rows[i].Broker == "wirebird" {
				return &rows[i]
			}
		}
		return nil
	}
	var lines []Line
	for _, pair := range []struct {
		row, other, name string
		bar              Figure
	}{
		{"pairs q0 v5", "pairs q0", "3.1.1", 1.1},
		{"pairs q1 v5", "pairs q1", "3.1.1", 1.1},
		{"pairs q2 v5", "pairs q2", "3.1.1", 1.1},
		{"pairs q0 ws", "pairs q0", "tcp", 1.3},
		{"pairs q0 tls", "pairs q0", "tcp", 0},
	} {
		own, other := of(pair.row), of(pair.other)
		if own == nil || other == nil || math.IsNaN(float64(own.CPU/other.CPU)) {
			continue
		}
		lines = append(lines, Line{
			Row: pair.row, Unit: "us", Wirebird: own.CPU, Other: other.CPU, OtherName: "wirebird, " + pair.name,
			Ratio: own.ratioTo(other, cpuOf), RatioBar: pair.bar,
		})
	}
	return lines
}

// Verdict is met or missed, or "" where there is no bar or no figure. A line with
// two bars is met by its ratio, if there is one: the machine is in both.
func (l *Line) Verdict() string {
	value, bar := l.Ratio, l.RatioBar
	if bar == 0 || math.IsNaN(float64(value)) {
		value, bar = l.Wirebird, l.Bar
	}
	switch {
	case bar == 0 || math.IsNaN(float64(value)):
		return ""
	case l.AtLeast && value >= bar, !l.AtLeast && value <= bar:
		return "met"
	}
	return "missed"
}

// WriteLines writes the table for people.
func WriteLines(w io.Writer, r *SuiteResult) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\twirebird\tbar\tother\t\tratio\tbar\tverdict")
	for i := range r.Lines {
		l := &r.Lines[i]
		sign := "<="
		if l.AtLeast {
			sign = ">="
		}
		bar := func(f Figure) string {
			if f == 0 {
				return ""
			}
			return sign + " " + unit(f, "")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Row, unit(l.Wirebird, " "+l.Unit), bar(l.Bar),
			unit(l.Other, " "+l.Unit), l.OtherName, unit(l.Ratio, "x"), bar(l.RatioBar), l.Verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%d bars missed; %d rows of Wirebird with losses, repetitions or disorder\n", r.Missed(), r.Faults()); err != nil {
		return err
	}
	return writeFaults(w, r.Measurements)
}

// WriteLinesJSON writes the lines, then the measurements behind them, each as a
// JSON object in a line of its own.
func WriteLinesJSON(w io.Writer, r *SuiteResult) error {
	enc := json.NewEncoder(w)
	for i := range r.Lines {
		l := struct {
			Line
			Verdict string `json:"verdict"`
		}{r.Lines[i], r.Lines[i].Verdict()}
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return WriteMeasurementsJSON(w, r.Measurements)
}
