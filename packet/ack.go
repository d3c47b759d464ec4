package packet

import "encoding/binary"

// Puback ends a delivery at QoS 1. §3.4
type Puback struct {
	ID         uint16
	Code       ReasonCode // Success in 3.x
	Properties Properties
}

// Pubrec is the first answer to a PUBLISH at QoS 2. §3.5
type Pubrec struct {
	ID         uint16
	Code       ReasonCode // Success in 3.x
	Properties Properties
}

// Pubrel answers a PUBREC. §3.6
type Pubrel struct {
	ID         uint16
	Code       ReasonCode // Success in 3.x
	Properties Properties
}

// Pubcomp ends a delivery at QoS 2. §3.7
type Pubcomp struct {
	ID         uint16
	Code       ReasonCode // Success in 3.x
	Properties Properties
}

func (*Puback) Type() Type  { return PUBACK }
func (*Pubrec) Type() Type  { return PUBREC }
func (*Pubrel) Type() Type  { return PUBREL }
func (*Pubcomp) Type() Type { return PUBCOMP }

func (p *Puback) Decode(v Version, flags byte, body []byte) error {
	return (*ack)(p).decode(PUBACK, v, flags, body)
}

func (p *Pubrec) Decode(v Version, flags byte, body []byte) error {
	return (*ack)(p).decode(PUBREC, v, flags, body)
}

func (p *Pubrel) Decode(v Version, flags byte, body []byte) error {
	return (*ack)(p).decode(PUBREL, v, flags, body)
}

func (p *Pubcomp) Decode(v Version, flags byte, body []byte) error {
	return (*ack)(p).decode(PUBCOMP, v, flags, body)
}

func (p *Puback) Append(dst []byte, v Version) []byte  { return (*ack)(p).append(PUBACK, dst, v) }
func (p *Pubrec) Append(dst []byte, v Version) []byte  { return (*ack)(p).append(PUBREC, dst, v) }
func (p *Pubrel) Append(dst []byte, v Version) []byte  { return (*ack)(p).append(PUBREL, dst, v) }
func (p *Pubcomp) Append(dst []byte, v Version) []byte { return (*ack)(p).append(PUBCOMP, dst, v) }

func (p *Puback) String() string  { return (*ack)(p).describe(PUBACK) }
func (p *Pubrec) String() string  { return (*ack)(p).describe(PUBREC) }
func (p *Pubrel) String() string  { return (*ack)(p).describe(PUBREL) }
func (p *Pubcomp) String() string { return (*ack)(p).describe(PUBCOMP) }

// ack is what the four acknowledgements of a PUBLISH have in common: all but
// their type and the reason codes it allows.
type ack struct {
	ID         uint16
	Code       ReasonCode
	Properties Properties
}

// decode knows the three forms of 5.0: the identifier alone, with a reason code,
// and with properties as well (§3.4.2.1, §3.4.2.2.1).
func (p *ack) decode(t Type, v Version, flags byte, body []byte) error {
	p.Code = Success
	p.Properties.Reset()
	if err := checkFlags(t, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	p.ID = in.packetID()
	if v == V5 && len(in.b) > 0 {
		p.Code = in.reason(t)
		if len(in.b) > 0 {
			in.properties(t, false, &p.Properties)
		}
	}
	return in.end()
}

func (p *ack) append(t Type, dst []byte, v Version) []byte {
	if v != V5 || p.Code == Success && p.Properties.Empty() {
		return AppendAck(dst, t, p.ID)
	}
	dst, start := begin(dst)
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	dst = append(dst, byte(p.Code))
	if !p.Properties.Empty() {
		dst = appendProperties(dst, &p.Properties)
	}
	return finish(dst, start, t)
}

func (p *ack) describe(t Type) string {
	b := describeInt([]byte(t.String()), "id", uint64(p.ID))
	if p.Code != Success {
		b = describeReason(b, p.Code)
	}
	return string(p.Properties.describe(b))
}

// AppendAck appends the acknowledgement of four bytes that all versions share:
// a PUBACK, PUBREC, PUBREL or PUBCOMP with the reason Success.
func AppendAck(dst []byte, t Type, id uint16) []byte {
	return append(dst, byte(t)<<4|headerFlags(t), 2, byte(id>>8), byte(id))
}
