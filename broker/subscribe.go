package broker

import (
	"strings"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/internal/session"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

func isShared(filter string) bool { return strings.HasPrefix(filter, "$share/") }

// onSubscribe adds or replaces subscriptions and sends their retained messages.
func (k *core) onSubscribe(c *client, flags byte, body []byte) step {
	p := &k.sub
	if err := p.Decode(c.version, flags, body); err != nil {
		k.fail(c, err)
		return stepDone
	}
	for i := range p.Filters {
		if err := checkFilter(&p.Filters[i]); err != nil {
			k.fail(c, err)
			return stepDone
		}
	}
	var v Verdict
	if hook := k.b.o.Hooks.Subscribe; hook != nil {
		var parked bool
		v, parked = k.decide(c, func() Verdict {
			return hook(&SubscribeRequest{Peer: k.peer(c, c.s.id), Filters: p.Filters})
		})
		if parked {
			return stepParked
		}
	}
	before := k.mark()
	subID := uint32(0)
	if len(p.Properties.SubscriptionIDs) > 0 {
		subID = p.Properties.SubscriptionIDs[0]
	}
	ack := packet.Suback{ID: p.ID, Codes: make([]packet.ReasonCode, len(p.Filters))}
	var wanted []wish
	for i := range p.Filters {
		f := &p.Filters[i]
		verdict := v.Code
		if len(v.Codes) > i {
			verdict = v.Codes[i]
		}
		code, existed, filter := k.subscribe(c.s, f, subID, verdict, v.Codes != nil)
		ack.Codes[i] = code
		if code >= 0x80 {
			k.stats.subscribesRefused++
			if c.version == packet.V31 { // it has no way to say so
				ack.Codes[i] = packet.ReasonCode(f.QoS)
			}
			continue
		}
		if f.RetainHandling == 0 || f.RetainHandling == 1 && !existed { // [MQTT-3.3.1-9] to 11
			wanted = append(wanted, wish{filter, byte(code), subID})
		}
	}
	withReason(&ack.Properties, v.Reason)
	k.reply(c, &ack, before) // [MQTT-3.8.4-1]
	for _, w := range wanted {
		k.sendRetained(c, w)
	}
	return stepDone
}

// wish is a subscription that wants retained messages.
type wish struct {
	filter string
	qos    byte
	subID  uint32
}

func checkFilter(f *packet.Subscription) error {
	if err := topic.CheckFilter(f.Filter); err != nil {
		return &packet.Error{Code: packet.MalformedPacket, Rule: "MQTT-4.7.1-1", Err: err}
	}
	if f.NoLocal && isShared(string(f.Filter)) {
		return &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.8.3-4"}
	}
	return nil
}

// subscribe adds one subscription to s and returns the code for it.
func (k *core) subscribe(s *sess, f *packet.Subscription, subID uint32, verdict packet.ReasonCode, lower bool) (code packet.ReasonCode, existed bool, filter string) {
	if verdict >= 0x80 {
		return verdict, false, ""
	}
	qos := min(f.QoS, byte(k.limits.MaxQoS))
	if lower {
		qos = min(qos, byte(verdict))
	}
	if !fits(k.limits, f.Filter) {
		return packet.TopicFilterInvalid, false, ""
	}
	filter = string(f.Filter)
	i, existed := s.find(filter)
	old := sub{}
	if existed {
		old = s.subs[i]
	}
	if !k.weigh(s, old, sub{filter: filter, id: subID}) {
		return packet.QuotaExceeded, false, ""
	}
	opts := route.Options(qos)
	if f.NoLocal {
		opts |= route.NoLocal
	}
	if f.RetainAsPublished {
		opts |= route.RetainAsPublished
	}
	if k.recording && s.durable {
		opts |= route.Durable
	}
	if existed { // [MQTT-3.8.4-3]
		filter = s.subs[i].filter
		s.subs[i].opts, s.subs[i].id = opts, subID
	} else {
		if len(s.subs) == cap(s.subs) && len(s.subs) < 4 {
			s.subs = append(make([]sub, 0, len(s.subs)+1), s.subs...) // most have one
		}
		s.subs = append(s.subs, sub{})
		copy(s.subs[i+1:], s.subs[i:])
		s.subs[i] = sub{filter: filter, id: subID, opts: opts}
		k.stats.subscriptions++
		if isShared(filter) {
			s.shared++
			k.stats.shared++
		}
	}
	k.b.routes.Subscribe(filter, s.h, opts, subID)
	k.recordFor(s, journal.Op{Kind: journal.PutSubscription, Name: filter, Options: uint8(opts), SubID: subID})
	return packet.ReasonCode(qos), existed, filter
}

// onUnsubscribe removes subscriptions [MQTT-3.10.4-1].
func (k *core) onUnsubscribe(c *client, flags byte, body []byte) {
	p := &k.unsub
	if err := p.Decode(c.version, flags, body); err != nil {
		k.fail(c, err)
		return
	}
	for _, f := range p.Filters {
		if err := topic.CheckFilter(f); err != nil {
			k.fail(c, &packet.Error{Code: packet.MalformedPacket, Rule: "MQTT-4.7.1-1", Err: err})
			return
		}
	}
	before := k.mark()
	ack := packet.Unsuback{ID: p.ID, Codes: make([]packet.ReasonCode, len(p.Filters))}
	for i, f := range p.Filters {
		ack.Codes[i] = k.unsubscribe(c.s, string(f))
		k.dropBacklog(c.s, string(f))
	}
	k.reply(c, &ack, before) // [MQTT-3.10.4-4]
}

func (k *core) unsubscribe(s *sess, filter string) packet.ReasonCode {
	i, ok := s.find(filter)
	if !ok {
		return packet.NoSubscriptionExisted // [MQTT-3.10.4-5]
	}
	k.weigh(s, s.subs[i], sub{})
	s.subs = append(s.subs[:i], s.subs[i+1:]...)
	k.b.routes.Unsubscribe(filter, s.h)
	k.stats.subscriptions--
	k.recordFor(s, journal.Op{Kind: journal.EndSubscription, Name: filter})
	if isShared(filter) {
		k.leaveShared(s, filter)
		s.shared--
		k.stats.shared--
	}
	return packet.Success
}

// leaveShared gives what waits for s by a shared subscription to the other members, but
// for what is on disk only: that its client still gets.
func (k *core) leaveShared(s *sess, filter string) {
	if s.out == nil {
		return
	}
	share, rest := topic.SplitShare(filter)
	if !k.b.routes.Others(share, rest, s.h, false) {
		return
	}
	bytes := s.out.QueuedBytes()
	queued := s.out.Take(func(e *session.Entry) bool {
		return e.Msg != nil && e.More != nil && e.More.Share == share && e.More.Filter == rest
	})
	k.stats.queued -= int64(len(queued))
	k.stats.queuedBytes -= bytes - s.out.QueuedBytes()
	for _, e := range queued {
		k.completed(s, &e)
		k.stats.redistributed++
		k.redeliver(e)
	}
}
