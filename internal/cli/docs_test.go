package cli

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of options in docs/tools")

// The tables of options in docs/tools are those of the tools.
func TestPagesHaveTheOptions(t *testing.T) {
	for page, tool := range map[string]string{"publish": "pub", "subscribe": "sub", "request": "rr", "passwords": "passwd"} {
		path := "../../docs/tools/" + page + ".md"
		old := strings.ReplaceAll(readFile(t, path), "\r\n", "\n")
		begin, end := "<!-- options of "+tool+" -->\n", "<!-- end -->\n"
		head, rest, ok := strings.Cut(old, begin)
		_, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the options", path)
		}
		text := head + begin + optionTables(tool) + end + tail
		if text == old {
			continue
		}
		if !*update {
			t.Errorf("%s is stale; go test ./internal/cli -run Pages -update", path)
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func optionTables(name string) string {
	var b strings.Builder
	t, _ := toolNamed(name)
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;")
	group := ""
	for _, o := range t.Options() {
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(&b, "\n| %s | |\n|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(o.Spelling(), "|", `\|`), escape.Replace(o.Help))
	}
	return b.String() + "\n"
}

// What the pages show can be typed.
func TestCommandsInPagesExist(t *testing.T) {
	root := newRoot(streams{})
	for _, page := range []string{"tools.md", "tools/publish.md", "tools/subscribe.md", "tools/request.md", "tools/passwords.md", "tools/shell.md", "fleet-tools.md"} {
		text := readFile(t, "../../docs/"+page)
		for _, block := range regexp.MustCompile("(?s)\n```\n(.*?)\n```").FindAllStringSubmatch(text, -1) {
			for _, l := range strings.Split(block[1], "\n") {
				l, _, _ = strings.Cut(l, "   #")
				_, l, ok := strings.Cut(l, "wirebird ")
				if !ok {
					continue
				}
				l, _, _ = strings.Cut(l, " | ")
				words := strings.Fields(strings.TrimSuffix(l, ")"))
				c, _, err := root.Find(words)
				if err != nil || c == root {
					t.Errorf("%s: %q calls no command: %v", page, l, err)
					continue
				}
				names := flagNames(c)
				for _, w := range words {
					if name, _, _ := strings.Cut(w, "="); len(w) > 1 && w[0] == '-' && (w[1] == '-' || len(name) == 2) && !names[name] {
						t.Errorf("%s: %q: %s has no %s", page, l, c.CommandPath(), name)
					}
				}
			}
		}
	}
}
