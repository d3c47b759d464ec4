// Package simulate lets many devices publish, each as a client of its own.
//
// A group of devices has templates for Client Identifier, topic and payload, an
// interval and a QoS. The package knows what devices do and when; who connects
// them is given, and so is what becomes of the figures.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/topic"
)

// Limits of a simulation.
const (
	MaxDevices      = 100_000
	connectsAtOnce  = 64
	shortestRetry   = time.Second
	longestRetry    = 10 * time.Second
	reportsInterval = time.Second
)

// Group is devices that are alike.
type Group struct {
	Name     string        `yaml:"name"`
	Devices  int           `yaml:"devices"`
	ClientID string        `yaml:"client_id"` // template; must differ for each device, as by {{n}}
	Topic    string        `yaml:"topic"`     // template
	Payload  string        `yaml:"payload"`   // template
	Interval time.Duration `yaml:"interval"`  // between two messages of a device
	QoS      byte          `yaml:"qos"`
	Retain   bool          `yaml:"retain"`
	RampUp   time.Duration `yaml:"ramp_up"`  // over which the devices come
	Messages int           `yaml:"messages"` // of a device; 0 is no end

	clientID, topic, payload *Template
}

// Publisher is a connected device.
type Publisher interface {
	Publish(ctx context.Context, m client.Message) error
	Close() error
}

// Options say what is simulated.
type Options struct {
	Groups []Group
	// Connect connects a device.
	Connect func(ctx context.Context, clientID string) (Publisher, error)
	Seed    uint64 // of all random values
	// Progress is told of the figures each second. nil is nobody.
	Progress func(Stats)
}

// Stats are figures since the beginning.
type Stats struct {
	Devices   int64         `json:"devices"`
	Connected int64         `json:"connected"` // that have been
	Published uint64        `json:"published"` // and taken by the server, above QoS 0
	Bytes     uint64        `json:"payload_bytes"`
	Failed    uint64        `json:"failed"`  // messages
	Refused   uint64        `json:"refused"` // attempts to connect
	Late      uint64        `json:"late"`    // messages sent an interval or more after their time
	Elapsed   time.Duration `json:"-"`
	Seconds   float64       `json:"seconds"`
}

// counters are Stats as they grow.
type counters struct {
	connected                               atomic.Int64
	published, bytes, failed, refused, late atomic.Uint64
}

