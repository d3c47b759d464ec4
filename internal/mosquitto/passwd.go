package mosquitto

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/wirebird/wirebird/internal/auth"
)

// passwdOptions is the table of passwd. They are read by hand, because they
// stand before the file.
func passwdOptions() []Option {
	return inGroup("Options", []Option{
		{Short: "-c", Help: "create the file, or overwrite it; with - for the file print the line"},
		{Short: "-b", Help: "take the password from the command line"},
		{Short: "-D", Help: "delete the user"},
		{Short: "-H", Arg: "hash", Help: "sha512-pbkdf2 (default), argon2id or sha512"},
		{Short: "-I", Arg: "count", Help: "iterations of sha512-pbkdf2 (default 210000)"},
		{Short: "-U", Help: "hash the plain passwords of the file"},
		{Long: "--help", Help: "print this text"},
	})
}

// passwdCall is what the arguments of passwd say.
type passwdCall struct {
	*Call
	create, batch, remove, upgrade bool
	kind                           string
	iterations                     int
	rest                           []string // file, user, password
}

// passwd runs mosquitto_passwd.
func (c *Call) passwd() int {
	p := &passwdCall{Call: c, kind: auth.KindPBKDF2}
	if err := p.parse(); err != nil {
		return c.misused(err)
	}
	file := p.rest[0]
	if p.upgrade {
		return p.save(file, p.upgradeAll)
	}
	user := p.rest[1]
	switch {
	case len(user) > 65535:
		return p.fail("Error: Username must be less than 65536 characters long.")
	case user == "":
		return p.fail("Error: Username must not be empty.")
	case strings.Contains(user, ":"):
		return p.fail("Error: Username must not contain the ':' character.")
	case strings.ContainsFunc(user, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return p.fail("Error: Username must not contain control characters.")
	}
	if p.remove {
		return p.save(file, func(lines []string) ([]string, error) { return removeUser(lines, user) })
	}
	if !p.create { // before anybody types a password for nothing
		if _, err := os.Stat(file); err != nil {
			return p.cannotOpen(file, err)
		}
	}
	password, status := p.password()
	if status != 0 {
		return status
	}
	hash, err := auth.NewHash(p.kind, []byte(password), p.iterations)
	if err != nil {
		return p.fail("Error: Unable to hash password: %v.", err)
	}
	line := user + ":" + hash
	if p.create && file == "-" {
		fmt.Fprintln(p.Out, line)
		return 0
	}
	return p.save(file, func(lines []string) ([]string, error) { return setUser(lines, user, line), nil })
}

func (p *passwdCall) parse() error {
	args := p.Args
	for ; len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-'; args = args[1:] {
		switch args[0] {
		case "-c":
			p.create = true
		case "-b":
			p.batch = true
		case "-D":
			p.remove = true
		case "-U":
			p.upgrade = true
		case "-H", "-I":
			if len(args) < 2 {
				return bare("Error: %s argument given but not enough other arguments.", args[0]).ours("%s needs an argument.", args[0])
			}
			if err := p.cost(args[0], args[1]); err != nil {
				return err
			}
			args = args[1:]
		case "--help":
			return errHelp
		default:
			return showUsage().ours("unknown option %q. Run '%s --help' for what there is.", args[0], p.Name)
		}
	}
	p.rest = args
	return p.check()
}

// cost reads -H and -I.
func (p *passwdCall) cost(option, value string) error {
	if option == "-I" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return bare("Error: Number of iterations must be > 0.").ours("-I must be at least 1, not %q.", value)
		}
		p.iterations = n
		return nil
	}
	switch value {
	case auth.KindPBKDF2, auth.KindArgon2id, auth.KindSHA512:
		p.kind = value
		return nil
	}
	return bare("Error: Unknown hash type '%s'", value).ours("-H must be sha512-pbkdf2, argon2id or sha512, not %q.", value)
}

// bare is a usageError without the hint at its end.
func bare(format string, args ...any) *usageError {
	e := usagef(format+"\n", args...)
	e.bare = true
	return e
}

// showUsage is one that shows the usage text only.
func showUsage() *usageError { return &usageError{bare: true, usage: true} }

