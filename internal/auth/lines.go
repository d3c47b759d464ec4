package auth

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

const (
	// maxLineBytes is the longest line of a credential file.
	maxLineBytes = 4096
	// maxIterations bounds the cost of one check, so that a slip in a file
	// does not stop the broker for minutes.
	maxIterations = 10_000_000
)

// readUsers calls add for each "user:secret" line of the file at path. Blank
// lines and lines that start with # are skipped. An error names file and line
// and never the secret.
func readUsers(path string, add func(user, secret string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err // it names the path already
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLineBytes)
	first := make(map[string]int) // user to line
	n := 0
	for lines.Scan() {
		n++
		line := lines.Text()
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // editors on Windows write one
		}
		line = strings.TrimRight(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		user, secret, err := splitUser(line)
		switch {
		case err != nil:
		case first[user] != 0:
			err = fmt.Errorf("user %q is on line %d already", user, first[user])
		default:
			first[user] = n
			err = add(user, secret)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d: line is longer than %d bytes", path, n+1, maxLineBytes)
	case err != nil:
		return fmt.Errorf("%s:%d: %w", path, n+1, err)
	}
	return nil
}

func splitUser(line string) (user, secret string, err error) {
	user, secret, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		return "", "", errors.New("line has no colon; want user:hash")
	case user == "":
		return "", "", errors.New("line has no user name; want user:hash")
	case !utf8.ValidString(user):
		return "", "", errors.New("user name is not UTF-8")
	case secret == "":
		return "", "", fmt.Errorf("user %q has no password", user)
	}
	return user, secret, nil
}

// commonest returns the key with the highest count, the greatest of several:
// the choice must not depend on the order of a map.
func commonest(counts map[string]int) string {
	best := ""
	for key, n := range counts {
		if n > counts[best] || n == counts[best] && key > best {
			best = key
		}
	}
	return best
}
