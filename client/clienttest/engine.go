package clienttest

import (
	"context"
	"sync"
	"time"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/shard"
)

// engine is a broker whose only shard is turned by whoever has something for it. So it
// needs no goroutine and no socket of its own, and lives by the clock of the test.
type engine struct {
	b     *broker.Broker
	mu    sync.Mutex // held for a turn
	loop  *shard.Loop
	timer *time.Timer
	work  sync.WaitGroup // of decisions that take their time
	over  bool
}

func newEngine(o broker.Options) (*engine, error) {
	e := &engine{}
	o.Shards, o.Journal = 1, nil
	o.Clock = now
	o.Execute = func(slow func()) {
		e.work.Go(func() {
			slow()
			e.turn(nil) // its answer came by mail
		})
	}
	b, err := broker.New(o)
	if err != nil {
		return nil, err
	}
	e.b, e.loop = b, b.Manual()[0]
	e.mu.Lock()
	defer e.mu.Unlock()
	e.timer = time.AfterFunc(time.Hour, func() { e.turn(nil) })
	e.turnLocked(nil)
	return e, nil
}

func now() int64 { return time.Now().UnixNano() }

// turn runs fn as the owner of the shard, and what comes of it.
func (e *engine) turn(fn func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.turnLocked(fn)
}

func (e *engine) turnLocked(fn func()) {
	if e.over {
		return
	}
	e.loop.Begin(now())
	if fn != nil {
		fn()
	}
	for e.loop.End() || e.loop.HasMail() {
		e.loop.Begin(now())
	}
	e.timer.Stop()
	if next := e.loop.NextTimer(); next != 0 { // else synctest can tell that all are stuck
		e.timer.Reset(max(time.Millisecond, time.Duration(next-now())))
	}
}

// stop ends the turns. Connections must have ended.
func (e *engine) stop() {
	e.mu.Lock()
	e.over = true
	e.timer.Stop()
	e.mu.Unlock()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = e.b.Shutdown(ended) // for the context of slow decisions; nothing is there to leave
	e.work.Wait()
}
