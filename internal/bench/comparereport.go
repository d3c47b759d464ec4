package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/guptarohit/asciigraph"
)

// WriteMeasurementsJSON writes each row as a JSON object in a line of its own.
// Figures that are not known are null.
func WriteMeasurementsJSON(w io.Writer, rows []Measurement) error {
	enc := json.NewEncoder(w)
	for i := range rows {
		if err := enc.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// WriteMeasurementsCSV writes rows with a line of names before them. Figures
// that are not known are empty.
func WriteMeasurementsCSV(w io.Writer, rows []Measurement) error {
	out := csv.NewWriter(w)
	names := []string{
		"experiment", "broker", "transport", "unit", "runs", "per_second", "per_second_min", "per_second_max",
		"broker_cpu_us", "broker_system_us", "broker_reads_and_writes", "generator_cpu_us",
		"latency_p50_us", "latency_p90_us", "latency_p99_us", "latency_p999_us", "latency_max_us",
		"bytes_per_connection", "bytes_per_subscription",
		"sent", "received", "lost", "duplicates", "disordered", "misrouted", "refused", "stalls", "late",
		"ratio_to", "ratio_per_second", "ratio_broker_cpu", "ratio_latency_p99", "ratio_bytes_per_connection",
	}
	if err := out.Write(names); err != nil {
		return err
	}
	for i := range rows {
		if err := out.Write(rows[i].record()); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (m *Measurement) record() []string {
	fields := []string{m.Experiment, m.Broker, m.Transport, m.Unit, strconv.Itoa(m.Runs)}
	figures := func(all ...Figure) {
		for _, f := range all {
			text, _ := f.MarshalJSON() // a finite number, or null
			if string(text) == "null" {
				text = nil
			}
			fields = append(fields, string(text))
		}
	}
	figures(m.Rate, m.RateLow, m.RateHigh, m.CPU, m.System, m.Calls, m.Generator,
		m.P50, m.P90, m.P99, m.P999, m.Max, m.BytesPerConnection, m.BytesPerSubscription)
	for _, n := range []uint64{
		m.Sent, m.Received, m.Lost, m.Duplicates, m.Disordered, m.Misrouted, m.Refused, uint64(m.Stalls), m.Late,
	} {
		fields = append(fields, strconv.FormatUint(n, 10))
	}
	fields = append(fields, m.To)
	figures(m.Ratios.Rate, m.Ratios.CPU, m.Ratios.P99, m.Ratios.Bytes)
	return fields
}

// WriteMeasurements writes rows for people.
func WriteMeasurements(w io.Writer, rows []Measurement) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "experiment\tbroker\tper second\tp50\tp90\tp99\tp99.9\tmax\tbroker CPU\tgenerator CPU")
	memory, ratio := false, false
	for _, r := range rows {
		memory = memory || !math.IsNaN(float64(r.BytesPerConnection))
		ratio = ratio || r.To != ""
	}
	if memory {
		fmt.Fprint(t, "\tmemory each")
	}
	if ratio {
		fmt.Fprint(t, "\tratio")
	}
	fmt.Fprintln(t)
	last := ""
	for _, r := range rows {
		name := ""
		if r.Experiment != last {
			name, last = r.Experiment, r.Experiment
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", name, r.Broker, r.Rate.format(0),
			latencyText(r.P50), latencyText(r.P90), latencyText(r.P99), latencyText(r.P999), latencyText(r.Max),
			unit(r.CPU, " us"), unit(r.Generator, " us"))
		if memory {
			fmt.Fprintf(t, "\t%s", unit(r.BytesPerConnection, " B"))
		}
		if ratio {
			fmt.Fprintf(t, "\t%s", r.ratioText())
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return writeFaults(w, rows)
}

func latencyText(us Figure) string {
	switch {
	case math.IsNaN(float64(us)):
		return "-"
	case us >= 1e6:
		return (us / 1e6).format(2) + " s"
	case us >= 1e3:
		return (us / 1e3).format(2) + " ms"
	}
	return us.format(0) + " us"
}

// ratioText is the cell of a table: the rate, what CPU a message costs, and so on.
func (m *Measurement) ratioText() string {
	if m.To == "" {
		return "1"
	}
	text := unit(m.Ratios.Rate, "x")
	for _, part := range []struct {
		name string
		f    Figure
	}{{"CPU", m.Ratios.CPU}, {"p99", m.Ratios.P99}, {"memory", m.Ratios.Bytes}} {
		if v := unit(part.f, "x"); v != "-" {
			text += fmt.Sprintf(", %s %s", part.name, v)
		}
	}
	return text
}

func writeFaults(w io.Writer, rows []Measurement) error {
	for i := range rows {
		r := &rows[i]
		var text string
		if r.Faulty() {
			text = fmt.Sprintf("of %d sent and %d received: %d lost, %d twice, %d out of order, %d at the wrong client, %d refused",
				r.Sent, r.Received, r.Lost, r.Duplicates, r.Disordered, r.Misrouted, r.Refused)
		}
		if r.Stalls > 0 {
			text += fmt.Sprintf("; the load had to give messages up %d times", r.Stalls)
		}
		if text == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s, %s: %s\n", r.Experiment, r.Broker, text); err != nil {
			return err
		}
	}
	return nil
}

const (
	plotWidth  = 64
	plotHeight = 8
)

// quantiles of the plot of latency.
func plotQuantiles() []float64 {
	return []float64{10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.99}
}

// WritePlots draws, for each experiment, the rate over time and latency by percentile.
func WritePlots(w io.Writer, rows []Measurement) error {
	for first := 0; first < len(rows); {
		next := first + 1
		for next < len(rows) && rows[next].Experiment == rows[first].Experiment {
			next++
		}
		if err := writePlot(w, rows[first:next]); err != nil {
			return err
		}
		first = next
	}
	return nil
}

func writePlot(w io.Writer, rows []Measurement) error {
	var rates, latencies [][]float64
	var names []string
	for _, r := range rows {
		if len(r.series) < 2 || r.latency.TotalCount() == 0 {
			continue
		}
		rates = append(rates, r.series)
		var line []float64
		for _, q := range plotQuantiles() {
			line = append(line, math.Log10(math.Max(float64(r.latency.ValueAtQuantile(q)), 1)))
		}
		latencies = append(latencies, line)
		names = append(names, r.Broker)
	}
	if len(rates) == 0 {
		return nil
	}
	chars := make([]asciigraph.CharSet, len(names))
	for i := range chars {
		chars[i] = asciigraph.DefaultCharSet
		if i > 0 {
			chars[i] = asciigraph.CreateCharSet(string("*o+x"[(i-1)%4]))
		}
	}
	legend := ""
	for i, name := range names {
		mark := "line"
		if i > 0 {
			mark = string("*o+x"[(i-1)%4])
		}
		legend += fmt.Sprintf("  %s: %s", mark, name)
	}
	rate := asciigraph.PlotMany(rates, asciigraph.Width(plotWidth), asciigraph.Height(plotHeight),
		asciigraph.LowerBound(0), asciigraph.Precision(0), asciigraph.SeriesChars(chars...))
	latency := asciigraph.PlotMany(latencies, asciigraph.Width(plotWidth), asciigraph.Height(plotHeight),
		asciigraph.SeriesChars(chars...),
		asciigraph.YAxisValueFormatter(func(v float64) string { return fmt.Sprintf("%7.0f", math.Pow(10, v)) }))
	_, err := fmt.Fprintf(w, "\n%s: messages per second, over time %s\n%s\n\n%s: latency in us, from p10 over p50 and p99 to p99.99 %s\n%s\n",
		rows[0].Experiment, legend, rate, rows[0].Experiment, legend, latency)
	return err
}
