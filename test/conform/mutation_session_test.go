package conform

import (
	"strings"
	"sync"

	"github.com/wirebird/wirebird/packet"
)

// group is a broker that gives a message which one member of a shared subscription has
// got to the others too, when that member refuses it or its session ends.
type group struct {
	mu      sync.Mutex
	members map[*link]map[uint16]*packet.Publish // what they have not acknowledged
}

func (g *group) fault() fault {
	g.members = map[*link]map[uint16]*packet.Publish{}
	return fault{fromBroker: g.fromBroker, fromClient: g.fromClient, ended: g.ended}
}

func (g *group) fromBroker(l *link, p packet.Packet, b []byte) [][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m, ok := p.(*packet.Publish); ok && m.QoS > 0 && g.members[l] != nil {
		g.members[l][m.ID] = packet.Clone(m).(*packet.Publish)
	}
	return [][]byte{b}
}

func (g *group) fromClient(l *link, p packet.Packet, b []byte) [][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch p := p.(type) {
	case *packet.Subscribe:
		if strings.HasPrefix(string(p.Filters[0].Filter), "$share/") {
			g.members[l] = map[uint16]*packet.Publish{}
		}
	case *packet.Puback:
		if p.Code >= 0x80 {
			g.give(l, p.ID)
		}
		delete(g.members[l], p.ID)
	case *packet.Pubrec:
		if p.Code >= 0x80 {
			g.give(l, p.ID)
		}
		delete(g.members[l], p.ID)
	}
	return [][]byte{b}
}

func (g *group) ended(l *link) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.members[l] {
		g.give(l, id)
	}
	delete(g.members, l)
}

// give sends a message of l to the others. g.mu must be held.
func (g *group) give(l *link, id uint16) {
	m := g.members[l][id]
	for other := range g.members {
		if other != l && m != nil {
			m.ID += 1000
			other.reply(m)
		}
	}
}

// sharedMutations are brokers that get shared subscriptions wrong.
func sharedMutations() map[string]mutation {
	v5 := packet.V5
	return map[string]mutation{
		"a group shares what a member has got": {new(group).fault(), v5, "shared-session-ends shared-refusal"},
		"members get QoS 0":                    {edit(func(p *packet.Publish) { p.QoS = 0 }), v5, "shared-qos"},
		"messages of a group come twice": {fault{fromBroker: func(_ *link, p packet.Packet, b []byte) [][]byte {
			if p.Type() == packet.PUBLISH {
				return [][]byte{b, b}
			}
			return [][]byte{b}
		}}, v5, "shared-qos"},
		"a member's session is lost": {alter(func(p *packet.Connect) { p.CleanStart = true }), v5, "shared-qos-2-is-completed"},
	}
}

// disconnectMutations are brokers that take or send DISCONNECT in a wrong way.
func disconnectMutations() map[string]mutation {
	v5, v311 := packet.V5, packet.V311
	ignored := fromClient(func(*link, *packet.Disconnect) packet.Packet { return nil })
	late := fault{fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
		if p != nil && p.Type() == packet.DISCONNECT {
			l.held = append(l.held, b)
			return nil
		}
		out := append([][]byte{b}, l.held...)
		l.held = nil
		return out
	}}
	return map[string]mutation{
		"what follows DISCONNECT is processed":  {late, v5, "after-disconnect"},
		"DISCONNECT is ignored":                 {ignored, v5, "disconnect-closes"},
		"DISCONNECT is ignored in 3.1.1":        {ignored, v311, "disconnect-closes"},
		"DISCONNECT of the broker says success": {raw(packet.DISCONNECT, func([]byte) []byte { return []byte{0xE0, 0} }), v5, "disconnect-of-the-broker"},
		"DISCONNECT comes before CONNACK": {fault{fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
			if _, ok := p.(*packet.Connect); !ok && l.id == "" {
				l.client.Write((&packet.Disconnect{Code: packet.ProtocolError}).Append(nil, packet.V5))
			}
			return [][]byte{b}
		}}, v5, "no-disconnect-before-connack"},
		"DISCONNECT may raise the session expiry": {alter(func(p *packet.Disconnect) { p.Properties.Reset() }), v5, "disconnect-raises-expiry-from-0"},
		"a message under way is forgotten":        {fromClient(func(*link, *packet.Pubrec) packet.Packet { return nil }), v311, "session-lasts-with-its-connection"},
	}
}

// willMutations are brokers that get Will Messages wrong.
func willMutations() map[string]mutation {
	v5, v311 := packet.V5, packet.V311
	invented := fromClient(func(l *link, p *packet.Connect) packet.Packet {
		if p.Will == nil && l.is("a") {
			p.Will = &packet.Will{Topic: l.topic("w"), Payload: []byte("gone"), QoS: 1}
		}
		return p
	})
	return map[string]mutation{
		"wills outlive their connection":          {invented, v5, "will-is-published-once no-will"},
		"wills outlive their connection in 3.1.1": {invented, v311, "will-is-published-once no-will"},
		"DISCONNECT always deletes the will":      {alter(func(p *packet.Disconnect) { p.Code = packet.Success }), v5, "will-of-disconnect-4"},
		"the will delay outlives the session": {alter(func(p *packet.Connect) {
			p.Properties.SessionExpiry = 3000
			p.Properties.Mark(packet.PropSessionExpiry)
		}), v5, "will-delay-ends-with-the-session"},
	}
}
