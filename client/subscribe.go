package client

import (
	"errors"
	"slices"

	"github.com/wirebird/wirebird/packet"
)

// maxFilters is how many filters one SUBSCRIBE carries at most, to stay below
// what servers accept in one packet.
const maxFilters = 100

// subscribeRequests splits subs into packets: a Subscription Identifier and
// User Properties belong to the whole packet.
func subscribeRequests(v packet.Version, subs []Subscription) []*request {
	var out []*request
	for len(subs) > 0 {
		n := 1
		for n < len(subs) && n < maxFilters && subs[n].ID == subs[0].ID && slices.Equal(subs[n].User, subs[0].User) {
			n++
		}
		p := &packet.Subscribe{}
		for _, s := range subs[:n] {
			f := packet.Subscription{Filter: []byte(s.Filter), QoS: s.QoS}
			if v == packet.V5 {
				f.NoLocal, f.RetainAsPublished, f.RetainHandling = s.NoLocal, s.RetainAsPublished, s.RetainHandling
			}
			p.Filters = append(p.Filters, f)
		}
		if v == packet.V5 {
			if subs[0].ID != 0 {
				p.Properties.SubscriptionIDs = []uint32{subs[0].ID}
				p.Properties.Mark(packet.PropSubscriptionID)
			}
			encodeUser(&p.Properties, subs[0].User)
		}
		out = append(out, &request{pkt: p, subs: slices.Clone(subs[:n]), token: newToken(nil)})
		subs = subs[n:]
	}
	return out
}

func unsubscribeRequest(v packet.Version, user []User, filters []string) *request {
	p := &packet.Unsubscribe{}
	for _, s := range filters {
		p.Filters = append(p.Filters, []byte(s))
	}
	if v == packet.V5 {
		encodeUser(&p.Properties, user)
	}
	return &request{pkt: p, filters: slices.Clone(filters), token: newToken(nil)}
}

// request sends r, now or with the next connection.
func (f *flow) request(r *request, out *output) {
	if err := f.open(r); err != nil {
		r.complete(packet.ReasonOf(err), err)
		return
	}
	if f.online {
		out.send = append(out.send, r.pkt)
	}
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
	if l := f.limits.maxPacketSize; l != 0 && len(r.pkt.Append(nil, f.version)) > int(l) {
		return &packet.Error{Code: packet.PacketTooLarge, Rule: "MQTT-3.2.2-15"}
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
	for _, r := range subscribeRequests(f.version, subs) {
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
	r.complete(packet.Success, nil)
	f.pump(out)
}

func (f *flow) forget(filter string) {
	f.subs = slices.DeleteFunc(f.subs, func(s Subscription) bool { return s.Filter == filter })
}
