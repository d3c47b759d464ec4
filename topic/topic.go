// Package topic knows the syntax of MQTT Topic Names and Topic Filters: which
// strings are valid, and which filters match which names.
//
// It holds no subscriptions and no state of any kind; whoever needs the
// subscribers of a name asks a table built for that. Nothing here allocates or
// keeps what it is given. CheckName and CheckFilter guard the door: the other
// functions accept any bytes without a panic, but promise an answer that makes
// sense only for names and filters that passed.
//
// [MQTT-x.y.z-n] cites a normative statement of MQTT 5.0, §x.y a section of it.
package topic

import "unicode/utf8"

// MaxLength is the longest Topic Name or Topic Filter in bytes [MQTT-4.7.3-3].
const MaxLength = 65535

// Error says why a Topic Name or Topic Filter is not valid. Its values are the
// constants below, so callers may compare with == or errors.Is.
type Error string

// The reasons for which CheckName and CheckFilter refuse a string.
const (
	ErrEmpty    Error = "empty"                                             // [MQTT-4.7.3-1]
	ErrTooLong  Error = "longer than 65535 bytes"                           // [MQTT-4.7.3-3]
	ErrNull     Error = "contains U+0000"                                   // [MQTT-4.7.3-2]
	ErrEncoding Error = "not UTF-8"                                         // [MQTT-1.5.4-1]
	ErrName     Error = "wildcard in a topic name"                          // [MQTT-4.7.0-1]
	ErrHash     Error = "# is not the last level of the filter"             // [MQTT-4.7.1-1]
	ErrPlus     Error = "+ does not fill a level of the filter"             // [MQTT-4.7.1-2]
	ErrShare    Error = "shared filter is not of the form $share/name/rest" // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
)

// Error returns the reason.
func (e Error) Error() string { return "topic: " + string(e) }

const sharePrefix = "$share/"

// CheckName returns nil if name is a Topic Name: 1 to 65535 bytes of UTF-8
// without U+0000, + and #. Any error is an Error.
func CheckName[S ~string | ~[]byte](name S) error {
	if err := checkLength(len(name)); err != nil {
		return err
	}
	for i := 0; i < len(name); {
		switch c := name[i]; {
		case c == '+' || c == '#':
			return ErrName
		case c == 0:
			return ErrNull
		case c < utf8.RuneSelf:
			i++
		default:
			n := runeLen(name[i:])
			if n == 0 {
				return ErrEncoding
			}
			i += n
		}
	}
	return nil
}

// CheckFilter returns nil if filter is a Topic Filter, shared or not. The share
// name of $share/name/rest must not be empty or hold a wildcard, and rest must
// be a filter itself [MQTT-4.8.2-1] [MQTT-4.8.2-2]. Any error is an Error.
func CheckFilter[S ~string | ~[]byte](filter S) error {
	if err := checkLength(len(filter)); err != nil {
		return err
	}
	start, ok := shareLen(filter)
	if !ok {
		return ErrShare
	}
	for i := 0; i < len(filter); {
		switch c := filter[i]; {
		case c == '+' || c == '#':
			if err := checkWildcard(filter, i, start); err != nil {
				return err
			}
			i++
		case c == 0:
			return ErrNull
		case c < utf8.RuneSelf:
			i++
		default:
			n := runeLen(filter[i:])
			if n == 0 {
				return ErrEncoding
			}
			i += n
		}
	}
	return nil
}

// checkWildcard judges the wildcard at filter[i], where the filter proper
// begins at start and a share name lies before it.
func checkWildcard[S ~string | ~[]byte](filter S, i, start int) error {
	if i < start {
		return ErrShare
	}
	opens := i == start || filter[i-1] == '/'
	last := i == len(filter)-1
	if filter[i] == '#' {
		if !opens || !last {
			return ErrHash
		}
		return nil
	}
	if !opens || !last && filter[i+1] != '/' {
		return ErrPlus
	}
	return nil
}

func checkLength(n int) error {
	switch {
	case n == 0:
		return ErrEmpty
	case n > MaxLength:
		return ErrTooLong
	}
	return nil
}

// shareLen returns the length of the prefix $share/name/ of filter, 0 if it has
// none, and false if it begins like one but its name or its rest is empty.
func shareLen[S ~string | ~[]byte](filter S) (int, bool) {
	if len(filter) < len(sharePrefix) || string(filter[:len(sharePrefix)]) != sharePrefix {
		return 0, true
	}
	for i := len(sharePrefix); i < len(filter); i++ {
		if filter[i] == '/' {
			return i + 1, i > len(sharePrefix) && i+1 < len(filter)
		}
	}
	return 0, false
}

// runeLen returns the length of the character s begins with, 0 if that is not
// UTF-8. Overlong forms and surrogates are not [MQTT-1.5.4-1].
func runeLen[S ~string | ~[]byte](s S) int {
	// At most four bytes, so that the conversion of a []byte stays on the stack.
	r, n := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
	if r == utf8.RuneError && n <= 1 {
		return 0
	}
	return n
}
