package client

import (
	"errors"
	"fmt"

	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
)

// errNoPacketID is what becomes of a request when 65,535 others are open.
var errNoPacketID = errors.New("all packet identifiers are in use")

// A flow is the client's half of a session: packet identifiers, QoS 1 and QoS 2
// both ways, the server's limits and what has to be sent again. It does no I/O,
// reads no clock and is guarded by its owner. It appends encoded packets to the
// output, in order.
type flow struct {
	version     packet.Version
	receiveMax  int // what we told the server
	aliasMax    int // likewise
	maxInflight int // our own limit, 0 is none
	router      *router

	online bool
	epoch  int // counts connections
	limits limits

	// Messages to the server that are not acknowledged, in the order of
	// publishing. Those before next were sent on this connection.
	head, tail, next *outbound
	quota            int // how many more may be sent now
	inflight         int // sent on this connection, or an earlier one, and open
	ids              idTable
	lastID           uint16
	foreign          *foreign // of a session that this process did not begin

	requests []*request     // SUBSCRIBE and UNSUBSCRIBE without an answer
	subs     []Subscription // what the server granted

	autoAlias  bool
	ownAliases bool // the application numbers them
	aliases    *session.AliasLRU
	scratch    []byte

	aliasesIn session.AliasIn     // the server's, of this connection
	unrel     map[uint16]*inbound // QoS 2 messages without their PUBREL
	unacked   [3]inList           // by QoS: messages of this connection, in order
	receiving int                 // messages of this connection not acknowledged
	draining  bool                // nothing more is delivered

	counts flowCounts
}

// flowCounts are part of Stats.
type flowCounts struct {
	published, acknowledged, resent     uint64
	received, refused, discarded, alias uint64
	resubscribed, tooOld                uint64
}

// limits are the server's, from CONNACK.
type limits struct {
	receiveMax    int
	maxPacketSize uint32 // 0 is none
	maxQoS        byte
	noRetain      bool
	noWildcard    bool
	noSubID       bool
	noShared      bool
	aliasMax      uint16
}

func newFlow(o *Options) *flow {
	f := &flow{
		version:     o.Version,
		receiveMax:  int(o.ReceiveMax),
		aliasMax:    int(o.TopicAliasMax),
		maxInflight: o.MaxInflight,
		autoAlias:   !o.NoAutoAlias,
		router:      &router{},
		unrel:       make(map[uint16]*inbound),
	}
	f.setVersion(o.Version)
	return f
}

// setVersion is called before the first connection.
func (f *flow) setVersion(v packet.Version) {
	f.version = v
	if f.receiveMax == 0 || v != packet.V5 && v != 0 {
		f.receiveMax = 65535
	}
}

// connected starts a connection: it sends again what the server may not have.
// Without a session on the server the granted subscriptions are asked for
// again, and messages the lost session had taken over count as delivered.
func (f *flow) connected(sessionPresent bool, l limits, out *output) {
	f.epoch++
	if f.epoch == 1 && sessionPresent {
		f.foreign = &foreign{}
	} else if !sessionPresent {
		f.foreign = nil
	}
	f.online, f.limits = true, l
	f.quota = l.receiveMax
	if f.maxInflight > 0 {
		f.quota = min(f.quota, f.maxInflight)
	}
	f.resetAliases()
	f.resetInbound(sessionPresent)
	f.next = f.head
	for m := f.head; m != nil && !sessionPresent; {
		next := m.next
		m.resent = false
		if m.released {
			f.finish(m, m.code, nil)
		}
		m = next
	}
	if !sessionPresent {
		f.resubscribe(out)
	}
	f.requests = dropAbandoned(f.requests)
	for _, r := range f.requests {
		f.sendRequest(r, out)
	}
	f.dropFailed()
	f.pump(out)
}

// lost ends a connection.
func (f *flow) lost() { f.online = false }

// resetAliases forgets both sides' aliases [MQTT-3.3.2-7].
func (f *flow) resetAliases() {
	f.aliasesIn, f.aliases = session.AliasIn{}, nil
	if f.autoAlias && !f.ownAliases && f.version == packet.V5 && f.limits.aliasMax > 0 {
		f.aliases = session.NewAliasLRU(min(f.limits.aliasMax, maxAliases))
	}
}

// receive takes any packet from the server but those of the connection itself:
// CONNACK, PINGRESP, DISCONNECT and AUTH.
func (f *flow) receive(p packet.Packet, out *output) error {
	switch p := p.(type) {
	case *packet.Publish:
		return f.receivePublish(p, out)
	case *packet.Pubrel:
		f.receivePubrel(p, out)
	case *packet.Puback:
		if m := f.ids.get(p.ID); m != nil && m.qos == 1 {
			f.acknowledged(m, p.Code, &p.Properties, out)
		}
	case *packet.Pubrec:
		f.receivePubrec(p, out)
	case *packet.Pubcomp:
		if m := f.ids.get(p.ID); m != nil && m.released {
			// Whatever the code, the server has no message of this identifier
			// any more, and it had said PUBREC.
			f.counts.acknowledged++
			f.finish(m, m.code, nil)
			f.pump(out)
		}
	case *packet.Suback:
		return f.receiveSuback(p, out)
	case *packet.Unsuback:
		return f.receiveUnsuback(p, out)
	default:
		return &packet.Error{Code: packet.ProtocolError, Err: fmt.Errorf("unexpected %v", p.Type())}
	}
	return nil
}

// fail completes everything that is open with err.
func (f *flow) fail(err error) {
	f.online = false
	for f.head != nil {
		f.finish(f.head, packet.UnspecifiedError, err)
	}
	for _, r := range f.requests {
		r.complete(packet.UnspecifiedError, err)
	}
	f.requests = nil
}

// newID returns a packet identifier that nothing uses, 0 if there is none.
func (f *flow) newID() uint16 {
	for range 65535 {
		f.lastID++
		if f.lastID == 0 {
			f.lastID = 1 // [MQTT-2.2.1-3]
		}
		if f.ids.get(f.lastID) == nil && f.requestOf(f.lastID) < 0 {
			return f.lastID
		}
	}
	return 0
}

// An idTable finds messages by packet identifier. Identifiers in use lie close
// together, so a small table, indexed by their lower bits, holds them.
type idTable struct {
	slots []*outbound // their number is a power of two
	used  int
}

func (t *idTable) get(id uint16) *outbound {
	if len(t.slots) == 0 {
		return nil
	}
	if m := t.slots[int(id)&(len(t.slots)-1)]; m != nil && m.id == id {
		return m
	}
	return nil
}

// put adds m, whose identifier nothing in the table has.
func (t *idTable) put(m *outbound) {
	if len(t.slots) == 0 {
		t.slots = make([]*outbound, 64)
	}
	for t.slots[int(m.id)&(len(t.slots)-1)] != nil {
		bigger := make([]*outbound, 2*len(t.slots))
		for _, old := range t.slots {
			if old != nil {
				bigger[int(old.id)&(len(bigger)-1)] = old
			}
		}
		t.slots = bigger
	}
	t.slots[int(m.id)&(len(t.slots)-1)] = m
	t.used++
}

// remove forgets m. A large table goes when it is empty.
func (t *idTable) remove(m *outbound) {
	t.slots[int(m.id)&(len(t.slots)-1)] = nil
	if t.used--; t.used == 0 && len(t.slots) > 4096 {
		t.slots = nil
	}
}
