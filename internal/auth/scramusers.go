package auth

import (
	"fmt"
	"sync/atomic"

	"github.com/wirebird/wirebird/internal/scram"
)

// ScramUsers is a file of users and SCRAM verifiers, one a line:
// user:SCRAM-SHA-256$iterations:salt$stored:server. It is safe for concurrent
// use.
type ScramUsers struct {
	path  string
	table atomic.Pointer[scramTable]
}

// scramTable is immutable once built.
type scramTable struct {
	users map[string]scram.User
	like  scram.User // iterations and salt that most users have
}

// LoadScram reads the file at path. A file without users is legal.
func LoadScram(path string) (*ScramUsers, error) {
	s := &ScramUsers{path: path}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the file again. On error the users stay as they were.
func (s *ScramUsers) Reload() error {
	users := make(map[string]scram.User)
	if err := readUsers(s.path, func(user, secret string) error {
		u, err := scram.ParseUser(secret)
		if err != nil {
			return fmt.Errorf("verifier of user %q: %w", user, err)
		}
		users[user] = u
		return nil
	}); err != nil {
		return err
	}
	s.table.Store(&scramTable{users: users, like: likeMost(users)})
	return nil
}

// Lookup returns the verifier of user. For one who does not exist it returns
// false and a verifier that has only the iterations and the length of the salt
// most users have, which is what scram.NewServer wants to know.
func (s *ScramUsers) Lookup(user string) (scram.User, bool) {
	t := s.table.Load()
	if u, ok := t.users[user]; ok {
		return u, true
	}
	return t.like, false
}

// Len returns the number of users.
func (s *ScramUsers) Len() int { return len(s.table.Load().users) }

func likeMost(users map[string]scram.User) scram.User {
	counts := make(map[string]int)
	byCost := make(map[string]scram.User)
	for _, u := range users {
		cost := fmt.Sprintf("%d:%d", u.Iterations, len(u.Salt))
		counts[cost]++
		byCost[cost] = scram.User{Iterations: u.Iterations, Salt: make([]byte, len(u.Salt))}
	}
	return byCost[commonest(counts)]
}
