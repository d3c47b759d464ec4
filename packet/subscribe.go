package packet

import "encoding/binary"

// Subscribe asks for subscriptions. §3.8
type Subscribe struct {
	ID         uint16
	Filters    []Subscription
	Properties Properties
}

// Subscription is a Topic Filter with its options; 3.x knows only the QoS.
type Subscription struct {
	Filter            []byte
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte // 0, 1 or 2, §3.8.3.1
}

func (*Subscribe) Type() Type { return SUBSCRIBE }

func (p *Subscribe) Decode(v Version, flags byte, body []byte) error {
	p.Filters = emptied(p.Filters)
	p.Properties.Reset()
	if err := checkFlags(SUBSCRIBE, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	p.ID = in.packetID()
	if v == V5 {
		in.properties(SUBSCRIBE, false, &p.Properties)
	}
	for len(in.b) > 0 {
		filter, options := in.text(), in.byte()
		if in.err != nil {
			break
		}
		if len(filter) == 0 {
			return &Error{Code: TopicFilterInvalid, Rule: "MQTT-4.7.3-1"}
		}
		if err := checkOptions(v, options); err != nil {
			return err
		}
		p.Filters = append(p.Filters, Subscription{
			Filter:            filter,
			QoS:               options & 3,
			NoLocal:           options&4 != 0,
			RetainAsPublished: options&8 != 0,
			RetainHandling:    options >> 4,
		})
	}
	if err := in.end(); err != nil {
		return err
	}
	if len(p.Filters) == 0 {
		return protocolError("MQTT-3.8.3-2", "no topic filter")
	}
	return nil
}

func checkOptions(v Version, options byte) error {
	switch {
	case v != V5 && options > 2:
		return malformed("MQTT-3.8.3-4 of 3.1.1", "subscription options %08b", options)
	case options&0xC0 != 0:
		return malformed("MQTT-3.8.3-5", "subscription options %08b", options)
	case options&3 == 3:
		return malformed("", "QoS 3")
	case options>>4 == 3:
		return protocolError("", "retain handling 3")
	}
	return nil
}

func (p *Subscribe) Append(dst []byte, v Version) []byte {
	dst, start := begin(dst)
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 {
		dst = appendProperties(dst, &p.Properties)
	}
	for _, s := range p.Filters {
		options := s.QoS & 3
		if v == V5 {
			options |= bit(s.NoLocal, 2) | bit(s.RetainAsPublished, 3) | s.RetainHandling&3<<4
		}
		dst = append(appendBinary(dst, s.Filter), options)
	}
	return finish(dst, start, SUBSCRIBE)
}

func (p *Subscribe) String() string {
	b := describeInt([]byte("SUBSCRIBE"), "id", uint64(p.ID))
	for _, s := range p.Filters {
		b = describeText(b, "filter", s.Filter)
		b = append(b, ' ', 'q', '0'+s.QoS)
		if s.NoLocal {
			b = append(b, " no-local"...)
		}
		if s.RetainAsPublished {
			b = append(b, " retain-as-published"...)
		}
		if s.RetainHandling != 0 {
			b = describeInt(b, "retain-handling", uint64(s.RetainHandling))
		}
	}
	return string(p.Properties.describe(b))
}
