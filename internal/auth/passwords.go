package auth

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// Passwords is a file of users and password hashes, as mosquitto_passwd writes
// it. It is safe for concurrent use.
type Passwords struct {
	path  string
	table atomic.Pointer[passwordTable]
}

// passwordTable is immutable once built.
type passwordTable struct {
	users map[string]hash
	decoy hash // checked for users that do not exist
}

// LoadPasswords reads the file at path. It takes three kinds of hash: $7$
// (PBKDF2 with SHA-512, what mosquitto_passwd writes), $6$ (salted SHA-512,
// mosquitto_passwd -H sha512) and $argon2id$. A file without users is legal.
func LoadPasswords(path string) (*Passwords, error) {
	p := &Passwords{path: path}
	if err := p.Reload(); err != nil {
		return nil, err
	}
	return p, nil
}

// Reload reads the file again. On error the users stay as they were.
func (p *Passwords) Reload() error {
	users := make(map[string]hash)
	if err := readUsers(p.path, func(user, secret string) error {
		h, err := parseHash(secret)
		switch {
		case err == nil:
			users[user] = h
			return nil
		case strings.HasPrefix(secret, "$"):
			return fmt.Errorf("password of user %q: %w", user, err)
		}
		return fmt.Errorf("password of user %q is not hashed; run mosquitto_passwd -U %s", user, p.path)
	}); err != nil {
		return err
	}
	p.table.Store(&passwordTable{users: users, decoy: decoyFor(users)})
	return nil
}

// Check reports whether password is that of user. A user who does not exist
// takes as long as a wrong password, so that the time tells nobody who exists.
func (p *Passwords) Check(user string, password []byte) bool {
	t := p.table.Load()
	h, ok := t.users[user]
	if !ok {
		h = t.decoy
	}
	return h.matches(password) && ok
}

// Len returns the number of users.
func (p *Passwords) Len() int { return len(p.table.Load().users) }

// decoyFor returns a hash that costs what most hashes of users cost. In a file
// of several kinds the time still tells the kinds apart; a file made by one
// tool has one kind.
func decoyFor(users map[string]hash) hash {
	if len(users) == 0 {
		return &pbkdf2Hash{iterations: 101, salt: make([]byte, 12), key: make([]byte, 64)}
	}
	counts := make(map[string]int)
	byCost := make(map[string]hash)
	for _, h := range users {
		counts[h.cost()]++
		byCost[h.cost()] = h
	}
	return byCost[commonest(counts)]
}
