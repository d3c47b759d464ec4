package mosquitto

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/wirebird/wirebird/internal/fault"
	"github.com/wirebird/wirebird/packet"
)

// dialFailed says why there is no connection and returns libmosquitto's number.
func (r *run) dialFailed(err error) int {
	if e, ok := errors.AsType[*setupError](err); ok {
		r.complain("%s\n", r.name(e.text, fmt.Sprintf("Error: %v.", e.err)))
		return exitFailed
	}
	rc, text := classify(err)
	e, isProxy := errors.AsType[*proxyError](err)
	switch {
	case isProxy:
		r.exit = rc
		r.complain("Error: %s.\n", r.name(text, "the proxy at "+r.cfg.proxy.address+": "+e.Error()))
	case r.ours():
		r.complain("Error: %s\n", fault.Explain(r.cfg.place(err), err))
	case rc != errErrno:
		r.complain("Unable to connect (%s).\n", text)
	default:
		r.complain("Error: %s\n", text)
	}
	return rc
}

// name is theirs under Mosquitto's names, ours under our own.
func (r *run) name(theirs, ours string) string {
	if r.ours() {
		return ours
	}
	return theirs
}

// place is where err comes from, host and port or the path of a socket.
func (c *config) place(err error) string {
	if e, ok := errors.AsType[*proxyUnreachable](err); ok {
		return e.address
	}
	if c.unix {
		return c.host
	}
	return net.JoinHostPort(c.host, strconv.Itoa(c.portOrDefault()))
}

// classify tells what kind of failure err is, with its text.
func classify(err error) (int, string) {
	if e, ok := errors.AsType[*proxyError](err); ok {
		return e.number, strings.TrimSuffix(errorText(e.number), ".")
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
		handshake *handshakeError
	)
	return errors.As(err, &handshake) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) ||
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
	case errQoS:
		return "Requested QoS not supported on server."
	case errOversize:
		return "Packet larger than supported by the server."
	case errTLS:
		return "A TLS error occurred."
	case errLookup:
		return "Lookup error."
	case errProxy:
		return "Proxy error."
	case errInvalid:
		return "Invalid function arguments provided."
	case errAuth:
		return "Authorisation failed."
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
	case packet.MalformedPacket:
		return "Malformed Packet"
	case packet.ProtocolError:
		return "Protocol Error"
	case packet.UnsupportedProtocolVersion:
		return "Unsupported Protocol Version"
	case packet.ClientIdentifierNotValid:
		return "Client Identifier not valid"
	case packet.BadUserNameOrPassword:
		return "Bad User Name or Password"
	case packet.KeepAliveTimeout:
		return "Keep Alive timeout"
	case packet.TopicFilterInvalid:
		return "Topic Filter invalid"
	case packet.TopicNameInvalid:
		return "Topic Name invalid"
	case packet.PacketIdentifierInUse:
		return "Packet Identifier in use"
	case packet.PacketIdentifierNotFound:
		return "Packet Identifier not found"
	case packet.ReceiveMaximumExceeded:
		return "Receive Maximum exceeded"
	case packet.TopicAliasInvalid:
		return "Topic Alias invalid"
	case packet.SharedSubscriptionsNotSupported:
		return "Shared Subscriptions not supported"
	case packet.WildcardSubscriptionsNotSupported:
		return "Wildcard Subscriptions not supported"
	case packet.DisconnectWithWill:
		return "Disconnect with Will Message"
	}
	return capital(code.String())
}

// refused says why the server does not take us.
func (r *run) refused(code packet.ReasonCode) {
	if r.Tool != Pub {
		r.debug(true, &packet.Disconnect{}, 0) // which the server does not wait for
	}
	mend := ""
	switch {
	case !r.ours():
	case code == packet.BadUserNameOrPassword:
		mend = " Check --username and --pw."
	case code == packet.NotAuthorized:
		mend = " Check --username and --pw, and what the server allows."
	}
	if r.cfg.version != packet.V5 {
		r.complain("Connection error: %s%s\n", connackText(int(code.ConnackV3())), mend)
		return
	}
	text := reasonText(code)
	if mend != "" {
		text += "." + mend
	}
	if code == packet.UnsupportedProtocolVersion {
		if r.Tool == RR {
			text += ". mosquitto_rr only supports connecting to an MQTT v5 broker"
		} else {
			text += ". Try connecting to an MQTT v5 broker, or use " + r.name("MQTT v3.x mode", "-V 311") + "."
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
	if r.refusal != 0 {
		if r.Tool == Pub && !r.ours() { // the others leave it at the reason
			r.complain("Error: %s\n", errorText(refusalError(r.refusal)))
		}
		return r.refusal
	}
	if rc == errNoConn && r.Tool != Pub && !r.ours() {
		return 0 // they take a DISCONNECT of the server for a good end
	}
	if rc == errKeep && r.ours() {
		r.complain("Error: The server has not answered a ping for %v.\n", r.keep)
		return rc
	}
	if rc != 0 && rc != errDismissed {
		r.complain("Error: %s\n", errorText(rc))
	}
	if rc == errDismissed {
		rc = errLost
	}
	return cmp.Or(rc, r.exit)
}

// refusalError is libmosquitto's number for a CONNACK that refuses: it knows
// the codes of MQTT 3.1.1 only.
func refusalError(code int) int {
	if code <= 5 {
		return errRefused
	}
	return errProtocol
}
