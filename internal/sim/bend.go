package sim

import (
	"slices"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/packet"
)

// bend breaks what passes between clients and broker, to see whether the model notices.
// A nil function changes nothing.
type bend struct {
	toBroker func(c *client, p packet.Packet) []packet.Packet
	toClient func(c *client, p packet.Packet) []packet.Packet
	taken    func(r *broker.PublishRequest)
	forget   func(op *journal.Op) bool // the journal never hears of op
}

func (b *bend) up(c *client, p packet.Packet) []packet.Packet {
	if b.toBroker == nil {
		return []packet.Packet{p}
	}
	return b.toBroker(c, p)
}

func (b *bend) down(c *client, p packet.Packet) []packet.Packet {
	if b.toClient == nil {
		return []packet.Packet{p}
	}
	return b.toClient(c, p)
}

func (b *bend) ops(ops []journal.Op) []journal.Op {
	if b == nil || b.forget == nil {
		return ops
	}
	return slices.DeleteFunc(slices.Clone(ops), func(op journal.Op) bool { return b.forget(&op) })
}

func (b *bend) publish(r *broker.PublishRequest) {
	if b.taken != nil {
		b.taken(r)
	}
}
