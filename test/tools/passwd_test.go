package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// passwdLine is one command line of mosquitto_passwd, in a directory of its own.
type passwdLine struct {
	args, in string
	file     string // content of the file "f" before; empty for no file
	differs  string
}

const plainFile = "alice:secret\nbob:hunter2\n"

// hashed is a file with the passwords of plainFile.
const hashed = "alice:$7$101$AAAAAAAAAAAAAAAA$" + "AAAA\nbob:$6$AAAA$AAAA\n"

var passwdLines = []passwdLine{
	{args: "-c -b f alice secret"},
	{args: "-c f alice", in: "secret\nsecret\n"},
	{args: "-c f alice", in: "secret\nother\n"},
	{args: "-c f alice", in: "\n\n"},
	{args: "-b f carol pw", file: hashed},
	{args: "-b f alice pw", file: hashed},
	{args: "-c -b f carol pw", file: hashed},
	{args: "f carol", in: "x\nx\n", file: hashed},
	{args: "-b -H sha512 f carol pw", file: hashed},
	{args: "-H sha512-pbkdf2 -b f carol pw", file: hashed},
	{args: "-H sha512 -c -b f carol pw"},
	{args: "-H foo -b f carol pw", file: hashed},
	{args: "-H"},
	{args: "-D f alice", file: hashed},
	{args: "-D f bob", file: hashed},
	{args: "-D f nobody", file: hashed},
	{args: "-D f alice"},
	{args: "-U f", file: plainFile},
	{args: "-U -H sha512 f", file: plainFile},
	{args: "-H sha512 -U f", file: plainFile},
	{args: "-U f", file: hashed, differs: "`passwd -U` a second time"},
	{args: "-U f", file: "alice\n"},
	{args: "-U f", file: "alice:\n"},
	{args: "-U f"},
	{args: "-b f alice pw"},
	{args: "f alice", in: "x\nx\n"},
	{args: "-c -b nodir/f alice pw"},
	{args: "-b f a:b pw", file: hashed},
	{args: "-c -b f a:b pw"},
	{args: "-c -b f '' pw", differs: "`passwd` with an empty user name"},
	{args: "-c -b f alice ''"},
	{args: "-c -D f alice", file: hashed},
	{args: "-c -U f", file: hashed},
	{args: "-D -U f", file: hashed},
	{args: "-b -D f alice", file: hashed},
	{args: "-b -U f", file: plainFile},
	{args: "-c"},
	{args: "-c f"},
	{args: "-c -b f alice"},
	{args: "-b f alice"},
	{args: "-D f"},
	{args: "-D"},
	{args: "-U"},
	{args: "-b"},
	{args: ""},
	{args: "f"},
	{args: "-x f alice"},
	{args: "--help"},
}

var (
	pbkdf2 = regexp.MustCompile(`\$7\$\d+\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==`)
	sha512 = regexp.MustCompile(`\$6\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==`)
)

// runPasswd returns everything there is to compare, with what is random taken
// from the hashes.
func (b *bench) runPasswd(t *testing.T, tool string, l passwdLine) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if l.file != "" {
		if err := os.WriteFile(path, []byte(l.file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, split(l.args)...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(l.in)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	if strings.Contains(out.String(), "\nUsage:") {
		out.Reset()
		out.WriteString("USAGE")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		content = []byte("NONE")
	}
	file := pbkdf2.ReplaceAllString(sha512.ReplaceAllString(string(content), "SHA512"), "PBKDF2")
	return fmt.Sprintf("status %d\n--- stdout\n%s\n--- stderr\n%s\n--- file\n%s", cmd.ProcessState.ExitCode(), &out, &errOut, file)
}

func TestPasswdDoesAsMosquittos(t *testing.T) {
	b := newBench(t)
	theirs, ours := b.tools(t, "passwd")
	page := readPage(t)
	for _, l := range passwdLines {
		t.Run(fmt.Sprintf("%s %q", l.args, l.file), func(t *testing.T) {
			t.Parallel()
			compare(t, page, l.differs, b.runPasswd(t, theirs, l), b.runPasswd(t, ours, l))
		})
	}
}
