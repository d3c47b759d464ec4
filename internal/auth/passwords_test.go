package auth_test

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/auth"
)

// Lines that mosquitto_passwd 2.0.11 wrote, and the Argon2 reference
// implementation's own example.
const (
	linePBKDF2 = "u:$7$101$4AL1vSKdEk9jiSwx$eMyaGy2YxKv8Ys77UF18SpdPNEotv4H3yTia0UCKZIlfiKM1xwkp6623Qc8CqtRpEh8CJKOhWyDCCMpUN7qYOA=="
	lineEmpty  = "u2:$7$101$mkWunDT5KJoAgJIr$odOGWOSiBxvfi6AFqv46gcSwRtNqZFf7Voi8s2Ee0jC5CD13718+KUdll9lwzVZD5s9OkDyyyFPeMIExC85hFw=="
	lineSHA512 = "u3:$6$TfPEdonQBhoy5zUR$5jEySkNuR3UdcEjcqHC7q3JlZ/vFaxBxHXVBBY8fgrMOU0qe5xYCxzV8sINDrRKxbbP93B8Le/NqfXN3Ni78cg=="
	lineArgon2 = "u4:$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
)

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadPasswords(t testing.TB, text string) *auth.Passwords {
	t.Helper()
	p, err := auth.LoadPasswords(writeFile(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPasswordsOfEveryKindAreChecked(t *testing.T) {
	p := loadPasswords(t, "\ufeff# users\r\n"+linePBKDF2+"\r\n\n"+lineEmpty+" \n"+lineSHA512+"\n"+lineArgon2)
	if p.Len() != 4 {
		t.Errorf("Len() = %d; want 4", p.Len())
	}
	for name, tt := range map[string]struct {
		user, password string
		want           bool
	}{
		"PBKDF2":               {"u", "pw", true},
		"PBKDF2, wrong":        {"u", "pW", false},
		"PBKDF2, longer":       {"u", "pw ", false},
		"empty password":       {"u2", "", true},
		"empty password wrong": {"u2", "x", false},
		"SHA-512":              {"u3", "pw", true},
		"SHA-512, wrong":       {"u3", "", false},
		"Argon2id":             {"u4", "password", true},
		"Argon2id, wrong":      {"u4", "Password", false},
		"unknown user":         {"nobody", "pw", false},
		"no user":              {"", "", false},
		"name in other case":   {"U", "pw", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := p.Check(tt.user, []byte(tt.password)); got != tt.want {
				t.Errorf("Check(%q, %q) = %v; want %v", tt.user, tt.password, got, tt.want)
			}
		})
	}
}

func TestEmptyPasswordFileAdmitsNobody(t *testing.T) {
	p := loadPasswords(t, "# nobody yet\n")
	if p.Len() != 0 || p.Check("", nil) || p.Check("u", []byte("pw")) {
		t.Errorf("a file without users admits someone, Len() = %d", p.Len())
	}
}

func TestPasswordFileErrorsNameTheLine(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 64))
	for name, tt := range map[string]struct{ line, want string }{
		"plain text":         {"bob:hunter2", `password of user "bob" is not hashed; run mosquitto_passwd -U FILE`},
		"no colon":           {"bob", "line has no colon; want user:hash"},
		"no user":            {":$7$1$x$y", "line has no user name; want user:hash"},
		"no password":        {"bob:", `user "bob" has no password`},
		"user not UTF-8":     {"b\xffb:x", "user name is not UTF-8"},
		"same user again":    {"u:$6$YQ==$" + key, `user "u" is on line 1 already`},
		"unknown kind":       {"bob:$5$a$b", `password of user "bob": unknown kind of hash; want $7$, $6$ or $argon2id$`},
		"PBKDF2 fields":      {"bob:$7$101$YQ==", `password of user "bob": want $7$iterations$salt$hash`},
		"no iterations":      {"bob:$7$0$YQ==$" + key, `password of user "bob": want from 1 to 10000000 iterations`},
		"many iterations":    {"bob:$7$10000001$YQ==$" + key, `password of user "bob": want from 1 to 10000000 iterations`},
		"salt":               {"bob:$7$101$!$" + key, `password of user "bob": salt is not base64`},
		"empty salt":         {"bob:$6$$" + key, `password of user "bob": salt is not base64`},
		"hash":               {"bob:$7$101$YQ==$!", `password of user "bob": hash is not base64`},
		"short hash":         {"bob:$6$YQ==$YQ==", `password of user "bob": hash has 1 bytes; want 64`},
		"SHA-512 fields":     {"bob:$6$YQ==", `password of user "bob": want $6$salt$hash`},
		"Argon2id memory":    {"bob:$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", `password of user "bob": argon2id wants m= from 1 to 262144`},
		"Argon2id passes":    {"bob:$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", `password of user "bob": argon2id wants t= from 1 to 32`},
		"Argon2id threads":   {"bob:$argon2id$v=19$m=65536,t=1,p=17$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", `password of user "bob": argon2id wants p= from 1 to 16`},
		"Argon2id too small": {"bob:$argon2id$v=19$m=31,t=1,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", `password of user "bob": argon2id wants m of at least 8 times p`},
		"Argon2id version":   {"bob:$argon2id$v=16$m=65536,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", `password of user "bob": argon2id has a version other than v=19`},
		"Argon2id short":     {"bob:$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$CTFh", `password of user "bob": hash has 3 bytes; want 16 to 64`},
		"long line":          {"bob:$6$" + strings.Repeat("A", 5000), "line is longer than 4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, linePBKDF2+"\n\n"+tt.line+"\n")
			_, err := auth.LoadPasswords(path)
			want := path + ":3: " + strings.ReplaceAll(tt.want, "FILE", path)
			if err == nil || err.Error() != want {
				t.Errorf("error %v\n  want %s", err, want)
			}
		})
	}
}

func TestMissingPasswordFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent")
	if _, err := auth.LoadPasswords(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v; want one that names %s", err, path)
	}
}

func TestReloadKeepsTheOldUsersOnError(t *testing.T) {
	path := writeFile(t, linePBKDF2)
	p, err := auth.LoadPasswords(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		text     string
		ok       bool
		old, new bool // whether u and u3 may enter afterwards
	}{
		{"u:plain", false, true, false},
		{lineSHA512, true, false, true},
	} {
		if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.Reload(); (err == nil) != step.ok {
			t.Errorf("Reload of %q: %v", step.text, err)
		}
		if got := p.Check("u", []byte("pw")); got != step.old {
			t.Errorf("after %q the first user is admitted: %v; want %v", step.text, got, step.old)
		}
		if got := p.Check("u3", []byte("pw")); got != step.new {
			t.Errorf("after %q the second user is admitted: %v; want %v", step.text, got, step.new)
		}
	}
}

func TestReloadRunsBesideChecks(t *testing.T) {
	p := loadPasswords(t, linePBKDF2)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 20 {
				if !p.Check("u", []byte("pw")) {
					t.Error("user is refused during Reload")
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				if err := p.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestUnknownUserCostsWhatAWrongPasswordCosts(t *testing.T) {
	key, err := pbkdf2.Key(sha512.New, "pw", []byte("salt"), 100_000, 64)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	p := loadPasswords(t, fmt.Sprintf("a:$7$100000$%[1]s$%[2]s\nb:$7$100000$%[1]s$%[2]s\n", b64([]byte("salt")), b64(key))+linePBKDF2)
	// The fastest of three, because other programs share the machine.
	fastest := func(user string) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			p.Check(user, []byte("wrong"))
			best = min(best, time.Since(start))
		}
		return best
	}
	known, unknown := fastest("a"), fastest("nobody")
	// The commonest cost decides, not that of the cheap user at the end, which
	// is a thousandth of it.
	if unknown < known/10 || unknown > known*10 {
		t.Errorf("an unknown user takes %v, a wrong password %v", unknown, known)
	}
}

func FuzzLoadPasswords(f *testing.F) {
	for _, s := range []string{linePBKDF2, lineEmpty, lineSHA512, lineArgon2, "a:b", "#\n\n:", linePBKDF2 + "\n" + lineSHA512} {
		f.Add(s)
	}
	path := filepath.Join(f.TempDir(), "users")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := auth.LoadPasswords(path)
		lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
		if err != nil {
			var n int
			rest, ok := strings.CutPrefix(err.Error(), path+":")
			if _, scanErr := fmt.Sscanf(rest, "%d: ", &n); !ok || scanErr != nil || n < 1 || n > len(lines) {
				t.Errorf("error names no line of the file: %v", err)
			}
			return
		}
		users := 0
		for _, line := range lines {
			if line = strings.TrimRight(line, " \t\r"); line != "" && line[0] != '#' {
				users++
			}
		}
		if p.Len() != users {
			t.Errorf("%d users in %d lines that hold one", p.Len(), users)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	p := loadPasswords(b, linePBKDF2+"\n"+lineSHA512)
	for name, user := range map[string]string{"PBKDF2": "u", "SHA-512": "u3", "unknown": "nobody"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Check(user, []byte("pw"))
			}
		})
	}
}

func ExampleLoadPasswords() {
	dir, err := os.MkdirTemp("", "auth")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "users")
	if err := os.WriteFile(path, []byte(linePBKDF2), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	p, err := auth.LoadPasswords(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Check("u", []byte("pw")), p.Check("u", []byte("wrong")))
	// Output: true false
}
