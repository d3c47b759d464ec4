package main

import (
	"fmt"
	"io"
	"slices"
)

// printer writes the table as it comes to be.
type printer struct{ w io.Writer }

func newPrinter(w io.Writer) printer {
	fmt.Fprintln(w, "Medians. k/s: thousand messages a second; us: CPU time of the client's process per message,")
	fmt.Fprintln(w, "microseconds; allocs: per message. The last columns say how many times as much the peer takes.")
	return printer{w}
}

func (p printer) row(name string, results map[string][]result) {
	fmt.Fprintf(p.w, "\n%s\n%-18s %9s %9s %9s %10s %10s\n", name, "", "k/s", "us", "allocs", "us ratio", "allocs ratio")
	for i := 0; i < len(contestants); i += 2 {
		ours, theirs := median(results[contestants[i]]), median(results[contestants[i+1]])
		p.line(contestants[i], ours)
		p.line(contestants[i+1], theirs)
		fmt.Fprintf(p.w, " %10.2f %10s\n", theirs.CPU/ours.CPU, ratio(theirs.Allocs, ours.Allocs))
	}
}

func (p printer) line(name string, r result) {
	if name[0] == 'p' {
		fmt.Fprintf(p.w, "%-18s %9.1f %9.2f %9.2f", name, r.Rate/1000, r.CPU, r.Allocs)
		return
	}
	fmt.Fprintf(p.w, "%-18s %9.1f %9.2f %9.2f\n", name, r.Rate/1000, r.CPU, r.Allocs)
}

// ratio is of allocations, of which there may be none.
func ratio(theirs, ours float64) string {
	if theirs > 200*ours {
		return "> 200"
	}
	return fmt.Sprintf("%.2f", theirs/ours)
}

// median is that of each figure.
func median(list []result) result {
	of := func(f func(result) float64) float64 {
		values := make([]float64, 0, len(list))
		for _, r := range list {
			values = append(values, f(r))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return result{
		Rate:   of(func(r result) float64 { return r.Rate }),
		CPU:    of(func(r result) float64 { return r.CPU }),
		Allocs: of(func(r result) float64 { return r.Allocs }),
	}
}
