// Package sim runs a broker and several clients in one goroutine, over a simulated
// network, clock and journal, through scripts that a seed decides: which bytes arrive where
// and when, which connection breaks at which byte, who reads slowly, which shard turns
// next, when the broker crashes.
//
// A model of MQTT delivery, the plainest that there is, is told what the broker has taken
// and checks everything that clients get. The same script always leads to the same bytes
// on every connection. A script that breaks a promise is made shorter while it still
// does, and printed.
package sim

import (
	"fmt"
	"hash/fnv"
	"io"
	"slices"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/packet"
)

// Result is what a run did.
type Result struct {
	Published, Delivered, Cuts, Crashes, Wills, Expired, Dropped, Redistributed int

	Offs, Again, Backups int // power cuts, those during a start, and those during a backup

	Trace uint64 // hash of all bytes in their order, both directions
}

func (r *Result) add(o Result) {
	for _, f := range []struct{ to, from *int }{
		{&r.Published, &o.Published}, {&r.Delivered, &o.Delivered}, {&r.Cuts, &o.Cuts}, {&r.Crashes, &o.Crashes},
		{&r.Wills, &o.Wills}, {&r.Expired, &o.Expired}, {&r.Dropped, &o.Dropped},
		{&r.Redistributed, &o.Redistributed}, {&r.Offs, &o.Offs}, {&r.Again, &o.Again}, {&r.Backups, &o.Backups},
	} {
		*f.to += *f.from
	}
}

