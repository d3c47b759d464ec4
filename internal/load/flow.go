package load

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wirebird/wirebird/packet"
)

const (
	turnWait      = 10 * time.Millisecond
	stallTime     = 500 * time.Millisecond
	drainTime     = 10 * time.Second // for what is under way when the measurement ends
	drainQuiet    = 2 * time.Second  // after which nothing more is expected
	setupTime     = 60 * time.Second
	subscribeSize = 20          // filters in a SUBSCRIBE
	longest       = 120_000_000 // microseconds that latency is told up to
	intervals     = 40          // of a measurement, that its progress is told in
)

// flow is publishers and subscribers at work.
type flow struct {
	e           *engine
	ctx         context.Context
	work        Work
	copies      int
	window      int
	prefix      string
	run         string // makes Client Identifiers of this run its own
	publishers  []*publisher
	subscribers []*subscriber
	numbers     []uint32  // by stream, of its next message
	tracks      []tracker // see Work.Pattern
	schedule    *schedule
	stopped     bool
	dirty       []*publisher
	scratch     []byte
	subacks     int

	sent, received, acks  uint64
	refused, misrouted    uint64
	repeated, disordered  uint64
	stalls                int
	latency, recent       *hdrhistogram.Histogram // microseconds; recent is of this interval
	measuring             bool
	readAt                int64 // when the packets at hand were read; 0 is not yet asked
	lastCount             uint64
	lastAt                int64
	began, tickAt, tickBy int64
	tickCount             uint64
	series                []float64
}

// schedule is an open loop: a message every gap nanoseconds.
type schedule struct {
	gap  float64
	from int64
	n    int64
	late uint64 // messages that found no room when they were due
}

func newFlow(ctx context.Context, w Work) (*flow, error) {
	make := newDriver
	if w.Portable {
		make = newNetDriver
	}
	e, err := newEngine(make)
	if err != nil {
		return nil, err
	}
	run := newFlowID()
	f := &flow{
		e: e, ctx: ctx, work: w, copies: w.copies(), window: w.Window, run: run, prefix: "bench/" + run, stopped: true,
		latency: hdrhistogram.New(1, longest, 3), recent: hdrhistogram.New(1, longest, 2),
	}
	if w.Rate > 0 {
		f.schedule = &schedule{gap: 1e9 / w.Rate}
	}
	f.numbers = makeSlice[uint32](w.streams())
	tracks := w.streams()
	if w.Pattern == All {
		tracks *= w.Subscribers
	}
	f.tracks = makeSlice[tracker](tracks)
	return f, nil
}

// newFlowID tells one run's clients and topics from another's.
func newFlowID() string {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

func makeSlice[T any](n int) []T { return make([]T, n) }

func (f *flow) close() { f.e.close() }

// publisherOf is who publishes a stream.
func (f *flow) publisherOf(stream uint32) *publisher {
	if f.work.Pattern == Scatter {
		stream /= uint32(f.work.Subscribers)
	}
	return f.publishers[stream]
}

// took counts messages that have come, or been acknowledged, in this read.
func (f *flow) took(n int, due int64) {
	f.received += uint64(n)
	if !f.measuring && f.work.Progress == nil {
		return
	}
	if f.readAt == 0 {
		f.readAt = f.e.now()
	}
	us := min((f.readAt-due)/1000, longest)
	if f.measuring {
		_ = f.latency.RecordValues(us, int64(n)) // within its bounds
	}
	if f.work.Progress != nil {
		_ = f.recent.RecordValues(us, int64(n))
	}
}

// connectSubscribers opens the subscribers and subscribes.
func (f *flow) connectSubscribers(d *dialer, clean bool) error {
	n := f.work.Subscribers
	if f.work.Pattern == None {
		return nil
	}
	links, err := d.openAll(f.ctx, n, func(i int) hello {
		return hello{version: f.work.Version, clientID: fmt.Sprintf("bench-%s-s%d", f.run, i), clean: clean}
	})
	if err != nil {
		return fmt.Errorf("subscribers: %w", err)
	}
	want := 0
	for i, l := range links {
		s := &subscriber{f: f, number: i}
		if s.c, err = f.e.add(l, s); err != nil {
			closeLinks(links[i+1:])
			return err
		}
		f.subscribers = append(f.subscribers, s)
	}
	for i, s := range f.subscribers {
		want += s.subscribe(f.work.filters(f.prefix, i))
	}
	return f.spin(setupTime, func() bool { return f.subacks == want }, "SUBACK")
}

// subscribe returns how many SUBACK will come.
func (s *subscriber) subscribe(filters []string) int {
	packets := 0
	for at := 0; at < len(filters); at += subscribeSize {
		packets++
		p := packet.Subscribe{ID: uint16(packets)}
		for _, filter := range filters[at:min(at+subscribeSize, len(filters))] {
			p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(filter), QoS: s.f.work.QoS})
		}
		s.c.write(p.Append(nil, s.f.work.Version))
	}
	return packets
}

