package scram

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// What the decoy of an unknown user looks like when lookup does not say:
// PostgreSQL's defaults.
const (
	decoyIterations = 4096
	decoySaltBytes  = 16
)

// Server is the server's side of one SCRAM-SHA-256 exchange.
type Server struct {
	lookup func(user string) (User, bool)
	nonce  string // the server's own, then the client's and the server's
	secret []byte
	state  state

	name  string // as the client says
	user  User   // of name, or a decoy
	known bool   // whether user is not a decoy
	gs2   string // header of the first message
	auth  string // AuthMessage so far
}

// state says which message is due.
type state uint8

const (
	stateFirst  state = iota
	stateFinal        // server: client-final; client: server-first
	stateVerify       // client only: server-final
	stateDone
	stateFailed
)

// NewServer starts an exchange. serverNonce is fresh, random, printable
// ASCII without a comma, at least 18 characters of it.
//
// A user whom lookup does not know is answered with a salt derived from secret,
// the same at each attempt, and fails where a wrong password fails. secret is
// random and lives as long as the process. lookup may return Iterations and
// Salt together with false: the decoy then has as many iterations and a salt of
// that length.
func NewServer(lookup func(user string) (User, bool), serverNonce string, secret []byte) *Server {
	return &Server{lookup: lookup, nonce: serverNonce, secret: secret}
}

// Step takes the client's next message and returns the answer to it. done is
// true with the second answer, which proves to the client that the server
// knows the user too. After an error the exchange is over; the error is
// ErrBadCredentials or says what is malformed.
func (s *Server) Step(in []byte) (out []byte, done bool, err error) {
	msg, err := message(in)
	state := s.state
	s.state = stateFailed
	if err != nil {
		return nil, false, err
	}
	switch state {
	case stateFirst:
		if out, err = s.first(msg); err == nil {
			s.state = stateFinal
		}
		return out, false, err
	case stateFinal:
		if out, err = s.final(msg); err == nil {
			s.state = stateDone
		}
		return out, err == nil, err
	}
	return nil, false, errors.New("exchange is over")
}

// User returns the name of the user once Step has reported done, "" before.
func (s *Server) User() string {
	if s.state != stateDone {
		return ""
	}
	return s.name
}

// first reads client-first: gs2 header, user name, nonce.
func (s *Server) first(msg string) ([]byte, error) {
	gs2, authzid, bare, err := splitGS2(msg)
	if err != nil {
		return nil, err
	}
	name, rest, err := attribute(bare, "n")
	if err != nil {
		return nil, err
	}
	if s.name, err = unescapeName(name); err != nil {
		return nil, err
	}
	if authzid != "" && authzid != s.name {
		return nil, errors.New("authorization identity is not the user name")
	}
	clientNonce, _, err := attribute(rest, "r")
	if err != nil {
		return nil, err
	}
	if !validNonce(clientNonce) || !validNonce(s.nonce) {
		return nil, errors.New("nonce is not printable ASCII")
	}
	s.gs2, s.nonce = gs2, clientNonce+s.nonce
	if s.user, s.known = s.lookup(s.name); !s.known {
		s.user = decoyUser(s.name, s.secret, s.user)
	}
	reply := "r=" + s.nonce +
		",s=" + base64.StdEncoding.EncodeToString(s.user.Salt) +
		",i=" + strconv.Itoa(s.user.Iterations)
	s.auth = bare + "," + reply + ","
	return []byte(reply), nil
}

// final reads client-final: channel binding, nonce, proof.
func (s *Server) final(msg string) ([]byte, error) {
	cut := strings.LastIndex(msg, ",p=")
	if cut < 0 {
		return nil, errors.New("message has no proof")
	}
	withoutProof, proofText := msg[:cut], msg[cut+len(",p="):]
	binding, rest, err := attribute(withoutProof, "c")
	if err != nil {
		return nil, err
	}
	if binding != base64.StdEncoding.EncodeToString([]byte(s.gs2)) {
		return nil, errors.New("channel binding differs from the first message")
	}
	nonce, _, err := attribute(rest, "r")
	if err != nil {
		return nil, err
	}
	if nonce != s.nonce {
		return nil, errors.New("nonce differs from the first message")
	}
	proof, err := base64.StdEncoding.Strict().DecodeString(proofText)
	if err != nil || len(proof) != sha256.Size {
		return nil, errors.New("proof is not 32 bytes of base64")
	}
	auth := s.auth + withoutProof
	stored := sha256.Sum256(xor(proof, sign(s.user.StoredKey, auth)))
	if ok := subtle.ConstantTimeCompare(stored[:], s.user.StoredKey) == 1; !ok || !s.known {
		return nil, ErrBadCredentials
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(sign(s.user.ServerKey, auth))), nil
}

// splitGS2 splits client-first into the gs2 header, the authorization identity
// in it, and the bare message. "y" says that the client could bind to the
// channel and thinks the server cannot, which is true.
func splitGS2(msg string) (header, authzid, bare string, err error) {
	flag, rest, _ := strings.Cut(msg, ",")
	switch {
	case strings.HasPrefix(flag, "p="):
		return "", "", "", errors.New("channel binding is not supported")
	case flag != "n" && flag != "y":
		return "", "", "", errors.New("message has no gs2 header")
	}
	identity, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return "", "", "", errors.New("message has no gs2 header")
	}
	if identity != "" {
		name, ok := strings.CutPrefix(identity, "a=")
		if !ok {
			return "", "", "", errors.New("gs2 header has no attribute a=")
		}
		if authzid, err = unescapeName(name); err != nil {
			return "", "", "", err
		}
	}
	return msg[:len(msg)-len(bare)], authzid, bare, nil
}

// unescapeName turns =2C into a comma and =3D into an equals sign; no other
// use of the equals sign is legal in a name.
func unescapeName(s string) (string, error) {
	var b strings.Builder
	for rest := s; ; {
		head, tail, found := strings.Cut(rest, "=")
		b.WriteString(head)
		switch {
		case !found && b.Len() == 0:
			return "", errors.New("user name is empty")
		case !found:
			return b.String(), nil
		case strings.HasPrefix(tail, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(tail, "3D"):
			b.WriteByte('=')
		default:
			return "", errors.New("user name has = other than in =2C and =3D")
		}
		rest = tail[2:]
	}
}

// decoyUser stands in for a user who does not exist. like gives the number of
// iterations and the length of the salt, if not zero.
func decoyUser(name string, secret []byte, like User) User {
	u := User{Iterations: like.Iterations, Salt: sign(secret, "salt\x00"+name)}
	if u.Iterations == 0 {
		u.Iterations = decoyIterations
	}
	n := len(like.Salt)
	if n == 0 {
		n = decoySaltBytes
	}
	u.Salt = bytes.Repeat(u.Salt, (n+sha256.Size-1)/sha256.Size)[:n]
	// Nobody knows a password for it, and final refuses it in any case.
	u.StoredKey = sign(secret, "stored\x00"+name)
	u.ServerKey = sign(secret, "server\x00"+name)
	return u
}
