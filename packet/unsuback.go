package packet

import "encoding/binary"

// Unsuback answers an UNSUBSCRIBE. §3.11
type Unsuback struct {
	ID         uint16
	Codes      []ReasonCode // one for each filter; none in 3.x
	Properties Properties
}

func (*Unsuback) Type() Type { return UNSUBACK }

func (p *Unsuback) Decode(v Version, flags byte, body []byte) error {
	p.Codes = emptied(p.Codes)
	p.Properties.Reset()
	if err := checkFlags(UNSUBACK, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	p.ID = in.packetID()
	if v != V5 {
		return in.end()
	}
	in.properties(UNSUBACK, false, &p.Properties)
	for len(in.b) > 0 {
		p.Codes = append(p.Codes, in.reason(UNSUBACK))
	}
	if err := in.end(); err != nil {
		return err
	}
	if len(p.Codes) == 0 {
		return protocolError("MQTT-3.11.3-2", "no reason code")
	}
	return nil
}

func (p *Unsuback) Append(dst []byte, v Version) []byte {
	if v != V5 {
		return AppendAck(dst, UNSUBACK, p.ID)
	}
	dst, start := begin(dst)
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	dst = appendProperties(dst, &p.Properties)
	for _, c := range p.Codes {
		dst = append(dst, byte(c))
	}
	return finish(dst, start, UNSUBACK)
}

func (p *Unsuback) String() string {
	b := describeInt([]byte("UNSUBACK"), "id", uint64(p.ID))
	if len(p.Codes) > 0 {
		b = describeCodes(b, p.Codes)
	}
	return string(p.Properties.describe(b))
}
