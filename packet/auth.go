package packet

// Auth is a step of enhanced authentication, which only 5.0 has. §3.15
type Auth struct {
	Code       ReasonCode
	Properties Properties
}

func (*Auth) Type() Type { return AUTH }

// Decode refuses the packet in 3.x, where its type is reserved. Whether the
// authentication method is the one of the CONNECT is for the session to say.
func (p *Auth) Decode(v Version, flags byte, body []byte) error {
	p.Code = Success
	p.Properties.Reset()
	if v != V5 {
		return malformed("", "AUTH in MQTT %v", v)
	}
	if err := checkFlags(AUTH, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	if len(in.b) > 0 { // unlike in DISCONNECT, a code without properties is not a form of AUTH
		p.Code = in.reason(AUTH)
		in.properties(AUTH, false, &p.Properties)
	}
	return in.end()
}

func (p *Auth) Append(dst []byte, _ Version) []byte {
	if p.Code == Success && p.Properties.Empty() {
		return append(dst, byte(AUTH)<<4, 0)
	}
	dst, start := begin(dst)
	dst = append(dst, byte(p.Code))
	dst = appendProperties(dst, &p.Properties)
	return finish(dst, start, AUTH)
}

func (p *Auth) String() string {
	b := describeReason([]byte("AUTH"), p.Code)
	return string(p.Properties.describe(b))
}
