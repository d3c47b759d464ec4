// Package tools runs the same command lines through Mosquitto's tools and ours,
// against a server that records what they send.
package tools

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// runTimeout is for one run of a tool; those that wait for the network by
// themselves have -W.
const runTimeout = 10 * time.Second

// TestMain lets more runs wait at once than there are processors: most of their
// time is somebody's timer.
func TestMain(m *testing.M) {
	flag.Parse()
	if otherDriver {
		return
	}
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code := m.Run()
	if b, err := shared(); err == nil {
		os.RemoveAll(b.dir)
	}
	os.Exit(code)
}

// bench is what all runs share.
type bench struct {
	dir   string // ours, links to it, certificates and input files
	certs *certificates
}

// newBench returns the one that all tests share.
func newBench(t *testing.T) *bench {
	t.Helper()
	b, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var shared = sync.OnceValues(makeBench)

func makeBench() (*bench, error) {
	dir, err := os.MkdirTemp("", "wb") // TestMain removes it
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir}
	if b.certs, err = newCertificates(b.dir); err != nil {
		return nil, err
	}
	if out, err := exec.Command("openssl", "rehash", filepath.Join(b.dir, "capath")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("openssl rehash: %w: %s", err, out)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(b.dir, "wirebird"), "../../cmd/wirebird").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	for name, text := range map[string]string{
		"text": "from a file\n", "empty": "", "options": "# comment\n-q 1\n-i from file\n",
		"recording": `{"wirebird_recording":1,"created":"2026-11-25T10:00:00Z","filters":["#"]}` + "\n" + `{"t":0,"topic":"a","qos":0,"payload":"x"}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// shortDir is a temporary directory whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// tools returns the paths of theirs and ours, which has the same name.
func (b *bench) tools(t *testing.T, tool string) (theirs, ours string) {
	t.Helper()
	name := "mosquitto_" + tool
	theirs, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	ours = filepath.Join(b.dir, name)
	if err := os.Symlink("wirebird", ours); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Skip(err)
	}
	return theirs, ours
}

// line is one command line.
type line struct {
	args string // words, which ' may hold together; $PORT, $SOCK and $DIR are replaced
	mode string // of the server; see modes
	in   string // standard input; empty for the usual one
	// config is the content of the file of options; xdg puts it where
	// $XDG_CONFIG_HOME says.
	config  string
	xdg     bool
	command string // ours, before the words: "pub"
	// differs is the row of docs/tools/differences.md that says why the tools differ here.
	differs string
}

const usualInput = "one\n\ntwo"

// run returns everything there is to compare.
func (b *bench) run(t *testing.T, tool string, l line) string {
	t.Helper()
	s := &server{}
	set, ok := modes(b.certs)[l.mode]
	if !ok {
		t.Fatalf("no mode %q", l.mode)
	}
	set(s)
	address, stop := s.start(t)
	home := t.TempDir()
	env := []string{"HOME=" + home, "TZ=UTC", "GORACE=atexit_sleep_ms=0"}
	if l.config != "" {
		path := filepath.Join(home, ".config", filepath.Base(tool))
		if l.xdg {
			path = filepath.Join(home, "xdg", filepath.Base(tool))
			env = append(env, "XDG_CONFIG_HOME="+filepath.Dir(path))
		}
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(l.config), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, b.words(l, address)...)
	cmd.Env = env
	cmd.Dir = b.dir
	cmd.Stdin = strings.NewReader(l.in)
	if l.in == "" {
		cmd.Stdin = strings.NewReader(usualInput)
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	status := 0
	if err := cmd.Run(); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(err)
		}
		status = e.ExitCode()
	}
	stop()
	if i := bytes.Index(out.Bytes(), []byte("\nUsage:")); i >= 0 { // the text of each is its own
		out.Reset()
		out.WriteString("USAGE")
	}
	text := fmt.Sprintf("status %d\n--- stdout\n%s\n--- stderr\n%s\n--- packets\n%s", status, &out, &errOut, strings.Join(s.seen, "\n"))
	return normal(text, cmd.Process.Pid)
}

func (b *bench) words(l line, address string) []string {
	words := split(l.args)
	port := ""
	if _, p, err := net.SplitHostPort(address); err == nil {
		port = p
	}
	if !strings.Contains(l.args, "$") || !strings.Contains(l.args, "$PORT") && !strings.Contains(l.args, "$SOCK") {
		words = append([]string{"-h", "127.0.0.1", "-p", port}, words...)
	}
	if l.command != "" {
		words = append([]string{l.command}, words...)
	}
	replace := strings.NewReplacer("$PORT", port, "$SOCK", address, "$DIR", b.dir)
	for i, w := range words {
		words[i] = replace.Replace(w)
	}
	return words
}

// split splits at spaces outside of single quotes.
func split(s string) []string {
	var words []string
	quoted, open := false, false
	for _, r := range s {
		switch {
		case r == '\'':
			if quoted = !quoted; !open {
				words, open = append(words, ""), true
			}
		case r == ' ' && !quoted:
			open = false
		default:
			if !open {
				words, open = append(words, ""), true
			}
			words[len(words)-1] += string(r)
		}
	}
	return words
}

var (
	randomID = regexp.MustCompile(`mosq-[0-9A-Za-z]{18}`)
	instant  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6}Z)?(\+0000|)`)
	seconds  = regexp.MustCompile(`\b1\d{9}\.\d{9}\b`)
)

