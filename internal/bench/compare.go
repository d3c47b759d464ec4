package bench

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wirebird/wirebird/internal/load"
)

// Subject is a broker that runs and is to be measured.
type Subject struct {
	Name   string
	Target *load.Target
	PIDs   []int // its processes; none is unknown
	// Metrics is the URL of its metrics; "" is none. What it says of its system calls to
	// connections is added to what the system knows of its processes.
	Metrics string
	// Baseline makes the others tell their ratio to it.
	Baseline bool
}

// Experiment is work that is done at each subject alike.
type Experiment struct {
	Name string
	Unit string // what is counted: delivery, publication, connection
	// Measure does the work once. Most experiments have one part.
	Measure func(ctx context.Context, s Subject, progress func(load.Progress)) ([]Part, error)
}

// Part is one thing that an experiment has measured.
type Part struct {
	Name string // behind the experiment's; "" adds nothing
	*load.Result
}

// Comparison is what Compare does.
type Comparison struct {
	Subjects    []Subject
	Experiments []Experiment
	Runs        int
	// Progress is told of an interval, and with the zero Progress of a beginning. nil is nobody.
	Progress func(what string, p load.Progress)
}

// Measurement is a part of an experiment at one subject: figures are medians of
// the runs, latency is of all runs together, faults are sums.
type Measurement struct {
	Experiment string `json:"experiment"`
	Broker     string `json:"broker"`
	Transport  string `json:"transport"`
	Unit       string `json:"unit"`
	Runs       int    `json:"runs"`

	Rate      Figure `json:"per_second"`
	RateLow   Figure `json:"per_second_min"`
	RateHigh  Figure `json:"per_second_max"`
	CPU       Figure `json:"broker_cpu_us"` // each, user and system
	System    Figure `json:"broker_system_us"`
	Calls     Figure `json:"broker_reads_and_writes"` // each; of a broker without metrics not those by send and recv
	Generator Figure `json:"generator_cpu_us"`
	P50       Figure `json:"latency_p50_us"`
	P90       Figure `json:"latency_p90_us"`
	P99       Figure `json:"latency_p99_us"`
	P99Median Figure `json:"latency_p99_median_us"` // of the runs' own: one bad run does not decide it
	P999      Figure `json:"latency_p999_us"`
	Max       Figure `json:"latency_max_us"`

	BytesPerConnection   Figure `json:"bytes_per_connection"`
	BytesPerSubscription Figure `json:"bytes_per_subscription"`

	Sent       uint64 `json:"sent"`
	Received   uint64 `json:"received"`
	Lost       uint64 `json:"lost"`
	Duplicates uint64 `json:"duplicates"`
	Disordered uint64 `json:"disordered"`
	Misrouted  uint64 `json:"misrouted"`
	Refused    uint64 `json:"refused"`
	Stalls     int    `json:"stalls"`
	Late       uint64 `json:"late"` // found no room when they were due

	To     string `json:"ratio_to,omitempty"` // the baseline, "" for none
	Ratios struct {
		Rate  Figure `json:"per_second"`
		CPU   Figure `json:"broker_cpu"`
		P99   Figure `json:"latency_p99"`
		Bytes Figure `json:"bytes_per_connection"`
	} `json:"ratios"`

	series  []float64
	latency *hdrhistogram.Histogram
	rounds  []Measurement // the same of each run alone
}

// Faulty tells whether messages were lost, came twice, out of order or at the
// wrong client, or were refused. No connection is lost that would excuse it.
func (m *Measurement) Faulty() bool {
	return m.Lost+m.Disordered+m.Misrouted+m.Refused+m.Duplicates > 0
}

// Compare measures all experiments. They are interleaved: each experiment at one
// subject after the other, each run with another first, so that whatever else the
// machine does meets all of them. With an error come the rows that were complete.
func Compare(ctx context.Context, c Comparison) ([]Measurement, error) {
	var rows []Measurement
	for _, x := range c.Experiments {
		runs := make([][][]Part, len(c.Subjects))
		for run := range c.Runs {
			for i := range c.Subjects {
				at := (i + run) % len(c.Subjects)
				parts, err := c.once(ctx, x, c.Subjects[at], run)
				if err != nil {
					return rows, fmt.Errorf("%s, %s: %w", x.Name, c.Subjects[at].Name, err)
				}
				runs[at] = append(runs[at], parts)
			}
		}
		rows = append(rows, summarize(x, c.Subjects, runs)...)
	}
	return rows, nil
}

func (c *Comparison) once(ctx context.Context, x Experiment, s Subject, run int) ([]Part, error) {
	what := fmt.Sprintf("%s, %s", x.Name, s.Name)
	if c.Runs > 1 {
		what += fmt.Sprintf(", run %d of %d", run+1, c.Runs)
	}
	tell := func(p load.Progress) {
		if c.Progress != nil {
			c.Progress(what, p)
		}
	}
	tell(load.Progress{})
	return x.Measure(ctx, s, tell)
}

