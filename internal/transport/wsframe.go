package transport

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Opcodes of RFC 6455 §5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// Status codes of RFC 6455 §7.4.1.
const (
	closeNormal      = 1000
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeInvalidData = 1007
	closeTooBig      = 1009
)

const (
	maxFrameHeader  = 14
	maxControlBytes = 125

	finBit   = 0x80
	rsvBits  = 0x70
	maskBit  = 0x80
	opBits   = 0x0F
	lenBits  = 0x7F
	length16 = 126
	length64 = 127
)

// frameError is what a peer did against RFC 6455; code goes into our close frame.
type frameError struct {
	code int
	text string
}

func (e *frameError) Error() string {
	return fmt.Sprintf("websocket: %s (close code %d)", e.text, e.code)
}

// frameHeader is the start of a frame from a client.
type frameHeader struct {
	final  bool
	opcode byte
	length uint64
	mask   uint32 // little-endian: the lowest byte is for the first of the payload
}

func (h frameHeader) control() bool { return h.opcode >= opClose }

// parseFrameHeader reads the header at the start of b. size is 0 when b ends
// before it does. What is wrong with a prefix is wrong with all that continue
// it, in the same way, so the outcome does not depend on how the bytes arrive.
func parseFrameHeader(b []byte) (h frameHeader, size int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.final, h.opcode = b[0]&finBit != 0, b[0]&opBits
	short := b[1] & lenBits
	switch {
	case b[0]&rsvBits != 0:
		return h, 0, &frameError{closeProtocol, "reserved bits set without an extension"}
	case h.opcode > opBinary && h.opcode < opClose || h.opcode > opPong:
		return h, 0, &frameError{closeProtocol, "unknown opcode"}
	case b[1]&maskBit == 0:
		return h, 0, &frameError{closeProtocol, "frame without a mask"}
	case h.control() && !h.final:
		return h, 0, &frameError{closeProtocol, "fragmented control frame"}
	case h.control() && short > maxControlBytes:
		return h, 0, &frameError{closeProtocol, "control frame over 125 bytes"}
	}
	size = 2 + 4
	switch short {
	case length16:
		size += 2
	case length64:
		size += 8
	}
	if len(b) < size-4 {
		return h, 0, nil
	}
	switch h.length = uint64(short); short {
	case length16:
		if h.length = uint64(binary.BigEndian.Uint16(b[2:])); h.length < length16 {
			return h, 0, &frameError{closeProtocol, "length not in its shortest form"}
		}
	case length64:
		if h.length = binary.BigEndian.Uint64(b[2:]); h.length>>63 != 0 || h.length>>16 == 0 {
			return h, 0, &frameError{closeProtocol, "length out of range or not in its shortest form"}
		}
	}
	if len(b) < size {
		return h, 0, nil
	}
	h.mask = binary.LittleEndian.Uint32(b[size-4:])
	return h, size, nil
}

// appendFrameHeader appends the header of a final, unmasked frame.
func appendFrameHeader(b []byte, opcode byte, length int) []byte {
	b = append(b, finBit|opcode)
	switch {
	case length < length16:
		return append(b, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, length16), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(b, length64), uint64(length))
	}
}

// appendUnmasked appends src with mask taken off, and returns the mask turned
// so that it fits the byte after src.
func appendUnmasked(dst, src []byte, mask uint32) ([]byte, uint32) {
	start := len(dst)
	dst = append(dst, src...)
	b := dst[start:]
	for wide := uint64(mask)<<32 | uint64(mask); len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= byte(mask)
		mask = bits.RotateLeft32(mask, -8)
	}
	return dst, mask
}

// checkClosePayload says what is wrong with the payload of a close frame.
func checkClosePayload(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) == 1 {
		return &frameError{closeProtocol, "close frame with half a code"}
	}
	switch code := binary.BigEndian.Uint16(p); {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
	default:
		return &frameError{closeProtocol, fmt.Sprintf("close code %d must not be sent", code)}
	}
	if !utf8.Valid(p[2:]) {
		return &frameError{closeInvalidData, "close reason that is not UTF-8"}
	}
	return nil
}
