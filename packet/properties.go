package packet

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
)

// User is a User Property: a pair of strings that means what its users agree on.
type User struct {
	Key, Value []byte
}

// Properties are the properties of one packet, or of a will. The zero value
// means none. A field counts only when Has reports its property: assign it,
// then Mark it.
type Properties struct {
	PayloadFormat     byte   // 1: the payload is UTF-8 text
	MessageExpiry     uint32 // seconds
	ContentType       []byte
	ResponseTopic     []byte
	CorrelationData   []byte
	SubscriptionIDs   []uint32 // one in a SUBSCRIBE, any number in a PUBLISH
	SessionExpiry     uint32   // seconds; 0xFFFFFFFF is never
	AssignedClientID  []byte
	ServerKeepAlive   uint16 // seconds
	AuthMethod        []byte
	AuthData          []byte
	RequestProblem    byte
	WillDelay         uint32 // seconds
	RequestResponse   byte
	ResponseInfo      []byte
	ServerReference   []byte
	ReasonString      []byte
	ReceiveMax        uint16
	TopicAliasMax     uint16
	TopicAlias        uint16
	MaxQoS            byte
	RetainAvailable   byte
	User              []User
	MaxPacketSize     uint32 // bytes
	WildcardAvailable byte
	SubIDAvailable    byte
	SharedAvailable   byte

	// MaxUser is the largest number of User Properties that decoding takes, 0 any; more
	// are refused with QuotaExceeded. It is no property, and Reset keeps it.
	MaxUser int

	set uint64 // bit n: the property with identifier n is present
}

// Has reports whether the property is present.
func (p *Properties) Has(id PropertyID) bool { return p.set>>id&1 != 0 }

// Mark makes the property present. Its field has been assigned before.
func (p *Properties) Mark(id PropertyID) { p.set |= 1 << id }

// Unmark makes the property absent and leaves its field alone.
func (p *Properties) Unmark(id PropertyID) { p.set &^= 1 << id }

// Empty reports whether no property is present.
func (p *Properties) Empty() bool { return p.set == 0 }

// maxKept is the largest capacity, in elements, that a packet keeps of a list
// for the next Decode, so that one huge packet does not cost its memory for ever.
const maxKept = 256

// emptied returns list with no elements and, within reason, its capacity.
// References to the bytes of the last packet are let go.
func emptied[T any](list []T) []T {
	if cap(list) > maxKept {
		return nil
	}
	clear(list)
	return list[:0]
}

// Reset removes all properties. The lists keep their capacity, within reason.
// It is cheap when there is nothing to remove; fields that nobody marked may then
// keep their values.
func (p *Properties) Reset() {
	if p.set == 0 && len(p.User) == 0 && len(p.SubscriptionIDs) == 0 {
		return // the lists count because Unmark leaves them filled
	}
	*p = Properties{User: emptied(p.User), SubscriptionIDs: emptied(p.SubscriptionIDs), MaxUser: p.MaxUser}
}

// lowest returns the first identifier in a set. Loops that take it and then
// clear it, by s &= s - 1, visit the properties in ascending order.
func lowest(set uint64) PropertyID { return PropertyID(bits.TrailingZeros64(set)) }

// AppendTo appends the properties without their length, in ascending order of
// the identifiers. Subscription identifiers and user properties keep theirs.
func (p *Properties) AppendTo(dst []byte) []byte {
	for s := p.set; s != 0; s &= s - 1 {
		id := lowest(s)
		_, kind, _ := id.info()
		switch kind {
		case kindByte:
			dst = append(dst, byte(id), *p.byteField(id))
		case kindUint16:
			dst = binary.BigEndian.AppendUint16(append(dst, byte(id)), *p.uint16Field(id))
		case kindUint32:
			dst = binary.BigEndian.AppendUint32(append(dst, byte(id)), *p.uint32Field(id))
		case kindVarint:
			for _, v := range p.SubscriptionIDs {
				dst = AppendVarint(append(dst, byte(id)), v)
			}
		case kindBinary, kindString:
			dst = appendBinary(append(dst, byte(id)), *p.bytesField(id))
		case kindPair:
			for _, u := range p.User {
				dst = appendBinary(appendBinary(append(dst, byte(id)), u.Key), u.Value)
			}
		}
	}
	return dst
}

// Size returns the number of bytes that AppendTo appends.
func (p *Properties) Size() int {
	n := 0
	for s := p.set; s != 0; s &= s - 1 {
		id := lowest(s)
		_, kind, _ := id.info()
		switch kind {
		case kindByte:
			n += 2
		case kindUint16:
			n += 3
		case kindUint32:
			n += 5
		case kindVarint:
			for _, v := range p.SubscriptionIDs {
				n += 1 + VarintLen(v)
			}
		case kindBinary, kindString:
			n += 3 + fieldLen(len(*p.bytesField(id)))
		case kindPair:
			for _, u := range p.User {
				n += 5 + fieldLen(len(u.Key)) + fieldLen(len(u.Value))
			}
		}
	}
	return n
}

// clone returns a copy that shares no memory with p.
func (p *Properties) clone() Properties {
	c := *p
	c.SubscriptionIDs = slices.Clone(p.SubscriptionIDs)
	c.User = slices.Clone(p.User)
	for i, u := range c.User {
		c.User[i] = User{Key: bytes.Clone(u.Key), Value: bytes.Clone(u.Value)}
	}
	for s := p.set; s != 0; s &= s - 1 {
		id := lowest(s)
		if _, kind, _ := id.info(); kind == kindBinary || kind == kindString {
			*c.bytesField(id) = bytes.Clone(*p.bytesField(id))
		}
	}
	return c
}

// describe appends " {name=value ...}" for logs, nothing when p is empty.
// Binary data, which may be a secret, is given by its size.
func (p *Properties) describe(dst []byte) []byte {
	if p.Empty() {
		return dst
	}
	start := len(dst)
	for s := p.set; s != 0; s &= s - 1 {
		id := lowest(s)
		name, kind, _ := id.info()
		switch kind {
		case kindByte:
			dst = describeInt(dst, name, uint64(*p.byteField(id)))
		case kindUint16:
			dst = describeInt(dst, name, uint64(*p.uint16Field(id)))
		case kindUint32:
			dst = describeInt(dst, name, uint64(*p.uint32Field(id)))
		case kindVarint:
			for _, v := range p.SubscriptionIDs {
				dst = describeInt(dst, name, uint64(v))
			}
		case kindBinary:
			dst = describeSize(dst, name, *p.bytesField(id))
		case kindString:
			dst = describeText(dst, name, *p.bytesField(id))
		case kindPair:
			for _, u := range p.User {
				dst = append(dst, " user:"...)
				dst = append(strconv.AppendQuote(dst, string(u.Key)), '=')
				dst = strconv.AppendQuote(dst, string(u.Value))
			}
		}
	}
	if len(dst) == start { // only lists, and these are empty
		return dst
	}
	dst = slices.Insert(dst, start+1, '{')
	return append(dst, '}')
}
