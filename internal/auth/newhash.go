package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// Kinds of hashes that NewHash makes, by the names of mosquitto_passwd -H.
const (
	KindPBKDF2   = "sha512-pbkdf2"
	KindArgon2id = "argon2id"
	KindSHA512   = "sha512" // for Mosquitto before 2.0 only: it is quick to guess
)

// DefaultIterations is for KindPBKDF2; OWASP's advice for SHA-512.
const DefaultIterations = 210_000

// saltBytes is what Mosquitto takes in hashes of SHA-512; it refuses others.
const saltBytes = 12

// Cost of new Argon2id hashes: OWASP's advice.
const (
	argonKiB     = 19 << 10
	argonPasses  = 2
	argonThreads = 1
)

// NewHash returns what stands after "user:" in a password file. iterations is
// for KindPBKDF2; 0 means DefaultIterations.
func NewHash(kind string, password []byte, iterations int) (string, error) {
	salt := make([]byte, saltBytes)
	if kind == KindArgon2id {
		salt = make([]byte, 16)
	}
	rand.Read(salt) // it never fails
	std := base64.StdEncoding.EncodeToString
	switch kind {
	case KindPBKDF2:
		if iterations == 0 {
			iterations = DefaultIterations
		}
		if iterations < 1 || iterations > maxIterations {
			return "", fmt.Errorf("iterations must be from 1 to %d", maxIterations)
		}
		key, err := pbkdf2.Key(sha512.New, string(password), salt, iterations, sha512.Size)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("$7$%d$%s$%s", iterations, std(salt), std(key)), nil
	case KindSHA512:
		sum := sha512.Sum512(append(append([]byte{}, password...), salt...))
		return "$6$" + std(salt) + "$" + std(sum[:]), nil
	case KindArgon2id:
		key := argon2.IDKey(password, salt, argonPasses, argonKiB, argonThreads, 32)
		raw := base64.RawStdEncoding.EncodeToString
		return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", argonKiB, argonPasses, argonThreads, raw(salt), raw(key)), nil
	}
	return "", fmt.Errorf("unknown kind of hash %q", kind)
}
