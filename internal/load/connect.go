package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wirebird/wirebird/packet"
)

// settleTime is for a broker to finish what the last client has left it.
const settleTime = 200 * time.Millisecond

// Connect opens and ends connections: to the network, CONNECT, CONNACK, DISCONNECT.
type Connect struct {
	Version packet.Version // 0 is 3.1.1
	Count   int            // connections in all
	AtOnce  int            // of them at a time
	// Rate is how many are due each second; 0 is as many as AtOnce allows.
	Rate float64
	PIDs []int
}

// Validate names the first field that cannot be.
func (w *Connect) Validate() error {
	switch {
	case w.Version != packet.V311 && w.Version != packet.V5:
		return errors.New("version: want 3.1.1 or 5.0")
	case w.Count < 1 || w.Count > 10_000_000:
		return fmt.Errorf("count: want 1 to 10,000,000 connections, not %d", w.Count)
	case w.AtOnce < 1 || w.AtOnce > 1000:
		return fmt.Errorf("at once: want 1 to 1000 connections, not %d", w.AtOnce)
	case w.Rate < 0 || w.Rate > 1e6:
		return fmt.Errorf("rate: want 0 to 1,000,000 connections/s, not %g", w.Rate)
	}
	return nil
}

// RunConnect measures connections. Latency is from the instant a connection was
// due to its CONNACK.
func RunConnect(ctx context.Context, t *Target, w Connect) (*Result, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	d := &dialer{Target: t}
	h := newFlowID()
	before, own := readUsage(w.PIDs), ownCPU()
	began := time.Now()
	r := &Result{Latency: hdrhistogram.New(1, longest, 3), Extra: map[string]float64{}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex // guards r.Latency
	var next atomic.Int64
	var wg sync.WaitGroup
	for range w.AtOnce {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(w.Count); i = next.Add(1) - 1 {
				due, err := w.await(ctx, began, i)
				if err == nil {
					err = d.hello(ctx, hello{version: w.Version, clientID: fmt.Sprintf("bench-%s-c%d", h, i), clean: true})
				}
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				_ = r.Latency.RecordValue(min(time.Since(due).Microseconds(), longest)) // within its bounds
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	r.Elapsed = time.Since(began)
	if err := pause(ctx, settleTime); err != nil { // the broker sees the last ones off
		return nil, err
	}
	after := readUsage(w.PIDs)
	r.Broker = Usage{
		CPU: after.CPU - before.CPU, System: after.System - before.System, Calls: after.Calls - before.Calls, PSS: after.PSS,
	}
	r.Generator = ownCPU() - own
	r.Messages, r.Sent, r.Received = uint64(w.Count), uint64(w.Count), uint64(w.Count)
	return r, nil
}

// await returns when connection i is due, after that instant.
func (w *Connect) await(ctx context.Context, began time.Time, i int64) (time.Time, error) {
	if w.Rate == 0 {
		return time.Now(), context.Cause(ctx)
	}
	due := began.Add(time.Duration(float64(i) * 1e9 / w.Rate))
	return due, pause(ctx, time.Until(due))
}

// hello connects and leaves.
func (d *dialer) hello(ctx context.Context, h hello) error {
	l, err := d.open(ctx, h)
	if err != nil {
		return err
	}
	bye := (&packet.Disconnect{}).Append(nil, h.version)
	_, err = l.nc.Write(outward(l.layer, nil, bye))
	return errors.Join(err, l.nc.Close())
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Idle is connections that do nothing, each subscribed once.
type Idle struct {
	Version packet.Version // 0 is 3.1.1
	Count   int
	Settle  time.Duration // before memory is read
	PIDs    []int
}

// RunIdle measures what a connection that does nothing keeps. In Extra are
// bytes_per_connection and the broker's connect_us and idle_cpu_percent.
func RunIdle(ctx context.Context, t *Target, w Idle) (*Result, error) {
	if w.Count < 1 || w.Count > MaxClients {
		return nil, fmt.Errorf("count: want 1 to %d connections, not %d", MaxClients, w.Count)
	}
	work := Work{
		Pattern: Pairs, Version: w.Version, Publishers: w.Count, Subscribers: w.Count, Payload: StampBytes,
		Window: 1, Batch: 1, Duration: time.Second, PIDs: w.PIDs,
	}
	if err := work.Validate(); err != nil {
		return nil, err
	}
	before, own, began := readUsage(w.PIDs), ownCPU(), time.Now()
	f, err := newFlow(ctx, work)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := f.connectSubscribers(&dialer{Target: t}, true); err != nil {
		return nil, err
	}
	up := time.Since(began)
	connected := readUsage(w.PIDs)
	if err := f.spin(w.Settle, nil, ""); err != nil {
		return nil, err
	}
	after := readUsage(w.PIDs)
	n := float64(w.Count)
	r := &Result{
		Messages: uint64(w.Count), Elapsed: up, Latency: f.latency, Generator: ownCPU() - own,
		Sent: uint64(w.Count), Received: uint64(w.Count),
		Broker: Usage{
			CPU: connected.CPU - before.CPU, System: connected.System - before.System,
			Calls: connected.Calls - before.Calls, PSS: after.PSS,
		},
		Extra: map[string]float64{
			"bytes_per_connection": math.Round((after.PSS - before.PSS) / n),
			"idle_cpu_percent":     100 * (after.CPU - connected.CPU) / w.Settle.Seconds(),
		},
	}
	return r, nil
}
