// Package fault says in a line why a connection could not be made, and how to
// mend that.
//
// It knows the errors of the network, of DNS and of TLS as the standard library
// has them, and the flags of our tools. It opens nothing and knows no MQTT.
package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

// Explain returns sentences without a line end for err, which is what came of
// connecting to address: host:port, or the path of a socket.
func Explain(address string, err error) string {
	if text := explainTLS(address, err); text != "" {
		return text
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return fmt.Sprintf("there is no host %q; check --host, or the name in the URL.", e.Name)
		}
		return fmt.Sprintf("cannot find the address of %q: %s; check --host and the network.", e.Name, e.Err)
	}
	cannot := "cannot connect to " + address
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return cannot + ": nobody listens there. Is the broker running, and are host and port right?"
	case errors.Is(err, fs.ErrNotExist):
		return cannot + ": there is no such socket. Is the broker running, and is the path right?"
	case errors.Is(err, fs.ErrPermission):
		return cannot + ": permission denied. Who may use the socket is up to the owner of its file and directory."
	case errors.Is(err, context.DeadlineExceeded) || isTimeout && timeout.Timeout():
		return cannot + ": no answer in time. Is the host right, and does a firewall let the port through?"
	case errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH):
		return cannot + ": there is no way to it. Check --host and the network."
	case strings.Contains(err.Error(), "WebSocket"):
		return cannot + ": " + err.Error() + "; check --ws-path, or the path in the URL."
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET):
		return cannot + ": the server closed the connection. Does it speak MQTT there, and over TLS? Then add --tls-use-os-certs or --cafile."
	}
	return cannot + ": " + err.Error() + "."
}

// explainTLS is Explain for what goes wrong in a TLS handshake, or empty.
func explainTLS(address string, err error) string {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the certificate of %s is for %s, not for %s. Call the server by such a name, or use --insecure.", address, names(e.Certificate), e.Host)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Sprintf("the certificate of %s is not signed by an authority that is trusted here. Name the right one with --cafile.", address)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return expired(address, e.Cert)
		}
		return fmt.Sprintf("the certificate of %s is not valid: %s.", address, strings.TrimPrefix(e.Error(), "x509: "))
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("%s does not speak TLS. Use the port that does, or leave out what asks for it: --cafile, --cert, mqtts:// and port 8883.", address)
	}
	// An alert of the server has a type that is not exported.
	if _, text, ok := strings.Cut(err.Error(), "remote error: tls: "); ok {
		return fmt.Sprintf("%s ended the TLS handshake: %s.%s", address, text, mend(text))
	}
	if _, text, ok := strings.Cut(err.Error(), "tls: "); ok {
		return fmt.Sprintf("the TLS handshake with %s failed: %s.", address, text)
	}
	return ""
}

// mend is what may help after an alert of the server.
func mend(alert string) string {
	switch {
	case strings.Contains(alert, "certificate"): // of this client, or that there is none
		return " It wants a certificate of this client: check --cert and --key."
	case strings.Contains(alert, "protocol version"):
		return " Another --tls-version may do."
	case strings.Contains(alert, "application protocol"):
		return " Check --tls-alpn."
	}
	return ""
}

func expired(address string, c *x509.Certificate) string {
	if now := time.Now(); now.Before(c.NotBefore) {
		return fmt.Sprintf("the certificate of %s is valid from %s on only. Is the clock of this machine right?", address, c.NotBefore.Format(time.DateTime))
	}
	return fmt.Sprintf("the certificate of %s has expired on %s. Renew it on the server, or check the clock of this machine.", address, c.NotAfter.Format(time.DateTime))
}

// names are those that a certificate is for.
func names(c *x509.Certificate) string {
	all := c.DNSNames
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	switch {
	case len(all) == 0:
		return "nobody"
	case len(all) > 4:
		return strings.Join(all[:4], ", ") + " and others"
	}
	return strings.Join(all, ", ")
}
