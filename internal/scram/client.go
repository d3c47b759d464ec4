package scram

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// maxClientIterations is the most work a server may ask of a client, so that
// a hostile server cannot hold its clients for minutes.
const maxClientIterations = 1_000_000

// Client is the client's side of one SCRAM-SHA-256 exchange.
type Client struct {
	user, password, nonce string

	state  state
	bare   string // client-first without the gs2 header
	auth   string // AuthMessage, once known
	server []byte // ServerKey, once known
}

// NewClient starts an exchange. clientNonce is fresh, random, printable
// ASCII without a comma.
func NewClient(user, password, clientNonce string) *Client {
	return &Client{user: user, password: password, nonce: clientNonce}
}

// Step takes the server's message and returns the next of the client; the
// first call takes nil. done is true when the server's last message, which
// needs no answer, has proved that the server knows the user. After an error
// the exchange is over.
func (c *Client) Step(in []byte) (out []byte, done bool, err error) {
	msg, err := message(in)
	state := c.state
	c.state = stateFailed
	if err != nil {
		return nil, false, err
	}
	switch state {
	case stateFirst:
		out, err = c.first(msg)
	case stateFinal:
		out, err = c.final(msg)
	case stateVerify:
		err = c.verify(msg)
	default:
		err = errors.New("exchange is over")
	}
	if err != nil {
		return nil, false, err
	}
	c.state = state + 1
	return out, c.state == stateDone, nil
}

func (c *Client) first(msg string) ([]byte, error) {
	switch {
	case msg != "":
		return nil, errors.New("server speaks before the client")
	case !validNonce(c.nonce):
		return nil, errors.New("nonce is not printable ASCII")
	case c.user == "":
		return nil, errors.New("user name is empty")
	}
	c.bare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.user) + ",r=" + c.nonce
	return []byte("n,," + c.bare), nil
}

// final answers server-first: nonce, salt, iterations.
func (c *Client) final(msg string) ([]byte, error) {
	nonce, rest, err := attribute(msg, "r")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(nonce, c.nonce) || len(nonce) == len(c.nonce) || !validNonce(nonce) {
		return nil, errors.New("nonce of the server does not extend the client's")
	}
	saltText, rest, err := attribute(rest, "s")
	if err != nil {
		return nil, err
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(saltText)
	if err != nil || len(salt) == 0 {
		return nil, errors.New("salt is not base64")
	}
	count, _, err := attribute(rest, "i")
	if err != nil {
		return nil, err
	}
	iterations, err := parseIterations(count)
	if err != nil || iterations > maxClientIterations {
		return nil, fmt.Errorf("server asks for iterations other than 1 to %d", maxClientIterations)
	}
	keys, err := deriveKeys(c.password, salt, iterations)
	if err != nil {
		return nil, err
	}
	reply := "c=" + base64.StdEncoding.EncodeToString([]byte("n,,")) + ",r=" + nonce
	c.auth = c.bare + "," + msg + "," + reply
	c.server = keys.server
	proof := xor(keys.client, sign(keys.stored, c.auth))
	return []byte(reply + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verify checks server-final: the server's signature, or an error.
func (c *Client) verify(msg string) error {
	if reason, _, err := attribute(msg, "e"); err == nil {
		return fmt.Errorf("server refuses: %q", reason)
	}
	text, _, err := attribute(msg, "v")
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(signature) != sha256.Size {
		return errors.New("signature is not 32 bytes of base64")
	}
	if subtle.ConstantTimeCompare(signature, sign(c.server, c.auth)) != 1 {
		return ErrBadServer
	}
	return nil
}
