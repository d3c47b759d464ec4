package broker

import (
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
)

// choose takes the next member of a shared subscription that is not choking, if this
// shard can tell.
func (k *core) choose(g *route.Group) *route.Target {
	n := uint32(len(g.Members))
	start := g.Next
	g.Next++
	for i := range n {
		t := &g.Members[(start+i)%n]
		if t.To.Shard() != k.id || !k.choking(t.To) {
			return t
		}
	}
	return &g.Members[start%n]
}

func (k *core) deliverShared(m *outgoing, mt *route.Match, g *route.Group, to *route.Target, mid uint64) {
	via := &xshare{*to, g.Share, g.Filter, mid}
	if to.To.Shard() != k.id {
		k.forward(to.To.Shard(), m, mt, via)
		return
	}
	k.deliver(m, to, mt, via)
}

// routeShared gives m to one member of a shared subscription.
func (k *core) routeShared(m *outgoing, mt *route.Match, g *route.Group) {
	to := k.choose(g)
	mid := uint64(0)
	if k.recording && m.qos > 0 {
		mid = k.persistShared(m, to, g)
	}
	k.deliverShared(m, mt, g, to, mid)
}

// choking tells that a session cannot take a message at once.
func (k *core) choking(h route.Handle) bool {
	s := k.session(h)
	if s == nil || s.c == nil { // all members are offline: whoever is next has to wait
		return s == nil
	}
	return s.c.conn.Pending() > k.limits.OutboundBuffer || s.out != nil && s.out.Waiting()
}

// xshare is the shared subscription that a delivery came by.
type xshare struct {
	target        route.Target
	share, filter string
	mid           uint64 // as outgoing.mid
}

// groupOf finds the shared subscription that e came by, nil when it has no member left.
func (k *core) groupOf(e *session.Entry) (*route.Match, *route.Group) {
	mt := k.matchString(e.Msg.Topic)
	for i := range mt.Groups {
		if g := &mt.Groups[i]; g.Share == e.More.Share && g.Filter == e.More.Filter {
			return mt, g
		}
	}
	return nil, nil
}

// redeliver gives an entry of a shared subscription to whoever is next in its group.
func (k *core) redeliver(e session.Entry) {
	mt, g := k.groupOf(&e)
	if g == nil {
		k.stats.dropped[DropSessionEnded]++
		return
	}
	m := &k.msg
	m.reset()
	m.load(e.Msg)
	k.stats.routed-- // it counts again where it arrives
	k.routeShared(m, mt, g)
}
