package auth_test

import (
	"os"
	"path/filepath"
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
	if _, err := auth.NewHash("md5", nil, 0); err == nil {
		t.Error("an unknown kind is accepted")
	}
}
