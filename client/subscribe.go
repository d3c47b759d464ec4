package client

import (
	"errors"
	"slices"

	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// maxFilters is how many filters one SUBSCRIBE carries at most, to stay below
// what servers accept in one packet.
const maxFilters = 100

// subscribeRequests splits subs into packets: a Subscription Identifier and
// User Properties belong to the whole packet.
func subscribeRequests(subs []Subscription) []*request {
	var out []*request
	for len(subs) > 0 {
		n := 1
		for n < len(subs) && n < maxFilters && subs[n].ID == subs[0].ID && slices.Equal(subs[n].User, subs[0].User) {
			n++
		}
		p := &packet.Subscribe{}
		for _, s := range subs[:n] {
			p.Filters = append(p.Filters, packet.Subscription{
				Filter:            []byte(s.Filter),
				QoS:               s.QoS,
				NoLocal:           s.NoLocal,
				RetainAsPublished: s.RetainAsPublished,
				RetainHandling:    s.RetainHandling,
			})
		}
		if subs[0].ID != 0 {
			p.Properties.SubscriptionIDs = []uint32{subs[0].ID}
			p.Properties.Mark(packet.PropSubscriptionID)
		}
		encodeUser(&p.Properties, subs[0].User)
		out = append(out, &request{pkt: p, subs: slices.Clone(subs[:n]), token: new(Token)})
		subs = subs[n:]
	}
	return out
}

func unsubscribeRequest(user []User, filters []string) *request {
	p := &packet.Unsubscribe{}
	for _, s := range filters {
		p.Filters = append(p.Filters, []byte(s))
	}
	encodeUser(&p.Properties, user)
	return &request{pkt: p, filters: slices.Clone(filters), token: new(Token)}
}

// request sends r, now or with the next connection.
func (f *flow) request(r *request, out *output) {
	if err := f.open(r); err != nil {
		r.complete(packet.ReasonOf(err), err)
		return
	}
	if f.online {
		f.sendRequest(r, out)
		f.dropFailed()
	}
}

// sendRequest sends r unless the server's limits forbid it.
func (f *flow) sendRequest(r *request, out *output) {
	if err := f.allowsRequest(r); err != nil {
		if r.again {
			out.refused = append(out.refused, r.subs[0].Filter)
		}
		r.failed = true
		r.complete(packet.ReasonOf(err), err)
		return
	}
	if r.again {
		f.counts.resubscribed += uint64(len(r.subs))
	}
	out.packet(r.pkt)
}

// allowsRequest reports why the server would refuse r.
func (f *flow) allowsRequest(r *request) error {
	if l := f.limits.maxPacketSize; l != 0 && len(r.pkt.Append(nil, f.version)) > int(l) {
		return &packet.Error{Code: packet.PacketTooLarge, Rule: "MQTT-3.2.2-15"}
	}
	for _, s := range r.subs {
		share, filter := topic.SplitShare(s.Filter)
		switch {
		case share != "" && f.limits.noShared:
			return &packet.Error{Code: packet.SharedSubscriptionsNotSupported}
		case f.limits.noWildcard && topic.HasWildcard(filter):
			return &packet.Error{Code: packet.WildcardSubscriptionsNotSupported}
		case f.limits.noSubID && s.ID != 0:
			return &packet.Error{Code: packet.SubscriptionIdentifiersNotSupported}
		}
	}
	return nil
}

// dropFailed forgets the requests that could not be sent.
func (f *flow) dropFailed() {
	f.requests = slices.DeleteFunc(f.requests, func(r *request) bool { return r.failed })
}

// request is a SUBSCRIBE or UNSUBSCRIBE on its way to the server and back.
type request struct {
	id        uint16
	pkt       packet.Packet
	subs      []Subscription // of a SUBSCRIBE
	filters   []string       // of an UNSUBSCRIBE
	token     *Token         // nil: nobody waits
	completed bool           // token was told
	failed    bool           // it cannot be sent
	codes     []packet.ReasonCode
	again     bool // made by us, after the server lost the session
}

// open gives r a packet identifier and remembers it.
func (f *flow) open(r *request) error {
	if r.id = f.newID(); r.id == 0 {
		return errNoPacketID
	}
	switch p := r.pkt.(type) {
	case *packet.Subscribe:
		p.ID = r.id
	case *packet.Unsubscribe:
		p.ID = r.id
	}
	f.requests = append(f.requests, r)
	return nil
}

// abandon completes r for the caller who no longer waits. The answer may still
// come, so that its packet identifier stays in use on this connection.
func (f *flow) abandon(r *request, err error) {
	r.complete(packet.UnspecifiedError, err)
	r.token = nil
}

// complete tells who waits for r, once.
func (r *request) complete(code packet.ReasonCode, err error) {
	if r.token != nil && !r.completed {
		r.completed = true
		r.token.complete(code, err)
	}
}

// dropAbandoned leaves those that somebody waits for, or that we made ourselves.
func dropAbandoned(rs []*request) []*request {
	return slices.DeleteFunc(rs, func(r *request) bool { return r.token == nil })
}

// requestOf returns the index of the request with the given packet identifier.
func (f *flow) requestOf(id uint16) int {
	return slices.IndexFunc(f.requests, func(r *request) bool { return r.id == id })
}

// resubscribe asks again for what the server had granted, before any request
// that was open.
func (f *flow) resubscribe(out *output) {
	f.requests = dropAbandoned(f.requests)
	n := len(f.requests)
	subs := f.subs
	f.subs = nil
	for _, r := range subscribeRequests(subs) {
		r.again = true
		if f.open(r) != nil {
			out.refused = append(out.refused, r.subs[0].Filter)
		}
	}
	f.requests = slices.Concat(f.requests[n:], f.requests[:n])
}

// take removes and returns the request that an answer belongs to.
func (f *flow) take(id uint16, filters int) (*request, error) {
	i := f.requestOf(id)
	if i < 0 {
		return nil, nil // §4.8: an answer to nothing is not worth a connection
	}
	r := f.requests[i]
	if filters >= 0 && filters != len(r.subs)+len(r.filters) {
		return nil, &packet.Error{Code: packet.ProtocolError, Rule: "MQTT-3.8.4-6", Err: errors.New("answers and filters differ in number")}
	}
	f.requests = slices.Delete(f.requests, i, i+1)
	return r, nil
}

func (f *flow) receiveSuback(p *packet.Suback, out *output) error {
	r, err := f.take(p.ID, len(p.Codes))
	if r == nil {
		return err
	}
	if r.subs == nil {
		return &packet.Error{Code: packet.ProtocolError, Err: errors.New("SUBACK for an UNSUBSCRIBE")}
	}
	r.codes = slices.Clone(p.Codes)
	for i, s := range r.subs {
		f.forget(s.Filter)
		if r.codes[i] < packet.UnspecifiedError {
			f.subs = append(f.subs, s)
		} else if r.again {
			out.refused = append(out.refused, s.Filter)
		}
	}
	f.answer(r, out)
	return nil
}

func (f *flow) receiveUnsuback(p *packet.Unsuback, out *output) error {
	n := len(p.Codes)
	if f.version != packet.V5 {
		n = -1 // no codes in 3.x
	}
	r, err := f.take(p.ID, n)
	if r == nil {
		return err
	}
	if r.filters == nil {
		return &packet.Error{Code: packet.ProtocolError, Err: errors.New("UNSUBACK for a SUBSCRIBE")}
	}
	r.codes = make([]packet.ReasonCode, len(r.filters))
	copy(r.codes, p.Codes)
	for i, s := range r.filters {
		if r.codes[i] < packet.UnspecifiedError {
			f.forget(s)
		}
	}
	f.answer(r, out)
	return nil
}

// answer completes r; the packet identifier it frees may be waited for.
func (f *flow) answer(r *request, out *output) {
	out.answered = r
	r.complete(packet.Success, nil)
	f.pump(out)
}

func (f *flow) forget(filter string) {
	f.subs = slices.DeleteFunc(f.subs, func(s Subscription) bool { return s.Filter == filter })
}
