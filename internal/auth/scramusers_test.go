package auth_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/wirebird/wirebird/internal/auth"
	"github.com/wirebird/wirebird/internal/scram"
)

func TestScramFileIsLookedUp(t *testing.T) {
	alice := scram.Derive("a", []byte("0123456789abcdef"), 4096)
	bob := scram.Derive("b", []byte("0123456789abcdeg"), 4096)
	eve := scram.Derive("e", []byte("salt"), 5000)
	path := writeFile(t, fmt.Sprintf("# people\nalice:%v\nbob:%v\neve:%v\n", alice, bob, eve))
	users, err := auth.LoadScram(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := users.Lookup("bob"); !ok || got.String() != bob.String() || users.Len() != 3 {
		t.Errorf("Lookup(bob) = %v, %v of %d; want %v of 3", got, ok, users.Len(), bob)
	}
	if got, ok := users.Lookup("nobody"); ok || got.Iterations != 4096 || len(got.Salt) != 16 || got.StoredKey != nil {
		t.Errorf("Lookup(nobody) = %+v, %v; want only what most users have", got, ok)
	}
	if err := os.WriteFile(path, []byte("bob:plain"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := path + `:1: verifier of user "bob": want SCRAM-SHA-256$iterations:salt$stored:server`
	if err := users.Reload(); err == nil || err.Error() != want {
		t.Errorf("Reload: %v; want %s", err, want)
	}
	if users.Len() != 3 {
		t.Errorf("%d users after a failed Reload; want the old 3", users.Len())
	}
}

func TestEmptyScramFileIsLegal(t *testing.T) {
	users, err := auth.LoadScram(writeFile(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := users.Lookup("nobody"); ok || users.Len() != 0 {
		t.Error("an empty file has users")
	}
}
