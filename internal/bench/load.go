package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// usualPatience is how long acknowledgements may take after the last PUBLISH, and
// then deliveries. Messages that come later count as lost.
const usualPatience = 10 * time.Second

// durableLoad is what one broker has to bear once.
type durableLoad struct {
	publishers, window, payload int
	warmup, duration            time.Duration
	patience                    time.Duration
}

// sample is what came of it. Unknown figures are NaN.
type sample struct {
	rate       float64 // acknowledged messages per second
	p50, p99   float64 // from PUBLISH to PUBACK, in microseconds
	cpu        float64 // of the broker per message, in microseconds
	generator  float64 // of this process per message, in microseconds
	syncs      float64 // per message
	acked      uint64  // in all, warm-up included
	lost       uint64  // acknowledged and not delivered
	disordered uint64
}

// watch is what all publishers look at.
type watch struct {
	epoch     time.Time
	measuring atomic.Bool
	stopped   atomic.Bool
}

func (w *watch) now() time.Duration { return time.Since(w.epoch) }

// crowd is the clients of one measurement.
type crowd struct {
	watch
	subscriber *subscriber
	publishers []*publisher
	idle       chan struct{} // closed when all publishers have returned
}

// run measures in. When it returns, all connections are closed and all
// goroutines have ended.
func (l durableLoad) run(ctx context.Context, in *Instance) (sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil) // closes the connections
	c, err := l.gather(ctx, in.Address)
	if err != nil {
		return sample{}, err
	}
	c.start(&wg, cancel)
	if err := wait(ctx, time.After(l.warmup)); err != nil {
		return sample{}, err
	}
	from := c.begin(ctx, in)
	if err := wait(ctx, time.After(l.duration)); err != nil {
		return sample{}, err
	}
	to := c.end(ctx, in)
	c.stopped.Store(true)
	if err := wait(ctx, c.idle); err != nil {
		return sample{}, err
	}
	lost, err := c.drain(ctx, l.patience)
	if err != nil {
		return sample{}, err
	}
	s := c.summary(from, to)
	s.lost = lost
	return s, nil
}

// wait returns when ready does, or with the reason why ctx has ended.
func wait[T any](ctx context.Context, ready <-chan T) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// gather connects the clients: the subscriber first, so that its session is
// there before the first message.
func (l durableLoad) gather(ctx context.Context, address string) (*crowd, error) {
	c := &crowd{watch: watch{epoch: time.Now()}, idle: make(chan struct{})}
	nc, err := dial(ctx, address, "bench-subscriber", false)
	if err != nil {
		return nil, err
	}
	if err := nc.subscribe("bench/#"); err != nil {
		return nil, err
	}
	c.subscriber = newSubscriber(nc, l.publishers)
	for i := range l.publishers {
		nc, err := dial(ctx, address, fmt.Sprintf("bench-publisher-%d", i), true)
		if err != nil {
			return nil, fmt.Errorf("publisher %d: %w", i, err)
		}
		c.publishers = append(c.publishers, newPublisher(nc, i, l.window, l.payload))
	}
	// One deadline for everything: setting it for each write would cost more
	// than the write.
	until := time.Now().Add(l.warmup + l.duration + 2*l.patience)
	for _, p := range c.publishers {
		if err := p.conn.SetDeadline(until); err != nil {
			return nil, err
		}
	}
	return c, c.subscriber.conn.SetDeadline(until)
}

// start lets all clients run; the first to fail cancels the others.
func (c *crowd) start(wg *sync.WaitGroup, cancel context.CancelCauseFunc) {
	var busy sync.WaitGroup
	for i, p := range c.publishers {
		busy.Go(func() {
			if err := p.run(&c.watch); err != nil {
				cancel(fmt.Errorf("publisher %d: %w", i, err))
			}
		})
	}
	wg.Go(func() {
		busy.Wait()
		close(c.idle)
	})
	wg.Go(func() { cancel(fmt.Errorf("subscriber: %w", c.subscriber.run())) })
}

// drain waits for what is still to be delivered and returns how many messages
// were not.
func (c *crowd) drain(ctx context.Context, patience time.Duration) (lost uint64, err error) {
	acked := c.acked()
	c.subscriber.want(acked)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.subscriber.complete:
	case <-timer.C:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	return acked - min(acked, c.subscriber.received.Load()), nil
}

func (c *crowd) acked() uint64 {
	var n uint64
	for _, p := range c.publishers {
		n += p.acked.Load()
	}
	return n
}

// reading is what all counters show at one moment. Reading the metrics takes
// the broker a while, so they come with a count of messages of their own.
type reading struct {
	at             time.Duration
	acked          uint64
	cpu, generator float64 // seconds; NaN is unknown
	syncs          float64 // NaN is unknown
	syncsAcked     uint64
}

// begin reads the counters and then starts to measure.
func (c *crowd) begin(ctx context.Context, in *Instance) reading {
	r := reading{syncs: in.syncs(ctx)}
	r.syncsAcked = c.acked()
	c.clock(&r, in)
	c.measuring.Store(true)
	return r
}

// end stops measuring before it reads what takes long.
func (c *crowd) end(ctx context.Context, in *Instance) reading {
	var r reading
	c.clock(&r, in)
	c.measuring.Store(false)
	r.syncs = in.syncs(ctx)
	r.syncsAcked = c.acked()
	return r
}

func (c *crowd) clock(r *reading, in *Instance) {
	r.cpu = processCPU(in.PID)
	r.generator = processCPU(os.Getpid())
	r.acked = c.acked()
	r.at = c.now()
}

// summary is called when all publishers have returned.
func (c *crowd) summary(from, to reading) sample {
	all := newHistogram()
	for _, p := range c.publishers {
		all.add(p.latencies)
	}
	messages := float64(to.acked - from.acked)
	s := sample{
		rate:       messages / (to.at - from.at).Seconds(),
		p50:        microseconds(all.quantile(0.50)),
		p99:        microseconds(all.quantile(0.99)),
		cpu:        math.NaN(),
		generator:  math.NaN(),
		syncs:      math.NaN(),
		acked:      c.acked(),
		disordered: c.subscriber.disordered.Load(),
	}
	if messages > 0 {
		s.cpu = (to.cpu - from.cpu) * 1e6 / messages
		s.generator = (to.generator - from.generator) * 1e6 / messages
	}
	if n := float64(to.syncsAcked - from.syncsAcked); n > 0 {
		s.syncs = (to.syncs - from.syncs) / n
	}
	return s
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
