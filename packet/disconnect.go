package packet

// Disconnect is the last packet of a connection; before 5.0 only a client's. §3.14
type Disconnect struct {
	Code       ReasonCode // Success, the normal disconnection, in 3.x
	Properties Properties
}

func (*Disconnect) Type() Type { return DISCONNECT }

func (p *Disconnect) Decode(v Version, flags byte, body []byte) error {
	p.Code = Success
	p.Properties.Reset()
	if v != V5 {
		return decodeEmpty(DISCONNECT, v, flags, body)
	}
	if err := checkFlags(DISCONNECT, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	if len(in.b) > 0 {
		p.Code = in.reason(DISCONNECT)
	}
	if len(in.b) > 0 { // the properties may be left out, §3.14.2.2.1
		in.properties(DISCONNECT, false, &p.Properties)
	}
	return in.end()
}

func (p *Disconnect) Append(dst []byte, v Version) []byte {
	if v != V5 || p.Code == Success && p.Properties.Empty() {
		return append(dst, byte(DISCONNECT)<<4, 0)
	}
	dst, start := begin(dst)
	dst = append(dst, byte(p.Code))
	if !p.Properties.Empty() {
		dst = appendProperties(dst, &p.Properties)
	}
	return finish(dst, start, DISCONNECT)
}

func (p *Disconnect) String() string {
	b := describeReason([]byte("DISCONNECT"), p.Code)
	return string(p.Properties.describe(b))
}
