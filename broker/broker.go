// Package broker is the MQTT broker: CONNECT, PUBLISH, SUBSCRIBE, takeover, wills,
// retained messages, expiry and $SYS, for MQTT 3.1, 3.1.1 and 5.0.
//
// A Broker is a set of shards. Each shard's core owns the connections and sessions whose
// Client Identifiers hash to it, and nobody else touches them; a message for another
// shard's session goes there by mail. Shared by all are the subscription table and the
// index of retained messages, which guard themselves.
//
// The deciding part is deterministic: bytes, mail, timers and the turn's time go in,
// bytes appended to connections, mail and journal operations come out. Clock and
// randomness are injected, so that a simulation with a seed replays exactly.
//
// [MQTT-x.y.z-n] cites a normative statement of MQTT 5.0, [MQTT3-x.y.z-n] one of 3.1.1.
package broker

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/internal/shard"
)

// Broker is one MQTT server.
type Broker struct {
	o        Options
	log      *slog.Logger
	group    *shard.Group
	cores    []*core
	routes   *route.Table
	retained *route.Retained[*session.Message]

	gauge         interface{ Pressure() int64 } // of the journal, if it tells
	batches       batchPool
	mids          atomic.Uint64 // the last name given to a stored message
	failed        atomic.Bool   // the journal can store no more
	ownRetained   atomic.Int64  // retained messages of $SYS
	retainedBytes atomic.Int64  // memory that the others stand for
	mailed        [maxShards]mailed

	ctx       context.Context // of slow decisions; ends at shutdown
	cancel    context.CancelFunc
	work      sync.WaitGroup // slow decisions under way
	slots     chan struct{}  // bounds them
	mu        sync.Mutex
	listeners []*Listener // guarded by mu
	started   int64       // unix nanoseconds
	state     atomic.Int32
}

const (
	stateNew int32 = iota
	stateRunning
	stateStopping
	stateStopped
)

// New makes a Broker. Start runs it.
func New(o Options) (*Broker, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	gauge, _ := o.Journal.(interface{ Pressure() int64 })
	b := &Broker{
		gauge:    gauge,
		o:        o,
		log:      o.Logger,
		routes:   route.New(o.Shards),
		retained: route.NewRetained[*session.Message](),
		slots:    make(chan struct{}, 4*runtime.GOMAXPROCS(0)),
		started:  o.Clock(),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	group, err := shard.NewGroup(shard.Options{
		Loops:     o.Shards,
		Clock:     o.Clock,
		MaxConns:  o.Limits.MaxConnections,
		Lobby:     lobby,
		MaxUnsent: 2 * o.Limits.OutboundBuffer,
		Handler: func(l *shard.Loop) shard.Handler {
			k := newCore(b, l)
			b.cores = append(b.cores, k)
			return k
		},
	})
	if err != nil {
		return nil, err
	}
	b.group = group
	return b, nil
}

// Start runs the shards. Clients come once Listen is called.
func (b *Broker) Start() error {
	if !b.state.CompareAndSwap(stateNew, stateRunning) {
		return errors.New("broker: started twice")
	}
	if err := b.group.Start(); err != nil {
		return err
	}
	for _, k := range b.cores {
		k.l.Post(k.begin)
	}
	return nil
}

// Manual makes a Broker whose shards are turned by the caller instead of by Start, for
// tests and the simulation. It returns the shards' Loops.
func (b *Broker) Manual() []*shard.Loop {
	b.state.Store(stateRunning)
	b.group.Manual()
	for _, k := range b.cores {
		k.l.Post(k.begin)
	}
	return b.group.Loops()
}

// StatsNow is Stats for a Manual broker, between two turns.
func (b *Broker) StatsNow() Stats {
	parts := make([]counters, len(b.cores))
	online := make([]int64, len(b.cores))
	for i, k := range b.cores {
		parts[i], online[i] = k.figures()
	}
	return b.sum(parts, online)
}

// BalanceNow is StatsNow().Balance() at little cost.
func (b *Broker) BalanceNow() int64 {
	var s Stats
	for _, k := range b.cores {
		s.addCopies(&k.stats)
	}
	return s.Balance()
}

// execute runs fn off the shards.
func (b *Broker) execute(fn func()) {
	if b.o.Execute != nil {
		b.o.Execute(fn)
		return
	}
	b.work.Go(func() {
		b.slots <- struct{}{}
		defer func() { <-b.slots }()
		fn()
	})
}

// home is the shard that owns the sessions of clientID.
func (b *Broker) home(clientID []byte) int {
	if len(b.cores) == 1 {
		return 0
	}
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range clientID {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return int((h ^ h>>32) % uint64(len(b.cores)))
}

// each runs fn on every shard, in its turn, and waits for all.
func (b *Broker) each(ctx context.Context, fn func(k *core)) error {
	if state := b.state.Load(); state == stateNew || state == stateStopped {
		return errNotRunning // nobody would answer
	}
	done := make(chan struct{}, len(b.cores))
	for _, k := range b.cores {
		k.l.Post(func() {
			fn(k)
			done <- struct{}{}
		})
	}
	for range b.cores {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func cryptoRandom() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
