package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// connectError says why there is no connection in the words of Mosquitto's
// clients, with their exit status: the code of a refusal, else 1.
func connectError(err error, v packet.Version) error {
	if e, ok := errors.AsType[*packet.Error](err); ok && e.Code >= packet.UnspecifiedError {
		if v != packet.V5 {
			return &exitError{int(e.Code.ConnackV3()), errors.New("Connection error: " + connackText(e.Code.ConnackV3()))}
		}
		text := "Connection error: " + reasonText(e.Code)
		if e.Err != nil {
			text += " (" + e.Err.Error() + ")"
		}
		if e.Code == packet.UnsupportedProtocolVersion {
			text += ". Try connecting to an MQTT v5 broker, or use -V 311."
		}
		return &exitError{int(e.Code), errors.New(text)}
	}
	return fmt.Errorf("%w", &exitError{exitFailed, errors.New(networkText(err))})
}

// networkText names the cause alone, as perror does.
func networkText(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "Unable to connect (Lookup error.)."
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return "Error: " + capital(errno.Error())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "Error: Connection timed out"
	}
	return "Error: " + err.Error()
}

// lostError is for a connection that ended by itself.
func lostError(err error) error {
	if err == nil || errors.Is(err, client.ErrClosed) && packet.ReasonOf(err) == packet.UnspecifiedError {
		return &exitError{exitLost, errors.New("Error: The connection was lost.")}
	}
	return &exitError{exitLost, fmt.Errorf("Error: The connection was lost: %w.", err)}
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.status
	}
	return exitFailed
}

func connackText(code byte) string {
	switch code {
	case 1:
		return "Connection Refused: unacceptable protocol version."
	case 2:
		return "Connection Refused: identifier rejected."
	case 3:
		return "Connection Refused: broker unavailable."
	case 4:
		return "Connection Refused: bad user name or password."
	default:
		return "Connection Refused: not authorised."
	}
}

func reasonText(code packet.ReasonCode) string {
	if code == packet.BadUserNameOrPassword {
		return "Bad username or password" // as Mosquitto spells it
	}
	return capital(code.String())
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
