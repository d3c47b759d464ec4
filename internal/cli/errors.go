package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/fault"
	"github.com/wirebird/wirebird/packet"
)

// connectError says why there is no connection in the words of Mosquitto's
// clients, with their exit status: the code of a refusal, else 1.
func connectError(err error, v packet.Version, address string) error {
	if e, ok := errors.AsType[*packet.Error](err); ok && e.Code >= packet.UnspecifiedError {
		if v != packet.V5 {
			return &exitError{int(e.Code.ConnackV3()), errors.New("Connection error: " + connackText(e.Code.ConnackV3()) + mend(e.Code))}
		}
		text := "Connection error: " + reasonText(e.Code)
		if e.Err != nil {
			text += " (" + e.Err.Error() + ")"
		}
		if e.Code == packet.UnsupportedProtocolVersion {
			text += ". Try connecting to an MQTT v5 broker, or use -V 311."
		}
		if m := mend(e.Code); m != "" {
			text += "." + m
		}
		return &exitError{int(e.Code), errors.New(text)}
	}
	return fmt.Errorf("%w", &exitError{exitFailed, errors.New("Error: " + fault.Explain(place(address), err))})
}

// place is the part of a server's URL that tells where it is.
func place(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return address
	case u.Scheme == "unix":
		return u.Host + u.Path
	}
	return u.Host
}

// mend is what may help after a refusal.
func mend(code packet.ReasonCode) string {
	switch code {
	case packet.BadUserNameOrPassword:
		return " Check --username and --pw."
	case packet.NotAuthorized:
		return " Check --username and --pw, and what the broker allows."
	}
	return ""
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
