package packet

import "encoding/binary"

// Unsubscribe ends subscriptions. §3.10
type Unsubscribe struct {
	ID         uint16
	Filters    [][]byte
	Properties Properties
}

func (*Unsubscribe) Type() Type { return UNSUBSCRIBE }

func (p *Unsubscribe) Decode(v Version, flags byte, body []byte) error {
	p.Filters = emptied(p.Filters)
	p.Properties.Reset()
	if err := checkFlags(UNSUBSCRIBE, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	p.ID = in.packetID()
	if v == V5 {
		in.properties(UNSUBSCRIBE, false, &p.Properties)
	}
	for len(in.b) > 0 {
		filter := in.text()
		if len(filter) == 0 && in.err == nil {
			return &Error{Code: TopicFilterInvalid, Rule: "MQTT-4.7.3-1"}
		}
		p.Filters = append(p.Filters, filter)
	}
	if err := in.end(); err != nil {
		return err
	}
	if len(p.Filters) == 0 {
		return protocolError("MQTT-3.10.3-2", "no topic filter")
	}
	return nil
}

func (p *Unsubscribe) Append(dst []byte, v Version) []byte {
	dst, start := begin(dst)
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 {
		dst = appendProperties(dst, &p.Properties)
	}
	for _, f := range p.Filters {
		dst = appendBinary(dst, f)
	}
	return finish(dst, start, UNSUBSCRIBE)
}

func (p *Unsubscribe) String() string {
	b := describeInt([]byte("UNSUBSCRIBE"), "id", uint64(p.ID))
	for _, f := range p.Filters {
		b = describeText(b, "filter", f)
	}
	return string(p.Properties.describe(b))
}
