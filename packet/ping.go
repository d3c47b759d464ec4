package packet

// Pingreq tells a server that the client is alive. §3.12
type Pingreq struct{}

// Pingresp answers a PINGREQ. §3.13
type Pingresp struct{}

func (*Pingreq) Type() Type  { return PINGREQ }
func (*Pingresp) Type() Type { return PINGRESP }

func (*Pingreq) Decode(v Version, flags byte, body []byte) error {
	return decodeEmpty(PINGREQ, v, flags, body)
}

func (*Pingresp) Decode(v Version, flags byte, body []byte) error {
	return decodeEmpty(PINGRESP, v, flags, body)
}

func (*Pingreq) Append(dst []byte, _ Version) []byte  { return append(dst, byte(PINGREQ)<<4, 0) }
func (*Pingresp) Append(dst []byte, _ Version) []byte { return append(dst, byte(PINGRESP)<<4, 0) }

func (*Pingreq) String() string  { return "PINGREQ" }
func (*Pingresp) String() string { return "PINGRESP" }

// decodeEmpty checks a packet that has no body.
func decodeEmpty(t Type, v Version, flags byte, body []byte) error {
	if err := checkFlags(t, v, flags); err != nil {
		return err
	}
	in := cursor{b: body}
	return in.end()
}
