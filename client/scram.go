package client

import (
	"crypto/rand"
	"errors"

	"github.com/wirebird/wirebird/internal/scram"
)

// SCRAM returns an Authenticator for SCRAM-SHA-256 (RFC 7677): the server learns
// that the client knows the password, but not the password, and the client that
// the server knows the user. A server that cannot prove it is left. The password is
// taken as it is, without SASLprep, which changes nothing in ASCII. A server may ask
// for up to 1,000,000 iterations. One Client uses it at a time.
func SCRAM(username, password string) Authenticator {
	return &scramAuth{username: username, password: password}
}

type scramAuth struct {
	username, password string
	exchange           *scram.Client
	proved             bool // the server has
}

func (a *scramAuth) check() error {
	if a.username == "" {
		return errors.New("SCRAM needs a user name")
	}
	return checkText("SCRAM user name", a.username)
}

// Method is SCRAM-SHA-256.
func (a *scramAuth) Method() string { return scram.Method }

// Start begins a new exchange.
func (a *scramAuth) Start() []byte {
	a.exchange, a.proved = scram.NewClient(a.username, a.password, rand.Text()), false
	first, _, err := a.exchange.Step(nil)
	if err != nil {
		return nil // check has seen the user name
	}
	return first
}

// Step answers the server's first message, and checks its second.
func (a *scramAuth) Step(in []byte) (out []byte, err error) {
	out, a.proved, err = a.exchange.Step(in)
	return out, err
}

// Finish refuses a server that has left out its signature.
func (a *scramAuth) Finish() error {
	if !a.proved {
		return errors.New("server accepts without having proved that it knows the password")
	}
	return nil
}