// check completes a group and names what cannot be.
func (g *Group) check() error {
	var err error
	switch {
	case g.Devices < 1 || g.Devices > MaxDevices:
		return fmt.Errorf("devices: want 1 to %d, not %d", MaxDevices, g.Devices)
	case g.QoS > 2:
		return fmt.Errorf("qos: want 0, 1 or 2, not %d", g.QoS)
	case g.Interval <= 0:
		return fmt.Errorf("interval: want more than 0, not %v", g.Interval)
	case g.RampUp < 0 || g.Messages < 0:
		return errors.New("ramp_up and messages: want 0 or more")
	case g.Topic == "":
		return errors.New("topic: there is none")
	}
	for _, t := range []struct {
		name, text string
		to         **Template
	}{{"client_id", g.ClientID, &g.clientID}, {"topic", g.Topic, &g.topic}, {"payload", g.Payload, &g.payload}} {
		if *t.to, err = ParseTemplate(t.text); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	now := time.Now()
	first, second := g.device(0, 0, now), g.device(0, 1, now)
	if id := g.clientID.text(first, now); id == "" || g.Devices > 1 && id == g.clientID.text(second, now) {
		return fmt.Errorf("client_id: %q is the same for all devices; add {{n}}", g.ClientID)
	}
	if name := g.topic.text(first, now); topic.CheckName(name) != nil {
		return fmt.Errorf("topic: %q: %w", name, topic.CheckName(name))
	}
	return nil
}

// Validate checks all groups and names the first thing that cannot be.
func (o *Options) Validate() error {
	if len(o.Groups) == 0 {
		return errors.New("groups: there are none")
	}
	all := 0
	for i := range o.Groups {
		g := &o.Groups[i]
		if err := g.check(); err != nil {
			if g.Name != "" {
				return fmt.Errorf("group %q: %w", g.Name, err)
			}
			return err
		}
		all += g.Devices
	}
	if all > MaxDevices {
		return fmt.Errorf("devices: want at most %d in all, not %d", MaxDevices, all)
	}
	return nil
}

func (g *Group) device(seed uint64, number int, now time.Time) *device {
	return &device{number: number, born: now, random: rand.New(rand.NewPCG(seed, uint64(number)))}
}

// Run simulates until ctx ends or all devices have sent their messages. An error
// means that no device could ever connect.
func Run(ctx context.Context, o Options) (Stats, error) {
	if err := o.Validate(); err != nil {
		return Stats{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{Options: o, began: time.Now(), slots: make(chan struct{}, connectsAtOnce), cancel: cancel}
	var wg sync.WaitGroup
	for i := range o.Groups {
		g := &r.Groups[i]
		r.devices += int64(g.Devices)
		for n := range g.Devices {
			wg.Go(func() { r.live(ctx, g, g.device(o.Seed+uint64(i)<<32, n, r.began)) })
		}
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { r.report(done) })
	wg.Wait()
	close(done)
	watch.Wait()
	return r.stats(), r.failure()
}

// run is a simulation that runs.
type run struct {
	Options
	counters
	began   time.Time
	devices int64
	slots   chan struct{} // bounds those that connect at once
	cancel  context.CancelCauseFunc
	mu      sync.Mutex
	first   error // of a connection; guarded by mu
}

func (r *run) stats() Stats {
	d := time.Since(r.began)
	return Stats{
		Devices: r.devices, Connected: r.connected.Load(), Published: r.published.Load(), Bytes: r.bytes.Load(),
		Failed: r.failed.Load(), Refused: r.refused.Load(), Late: r.late.Load(), Elapsed: d, Seconds: d.Seconds(),
	}
}

func (r *run) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.connected.Load() == 0 {
		return r.first
	}
	return nil
}

func (r *run) report(done <-chan struct{}) {
	if r.Progress == nil {
		return
	}
	tick := time.NewTicker(reportsInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.Progress(r.stats())
		case <-done:
			return
		}
	}
}

// live is the life of a device.
func (r *run) live(ctx context.Context, g *Group, d *device) {
	if !sleep(ctx, time.Duration(float64(g.RampUp)*float64(d.number)/float64(g.Devices))) {
		return
	}
	p := r.connect(ctx, g, d)
	if p == nil {
		return
	}
	defer func() { _ = p.Close() }() // what counts has been acknowledged
	r.connected.Add(1)
	due := time.Now()
	if g.Messages == 0 && g.RampUp == 0 { // so that devices do not publish all at once for ever
		due = due.Add(time.Duration(d.random.Float64() * float64(g.Interval)))
	}
	for d.seq = 0; g.Messages == 0 || d.seq < g.Messages; d.seq++ {
		if !sleep(ctx, time.Until(due)) {
			return
		}
		now := time.Now()
		if now.Sub(due) >= g.Interval { // it does not catch up: devices drop what they had no time for
			r.late.Add(1)
			due = now
		}
		r.publish(ctx, p, g, d, now)
		due = due.Add(g.Interval)
	}
}

func (r *run) publish(ctx context.Context, p Publisher, g *Group, d *device, now time.Time) {
	m := client.Message{
		Topic: g.topic.text(d, now), Payload: []byte(g.payload.text(d, now)), QoS: g.QoS, Retain: g.Retain,
	}
	err := topic.CheckName(m.Topic)
	if err == nil {
		err = p.Publish(ctx, m)
	}
	switch {
	case err == nil:
		r.published.Add(1)
		r.bytes.Add(uint64(len(m.Payload)))
	case ctx.Err() == nil:
		r.failed.Add(1)
	}
}

// connect tries until it succeeds; as long as no device ever has, the first
// failure ends the simulation.
func (r *run) connect(ctx context.Context, g *Group, d *device) Publisher {
	for {
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		p, err := r.Connect(ctx, g.clientID.text(d, time.Now()))
		<-r.slots
		if err == nil {
			return p
		}
		if ctx.Err() != nil {
			return nil
		}
		r.refused.Add(1)
		if r.connected.Load() == 0 {
			r.mu.Lock()
			if r.first == nil {
				r.first = err
			}
			r.mu.Unlock()
			r.cancel(err)
			return nil
		}
		wait := shortestRetry + time.Duration(d.random.Float64()*float64(longestRetry-shortestRetry))
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// sleep returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