// connectPublishers opens the publishers.
func (f *flow) connectPublishers(d *dialer, retain bool) error {
	links, err := d.openAll(f.ctx, f.work.Publishers, func(i int) hello {
		return hello{version: f.work.Version, clientID: fmt.Sprintf("bench-%s-p%d", f.run, i), clean: true}
	})
	if err != nil {
		return fmt.Errorf("publishers: %w", err)
	}
	for i, l := range links {
		p := &publisher{f: f, number: i}
		if len(p.templates) == 0 {
			f.work.topics(f.prefix, i, func(topic string, stream uint32) {
				p.templates = append(p.templates, newTemplate(f.work.Version, f.work.QoS, retain, topic, stream, f.work.Payload))
			})
		}
		if f.work.Pattern == Scatter {
			r := mathrand.New(mathrand.NewPCG(1, uint64(i)))
			r.Shuffle(len(p.templates), func(a, b int) { p.templates[a], p.templates[b] = p.templates[b], p.templates[a] })
		}
		if m := l.connack.Properties; f.work.QoS > 0 && m.Has(packet.PropReceiveMax) {
			f.window = min(f.window, int(m.ReceiveMax)) // [MQTT-3.3.4-7]
		}
		if p.c, err = f.e.add(l, p); err != nil {
			closeLinks(links[i+1:])
			return err
		}
		f.publishers = append(f.publishers, p)
	}
	f.work.Batch = min(f.work.Batch, f.window)
	for _, p := range f.publishers {
		p.identifiers()
	}
	return nil
}

// identifiers gives a publisher as many Packet Identifiers as its window.
func (p *publisher) identifiers() {
	if p.f.work.QoS == 0 {
		return
	}
	p.dueAt = make([]int64, p.f.window+1)
	for id := p.f.window; id > 0; id-- {
		p.dueAt[id] = -1
		p.free = append(p.free, uint16(id))
	}
	p.dueAt[0] = -1
}

func closeLinks(links []*link) {
	for _, l := range links {
		_ = l.nc.Close()
	}
}

// spin turns until stop says so. When d is over, or the context ends, or a
// connection does, it is an error; what is told what was waited for, "" if that
// is no error.
func (f *flow) spin(d time.Duration, stop func() bool, what string) error {
	end := f.e.now() + int64(d)
	for turns := 0; ; turns++ {
		if f.e.fault != nil {
			return f.e.fault
		}
		if stop != nil && stop() {
			return nil
		}
		now := f.e.now()
		if now >= end {
			if what == "" {
				return nil
			}
			return fmt.Errorf("no %s within %v", what, d)
		}
		if turns%16 == 0 && f.ctx.Err() != nil {
			return context.Cause(f.ctx)
		}
		wait := min(time.Duration(end-now), turnWait)
		if f.schedule != nil && !f.stopped {
			wait = min(wait, max(time.Duration(f.sendDue(now)-f.e.now()), 0))
		}
		f.e.turn(wait)
		for i := 0; i < len(f.dirty); i++ {
			f.dirty[i].dirty = false
			f.dirty[i].pump()
		}
		f.dirty = f.dirty[:0]
		f.unstall(now)
		f.tick(now)
	}
}