// Failure is a broken promise.
type Failure struct {
	Promise Promise
	Text    string
	Step    int // of the script, from 1; 0 is after its end
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %s", f.Promise, f.Text) }

const (
	settleMost = 20_000
	outbound   = 1 << 10 // the broker's OutboundBuffer: small, so that schedules reach it
	packetMost = 1 << 10
)

// world is one run.
type world struct {
	now     int64
	script  *Script
	b       *broker.Broker
	loops   []*shard.Loop
	clients map[string]*client
	names   []string // of clients
	links   map[string]*link
	order   []*link
	ghosts  []*link // that no client reads any more
	model   *model
	store   store // nil when state is in memory only
	bend    *bend // breaks things, to see whether the model notices
	failed  *Failure
	step    int
	log     []string
	loud    bool
	randoms uint64
	trace   interface {
		io.Writer
		Sum64() uint64
	}
	res Result
}

// Play runs a script. The error is a *Failure that tells which promise was broken.
func Play(s *Script) (Result, error) {
	return newWorld(s).run()
}

func newWorld(s *Script) *world {
	w := &world{
		script: s, now: (1_700_000_000e9/tick + 1) * tick, clients: map[string]*client{}, links: map[string]*link{}, trace: fnv.New64a(),
	}
	w.model = newModel(w.fail)
	w.model.limited = s.World.Queue > 0
	return w
}

func (w *world) run() (Result, error) {
	switch store := w.script.World.Store; {
	case store == Model:
		w.store = newDisk()
	case store.onDisk():
		w.store = newPower(store)
	}
	w.play()
	if w.store != nil {
		if err := w.store.close(); err != nil {
			w.fail(Recoverable, "%v", err)
		}
	}
	w.res.Trace = w.trace.Sum64()
	if w.failed != nil {
		return w.res, w.failed
	}
	return w.res, nil
}

func (w *world) fail(p Promise, format string, args ...any) {
	if w.failed == nil {
		w.failed = &Failure{p, fmt.Sprintf(format, args...), w.step}
		w.say("# %s", w.failed)
	}
}

func (w *world) say(format string, args ...any) {
	if w.loud {
		w.log = append(w.log, fmt.Sprintf(format, args...))
	}
}

// describe is a packet in the language of scripts.
func describe(p packet.Packet) string { return script.Format(p) }

// options are those of the brokers.
func (w *world) options(shards int) broker.Options {
	t := w.script.World
	return broker.Options{
		Shards: max(1, shards),
		Clock:  func() int64 { return w.now },
		Random: func() uint64 { w.randoms++; return w.randoms },
		Limits: broker.Limits{
			OutboundBuffer: outbound, MaxPacketSize: packetMost, MaxInflight: t.Inflight, ReceiveMaximum: t.ReceiveMax,
			TopicAliasMaximum: t.Aliases, MaxQueuedMessages: t.Queue, DropOldest: t.DropOldest,
		},
		Hooks: broker.Hooks{
			Connect: func(r *broker.ConnectRequest) (v broker.Verdict) { w.taking(r.Remote, packet.CONNECT); return v },
			Subscribe: func(r *broker.SubscribeRequest) (v broker.Verdict) {
				w.taking(r.Remote, packet.SUBSCRIBE)
				return v
			},
			Publish: w.onPublish,
		},
	}
}

// boot starts a broker with what the store holds. tried is how an earlier start, which did
// not come to its end, has renamed sessions, or has not.
func (w *world) boot(shards int, tried map[uint64]uint64) {
	o := w.options(shards)
	w.model.shards = o.Shards
	var err error
	if w.store != nil {
		o.Journal = &watch{w.store, w.model, o.Shards, tried, w.bend}
		w.store.boot(true)
		defer w.store.boot(false)
		err = w.store.open()
	}
	if err == nil {
		w.b, err = broker.New(o)
	}
	if err == nil {
		_, err = w.b.Recover()
	}
	if err != nil {
		w.fail(Recoverable, "%v", err)
		return
	}
	w.loops = w.b.Manual()
	w.turnAll()
}

func (w *world) onPublish(r *broker.PublishRequest) (v broker.Verdict) {
	if r.Will {
		return v
	}
	w.taking(r.Remote, packet.PUBLISH)
	w.res.Published++
	if w.bend != nil {
		w.bend.publish(r)
	}
	return v
}

// crash ends the broker at this instant: what the store has not is lost, and so is what
// is under way on the network. The next one starts with what lose leaves.
func (w *world) crash(shards int, lose func() (tried map[uint64]uint64, err error)) {
	if w.failed != nil {
		return
	}
	w.res.Crashes++
	w.count()
	w.model.crash()
	for _, name := range w.names {
		if c := w.clients[name]; c.link != nil {
			c.lost()
		}
	}
	w.links, w.order, w.ghosts = map[string]*link{}, nil, nil
	tried, err := lose()
	if err != nil {
		w.fail(Recoverable, "%v", err)
		return
	}
	w.boot(shards, tried)
}

// count adds up what the broker has dropped before its figures are gone.
func (w *world) count() {
	s := w.b.StatsNow()
	if rest := s.Balance(); rest != 0 {
		w.fail(Balanced, "%d copies of %d are neither delivered, waiting nor dropped", rest, s.Routed)
	}
	for _, d := range []broker.Drop{broker.DropSlowConsumer, broker.DropQueueFull, broker.DropTooLarge} {
		w.model.allow += int(s.Dropped[d])
		w.res.Dropped += int(s.Dropped[d])
	}
	if n := s.Dropped[broker.DropUnreadable]; n > 0 {
		w.fail(Durable, "%d stored messages cannot be read", n)
	}
	w.res.Wills += int(s.Wills)
	w.res.Expired += int(s.Expired)
	w.res.Redistributed += int(s.Redistributed)
}

func (w *world) play() {
	w.model.now = w.now
	w.boot(w.script.World.Shards, nil)
	for i := range w.script.Steps {
		w.step = i + 1
		w.say("%s", w.script.Steps[i].String())
		w.do(&w.script.Steps[i])
		w.check()
		if w.failed != nil {
			return
		}
	}
	w.step = 0
	w.heal()
	w.settle()
	if w.failed == nil {
		w.balance()
	}
}

// do does one step.
func (w *world) do(s *Step) {
	c := w.clients[s.Client]
	if c == nil && s.Client != "" {
		c = newClient(w, s.Client)
		w.clients[s.Client] = c
		w.names = append(w.names, s.Client)
		slices.Sort(w.names)
	}
	switch s.Verb {
	case Send:
		c.do(s.Packet)
	case Network:
		c.loop, c.room = s.A, s.B
	case Up:
		if c.link != nil {
			w.feed(c.link, s.A)
		}
	case Down:
		c.read(s.A)
	case Ghost:
		for _, k := range slices.Clone(w.ghosts) {
			if k.c == c {
				w.feed(k, s.A)
			}
		}
	case Ack:
		c.acknowledge(s.A)
	case Slow, Fast:
		c.slow = s.Verb == Slow
	case Cut:
		c.cut(s.A, s.B)
	default:
		w.doBroker(s)
	}
}

func (w *world) doBroker(s *Step) {
	switch s.Verb {
	case Turn:
		w.turn(s.A % len(w.loops))
	case Clock:
		w.now += int64(s.A) * tick
		w.model.now = w.now
	case Commit:
		if w.store != nil {
			w.store.commit(s.A)
		}
	case Crash:
		if w.store != nil {
			w.crash(s.A, func() (map[uint64]uint64, error) { return nil, w.store.crash() })
		}
	default:
		if p, ok := w.store.(*power); ok {
			w.doPower(p, s)
		}
	}
}

// turn runs one shard's turn.
func (w *world) turn(i int) bool {
	l := w.loops[i]
	l.Begin(w.now)
	return w.end(l)
}

func (w *world) turnAll() (busy bool) {
	for i := range w.loops {
		busy = w.turn(i) || w.loops[i].HasMail() || busy
	}
	return busy
}

// end ends a turn, of which the model hears.
func (w *world) end(l *shard.Loop) bool {
	more := l.End()
	w.sweepOthers(nil)
	w.model.timers(l.ID())
	return more
}

func (w *world) drop(k *link) {
	delete(w.links, k.name)
	is := func(o *link) bool { return o == k }
	w.order = slices.DeleteFunc(w.order, is)
	w.ghosts = slices.DeleteFunc(w.ghosts, is)
}

// heal makes all clients such that want to finish.
func (w *world) heal() {
	for _, k := range slices.Clone(w.ghosts) {
		w.hangup(k, io.EOF)
	}
	for _, name := range w.names {
		c := w.clients[name]
		c.slow = false
		if c.last != nil && c.link == nil {
			again := *c.last
			again.CleanStart, again.Will, again.KeepAlive = len(again.ClientID) == 0, nil, 0
			c.connect(&again)
		}
	}
}

// settle lets everything arrive until nothing is under way.
func (w *world) settle() {
	for range settleMost {
		busy := w.store != nil && w.store.commit(1<<20)
		busy = w.turnAll() || busy
		for _, name := range w.names {
			c := w.clients[name]
			if c.link != nil {
				busy = w.feed(c.link, 1<<20) || busy
			}
			busy = c.read(1<<20) || busy
			busy = c.acknowledge(1<<20) || busy
			if c.link == nil && c.last != nil {
				w.heal()
				busy = true
			}
		}
		w.check()
		if w.failed != nil {
			return
		}
		if !busy && (w.store == nil || !w.store.commit(1<<20)) {
			return
		}
	}
	w.fail(Settles, "no rest after %d rounds", settleMost)
}

// balance checks, when nothing is under way, that nothing is missing.
func (w *world) balance() {
	w.count()
	list, whose := w.model.missing()
	if n := len(list) - w.model.allow; n > 0 {
		at := len(list) - 1
		promise := Delivered
		if list[at].key != "" {
			promise = OneMember
		} else if len(list[at].m.topic) > 2 && list[at].m.topic[:2] == "w/" {
			promise = WillKept
		}
		w.fail(promise, "%s never gets %v; %d copies are missing and %d were dropped", whose[at], list[at].m, len(list), w.model.allow)
	}
	for _, name := range w.names {
		if c := w.clients[name]; !c.out.Idle() {
			if k := c.link; k != nil {
				w.say("%s up=%v moving=%v paused=%v closed=%v pending=%d up=%d down=%d sent=%d ended=%v shut=%v", k.name, k.up, k.conn.Moving(), k.conn.Paused(), k.conn.Closed(), k.conn.Pending(), len(k.toBroker), len(k.toClient), len(k.sent), k.ended, k.shut)
			}
			w.fail(Delivered, "%s: %d messages still on their way to the broker", name, c.out.Inflight()+c.out.Queued())
		}
	}
}

// check looks at what must hold at every instant.
func (w *world) check() {
	if w.failed != nil {
		return
	}
	if rest := w.b.BalanceNow(); rest != 0 {
		w.fail(Balanced, "%d copies are neither delivered, waiting nor dropped", rest)
	}
	for _, k := range w.order {
		if !k.conn.Moving() && k.conn.Pending() > outbound+2*packetMost {
			w.fail(Bounded, "%s: %d bytes wait for a slow reader", k.name, k.conn.Pending())
		}
	}
}