// normal takes away what no two runs share: process ids, random client
// identifiers and the time.
func normal(s string, pid int) string {
	s = regexp.MustCompile(`\b(\D*)`+strconv.Itoa(pid)+`\b`).ReplaceAllString(s, "${1}PID")
	s = randomID.ReplaceAllString(s, "mosq-RANDOM")
	s = seconds.ReplaceAllString(s, "SECONDS")
	return instant.ReplaceAllStringFunc(s, func(m string) string {
		return regexp.MustCompile(`\d`).ReplaceAllString(m, "9")
	})
}

// A handshake that fails is told in one of two ways by Mosquitto's tools, as
// time has it. Ours have one.
const (
	lateTLS  = "status 8\n--- stdout\n\n--- stderr\nError: A TLS error occurred.\n"
	earlyTLS = "status 1\n--- stdout\n\n--- stderr\nUnable to connect (A TLS error occurred.).\n"
)

// withoutFarewell takes away the DISCONNECT of rr, which docs/tools/differences.md has a row
// for.
func withoutFarewell(s string) string {
	s = regexp.MustCompile(`Client \S+ sending DISCONNECT\n`).ReplaceAllString(s, "")
	return strings.TrimSuffix(s, "\nDISCONNECT code=\"success\"")
}

func TestToolsDoAsMosquittos(t *testing.T) {
	b := newBench(t)
	page := readPage(t)
	for _, tool := range []string{"pub", "sub", "rr"} {
		theirs, ours := b.tools(t, tool)
		for _, l := range commandLines[tool] {
			t.Run(fmt.Sprintf("%s %s %s", tool, l.mode, l.args), func(t *testing.T) {
				t.Parallel()
				want, got := b.run(t, theirs, l), b.run(t, ours, l)
				if tool == "rr" {
					want, got = withoutFarewell(want), withoutFarewell(got)
				}
				compare(t, page, l.differs, strings.Replace(want, lateTLS, earlyTLS, 1), got)
			})
		}
	}
}

// readPage is the page that says what differs.
func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/tools/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// compare wants the same, or a difference that the page has a row for.
func compare(t *testing.T, page, differs, want, got string) {
	t.Helper()
	switch {
	case differs == "" && got != want:
		t.Errorf("got\n%s\nwant\n%s", got, want)
	case differs != "" && got == want:
		t.Errorf("nothing differs; take the line out of docs/tools/differences.md:\n%s", got)
	case differs != "" && !strings.Contains(page, "| "+differs+" |"):
		t.Errorf("docs/tools/differences.md has no row %q", differs)
	}
}

// elsewhere are the rows that no line stands for, and where they show.
var elsewhere = map[string]string{
	"the usage text of `--help`": "run, which takes both for the same",
	"a TLS handshake that fails": "lateTLS",
	"the end of `rr`":            "withoutFarewell",
	"the end of `sub`":           "servers that send no more than is asked for",
	"`passwd`":                   "tests of internal/mosquitto",
	"`passwd -I`":                "the iterations are taken out of hashes before they are compared",
}

func TestEveryRowHasALine(t *testing.T) {
	has := map[string]bool{}
	for _, lines := range commandLines {
		for _, l := range lines {
			has[l.differs] = true
		}
	}
	for _, l := range passwdLines {
		has[l.differs] = true
	}
	page, _, _ := strings.Cut(readPage(t), "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^\| (.+?) \| `).FindAllStringSubmatch(page, -1) {
		if row := m[1]; row != "what" && !has[row] && elsewhere[row] == "" {
			t.Errorf("no line shows %q", row)
		}
	}
}

func TestEveryOptionHasALine(t *testing.T) {
	for tool, lines := range commandLines {
		used := map[string]bool{}
		for _, l := range lines {
			for _, w := range strings.Fields(l.args + " " + l.config) {
				used[w] = true
			}
		}
		t.Run(tool, func(t *testing.T) {
			out, err := exec.Command("mosquitto_"+tool, "--help").Output()
			if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
				t.Skip(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^ (-{1,2}[A-Za-z0-9-]+) :`).FindAllStringSubmatch(string(out), -1) {
				if !used[m[1]] {
					t.Errorf("no line has %s", m[1])
				}
			}
		})
	}
}
