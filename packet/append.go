package packet

import (
	"encoding/binary"
	"strconv"
)

// headerRoom is the space begin leaves for a fixed header.
const headerRoom = 5

// begin makes room for a fixed header; finish writes it once the length is known.
func begin(dst []byte) ([]byte, int) {
	return append(dst, make([]byte, headerRoom)...), len(dst)
}

// finish puts the fixed header before the body that was appended since begin
// returned start, and closes the gap if the header is shorter than its room.
func finish(dst []byte, start int, t Type) []byte {
	body := dst[start+headerRoom:]
	head := appendHeader(dst[:start], t, headerFlags(t), len(body))
	if n := len(head) - start; n < headerRoom {
		dst = append(head, body...) // overlaps; append copies as memmove does
	}
	return dst
}

func appendHeader(dst []byte, t Type, flags byte, remaining int) []byte {
	if remaining > MaxVarint {
		panic("packet: packet over MaxSize")
	}
	return AppendVarint(append(dst, byte(t)<<4|flags), uint32(remaining))
}

// appendBinary appends data with its length of two bytes before it.
func appendBinary[T []byte | string](dst []byte, b T) []byte {
	b = b[:fieldLen(len(b))]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(b))), b...)
}

// fieldLen is how many of n bytes fit into a string or binary field.
func fieldLen(n int) int { return min(n, MaxString) }

func appendProperties(dst []byte, p *Properties) []byte {
	return p.AppendTo(AppendVarint(dst, uint32(p.Size())))
}

func bit(set bool, n uint) byte {
	if set {
		return 1 << n
	}
	return 0
}

// The functions below build the lines of String.

func describeText(dst []byte, name string, b []byte) []byte {
	dst = append(append(append(dst, ' '), name...), '=')
	return strconv.AppendQuote(dst, string(b))
}

func describeInt(dst []byte, name string, v uint64) []byte {
	dst = append(append(append(dst, ' '), name...), '=')
	return strconv.AppendUint(dst, v, 10)
}

func describeSize(dst []byte, name string, b []byte) []byte {
	return append(describeInt(dst, name, uint64(len(b))), 'B')
}

func describeReason(dst []byte, c ReasonCode) []byte {
	return append(append(dst, " code="...), strconv.Quote(c.String())...)
}
