package auth

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Limits on the cost of an Argon2id hash. OWASP's advice is 46 MiB and one
// pass; these leave room above it and stop a slip from exhausting the machine.
const (
	maxArgonKiB     = 256 << 10
	maxArgonPasses  = 32
	maxArgonThreads = 16
)

// hash is one stored password.
type hash interface {
	// matches reports whether password is the one stored, in a time that
	// depends on cost and the password's length only.
	matches(password []byte) bool
	// cost names everything the duration of matches depends on.
	cost() string
}

// parseHash reads what follows "user:". Errors never quote it: it may be a
// password in plain text.
func parseHash(s string) (hash, error) {
	fields := strings.Split(s, "$")
	if fields[0] == "" && len(fields) > 1 {
		switch fields[1] {
		case "6":
			return parseSHA512(fields[2:])
		case "7":
			return parsePBKDF2(fields[2:])
		case "argon2id":
			return parseArgon2id(fields[2:])
		}
	}
	return nil, errors.New("unknown kind of hash; want $7$, $6$ or $argon2id$")
}

// sha512Hash is SHA-512(password + salt), the default before mosquitto 2.0.
type sha512Hash struct{ salt, sum []byte }

func parseSHA512(fields []string) (hash, error) {
	if len(fields) != 2 {
		return nil, errors.New("want $6$salt$hash")
	}
	h := new(sha512Hash)
	return h, decodeSaltAndKey(base64.StdEncoding, fields[0], fields[1], &h.salt, &h.sum)
}

func (h *sha512Hash) matches(password []byte) bool {
	d := sha512.New()
	d.Write(password)
	d.Write(h.salt)
	return subtle.ConstantTimeCompare(d.Sum(nil), h.sum) == 1
}

func (h *sha512Hash) cost() string { return "$6$" }

// pbkdf2Hash is PBKDF2 with HMAC-SHA-512 and a key of 64 bytes.
type pbkdf2Hash struct {
	iterations int
	salt, key  []byte
}

func parsePBKDF2(fields []string) (hash, error) {
	if len(fields) != 3 {
		return nil, errors.New("want $7$iterations$salt$hash")
	}
	n, err := parseIterations(fields[0])
	if err != nil {
		return nil, err
	}
	h := &pbkdf2Hash{iterations: n}
	return h, decodeSaltAndKey(base64.StdEncoding, fields[1], fields[2], &h.salt, &h.key)
}

func (h *pbkdf2Hash) matches(password []byte) bool {
	key, err := pbkdf2.Key(sha512.New, string(password), h.salt, h.iterations, len(h.key))
	// An error means that FIPS 140 mode forbids these parameters.
	return err == nil && subtle.ConstantTimeCompare(key, h.key) == 1
}

func (h *pbkdf2Hash) cost() string { return fmt.Sprintf("$7$%d", h.iterations) }

// argon2Hash is Argon2id, version 19, in PHC form.
type argon2Hash struct {
	memoryKiB, passes uint32
	threads           uint8
	salt, key         []byte
}

func parseArgon2id(fields []string) (hash, error) {
	if len(fields) != 4 {
		return nil, errors.New("want $argon2id$v=19$m=KIB,t=PASSES,p=THREADS$salt$hash")
	}
	if fields[0] != "v=19" {
		return nil, errors.New("argon2id has a version other than v=19")
	}
	params := strings.Split(fields[1], ",")
	if len(params) != 3 {
		return nil, errors.New("argon2id wants the parameters m, t and p")
	}
	m, errM := argonParam(params[0], "m=", maxArgonKiB)
	t, errT := argonParam(params[1], "t=", maxArgonPasses)
	p, errP := argonParam(params[2], "p=", maxArgonThreads)
	if err := errors.Join(errM, errT, errP); err != nil {
		return nil, err
	}
	if m < 8*p {
		return nil, errors.New("argon2id wants m of at least 8 times p")
	}
	h := &argon2Hash{memoryKiB: m, passes: t, threads: uint8(p)}
	return h, decodeSaltAndKey(base64.RawStdEncoding, fields[2], fields[3], &h.salt, &h.key)
}

func argonParam(s, name string, limit uint64) (uint32, error) {
	digits, ok := strings.CutPrefix(s, name)
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || n < 1 || n > limit {
		return 0, fmt.Errorf("argon2id wants %s from 1 to %d", name, limit)
	}
	return uint32(n), nil
}

func (h *argon2Hash) matches(password []byte) bool {
	key := argon2.IDKey(password, h.salt, h.passes, h.memoryKiB, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func (h *argon2Hash) cost() string {
	return fmt.Sprintf("$argon2id$m=%d,t=%d,p=%d,%d", h.memoryKiB, h.passes, h.threads, len(h.key))
}

func parseIterations(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxIterations {
		return 0, fmt.Errorf("want from 1 to %d iterations", maxIterations)
	}
	return n, nil
}

// decodeSaltAndKey fills salt and key. A SHA-512 key has 64 bytes; Argon2
// keys, which are in unpadded base64, have 16 to 64.
func decodeSaltAndKey(enc *base64.Encoding, saltText, keyText string, salt, key *[]byte) (err error) {
	if *salt, err = enc.Strict().DecodeString(saltText); err != nil || len(*salt) == 0 {
		return errors.New("salt is not base64")
	}
	if *key, err = enc.Strict().DecodeString(keyText); err != nil {
		return errors.New("hash is not base64")
	}
	least, want := 64, "64"
	if enc == base64.RawStdEncoding {
		least, want = 16, "16 to 64"
	}
	if n := len(*key); n < least || n > 64 {
		return fmt.Errorf("hash has %d bytes; want %s", n, want)
	}
	return nil
}
