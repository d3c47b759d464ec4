package broker

import (
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/packet"
)

// core decides for one shard. It implements shard.Handler; all its methods run in its
// Loop's turn.
type core struct {
	b      *Broker
	l      *shard.Loop
	id     int
	limits *Limits

	sessions map[string]*sess // by Client Identifier
	slots    []*sess          // by route.Handle.Index
	gens     []uint32
	free     []uint32

	cache    cache
	storm    storm
	batches  []*batch
	mailing  int        // bytes put into batches in this turn
	expiring expiryHeap // retained messages of this shard that expire

	stalled []uint64 // keys of publishers held back
	sys     *sys     // of the first shard

	restored []restored // sessions that come back from the journal

	loadedBytes int64     // of messages that wait and are in memory
	fetching    []fetched // to be asked of the journal when the turn ends

	more *session.More // of the last delivery by a shared subscription

	keeper   // journal operations and what waits for them
	searcher // retained messages on their way to new subscriptions

	stats counters

	// Scratch of the packet at hand.
	pub        packet.Publish
	sub        packet.Subscribe
	unsub      packet.Unsubscribe
	ack        packet.Puback
	msg        outgoing
	enc        []byte          // encoded forms of msg
	props      []byte          // properties under construction
	chosen     []*route.Target // members of shared subscriptions
	chosenMIDs []uint64        // ... and their names in the journal
	fwd        []byte          // properties that travel on
}

// Timer kinds.
const (
	timeConn    uint8 = iota + 1 // handshake and keep alive; key: shard.Conn.Key
	timeSession                  // will delay and session expiry; key: route.Handle
	timeRetain                   // an expiring retained message
	timeSys                      // $SYS
	timeStalled                  // publishers held back by a full mailbox
)

func newCore(b *Broker, l *shard.Loop) *core {
	k := &core{
		b: b, l: l, id: l.ID(), limits: &b.o.Limits,
		sessions: make(map[string]*sess),
		cache:    newCache(l.ID()),
		batches:  make([]*batch, b.o.Shards),
	}
	k.keeper.recording = !b.o.Journal.Volatile()
	k.searcher.steps = retainedPerTurn
	for _, p := range []*packet.Properties{&k.pub.Properties, &k.sub.Properties, &k.unsub.Properties, &k.ack.Properties} {
		p.MaxUser = k.limits.MaxUserProperties
	}
	return k
}

// begin is the core's first piece of work.
func (k *core) begin() {
	k.resume()
	if k.id == 0 && k.b.o.SysInterval > 0 {
		k.publishSys() // who asks for the version need not wait
		k.l.At(k.l.Now()+int64(k.b.o.SysInterval), timeSys, 0)
	}
}

// Timer fires what At has set.
func (k *core) Timer(kind uint8, key uint64) {
	switch kind {
	case timeConn:
		k.connTimer(key)
	case timeSession:
		if s := k.session(route.Handle(key)); s != nil {
			k.sessionTimer(s)
		}
	case timeRetain:
		k.expireRetained()
	case timeSys:
		k.publishSys()
		k.l.At(k.l.Now()+int64(k.b.o.SysInterval), timeSys, 0)
	case timeStalled:
		k.unstall()
	}
}

// connTimer ends handshakes that take too long and connections that are too quiet.
func (k *core) connTimer(key uint64) {
	conn := k.l.Find(key)
	if conn == nil || conn.Closed() {
		return
	}
	c := conn.User.(*client)
	now := k.l.Now()
	if c.state != connected {
		if now >= c.due {
			k.stats.handshakeTimeouts++
			k.detach(c, false) // the journal may be slow with the CONNACK of a session
			k.dropConn(c)
		} else {
			k.l.At(c.due, timeConn, key)
		}
		return
	}
	if k.packetTimedOut(c) {
		return
	}
	if c.keepAlive == 0 {
		return
	}
	quiet := conn.Quiet()
	if conn.Paused() { // we do not read: the silence is ours
		quiet = 0
	}
	if quiet > c.silence() { // [MQTT-3.1.2-22]
		k.disconnect(c, packet.KeepAliveTimeout, "")
		return
	}
	k.watch(c, now+c.silence()-quiet+int64(70*time.Millisecond))
}

