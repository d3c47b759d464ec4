package packet

import (
	"encoding/binary"
	"strconv"
)

// Suback answers a SUBSCRIBE with a code for each of its filters. §3.9
type Suback struct {
	ID         uint16
	Codes      []ReasonCode
	Properties Properties
}

func (*Suback) Type() Type { return SUBACK }

func (p *Suback) Decode(v Version, flags byte, body []byte) error {
	p.Codes = emptied(p.Codes)
	p.Properties.Reset()
	if err := checkFlags(SUBACK, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	p.ID = in.packetID()
	if v == V5 {
		in.properties(SUBACK, false, &p.Properties)
	}
	for len(in.b) > 0 {
		code := in.reason(SUBACK)
		if v != V5 && code > UnspecifiedError {
			in.fail(protocolError("MQTT-3.9.3-2 of 3.1.1", "return code 0x%02X", byte(code)))
		}
		p.Codes = append(p.Codes, code)
	}
	if err := in.end(); err != nil {
		return err
	}
	if len(p.Codes) == 0 {
		return protocolError("MQTT-3.8.4-6", "no reason code")
	}
	return nil
}

// Append writes every failure as 0x80 in 3.x. MQTT 3.1 has not even that; there
// a server grants what it does not serve.
func (p *Suback) Append(dst []byte, v Version) []byte {
	dst, start := begin(dst)
	dst = binary.BigEndian.AppendUint16(dst, p.ID)
	if v == V5 {
		dst = appendProperties(dst, &p.Properties)
	}
	for _, c := range p.Codes {
		if v != V5 && c > UnspecifiedError {
			c = UnspecifiedError
		}
		dst = append(dst, byte(c))
	}
	return finish(dst, start, SUBACK)
}

func (p *Suback) String() string {
	b := describeInt([]byte("SUBACK"), "id", uint64(p.ID))
	return string(p.Properties.describe(describeCodes(b, p.Codes)))
}

// describeCodes gives the reasons in the order of the filters.
func describeCodes(dst []byte, codes []ReasonCode) []byte {
	dst = append(dst, " codes=["...)
	for i, c := range codes {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendQuote(dst, c.String())
	}
	return append(dst, ']')
}
