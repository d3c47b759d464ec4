package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Figure is a measured number. NaN is unknown: null in JSON, "-" in a table.
type Figure float64

// MarshalJSON writes four digits, as more would promise too much.
func (f Figure) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(f.rounded())
}

func unknown() Figure { return Figure(math.NaN()) }

func (f Figure) rounded() float64 {
	if f == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(float64(f)))))
	if scale < 1 || math.IsInf(scale, 0) {
		return math.Round(float64(f))
	}
	return math.Round(float64(f)*scale) / scale
}

// format formats f with so many digits behind the point.
func (f Figure) format(digits int) string {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, float64(f))
}

// Row is one broker under one load: the medians of its runs.
type Row struct {
	Broker     string  `json:"broker"`
	Publishers int     `json:"publishers"`
	Window     int     `json:"window"`
	Payload    int     `json:"payload_bytes"`
	Duration   float64 `json:"duration_seconds"`
	Runs       int     `json:"runs"`

	Rate      Figure `json:"messages_per_second"` // acknowledged
	RateLow   Figure `json:"messages_per_second_min"`
	RateHigh  Figure `json:"messages_per_second_max"`
	P50       Figure `json:"puback_p50_us"`
	P99       Figure `json:"puback_p99_us"`
	CPU       Figure `json:"broker_cpu_us_per_message"`
	Generator Figure `json:"generator_cpu_us_per_message"`
	Syncs     Figure `json:"syncs_per_message"`

	// Of all runs, warm-ups included: what was acknowledged, how much of that
	// was not delivered, and what came behind a later one or twice.
	Acked      uint64 `json:"acknowledged"`
	Lost       uint64 `json:"lost"`
	Disordered uint64 `json:"disordered"`

	Ratios []Ratio `json:"ratios"`
}

// Ratio compares a row with the one of a baseline under the same load.
type Ratio struct {
	To   string `json:"to"`
	Rate Figure `json:"messages_per_second"`       // above 1 is better
	CPU  Figure `json:"broker_cpu_us_per_message"` // below 1 is better
}

// rows returns the rows that have samples, by publishers and then as the
// brokers stand in o.
func (o Options) rows(samples map[cell][]sample) []Row {
	var rows []Row
	for _, n := range o.Publishers {
		first := len(rows)
		for b, broker := range o.Brokers {
			if s := samples[cell{b, n}]; len(s) > 0 {
				rows = append(rows, o.row(broker.Name, n, s))
			}
		}
		o.compare(rows[first:])
	}
	return rows
}

func (o Options) row(broker string, publishers int, samples []sample) Row {
	r := Row{
		Broker: broker, Publishers: publishers, Window: o.Window, Payload: o.Payload,
		Duration: o.Duration.Seconds(), Runs: len(samples),
		Ratios: []Ratio{},
	}
	rate := func(s sample) float64 { return s.rate }
	r.Rate = median(samples, rate)
	r.RateLow = Figure(rate(slices.MinFunc(samples, func(a, b sample) int { return cmp.Compare(a.rate, b.rate) })))
	r.RateHigh = Figure(rate(slices.MaxFunc(samples, func(a, b sample) int { return cmp.Compare(a.rate, b.rate) })))
	r.P50 = median(samples, func(s sample) float64 { return s.p50 })
	r.P99 = median(samples, func(s sample) float64 { return s.p99 })
	r.CPU = median(samples, func(s sample) float64 { return s.cpu })
	r.Generator = median(samples, func(s sample) float64 { return s.generator })
	r.Syncs = median(samples, func(s sample) float64 { return s.syncs })
	for _, s := range samples {
		r.Acked += s.acked
		r.Lost += s.lost
		r.Disordered += s.disordered
	}
	return r
}

// median returns the median of a figure, NaN if it is unknown in a run.
func median(samples []sample, figure func(sample) float64) Figure {
	var all []float64
	for _, s := range samples {
		all = append(all, figure(s))
	}
	slices.Sort(all) // NaN comes first
	if math.IsNaN(all[0]) {
		return unknown()
	}
	half := len(all) / 2
	if len(all)%2 == 0 {
		return Figure((all[half-1] + all[half]) / 2)
	}
	return Figure(all[half])
}

// compare gives rows of the same load their ratios to the baselines.
func (o Options) compare(rows []Row) {
	for _, b := range o.Brokers {
		at := slices.IndexFunc(rows, func(r Row) bool { return r.Broker == b.Name })
		if !b.Baseline || at < 0 {
			continue
		}
		for i := range rows {
			rows[i].Ratios = append(rows[i].Ratios, Ratio{
				To:   b.Name,
				Rate: rows[i].Rate / rows[at].Rate,
				CPU:  rows[i].CPU / rows[at].CPU,
			})
		}
	}
}
