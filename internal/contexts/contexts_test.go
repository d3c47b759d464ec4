package contexts

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWhatIsSavedComesBackForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "contexts.json")
	f, err := Open(path)
	if err != nil || len(f.Names()) != 0 {
		t.Fatalf("%v, %v: want no contexts", f, err)
	}
	if err := f.Set("home", Context{"host": "h", "pw": "secret"}); err != nil {
		t.Fatal(err)
	}
	f.Current = "home"
	for range 2 { // the second replaces a file
		if err := f.Save(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	g, err := Open(path)
	if err != nil || g.Current != "home" || g.Contexts["home"]["pw"] != "secret" {
		t.Errorf("%+v, %v", g, err)
	}
	if err := g.Remove("home"); err != nil || g.Current != "" {
		t.Errorf("%+v, %v: nothing is in use any more", g, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind %v", entries)
	}
}

func TestWhatCannotBeIsExplained(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"{":              "mend or remove",
		`{"version": 9}`: "has version 9",
	} {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ...%s...", text, err, want)
		}
	}
	f := &File{Contexts: map[string]Context{"a": nil}}
	if _, err := f.Get("b"); err == nil || !strings.Contains(err.Error(), "there are a") {
		t.Errorf("%v, want the names there are", err)
	}
	for _, name := range []string{"", "a b", "../x", "-a", strings.Repeat("x", 65)} {
		if f.Set(name, nil) == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

func TestPasswordsAreNotShown(t *testing.T) {
	c := Context{"pw": "secret", "url": "mqtt://u:secret@h:1/x", "host": "h"}
	r := c.Redacted()
	if r["pw"] != "***" || r["url"] != "mqtt://u:***@h:1/x" || r["host"] != "h" || c["pw"] != "secret" {
		t.Errorf("%v of %v", r, c)
	}
}
