package packet

import (
	"errors"
	"fmt"
)

// Error is an error the peer may be told about.
type Error struct {
	Code ReasonCode
	Rule string // the statement violated, as "MQTT-3.3.4-7"; may be empty
	Err  error  // cause, for the log only; never sent to the peer; may be nil
}

func (e *Error) Error() string {
	s := "mqtt: " + e.Code.String()
	if e.Rule != "" {
		s += " [" + e.Rule + "]"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the code in err: Success for nil, UnspecifiedError for none.
func ReasonOf(err error) ReasonCode {
	if err == nil {
		return Success
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return UnspecifiedError
}

func malformed(rule, format string, args ...any) error {
	return &Error{Code: MalformedPacket, Rule: rule, Err: fmt.Errorf(format, args...)}
}

func protocolError(rule, format string, args ...any) error {
	return &Error{Code: ProtocolError, Rule: rule, Err: fmt.Errorf(format, args...)}
}