// summarize returns a row for each part and subject, the subjects of a part
// together.
func summarize(x Experiment, subjects []Subject, runs [][][]Part) []Measurement {
	var rows []Measurement
	for part := range runs[0][0] {
		first := len(rows)
		for i, s := range subjects {
			var results []*load.Result
			for _, run := range runs[i] {
				results = append(results, run[part].Result)
			}
			m := measurement(results)
			m.Experiment, m.Broker, m.Transport, m.Unit = x.Name, s.Name, s.Target.Transport(), x.Unit
			if name := runs[i][0][part].Name; name != "" {
				m.Experiment += " " + name
			}
			rows = append(rows, m)
		}
		ratios(rows[first:], subjects)
	}
	return rows
}

func measurement(results []*load.Result) Measurement {
	m := aggregate(results)
	for i := range results {
		m.rounds = append(m.rounds, aggregate(results[i:i+1]))
	}
	return m
}

// ratioTo is the median of the ratios of the rounds: what else the machine did in a round
// met both.
func (m *Measurement) ratioTo(b *Measurement, value func(*Measurement) Figure) Figure {
	all := make([]float64, min(len(m.rounds), len(b.rounds)))
	for i := range all {
		all[i] = float64(value(&m.rounds[i]) / value(&b.rounds[i]))
	}
	return medianOf(all)
}

func aggregate(results []*load.Result) Measurement {
	m := Measurement{Runs: len(results), latency: hdrhistogram.New(1, 120_000_000, 3)}
	of := func(figure func(r *load.Result) float64) Figure {
		all := make([]float64, len(results))
		for i, r := range results {
			all[i] = figure(r)
		}
		return medianOf(all)
	}
	extra := func(name string) Figure {
		return of(func(r *load.Result) float64 {
			if v, ok := r.Extra[name]; ok {
				return v
			}
			return math.NaN()
		})
	}
	m.P99Median = of(func(r *load.Result) float64 {
		if r.Latency.TotalCount() == 0 {
			return math.NaN()
		}
		return float64(r.Latency.ValueAtQuantile(99))
	})
	m.Rate = of((*load.Result).PerSecond)
	m.RateLow, m.RateHigh = Figure(math.Inf(1)), Figure(math.Inf(-1))
	m.CPU = of(func(r *load.Result) float64 { return r.PerMessage(r.Broker.CPU * 1e6) })
	m.System = of(func(r *load.Result) float64 { return r.PerMessage(r.Broker.System * 1e6) })
	m.Calls = of(func(r *load.Result) float64 { return r.PerMessage(r.Broker.Calls) })
	m.Generator = of(func(r *load.Result) float64 { return r.PerMessage(r.Generator * 1e6) })
	m.BytesPerConnection, m.BytesPerSubscription = extra("bytes_per_connection"), extra("bytes_per_subscription")
	for _, r := range results {
		m.RateLow, m.RateHigh = min(m.RateLow, Figure(r.PerSecond())), max(m.RateHigh, Figure(r.PerSecond()))
		m.latency.Merge(r.Latency)
		m.Sent += r.Sent
		m.Received += r.Received
		m.Lost += r.Lost
		m.Duplicates += r.Repeated
		m.Disordered += r.Disordered
		m.Misrouted += r.Misrouted
		m.Refused += r.Refused
		m.Stalls += r.Stalls
		m.Late += r.Late
		m.series = append(m.series, r.Series...)
	}
	m.percentiles()
	return m
}

func (m *Measurement) percentiles() {
	m.P50, m.P90, m.P99, m.P999, m.Max = unknown(), unknown(), unknown(), unknown(), unknown()
	if m.latency.TotalCount() == 0 {
		return
	}
	at := func(q float64) Figure { return Figure(m.latency.ValueAtQuantile(q)) }
	m.P50, m.P90, m.P99, m.P999, m.Max = at(50), at(90), at(99), at(99.9), Figure(m.latency.Max())
}

// medianOf is NaN when one is unknown.
func medianOf(all []float64) Figure {
	slices.Sort(all) // NaN comes first
	if len(all) == 0 || math.IsNaN(all[0]) {
		return unknown()
	}
	half := len(all) / 2
	if len(all)%2 == 0 {
		return Figure((all[half-1] + all[half]) / 2)
	}
	return Figure(all[half])
}

// ratios compares rows of one part with that of the baseline.
func ratios(rows []Measurement, subjects []Subject) {
	at := slices.IndexFunc(subjects, func(s Subject) bool { return s.Baseline })
	for i := range rows {
		r := &rows[i].Ratios
		r.Rate, r.CPU, r.P99, r.Bytes = unknown(), unknown(), unknown(), unknown()
		if at < 0 || i == at {
			continue
		}
		rows[i].To = rows[at].Broker
		to := func(value func(*Measurement) Figure) Figure { return rows[i].ratioTo(&rows[at], value) }
		r.Rate = to(func(m *Measurement) Figure { return m.Rate })
		r.CPU = to(cpuOf)
		r.P99 = to(func(m *Measurement) Figure { return m.P99 })
		r.Bytes = to(func(m *Measurement) Figure { return m.BytesPerConnection })
	}
}
