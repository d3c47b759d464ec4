package route

import "fmt"

// MaxShards is the number of shards a Handle can tell apart.
const MaxShards = 1 << 8

const (
	indexBits = 32
	genBits   = 24
	genMask   = 1<<genBits - 1
)

// Handle names a session for as long as it lives: shard (8 bits), generation
// (24), index (32), from the highest bit down, so that sorted handles are sorted
// by shard. An owner that starts its generations at 1 may use 0 for no session.
type Handle uint64

// MakeHandle returns the handle of slot idx of a shard, used for the gen-th
// time. The upper 8 bits of gen are dropped: a handle kept while its slot is
// reused 16,777,216 times names the wrong session.
func MakeHandle(shard int, gen uint32, idx uint32) Handle {
	if shard < 0 || shard >= MaxShards {
		panic(fmt.Sprintf("route: shard %d of a handle is not in [0, %d)", shard, MaxShards))
	}
	return Handle(shard)<<(genBits+indexBits) | Handle(gen&genMask)<<indexBits | Handle(idx)
}

// Shard returns the shard that owns the session.
func (h Handle) Shard() int { return int(h >> (genBits + indexBits)) }

// Gen returns the generation, at most 24 bits.
func (h Handle) Gen() uint32 { return uint32(h>>indexBits) & genMask }

// Index returns the session's slot in its shard.
func (h Handle) Index() uint32 { return uint32(h) }

// Options are the Subscription Options that matter to routing: bits 0 and 1 are
// the maximum QoS, the others as below.
type Options uint8

// The bits of Options, where SUBSCRIBE has them (§3.8.3.1).
const (
	NoLocal           Options = 1 << 2 // do not send to the session that published
	RetainAsPublished Options = 1 << 3 // keep the RETAIN flag of the message

	// Durable is ours: the session outlives its connection, and what waits for it is stored.
	Durable Options = 1 << 4

	qosMask Options = 3
)

// QoS returns the maximum QoS of the subscription.
func (o Options) QoS() byte { return byte(o & qosMask) }

// merge returns the options for a session that matches by o and by p: the
// highest QoS [MQTT-3.3.4-2], and a flag if either has it.
func (o Options) merge(p Options) Options {
	return max(o&qosMask, p&qosMask) | (o|p)&^qosMask
}
