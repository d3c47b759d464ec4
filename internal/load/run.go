package load

import (
	"context"
	"math"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Usage is what processes have used. NaN is unknown.
type Usage struct {
	CPU    float64 // seconds, user and system
	System float64 // seconds of that in the kernel, in steps of 10 ms
	Calls  float64 // read and write system calls, see Work.Calls
	PSS    float64 // bytes of memory
}

// Result is what came of a Work. Figures that are not known are NaN.
type Result struct {
	Messages  uint64 // measured: copies delivered, or acknowledged where nobody subscribes
	Elapsed   time.Duration
	Broker    Usage // the difference over the measurement; PSS at its end
	Generator float64
	Latency   *hdrhistogram.Histogram // microseconds from due to received, or acknowledged
	Series    []float64               // messages per second, by interval

	// Of the whole run, warm-up and drain included.
	Sent, Received       uint64
	Lost                 uint64 // copies that never came
	Repeated, Disordered uint64
	Misrouted, Refused   uint64
	Stalls               int    // times that a closed loop had to give messages up
	Late                 uint64 // messages that found no room when they were due

	Extra map[string]float64 // what some workloads have beside
}

// PerSecond is the messages delivered each second.
func (r *Result) PerSecond() float64 { return float64(r.Messages) / r.Elapsed.Seconds() }

// PerMessage is a figure in microseconds, or as it is, for each message.
func (r *Result) PerMessage(total float64) float64 {
	if r.Messages == 0 {
		return math.NaN()
	}
	return total / float64(r.Messages)
}

// Run measures a work at a target.
func Run(ctx context.Context, t *Target, w Work) (*Result, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	f, err := newFlow(ctx, w)
	if err != nil {
		return nil, err
	}
	defer f.close()
	d := &dialer{Target: t}
	empty := readUsage(w.PIDs).PSS
	if err := f.connectSubscribers(d, true); err != nil {
		return nil, err
	}
	subscribed := readUsage(w.PIDs).PSS
	if err := f.connectPublishers(d, false); err != nil {
		return nil, err
	}
	f.start()
	if err := f.spin(w.Warmup, nil, ""); err != nil {
		return nil, err
	}
	m := f.begin()
	if err := f.spin(w.Duration, nil, ""); err != nil {
		return nil, err
	}
	r := f.end(m)
	if w.Pattern == Scatter {
		r.Extra["bytes_per_subscription"] = (subscribed - empty) / float64(w.Subscribers*scatterFilters)
	}
	if err := f.drain(); err != nil {
		return nil, err
	}
	f.judge(r)
	return r, nil
}

// mark is the counters at the beginning of a measurement.
type mark struct {
	at       int64
	received uint64
	broker   Usage
	own      float64
}

// calls is what the broker itself tells of its system calls.
func (f *flow) calls() float64 {
	if f.work.Calls == nil {
		return 0
	}
	return f.work.Calls()
}

func (f *flow) begin() mark {
	calls := f.calls() // before and after all else is read: to ask costs the broker a little
	m := mark{f.e.now(), f.received, readUsage(f.work.PIDs), ownCPU()}
	m.broker.Calls += calls
	f.measuring = true
	f.latency.Reset()
	f.tickAt, f.tickCount = m.at, m.received
	return m
}

func (f *flow) end(m mark) *Result {
	u, own, elapsed := readUsage(f.work.PIDs), ownCPU(), time.Duration(f.e.now()-m.at)
	u.Calls += f.calls()
	f.measuring = false
	return &Result{
		Messages: f.received - m.received, Elapsed: elapsed,
		Broker: Usage{
			CPU: u.CPU - m.broker.CPU, System: u.System - m.broker.System,
			Calls: u.Calls - m.broker.Calls, PSS: u.PSS,
		},
		Generator: own - m.own, Latency: f.latency, Series: f.series, Extra: map[string]float64{},
	}
}

// judge adds what the whole run has shown.
func (f *flow) judge(r *Result) {
	r.Sent, r.Received = f.sent, f.received
	if f.copies > 0 {
		r.Lost = f.lost()
	} else {
		r.Lost = f.sent - min(f.received, f.sent) // never acknowledged
	}
	r.Repeated, r.Disordered, r.Misrouted, r.Refused = f.repeated, f.disordered, f.misrouted, f.refused
	r.Stalls = f.stalls
	if f.schedule != nil {
		r.Late = f.schedule.late
	}
}

func ownCPU() float64 { return readUsage([]int{os.Getpid()}).CPU }