func (p *passwdCall) check() error {
	want := 2
	if p.batch {
		want = 3
	}
	switch n := len(p.rest); {
	case p.create && p.remove:
		return bare("Error: -c and -D cannot be used together.")
	case p.create && p.upgrade:
		return bare("Error: -c and -U cannot be used together.")
	case p.remove && p.upgrade:
		return bare("Error: -D and -U cannot be used together.")
	case p.batch && p.remove:
		return bare("Error: -b and -D cannot be used together.")
	case p.upgrade && n < 1:
		return bare("Error: -U argument given but password file missing.")
	case p.create && p.batch && n < 3:
		return bare("Error: -c argument given but password file, username, or password missing.")
	case p.create && n < 2:
		return bare("Error: -c argument given but password file or username missing.")
	case p.remove && n < 2:
		return bare("Error: -D argument given but password file or username missing.")
	case !p.upgrade && n < want && p.batch:
		return showUsage().ours("-b wants a file, a user and a password, as: %s -b FILE USER PASSWORD.", p.Name)
	case !p.upgrade && n < want:
		return showUsage().ours("want a file and a user, as: %s FILE USER.", p.Name)
	}
	return nil
}

func (p *passwdCall) fail(format string, args ...any) int {
	fmt.Fprintf(p.Err, format+"\n", args...)
	return exitFailed
}

func (p *passwdCall) cannotOpen(path string, err error) int {
	text := ""
	if errors.Is(err, fs.ErrNotExist) && p.ours() {
		text = " Add -c to make it."
	}
	return p.fail("Error: Unable to open password file %s. %s.%s", path, cause(err), text)
}

// password asks twice, unless it stands on the command line.
func (p *passwdCall) password() (string, int) {
	if p.batch {
		if len(p.rest[2]) > 65535 {
			return "", p.fail("Error: Password must be less than 65536 characters long.")
		}
		return p.rest[2], 0
	}
	defer hideTyping(p.In)()
	in := bufio.NewReader(p.In)
	ask := func(prompt string) string {
		fmt.Fprint(p.Out, prompt)
		line, _ := in.ReadString('\n') // an end is an empty password
		return strings.TrimRight(line, "\r\n")
	}
	first := ask("Password: ")
	if first == "" {
		return "", p.fail("Error: Empty password.")
	}
	fmt.Fprintln(p.Out)
	second := ask("Reenter password: ")
	fmt.Fprintln(p.Out)
	if first != second {
		p.fail("Error: Passwords do not match.")
		return "", 2 // mosquitto_passwd's own
	}
	return first, 0
}

// save changes the lines of the file by way of a new file, so that a reader
// sees either the old or the new one.
func (p *passwdCall) save(path string, change func([]string) ([]string, error)) int {
	var lines []string
	mode := os.FileMode(0o600)
	if !p.create {
		b, err := os.ReadFile(path)
		if err != nil {
			return p.cannotOpen(path, err)
		}
		if text := strings.TrimSuffix(string(b), "\n"); text != "" {
			lines = strings.Split(text, "\n")
		}
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	lines, err := change(lines)
	if err != nil {
		return p.fail("%v", err)
	}
	if err := replaceFile(path, mode, lines); err != nil {
		return p.fail("Error: Unable to open file %s for writing. %s.", path, cause(err))
	}
	return 0
}

func replaceFile(path string, mode os.FileMode, lines []string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".passwd-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is gone when all went well
	text := strings.Join(lines, "\n")
	if text != "" {
		text += "\n"
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func setUser(lines []string, user, line string) []string {
	for i, l := range lines {
		if strings.HasPrefix(l, user+":") {
			lines[i] = line
			return lines
		}
	}
	return append(lines, line)
}

func removeUser(lines []string, user string) ([]string, error) {
	for i, l := range lines {
		if strings.HasPrefix(l, user+":") {
			return append(lines[:i], lines[i+1:]...), nil
		}
	}
	return nil, fmt.Errorf("Warning: User %s not found in password file.", user)
}

// upgradeAll hashes the passwords of lines that are user:password. Hashed ones
// stay as they are.
func (p *passwdCall) upgradeAll(lines []string) ([]string, error) {
	for i, l := range lines {
		user, password, ok := strings.Cut(l, ":")
		if strings.HasPrefix(l, "#") || strings.TrimSpace(l) == "" || isHash(password) {
			continue
		}
		if !ok || password == "" {
			return nil, fmt.Errorf("Error: Corrupt password file at line %d.", i+1)
		}
		hash, err := auth.NewHash(p.kind, []byte(password), p.iterations)
		if err != nil {
			return nil, fmt.Errorf("Error: Unable to hash password: %w.", err)
		}
		lines[i] = user + ":" + hash
	}
	return lines, nil
}

func isHash(s string) bool {
	for _, prefix := range []string{"$6$", "$7$", "$argon2id$"} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
