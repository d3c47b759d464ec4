package packet

import (
	"encoding/binary"
	"unicode/utf8"
)

// ValidString reports whether b is a string as MQTT wants it: well-formed UTF-8
// without surrogates [MQTT-1.5.4-1] and without U+0000 [MQTT-1.5.4-2].
func ValidString(b []byte) bool {
	rest := b
	for len(rest) > 0 {
		for len(rest) >= 8 && plainText(binary.LittleEndian.Uint64(rest)) {
			rest = rest[8:]
		}
		if len(rest) < 8 && len(b) >= 8 && plainText(binary.LittleEndian.Uint64(b[len(b)-8:])) {
			return true // looking again at bytes seen before beats a step per byte
		}
		for i := 0; i < 8 && len(rest) > 0; i++ {
			n := textLen(rest)
			if n == 0 {
				return false
			}
			rest = rest[n:]
		}
	}
	return true
}

// topicFault is what scanTopic finds wrong.
type topicFault byte

const (
	topicFine topicFault = iota
	topicNotText
	topicWildcard
)

// scanTopic checks a Topic Name in one pass: a valid string without wildcards.
// Whether it may be empty is for the caller to say.
func scanTopic(b []byte) topicFault {
	fault := topicFine
	rest := b
	for len(rest) > 0 {
		for len(rest) >= 8 && plainTopic(binary.LittleEndian.Uint64(rest)) {
			rest = rest[8:]
		}
		if len(rest) < 8 && len(b) >= 8 && plainTopic(binary.LittleEndian.Uint64(b[len(b)-8:])) {
			return fault
		}
		for i := 0; i < 8 && len(rest) > 0; i++ {
			if rest[0] == '+' || rest[0] == '#' {
				fault = topicWildcard // a bad string behind it is the worse fault
			}
			n := textLen(rest)
			if n == 0 {
				return topicNotText
			}
			rest = rest[n:]
		}
	}
	return fault
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
	plusses  = '+' * lowBits
	hashes   = '#' * lowBits
)

// plainText reports whether the eight bytes of x are ASCII and none is 0. The
// high bit of a byte of x-lowBits is set when the byte was 0, or over 0x80, which
// x itself tells; below the lowest such byte nothing is borrowed.
func plainText(x uint64) bool {
	return (x|(x-lowBits))&highBits == 0
}

// plainTopic reports whether the eight bytes of x are ASCII and none is 0, '+'
// or '#'. A byte of x^plusses is 0 where x has a '+'.
func plainTopic(x uint64) bool {
	return (x|(x-lowBits)|((x^plusses)-lowBits)|((x^hashes)-lowBits))&highBits == 0
}

// textLen returns the length of the character at the start of b, 0 if it is
// none that MQTT allows. b is not empty.
func textLen(b []byte) int {
	if c := b[0]; c < utf8.RuneSelf {
		if c == 0 {
			return 0
		}
		return 1
	}
	if r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1 {
		return n
	}
	return 0
}