// watchMost is the longest time that a connection's timer runs. Timers cannot be taken
// back: a client that reconnects often with a long Keep Alive would leave many behind.
const watchMost = int64(64 * time.Second)

// watch looks at the connection's Keep Alive at the given time or before.
func (k *core) watch(c *client, at int64) {
	k.l.At(min(at, k.l.Now()+watchMost), timeConn, c.conn.Key())
}

// Mail brings what another shard has sent.
func (k *core) Mail(m any) {
	switch m := m.(type) {
	case *batch:
		k.receive(m)
	case committed:
		k.committed(m)
	case fetched:
		k.loaded(m)
	case searchOn:
		k.searchAll()
	}
}

// EndTurn hands this turn's messages to the other shards, and its operations to the journal.
func (k *core) EndTurn() {
	k.mail()
	k.steps = retainedPerTurn // of the next turn
	k.submit()
	k.fetchAll()
}

// session finds the session that h names, nil when it has ended.
func (k *core) session(h route.Handle) *sess {
	i := h.Index()
	if int(i) >= len(k.slots) || k.slots[i] == nil || k.slots[i].h != h {
		return nil
	}
	return k.slots[i]
}

// match finds the subscribers of a Topic Name, nil when the name does not fit.
// What it returns is valid until the next call; see cache.go.
func (k *core) match(name []byte) *route.Match {
	m := k.cache.byName[string(name)]
	if m != nil && m.Gen == k.b.routes.Gen() {
		return m
	}
	if m != nil {
		return k.cache.refresh(k.b.routes, m.Topic)
	}
	if !fits(k.limits, name) {
		return nil
	}
	return k.cache.miss(k.b.routes, string(name))
}

// matchString is match for a Topic Name that is a string already and was checked.
func (k *core) matchString(name string) *route.Match {
	if m := k.cache.byName[name]; m != nil {
		if m.Gen == k.b.routes.Gen() {
			return m
		}
		return k.cache.refresh(k.b.routes, m.Topic)
	}
	return k.cache.miss(k.b.routes, name)
}

// matchAgain is mt as it is after its message was retained: somebody may have subscribed
// since mt was found, and found nothing retained.
func (k *core) matchAgain(mt *route.Match) *route.Match {
	if mt.Gen == k.b.routes.Gen() {
		return mt
	}
	return k.matchString(mt.Topic)
}

// fits tells whether a Topic Name or Filter is within the limits.
func fits[S string | []byte](l *Limits, name S) bool {
	return len(name) <= l.MaxTopicLength && levels(name) <= l.MaxTopicLevels
}

func levels[S string | []byte](name S) int {
	n := 1
	for i := range len(name) {
		if name[i] == '/' {
			n++
		}
	}
	return n
}

var _ shard.Handler = (*core)(nil)

// moreOf is the rare part of a delivery. The many messages of one shared subscription
// have the same. Its arguments are borrowed.
func (k *core) moreOf(ids []uint32, share, filter string) *session.More {
	if m := k.more; m != nil && len(ids) == 0 && m.Share == share && m.Filter == filter {
		return m
	}
	m := &session.More{SubIDs: slices.Clone(ids), Share: strings.Clone(share), Filter: strings.Clone(filter)}
	if len(ids) == 0 {
		k.more = m
	}
	return m
}

// entryOf makes a delivery of m.
func entryOf(m *session.Message, qos byte, retain bool, subID uint32, more *session.More) session.Entry {
	return session.Entry{Msg: m, QoS: qos, Retain: retain, SubID: subID, More: more}
}
