package sim

import (
	"fmt"
	"math/rand/v2"

	"github.com/wirebird/wirebird/packet"
)

// Plan is what a seed is played with.
type Plan struct {
	Steps int // 0 is 400
	Store Store
}

// planner makes a Script.
type planner struct {
	*rand.Rand
	s        *Script
	names    []string
	versions []packet.Version
	expiry   []uint32 // of the last CONNECT
	serial   int
}

// New makes the script of a seed.
func New(seed uint64, plan Plan) *Script {
	p := &planner{Rand: rand.New(rand.NewPCG(seed, 0x5eed)), s: &Script{}}
	p.world(plan)
	for i := range 3 + p.IntN(4) {
		p.names = append(p.names, fmt.Sprintf("c%d", i))
		p.versions = append(p.versions, []packet.Version{packet.V31, packet.V311, packet.V5, packet.V5}[p.IntN(4)])
		p.expiry = append(p.expiry, 0)
	}
	for i := range p.names {
		p.open(i)
		p.settle(i)
		for range 1 + p.IntN(3) {
			p.send(i, p.subscribe(i))
		}
		p.settle(i)
	}
	steps := plan.Steps
	if steps == 0 {
		steps = 400
	}
	for range steps {
		p.step()
	}
	return p.s
}

func (p *planner) world(plan Plan) {
	w := &p.s.World
	w.Store = plan.Store
	if w.Store == "" {
		w.Store = []Store{Memory, Model}[p.IntN(2)]
	}
	w.Shards = 1 + p.IntN(3)
	w.Inflight = 1 + p.IntN(20)
	w.Aliases = []int{-1, 1, 2, 5}[p.IntN(4)]
	if p.IntN(2) == 0 {
		w.ReceiveMax = 1 + p.IntN(6)
	}
	if p.IntN(5) == 0 {
		w.Queue = 1 + p.IntN(8)
		w.DropOldest = p.IntN(2) == 0
	}
}

func (p *planner) add(s Step) { p.s.Steps = append(p.s.Steps, s) }

func (p *planner) send(i int, what packet.Packet) {
	p.add(Step{Client: p.names[i], Verb: Send, Packet: what})
}

func (p *planner) settle(i int) {
	p.add(Step{Client: p.names[i], Verb: Up, A: 5000})
	for range 2 {
		for l := range 3 {
			p.add(Step{Verb: Turn, A: l})
		}
		if p.s.World.Store != Memory {
			p.add(Step{Verb: Commit, A: 100})
		}
	}
	for l := range 3 {
		p.add(Step{Verb: Turn, A: l})
	}
	p.add(Step{Client: p.names[i], Verb: Down, A: 5000})
}

// step adds one random thing.
func (p *planner) step() {
	i := p.IntN(len(p.names))
	name := p.names[i]
	switch store := p.s.World.Store; {
	case store.onDisk():
		p.disk()
	case store != Memory && p.IntN(3) == 0:
		p.add(Step{Verb: Commit, A: 1 + p.IntN(4)})
	}
	switch n := p.IntN(1000); {
	case n < 280:
		p.add(Step{Client: name, Verb: Up, A: 1 + p.IntN(200)})
	case n < 540:
		p.add(Step{Client: name, Verb: Down, A: 1 + p.IntN(400)})
	case n < 640:
		p.add(Step{Verb: Turn, A: p.IntN(3)})
	case n < 780:
		p.send(i, p.publish(i))
	case n < 840:
		p.add(Step{Client: name, Verb: Ack, A: 1 + p.IntN(4)})
	case n < 855:
		p.add(Step{Client: name, Verb: []Verb{Slow, Fast, Fast}[p.IntN(3)]})
	case n < 885:
		p.open(i)
	case n < 897:
		p.add(Step{Client: name, Verb: Cut, A: p.IntN(100) * p.IntN(2), B: p.IntN(100) * p.IntN(2)})
	case n < 907:
		p.send(i, p.disconnect(i))
	case n < 922:
		p.send(i, p.subscribe(i))
	case n < 930:
		p.send(i, &packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte(p.filter())}})
	case n < 940:
		p.add(Step{Client: name, Verb: Ghost, A: 1 + p.IntN(300)})
	case n < 945:
		p.send(i, &packet.Pingreq{})
	case n < 985:
		p.add(Step{Verb: Clock, A: 1 + p.IntN([]int{4, 20, 20, 100, 1000}[p.IntN(5)])})
	default:
		p.disaster()
	}
}

// disaster ends the broker, unless state is in memory only.
func (p *planner) disaster() {
	shards, often := 1+p.IntN(3), p.IntN(4) < 2
	switch store := p.s.World.Store; {
	case store == Model && often, store.onDisk() && p.IntN(4) == 0:
		p.add(Step{Verb: Crash, A: shards})
	case store.onDisk() && often:
		s := Step{Verb: Off, A: shards, B: p.keep(), D: p.IntN(1 << 20)}
		if p.IntN(3) == 0 {
			s.C = 1 + p.IntN(60)
		}
		p.add(s)
	}
}

// keep is how many of a hundred things that were not synced are left.
func (p *planner) keep() int { return []int{0, 100, 50, p.IntN(101)}[p.IntN(4)] }

// disk adds something that the disk does.
func (p *planner) disk() {
	switch n := p.IntN(200); {
	case n < 50:
		p.add(Step{Verb: Write, A: 1 + p.IntN(4)})
	case n < 80:
		p.add(Step{Verb: Sync, A: 1 + p.IntN(2)})
	case n < 110:
		p.add(Step{Verb: Done, A: 1 + p.IntN(2)})
	case n < 120:
		p.add(Step{Verb: Load, A: 1 + p.IntN(3)})
	case n == 120:
		p.add(Step{Verb: Table})
	case n == 121 && p.IntN(4) == 0:
		p.add(Step{Verb: Backup, A: p.IntN(60), B: p.keep(), C: p.IntN(1 << 20)})
	}
}

