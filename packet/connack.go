package packet

// Connack answers a CONNECT. §3.2
type Connack struct {
	SessionPresent bool // written only with a Code below 0x80, and not in 3.1
	Code           ReasonCode
	Properties     Properties
}

func (*Connack) Type() Type { return CONNACK }

// Decode translates the return codes of 3.x into reason codes of 5.0.
func (p *Connack) Decode(v Version, flags byte, body []byte) error {
	p.Properties.Reset()
	if err := checkFlags(CONNACK, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	ack := in.byte()
	if v == V31 {
		ack = 0 // reserved there, without a value
	}
	if v == V5 {
		p.Code = in.reason(CONNACK)
		in.properties(CONNACK, false, &p.Properties)
	} else {
		code := in.byte()
		var ok bool
		if p.Code, ok = reasonOfConnackV3(code); !ok {
			in.fail(protocolError("", "return code %d is reserved", code))
		}
	}
	if err := in.end(); err != nil {
		return err
	}
	if ack > 1 {
		return malformed("MQTT-3.2.2-1", "reserved acknowledge flags")
	}
	p.SessionPresent = ack == 1
	if p.SessionPresent && p.Code != Success {
		return protocolError("MQTT-3.2.2-6", "session present with a refusal")
	}
	return nil
}

// Append writes Code.ConnackV3() in 3.x.
func (p *Connack) Append(dst []byte, v Version) []byte {
	dst, start := begin(dst)
	present := bit(p.SessionPresent && p.Code < 0x80 && v != V31, 0)
	if v == V5 {
		dst = append(dst, present, byte(p.Code))
		dst = appendProperties(dst, &p.Properties)
	} else {
		dst = append(dst, present, p.Code.ConnackV3())
	}
	return finish(dst, start, CONNACK)
}

func (p *Connack) String() string {
	b := describeReason([]byte("CONNACK"), p.Code)
	if p.SessionPresent {
		b = append(b, " session-present"...)
	}
	return string(p.Properties.describe(b))
}
