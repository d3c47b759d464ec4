package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// drama is one test: a broker, its clients and what happens to them.
type drama struct {
	t      *testing.T
	seed   uint64
	rng    *rand.Rand
	world  *world
	broker *broker
	actors sync.WaitGroup

	end func(context.Context) // ends the broker and starts it again

	clients     []*client
	subscribers []*subscriber
}

func newDrama(t *testing.T, flags ...string) *drama {
	t.Helper()
	d := &drama{t: t, seed: *seed}
	for d.seed == 0 {
		d.seed = rand.Uint64N(1 << 32)
	}
	t.Logf("schedule -seed %d", d.seed)
	d.rng = rand.New(rand.NewPCG(d.seed, 0))
	l := newLedger()
	d.broker = newBroker(t, l, flags...)
	d.world = &world{address: d.broker.address, ledger: l, cutEvery: rareCuts, patience: longPatience}
	d.end = d.strike
	return d
}

// play runs a schedule of n rounds and leaves the verdict in the ledger.
func (d *drama) play(n int) {
	d.t.Helper()
	ctx, end := context.WithCancel(d.t.Context())
	defer d.actors.Wait()
	defer end()
	d.start()
	d.prologue(ctx)
	for i := 1; i <= n; i++ {
		d.world.ledger.enter(i)
		d.world.awake.Store(d.rng.IntN(5) == 0)
		pause(ctx, d.between(20, 600))
		d.end(ctx)
		d.actors.Go(func() { inspect(ctx, d.world, i) })
	}
	d.world.ledger.enter(n + 1)
	d.epilogue(ctx)
	end()
	d.actors.Wait()
	for _, s := range d.subscribers {
		if n := len(s.unreleased); n > 0 {
			d.world.ledger.fail(faultStuck, nil, "%s waits for %d PUBRELs", s.client.name, n)
		}
	}
}

func (d *drama) start() {
	d.t.Helper()
	if err := d.broker.start(); err != nil {
		d.t.Fatalf("%v\n%s", err, d.world.ledger.report())
	}
}

// prologue starts the clients; who subscribes for good does so before the first message.
func (d *drama) prologue(ctx context.Context) {
	d.world.quiet.Store(true)
	d.world.awake.Store(true)
	d.castSubscribers(ctx)
	subscribed := d.settle(ctx, func() int { return d.world.ledger.unsubscribed(d.subscribers) })
	if !subscribed {
		d.t.Fatalf("the clients could not subscribe\n%s%s", d.world.ledger.report(), d.broker.tail())
	}
	d.castPublishers(ctx)
	d.world.quiet.Store(false)
}

func (d *drama) client(name string, v packet.Version) *client {
	c := newClient(d.world, name, v, d.seed)
	d.clients = append(d.clients, c)
	return c
}

func (d *drama) castSubscribers(ctx context.Context) {
	enter := func(c *client, share string, qos byte, filters ...string) {
		s := newSubscriber(c, share, qos, filters...)
		d.subscribers = append(d.subscribers, s)
		d.actors.Go(func() { s.run(ctx) })
	}
	add := func(name string, v packet.Version, receiveMax uint16, lazy bool, share string, qos byte, filters ...string) {
		c := d.client(name, v)
		c.receiveMax, c.lazy = receiveMax, lazy
		enter(c, share, qos, filters...)
	}
	add("wide", packet.V5, 20, false, "", 2, "load/#", willTopic+"#")
	add("old", packet.V311, 0, false, "", 1, "load/+/a")
	add("lazy", packet.V5, 100, true, "", 1, "load/p1/#", "load/p2/b")
	add("member1", packet.V5, 0, false, "team", 2, "load/#")
	add("member2", packet.V5, 30, true, "team", 2, "load/#")

	away := d.client(sleeper, packet.V5)
	away.receiveMax = 50
	away.wanted = func() bool { return away.awake.Load() || away.complete.Load() }
	enter(away, "", 2, "load/#")

	f := newFickle(d.client("fickle", packet.V5), 2, "load/p5/#", "load/p6/#")
	d.subscribers = append(d.subscribers, f.subscriber)
	d.actors.Go(func() { f.run(ctx) })
}

// sleeper is the name of the client that connects only now and then.
const sleeper = "sleeper"