// open connects a client, or lets it take its session over.
func (p *planner) open(i int) {
	if p.IntN(2) == 0 {
		p.add(Step{Client: p.names[i], Verb: Network, A: p.IntN(3), B: 1 + p.IntN(3000)})
	}
	c := &packet.Connect{Version: p.versions[i], ClientID: []byte(p.names[i]), CleanStart: p.IntN(4) == 0}
	p.expiry[i] = 0
	if c.Version == packet.V5 {
		q := &c.Properties
		q.SessionExpiry = []uint32{0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 1, 30}[p.IntN(6)]
		p.expiry[i] = q.SessionExpiry
		q.Mark(packet.PropSessionExpiry)
		if p.IntN(2) == 0 {
			q.ReceiveMax = uint16(1 + p.IntN(10))
			q.Mark(packet.PropReceiveMax)
		}
		if p.IntN(2) == 0 {
			q.TopicAliasMax = uint16(1 + p.IntN(3))
			q.Mark(packet.PropTopicAliasMax)
		}
		if p.IntN(6) == 0 {
			q.MaxPacketSize = uint32(100 + p.IntN(300))
			q.Mark(packet.PropMaxPacketSize)
		}
	}
	if p.IntN(10) == 0 {
		c.KeepAlive = uint16(1 + p.IntN(20))
	}
	if p.IntN(3) == 0 {
		c.Will = p.will(i)
	}
	p.send(i, c)
}

func (p *planner) will(i int) *packet.Will {
	p.serial++
	w := &packet.Will{
		QoS: byte(p.IntN(3)), Retain: p.IntN(3) == 0, Topic: []byte("w/" + p.names[i]), Payload: fmt.Appendf(nil, "w%d", p.serial),
	}
	if p.versions[i] != packet.V5 {
		return w
	}
	if p.IntN(2) == 0 {
		w.Properties.WillDelay = uint32(p.IntN(20))
		w.Properties.Mark(packet.PropWillDelay)
	}
	p.properties(&w.Properties)
	return w
}

func (p *planner) disconnect(i int) *packet.Disconnect {
	d := &packet.Disconnect{}
	if p.versions[i] != packet.V5 {
		return d
	}
	if p.IntN(3) == 0 {
		d.Code = packet.DisconnectWithWill
	}
	if p.expiry[i] > 0 && p.IntN(3) == 0 {
		d.Properties.SessionExpiry = []uint32{0, 2, 100}[p.IntN(3)]
		d.Properties.Mark(packet.PropSessionExpiry)
	}
	return d
}

// properties adds some that travel with a message.
func (p *planner) properties(q *packet.Properties) {
	if p.IntN(3) == 0 {
		q.MessageExpiry = uint32([]int{0, 1, 5, 60, 1000}[p.IntN(5)])
		q.Mark(packet.PropMessageExpiry)
	}
	if p.IntN(4) == 0 {
		q.ContentType = []byte("text/plain")
		q.Mark(packet.PropContentType)
	}
	if p.IntN(4) == 0 {
		q.User = []packet.User{{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("a"), Value: []byte("")}}
		q.Mark(packet.PropUser)
	}
	if p.IntN(8) == 0 {
		q.ResponseTopic, q.CorrelationData = []byte("r/1"), []byte{0, 1}
		q.Mark(packet.PropResponseTopic)
		q.Mark(packet.PropCorrelationData)
	}
	if p.IntN(8) == 0 {
		q.PayloadFormat = 1
		q.Mark(packet.PropPayloadFormat)
	}
}

func (p *planner) publish(i int) *packet.Publish {
	p.serial++
	m := &packet.Publish{QoS: byte(p.IntN(3)), Topic: fmt.Appendf(nil, "t/%d/%d", p.IntN(3), p.IntN(2)), Payload: fmt.Appendf(nil, "m%d", p.serial)}
	if p.IntN(3) == 0 {
		for range p.IntN(100) {
			m.Payload = append(m.Payload, " pad"...)
		}
	}
	m.Retain = p.IntN(5) == 0
	if p.versions[i] == packet.V5 {
		p.properties(&m.Properties)
		if p.IntN(4) == 0 {
			m.Properties.TopicAlias = uint16(1 + p.IntN(5))
			m.Properties.Mark(packet.PropTopicAlias)
		}
		if m.Retain && p.IntN(4) == 0 {
			m.Payload = nil
		}
	}
	return m
}

func (p *planner) filter() string {
	list := []string{
		"#", "t/#", "t/+/0", "t/1/#", "t/0/0", "+/+/+", "w/#", "w/c0",
		"$share/g/t/#", "$share/g/t/#", "$share/h/#", "$share/h/t/+/1",
	}
	return list[p.IntN(len(list))]
}

func (p *planner) subscribe(i int) *packet.Subscribe {
	s := &packet.Subscribe{ID: 1}
	for range 1 + p.IntN(2) {
		f := packet.Subscription{Filter: []byte(p.filter()), QoS: byte(p.IntN(3))}
		if p.versions[i] == packet.V5 {
			f.NoLocal = p.IntN(4) == 0 && f.Filter[0] != '$'
			f.RetainAsPublished = p.IntN(2) == 0
			f.RetainHandling = byte(p.IntN(3))
		}
		s.Filters = append(s.Filters, f)
	}
	if p.versions[i] == packet.V5 && p.IntN(2) == 0 {
		s.Properties.SubscriptionIDs = []uint32{uint32(1 + p.IntN(200))}
		s.Properties.Mark(packet.PropSubscriptionID)
	}
	return s
}
