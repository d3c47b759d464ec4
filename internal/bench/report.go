package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// WriteJSON writes each row as a JSON object in a line of its own. Figures that
// are not known are null.
func WriteJSON(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// WriteTable writes rows for people.
func WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "publishers\tbroker\tmessages/s\tmin..max\tPUBACK p50\tp99\tCPU/message\tsyncs/message\tgenerator CPU")
	for _, b := range baselines(rows) {
		fmt.Fprintf(t, "\trate of %s", b)
	}
	fmt.Fprintln(t)
	last := 0
	for _, r := range rows {
		publishers := ""
		if r.Publishers != last {
			publishers, last = strconv.Itoa(r.Publishers), r.Publishers
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s..%s\t%s\t%s\t%s\t%s\t%s", publishers, r.Broker,
			r.Rate.format(0), r.RateLow.format(0), r.RateHigh.format(0),
			unit(r.P50, " us"), unit(r.P99, " us"), unit(r.CPU, " us"), r.Syncs.format(4), unit(r.Generator, " us"))
		for _, b := range baselines(rows) {
			ratio := r.ratioTo(b)
			fmt.Fprintf(t, "\t%s", ratio)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Lost == 0 && r.Disordered == 0 {
			continue
		}
		_, err := fmt.Fprintf(w, "%s, %d publishers: of %d messages acknowledged %d were not delivered and %d came out of order or twice\n",
			r.Broker, r.Publishers, r.Acked, r.Lost, r.Disordered)
		if err != nil {
			return err
		}
	}
	return nil
}

// baselines returns the names that any row is compared with, in their order.
func baselines(rows []Row) []string {
	var names []string
	longest := 0
	for _, r := range rows {
		if len(r.Ratios) <= longest {
			continue
		}
		longest = len(r.Ratios)
		names = nil
		for _, ratio := range r.Ratios {
			names = append(names, ratio.To)
		}
	}
	return names
}

func (r Row) ratioTo(name string) Ratio {
	for _, ratio := range r.Ratios {
		if ratio.To == name {
			return ratio
		}
	}
	return Ratio{Rate: unknown(), CPU: unknown()}
}

// String is the cell of a table: the rate, and what CPU a message costs.
func (r Ratio) String() string {
	text := unit(r.Rate, "x")
	if cpu := unit(r.CPU, "x"); cpu != "-" {
		text += ", CPU " + cpu
	}
	return text
}

func unit(f Figure, name string) string {
	digits := 2
	switch {
	case f >= 100:
		digits = 0
	case f >= 10:
		digits = 1
	case f < 0.1:
		digits = 4
	}
	if text := f.format(digits); text != "-" {
		return text + name
	}
	return "-"
}