// sendDue sends what the schedule wants by now and returns when the next is due.
func (f *flow) sendDue(now int64) int64 {
	s := f.schedule
	for {
		due := s.from + int64(float64(s.n)*s.gap)
		if due > now {
			return due
		}
		p := f.publishers[s.n%int64(len(f.publishers))]
		s.n++
		if len(p.due) > p.dueHead || !p.room() {
			s.late++
			p.due = append(p.due, due)
			p.mark()
			continue
		}
		p.send(1, due)
	}
}

// unstall gives messages up that have not come for a while, so that a loss does
// not end a closed loop. They still count as lost unless they come.
func (f *flow) unstall(now int64) {
	if n := f.received + f.acks; n != f.lastCount || f.lastAt == 0 {
		f.lastCount, f.lastAt = n, now
		return
	}
	if f.schedule != nil || f.stopped || f.copies == 0 || now-f.lastAt < int64(stallTime) {
		return
	}
	f.lastAt = now
	for _, p := range f.publishers {
		have := p.delivered/uint64(f.copies) + p.forgiven
		if p.sent > have && p.unacked < f.window {
			p.forgiven += p.sent - have
			f.stalls++
			p.mark()
		}
	}
}

// tick tells of the progress and keeps the series for the plot.
func (f *flow) tick(now int64) {
	if f.tickBy == 0 || now-f.tickAt < f.tickBy {
		return
	}
	rate := float64(f.received-f.tickCount) / (float64(now-f.tickAt) / 1e9)
	if f.measuring {
		f.series = append(f.series, rate)
	}
	if f.work.Progress != nil {
		f.work.Progress(Progress{
			Elapsed: time.Duration(now - f.began), Measuring: f.measuring, PerSecond: rate,
			P99: time.Duration(f.recent.ValueAtQuantile(99)) * time.Microsecond,
		})
		f.recent.Reset()
	}
	f.tickAt, f.tickCount = now, f.received
}

// start lets the publishers begin.
func (f *flow) start() {
	now := f.e.now()
	f.stopped = false
	f.began, f.tickAt, f.tickCount, f.lastAt = now, now, f.received, 0
	f.tickBy = max(int64(f.work.Duration)/intervals, int64(20*time.Millisecond))
	if f.schedule != nil {
		f.schedule.from = now
		return
	}
	for _, p := range f.publishers {
		p.mark()
	}
}

// open is how many messages are neither acknowledged nor sent.
func (f *flow) open() int {
	n := 0
	for _, p := range f.publishers {
		n += p.unacked + len(p.due) - p.dueHead
	}
	return n
}

// drain waits for what is under way.
func (f *flow) drain() error {
	if f.schedule != nil {
		f.sendDue(f.e.now()) // what was due while the last turn took its time
	}
	f.stopped, f.tickBy = true, 0
	last, at := f.received+f.acks, f.e.now()
	return f.spin(drainTime, func() bool {
		if n := f.received + f.acks; n != last {
			last, at = n, f.e.now()
		}
		whole := f.copies == 0 || f.received >= f.sent*uint64(f.copies)
		return whole && f.open() == 0 || f.e.now()-at > int64(drainQuiet)
	}, "")
}

// lost is how many copies have not come.
func (f *flow) lost() uint64 {
	var n uint64
	for i := range f.tracks {
		stream := i
		if f.work.Pattern == All {
			stream = i / f.work.Subscribers
		}
		n += f.tracks[i].lost(f.numbers[stream])
	}
	return n
}