func (d *drama) castPublishers(ctx context.Context) {
	for i, qos := range [][]byte{{1}, {2}, {1, 2}, {0, 1, 2}, {1, 2, 2}, {0, 1, 1, 2}} {
		name := fmt.Sprintf("p%d", i+1)
		p := newPublisher(d.client(name, packet.V311+packet.Version(i%2)), *rate, qos, "load/"+name+"/a", "load/"+name+"/b")
		d.actors.Go(func() { p.run(ctx) })
	}
	for i, qos := range []byte{1, 2} {
		name := fmt.Sprintf("r%d", i+1)
		p := newPublisher(d.client(name, packet.V311+packet.Version(i)), *rate/5, []byte{qos}, "keep/"+name+"/a", "keep/"+name+"/b")
		p.retain = true
		d.actors.Go(func() { p.run(ctx) })

		m := newMortal(d.client(fmt.Sprintf("mortal%d", i+1), packet.V5), qos)
		d.actors.Go(func() { m.run(ctx) })
	}
	var filters []string
	for i := range 6 {
		filters = append(filters, fmt.Sprintf("load/p%d/a", i+1), fmt.Sprintf("load/p%d/b", i+1))
	}
	s := newChanging(d.client("changing", packet.V5), 2, filters...)
	d.subscribers = append(d.subscribers, s.subscriber)
	d.actors.Go(func() { s.run(ctx) })
}

// strike ends the broker somehow and starts it again.
func (d *drama) strike(ctx context.Context) {
	d.t.Helper()
	if d.rng.IntN(3) == 0 { // sessions move to other shards
		d.broker.shards = 1 + d.rng.IntN(4)
	}
	switch n := d.rng.IntN(40); {
	case n < 24:
		d.kill()
	case n < 29: // while it starts, perhaps several times
		for range 1 + d.rng.IntN(2) {
			d.kill()
			if err := d.broker.launch(); err != nil {
				d.t.Fatal(err)
			}
			pause(ctx, d.between(0, 120))
		}
		d.kill()
	case n < 34: // while the clients come back
		d.kill()
		d.start()
		pause(ctx, d.between(0, 30))
		d.kill()
	case n < 37: // at rest
		was := d.world.quiet.Swap(true)
		d.settle(ctx, d.debts(d.world.awake.Load()))
		d.kill()
		d.world.quiet.Store(was)
	default:
		d.world.killed.Store(time.Now().UnixNano())
		if err := d.broker.stop(); err != nil {
			d.world.ledger.fail(faultBroker, nil, "%v", err)
		}
	}
	d.start()
}

// knock kills the broker and starts it again, without any refinement.
func (d *drama) knock(context.Context) {
	d.t.Helper()
	d.kill()
	d.start()
}

func (d *drama) between(least, most int) time.Duration {
	return time.Duration(least+d.rng.IntN(most-least+1)) * time.Millisecond
}

func (d *drama) kill() {
	d.world.killed.Store(time.Now().UnixNano())
	d.broker.kill()
}

// epilogue lets everybody come back and everything arrive, ends the broker a last time
// and judges.
func (d *drama) epilogue(ctx context.Context) {
	d.t.Helper()
	d.world.quiet.Store(true)
	d.world.complete.Store(true)
	d.settle(ctx, d.debts(true))
	d.settle(ctx, d.absent)
	d.end(ctx)
	d.settle(ctx, d.absent)
	inspect(ctx, d.world, 0)
	d.settle(ctx, d.debts(true))
	pause(ctx, lateTime) // for what comes once too often
	for _, c := range d.clients {
		if !c.online.Load() {
			d.world.ledger.fail(faultStuck, nil, "%s cannot connect any more", c.name)
		}
	}
	d.world.ledger.settle()
	d.world.killed.Store(time.Now().UnixNano())
	if err := d.broker.stop(); err != nil {
		d.world.ledger.fail(faultBroker, nil, "%v", err)
	}
}

// absent counts the clients that are not connected.
func (d *drama) absent() int {
	n := 0
	for _, c := range d.clients {
		if !c.online.Load() {
			n++
		}
	}
	return n
}

// debts returns a function that counts what is still to come, with that for the sleeper
// or without.
func (d *drama) debts(all bool) func() int {
	return func() int {
		acks, deliveries := d.world.ledger.owed(func(name string) bool { return all || name != sleeper })
		return acks + deliveries + d.world.ledger.willsOwed()
	}
}

const (
	settleStep    = 20 * time.Millisecond
	longPatience  = 8 * time.Second // a will takes willDelay
	shortPatience = 2 * time.Second
	lateTime      = 500 * time.Millisecond
)

// settle waits until count is 0, or does not change for a while: then what is missing
// is lost, and ledger.settle will tell. It reports whether count got to 0.
func (d *drama) settle(ctx context.Context, count func() int) bool {
	last, since := -1, time.Now()
	for ctx.Err() == nil {
		n := count()
		if n == 0 {
			return true
		}
		if n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) > d.world.patience {
			return false
		}
		pause(ctx, settleStep)
	}
	return false
}
