package auth_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/auth"
)

func TestNewHashesAreAccepted(t *testing.T) {
	for _, kind := range []string{auth.KindPBKDF2, auth.KindArgon2id, auth.KindSHA512} {
		t.Run(kind, func(t *testing.T) {
			h, err := auth.NewHash(kind, []byte("secret"), 1000)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "passwords")
			if err := os.WriteFile(path, []byte("alice:"+h+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := auth.LoadPasswords(path)
			if err != nil {
				t.Fatal(err)
			}
			if !p.Check("alice", []byte("secret")) || p.Check("alice", []byte("Secret")) {
				t.Errorf("%s does not tell right from wrong", h)
			}
		})
	}
	for _, kind := range []string{auth.KindPBKDF2, auth.KindSHA512} {
		h, err := auth.NewHash(kind, []byte("secret"), 1000)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(h, "$")
		if salt, err := base64.StdEncoding.DecodeString(parts[len(parts)-2]); err != nil || len(salt) != 12 {
			t.Errorf("%s: a salt of %d bytes, %v; Mosquitto takes 12 only", h, len(salt), err)
		}
	}
	if _, err := auth.NewHash("md5", nil, 0); err == nil {
		t.Error("an unknown kind is accepted")
	}
}
