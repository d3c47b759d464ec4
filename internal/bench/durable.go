package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Limits of Options. They bound the time, the connections and the memory that
// a benchmark takes, whatever it is asked for.
const (
	maxSteps      = 16      // numbers of publishers
	maxPublishers = 4096    // connections at once, less one
	maxWindow     = 65535   // Packet Identifiers of a connection
	maxPayload    = 1 << 20 // bytes
	maxUnderWay   = 1 << 30 // bytes sent and not acknowledged, in all
	maxDuration   = 10 * time.Minute
	maxRuns       = 100
)

// longestWarmup is how long a load runs at most before it is measured; it is a
// fifth of the duration if that is shorter.
const longestWarmup = time.Second

// Options says what Durable measures. Every field must be set but the last two.
type Options struct {
	Brokers    []Broker
	Publishers []int         // numbers of publishers, one row each for each broker
	Window     int           // messages a publisher has unacknowledged
	Payload    int           // bytes; 12 at least, which number the messages
	Duration   time.Duration // of one measurement, without its warm-up
	Runs       int           // measurements for one row
	// Dir is where the brokers keep their state, each in a directory that is
	// removed after the measurement. "" is the system's for temporary files.
	Dir string
	// Progress is told of each measurement in a line. nil is nobody.
	Progress func(line string)
}

// Validate names the first field that cannot be.
func (o Options) Validate() error {
	switch {
	case len(o.Brokers) == 0:
		return errors.New("brokers: none to measure")
	case len(o.Publishers) == 0 || len(o.Publishers) > maxSteps:
		return fmt.Errorf("publishers: want 1 to %d numbers, not %d", maxSteps, len(o.Publishers))
	case o.Window < 1 || o.Window > maxWindow:
		return fmt.Errorf("window: want 1 to %d, not %d", maxWindow, o.Window)
	case o.Payload < stampBytes || o.Payload > maxPayload:
		return fmt.Errorf("payload: want %d to %d bytes, not %d", stampBytes, maxPayload, o.Payload)
	case o.Duration <= 0 || o.Duration > maxDuration:
		return fmt.Errorf("duration: want more than 0 and at most %v, not %v", maxDuration, o.Duration)
	case o.Runs < 1 || o.Runs > maxRuns:
		return fmt.Errorf("runs: want 1 to %d, not %d", maxRuns, o.Runs)
	}
	for i, n := range o.Publishers {
		switch {
		case n < 1 || n > maxPublishers:
			return fmt.Errorf("publishers: want 1 to %d, not %d", maxPublishers, n)
		case slices.Contains(o.Publishers[:i], n):
			return fmt.Errorf("publishers: %d is there twice", n)
		case n*o.Window > maxUnderWay/o.Payload:
			return fmt.Errorf("%d publishers with a window of %d and %d bytes would have more than %d bytes under way",
				n, o.Window, o.Payload, maxUnderWay)
		}
	}
	return nil
}

func (o Options) warmup() time.Duration { return min(o.Duration/5, longestWarmup) }

// Expected is how long Durable takes, but for starting and stopping brokers.
func (o Options) Expected() time.Duration {
	n := o.Runs * len(o.Publishers) * len(o.Brokers)
	return time.Duration(n) * (o.Duration + o.warmup())
}

// Durable measures QoS 1 to one persistent session, whose client is there and
// acknowledges. Each measurement has a broker that was started for it. They are
// interleaved: one run of all brokers after the other, each with another first,
// so that whatever else the machine does meets all of them. With an error come
// the rows that were complete enough to have figures.
func Durable(ctx context.Context, o Options) ([]Row, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	samples := make(map[cell][]sample)
	for run := range o.Runs {
		for _, n := range o.Publishers {
			for i := range o.Brokers {
				b := (i + run) % len(o.Brokers)
				s, err := o.once(ctx, o.Brokers[b], n)
				if err != nil {
					return o.rows(samples), fmt.Errorf("%s, %d publishers: %w", o.Brokers[b].Name, n, err)
				}
				samples[cell{b, n}] = append(samples[cell{b, n}], s)
				o.progress("run %d of %d, %d publishers, %s: %.0f messages/s", run+1, o.Runs, n, o.Brokers[b].Name, s.rate)
			}
		}
	}
	return o.rows(samples), nil
}

// cell is what is measured in every run: a broker, by its index, and a number
// of publishers.
type cell struct{ broker, publishers int }

func (o Options) progress(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// once starts a broker, measures it and stops it.
func (o Options) once(ctx context.Context, b Broker, publishers int) (s sample, err error) {
	dir, err := os.MkdirTemp(o.Dir, "wirebird-bench-")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in, err := b.Start(ctx, dir)
	if err != nil {
		return s, fmt.Errorf("start: %w", err)
	}
	defer func() { err = errors.Join(err, in.Stop()) }()
	l := durableLoad{
		publishers: publishers, window: o.Window, payload: o.Payload,
		warmup: o.warmup(), duration: o.Duration, patience: usualPatience,
	}
	return l.run(ctx, in)
}
