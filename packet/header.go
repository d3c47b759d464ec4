package packet

// MaxVarint is the largest Variable Byte Integer.
const MaxVarint = 268435455

// ParseVarint reads the Variable Byte Integer at the start of b and returns its
// length; n is 0 when more bytes are needed. A value in more bytes than it needs
// is malformed [MQTT-1.5.5-1], and so is one that does not end in four.
func ParseVarint(b []byte) (v uint32, n int, err error) {
	for i, c := range b {
		if i == 4 {
			break
		}
		v |= uint32(c&0x7F) << (7 * i)
		if c < 0x80 {
			if c == 0 && i > 0 {
				return 0, 0, malformed("MQTT-1.5.5-1", "integer of %d bytes has leading zeros", i+1)
			}
			return v, i + 1, nil
		}
	}
	if len(b) >= 4 {
		return 0, 0, malformed("", "variable byte integer is longer than four bytes")
	}
	return 0, 0, nil
}

// AppendVarint appends v as a Variable Byte Integer. It panics if v is over
// MaxVarint, for no sequence of bytes would be right.
func AppendVarint(dst []byte, v uint32) []byte {
	if v > MaxVarint {
		panic("packet: integer over MaxVarint")
	}
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// VarintLen returns the number of bytes of v as a Variable Byte Integer.
func VarintLen(v uint32) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

// Flags in the first byte of a PUBLISH; between them stands the QoS, shifted by 1.
const (
	FlagRetain = 1
	FlagDup    = 8
)

// Header is the fixed header of a packet.
type Header struct {
	Type      Type
	Flags     byte // the lower half of the first byte
	Remaining int  // bytes that follow the fixed header
}

// ParseHeader reads the fixed header at the start of b and returns its length;
// n is 0 when more bytes are needed. Type 0 and flags that no version allows
// are malformed [MQTT-2.1.3-1]; that is told from the first byte on. MQTT 3.1
// lets PUBREL, SUBSCRIBE and UNSUBSCRIBE carry DUP, so that bit passes here and
// is left to Decode, which knows the version.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, nil
	}
	h.Type, h.Flags = Type(b[0]>>4), b[0]&0x0F
	if h.Type != PUBLISH {
		if h.Type == 0 {
			return Header{}, 0, malformed("", "packet type 0 is reserved")
		}
		if err := checkFlags(h.Type, V31, h.Flags); err != nil {
			return Header{}, 0, err
		}
	}
	v, n, err := ParseVarint(b[1:])
	if err != nil || n == 0 {
		return Header{}, 0, err
	}
	h.Remaining = int(v)
	return h, 1 + n, nil
}

// headerFlags returns the reserved flags of every type but PUBLISH.
func headerFlags(t Type) byte {
	if t == PUBREL || t == SUBSCRIBE || t == UNSUBSCRIBE {
		return 0x02
	}
	return 0
}

func checkFlags(t Type, v Version, flags byte) error {
	want := headerFlags(t)
	if flags == want || v == V31 && want != 0 && flags == want|FlagDup {
		return nil
	}
	return malformed("MQTT-2.1.3-1", "%v with flags %04b", t, flags)
}
