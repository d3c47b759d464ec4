package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Method is the Authentication Method a client names in CONNECT.
const Method = "SCRAM-SHA-256"

// maxIterations bounds the cost of one exchange, so that a slip in a file does not
// stop the broker for minutes.
const maxIterations = 10_000_000

// maxSaltBytes is the longest salt that ParseUser takes.
const maxSaltBytes = 4096

// ErrBadCredentials says that the peer does not know the password, or that the
// user does not exist; which of the two is never told. Every other error of an
// exchange says that a message is malformed.
var ErrBadCredentials = errors.New("user name or password is wrong")

// ErrBadServer says that the server does not know the password, whatever it claims.
var ErrBadServer = errors.New("signature of the server is wrong: it does not know the password")

// maxBytes is the longest message either side of an exchange reads.
const maxBytes = 4096

// User is what the server keeps of a password: enough to check it, not
// enough to log in elsewhere. It is a secret all the same, because it allows
// guessing the password offline.
type User struct {
	Salt       []byte
	StoredKey  []byte // 32 bytes
	ServerKey  []byte // 32 bytes
	Iterations int
}

// Derive returns what a server keeps of password. It panics when
// iterations are less than one or more than 10 million. RFC 7677 asks for at
// least 4096 iterations and RFC 5802 for a salt that is random for each user.
//
// Passwords are taken as they are, without SASLprep, which changes nothing in
// ASCII.
func Derive(password string, salt []byte, iterations int) User {
	if iterations < 1 || iterations > maxIterations {
		panic(fmt.Sprintf("scram: Derive with %d iterations", iterations))
	}
	k, err := deriveKeys(password, salt, iterations)
	if err != nil {
		panic(err)
	}
	return k.user(salt, iterations)
}

// String returns u in PostgreSQL's form, which ParseUser reads:
// SCRAM-SHA-256$iterations:salt$stored:server.
func (u User) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", Method, u.Iterations, b64(u.Salt), b64(u.StoredKey), b64(u.ServerKey))
}

// ParseUser reads what User.String writes.
func ParseUser(s string) (User, error) {
	method, rest, _ := strings.Cut(s, "$")
	params, keys, ok := strings.Cut(rest, "$")
	iterations, salt, okParams := strings.Cut(params, ":")
	stored, server, okKeys := strings.Cut(keys, ":")
	if method != Method || !ok || !okParams || !okKeys {
		return User{}, errors.New("want SCRAM-SHA-256$iterations:salt$stored:server")
	}
	n, err := parseIterations(iterations)
	if err != nil {
		return User{}, err
	}
	u := User{Iterations: n}
	for _, part := range []struct {
		name, text string
		dst        *[]byte
		least, max int // bytes
	}{
		{"salt", salt, &u.Salt, 1, maxSaltBytes},
		{"stored key", stored, &u.StoredKey, sha256.Size, sha256.Size},
		{"server key", server, &u.ServerKey, sha256.Size, sha256.Size},
	} {
		b, err := base64.StdEncoding.Strict().DecodeString(part.text)
		if err != nil {
			return User{}, fmt.Errorf("%s is not base64", part.name)
		}
		if len(b) < part.least || len(b) > part.max {
			return User{}, fmt.Errorf("%s has %d bytes; want at least %d", part.name, len(b), part.least)
		}
		*part.dst = b
	}
	return u, nil
}

func parseIterations(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxIterations {
		return 0, fmt.Errorf("want from 1 to %d iterations", maxIterations)
	}
	return n, nil
}

// keys are the keys of RFC 5802, section 3, that a password gives.
type keys struct{ client, stored, server []byte }

func deriveKeys(password string, salt []byte, iterations int) (keys, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return keys{}, fmt.Errorf("derive SCRAM keys: %w", err) // FIPS 140 mode forbids the parameters
	}
	client := sign(salted, "Client Key")
	stored := sha256.Sum256(client)
	return keys{client: client, stored: stored[:], server: sign(salted, "Server Key")}, nil
}

func (k keys) user(salt []byte, iterations int) User {
	return User{Salt: bytes.Clone(salt), StoredKey: k.stored, ServerKey: k.server, Iterations: iterations}
}

// sign returns HMAC-SHA-256 of text.
func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// xor returns a XOR b, which have the same length.
func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// message checks what both sides check of any message of an exchange.
func message(in []byte) (string, error) {
	switch {
	case len(in) > maxBytes:
		return "", fmt.Errorf("message has %d bytes; at most %d are read", len(in), maxBytes)
	case !utf8.Valid(in) || bytes.IndexByte(in, 0) >= 0:
		return "", errors.New("message is not UTF-8 text")
	}
	return string(in), nil
}

// attribute takes "name=value" off the front of a message. Extensions that
// are not known may follow the known ones and are ignored by the callers;
// in their place they would be mandatory, and are an error here.
func attribute(msg, name string) (value, rest string, err error) {
	head, rest, _ := strings.Cut(msg, ",")
	value, ok := strings.CutPrefix(head, name+"=")
	if !ok {
		return "", "", fmt.Errorf("message has no attribute %s= where it is due", name)
	}
	return value, rest, nil
}

// validNonce reports whether s consists of printable ASCII without the comma.
func validNonce(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}
