package mosquitto

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/wirebird/wirebird/packet"
)

// dialFailed says why there is no connection and returns libmosquitto's number.
func (r *run) dialFailed(err error) int {
	if e, ok := errors.AsType[*setupError](err); ok {
		r.complain("%s\n", r.explained(e.text, e.err))
		return exitFailed
	}
	if rc, text := classify(err); rc != errErrno {
		r.complain("%s\n", r.explained("Unable to connect ("+text+").", err))
		return rc
	} else {
		r.complain("Error: %s\n", text)
		return rc
	}
}

// explained adds the cause for those who called us by our own name.
func (r *run) explained(text string, err error) string {
	if !r.ours() || err == nil {
		return text
	}
	return strings.TrimSuffix(text, ".") + ": " + err.Error() + "."
}

// classify tells what kind of failure err is, with its text.
func classify(err error) (int, string) {
	if e, ok := errors.AsType[*proxyError](err); ok {
		return errProxy, strings.TrimSuffix(errorText(errProxy), ".") + ": " + e.text
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok || errors.Is(err, errLookupFailed) {
		return errLookup, errorText(errLookup)
	}
	if isTLS(err) {
		return errTLS, errorText(errTLS)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errErrno, capital(errno.Error())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errErrno, "Connection timed out"
	}
	return errErrno, capital(err.Error())
}

func isTLS(err error) bool {
	var (
		record    tls.RecordHeaderError
		alert     tls.AlertError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) ||
		errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		strings.Contains(err.Error(), "tls: ")
}

// errorText is what libmosquitto calls its error rc.
func errorText(rc int) string {
	switch rc {
	case errProtocol:
		return "A network protocol error occurred when communicating with the broker."
	case errNoConn:
		return "The client is not currently connected."
	case errRefused:
		return "The connection was refused."
	case errLost:
		return "The connection was lost."
	case errTLS:
		return "A TLS error occurred."
	case errLookup:
		return "Lookup error."
	case errProxy:
		return "Proxy error."
	case errKeep:
		return "Unknown error."
	}
	return fmt.Sprintf("Error %d.", rc)
}

func connackText(code int) string {
	switch code {
	case 1:
		return "Connection Refused: unacceptable protocol version."
	case 2:
		return "Connection Refused: identifier rejected."
	case 3:
		return "Connection Refused: broker unavailable."
	case 4:
		return "Connection Refused: bad user name or password."
	case 5:
		return "Connection Refused: not authorised."
	}
	return "Connection Refused: unknown reason."
}

// reasonText is the name of a reason code as mosquitto_reason_string spells it.
func reasonText(code packet.ReasonCode) string {
	switch code {
	case packet.BadUserNameOrPassword:
		return "Bad username or password"
	case packet.UnspecifiedError, packet.MalformedPacket, packet.ServerUnavailable, packet.ServerBusy:
		return capital(code.String())
	case packet.ProtocolError:
		return "Protocol Error"
	case packet.ClientIdentifierNotValid:
		return "Client Identifier not valid"
	}
	return capital(code.String())
}

// refused says why the server does not take us.
func (r *run) refused(code packet.ReasonCode) {
	if r.cfg.version != packet.V5 {
		r.complain("Connection error: %s\n", connackText(int(code.ConnackV3())))
		return
	}
	text := reasonText(code)
	if code == packet.UnsupportedProtocolVersion {
		if r.Tool == RR {
			text += ". mosquitto_rr only supports connecting to an MQTT v5 broker"
		} else {
			text += ". Try connecting to an MQTT v5 broker, or use MQTT v3.x mode."
		}
	}
	r.complain("Connection error: %s\n", text)
}

// outcome says what ended the run, unless that was asked for, and returns the
// exit status.
func (r *run) outcome(rc int) int {
	r.flush()
	if r.timedOut {
		r.complain("Timed out\n")
		return errTimeout
	}
	if rc != 0 {
		r.complain("Error: %s\n", errorText(rc))
	}
	if r.refusal != 0 {
		return r.refusal
	}
	return rc
}
