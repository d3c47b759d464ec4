package powercut

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// act does what a line says: write FILE TEXT, sync FILE, syncdir DIR, mkdir DIR, rename A B,
// link A B, remove FILE.
func act(t *testing.T, d *Disk, files map[string]vfs.File, line string) {
	t.Helper()
	w := strings.Fields(line)
	var err error
	switch w[0] {
	case "write":
		if files[w[1]] == nil {
			files[w[1]], err = d.Create(w[1], vfs.WriteCategoryUnspecified)
		}
		if err == nil {
			_, err = files[w[1]].Write([]byte(w[2]))
		}
	case "sync":
		err = files[w[1]].Sync()
	case "syncdir":
		var f vfs.File
		if f, err = d.OpenDir(w[1]); err == nil {
			err = f.Sync()
		}
	case "mkdir":
		err = d.MkdirAll(w[1], 0o700)
	case "rename":
		err = d.Rename(w[1], w[2])
	case "link":
		err = d.Link(w[1], w[2])
	case "remove":
		err = d.Remove(w[1])
	default:
		t.Fatalf("what is %q?", line)
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

// tree writes down all files of a directory.
func tree(t *testing.T, d *Disk, dir string) string {
	t.Helper()
	names, err := d.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range names {
		f, err := d.Open(d.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if i, _ := f.Stat(); i.IsDir() {
			list = append(list, fmt.Sprintf("%s/{%s}", name, tree(t, d, d.PathJoin(dir, name))))
			continue
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s=%s", name, b))
	}
	return strings.Join(list, " ")
}

func TestACutLeavesWhatWasSyncedAndAPartOfTheRest(t *testing.T) {
	for name, tt := range map[string]struct {
		lines []string
		want  []string // all that a cut may leave, what Keep 0 leaves first and Keep 100 last
	}{
		"nothing synced":       {[]string{"write a x"}, []string{"", "a=", "a=x"}},
		"data but not name":    {[]string{"write a x", "sync a"}, []string{"", "a=x"}},
		"name but not data":    {[]string{"write a x", "syncdir /"}, []string{"a=", "a=x"}},
		"both":                 {[]string{"write a x", "sync a", "syncdir /"}, []string{"a=x"}},
		"more data":            {[]string{"write a x", "sync a", "syncdir /", "write a y"}, []string{"a=x", "a=xy"}},
		"renamed":              {[]string{"write a x", "sync a", "syncdir /", "rename a b"}, []string{"a=x", "a=x b=x"}},
		"renamed for good":     {[]string{"write a x", "sync a", "syncdir /", "rename a b", "syncdir /"}, []string{"b=x"}},
		"replaced":             {[]string{"write a x", "sync a", "write b y", "sync b", "syncdir /", "rename b a"}, []string{"a=x b=y", "a=y b=y"}},
		"removed":              {[]string{"write a x", "sync a", "syncdir /", "remove a"}, []string{"a=x", ""}},
		"removed, never there": {[]string{"write a x", "remove a"}, []string{""}},
		"linked":               {[]string{"write a x", "sync a", "syncdir /", "link a b"}, []string{"a=x", "a=x b=x"}},
		"in a directory":       {[]string{"mkdir d", "write d/a x", "sync d/a", "syncdir d"}, []string{"", "d/{a=x}"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, files := New(), map[string]vfs.File{}
			for _, line := range tt.lines {
				act(t, d, files, line)
			}
			if got := tree(t, d.Cut(Cut{}), "/"); got != tt.want[0] {
				t.Errorf("nothing kept leaves %q, want %q", got, tt.want[0])
			}
			if got, want := tree(t, d.Cut(Cut{Keep: 100}), "/"), tt.want[len(tt.want)-1]; got != want {
				t.Errorf("all kept leaves %q, want %q", got, want)
			}
			seen := map[string]bool{}
			for seed := range uint64(200) {
				got := tree(t, d.Cut(Cut{Seed: seed, Keep: 50}), "/")
				if again := tree(t, d.Cut(Cut{Seed: seed, Keep: 50}), "/"); again != got {
					t.Fatalf("seed %d leaves %q and then %q", seed, got, again)
				}
				seen[got] = true
				if !slices.Contains(tt.want, got) {
					t.Fatalf("seed %d leaves %q, want one of %q", seed, got, tt.want)
				}
			}
			if len(seen) != len(tt.want) {
				t.Errorf("200 seeds leave %v, want each of %q", seen, tt.want)
			}
		})
	}
}

func TestBlocksAreLostOneByOne(t *testing.T) {
	d := New()
	f, _ := d.Create("a", vfs.WriteCategoryUnspecified)
	if _, err := f.Write([]byte(strings.Repeat("x", 40))); err != nil {
		t.Fatal(err)
	}
	if dir, err := d.OpenDir("/"); err != nil || dir.Sync() != nil {
		t.Fatal(err)
	}
	holes := 0
	for seed := range uint64(100) {
		text := tree(t, d.Cut(Cut{Seed: seed, Keep: 50, Block: 10}), "/")[len("a="):]
		if len(text)%10 != 0 || strings.Trim(text, "x\x00") != "" {
			t.Fatalf("seed %d leaves %q", seed, text)
		}
		if strings.Contains(text, "\x00") {
			holes++
		}
	}
	if holes == 0 {
		t.Error("no cut has left a hole")
	}
}

func TestLateSyncsTakeEffectInOrder(t *testing.T) {
	d, files := New(), map[string]vfs.File{}
	d.Late(func(name string) bool { return name == "a" })
	for _, line := range []string{"write a 1", "sync a", "write a 2", "sync a", "write b x", "sync b", "syncdir /"} {
		act(t, d, files, line)
	}
	for n, want := range []string{"a= b=x", "a=1 b=x", "a=12 b=x"} {
		if got := tree(t, d.Cut(Cut{}), "/"); got != want || d.Asked() != 2 || d.Settled() != n {
			t.Errorf("%q, %d of %d settled; want %q, %d of 2", got, d.Settled(), d.Asked(), want, n)
		}
		d.Settle(1)
	}
	d.Late(nil)
	act(t, d, files, "write a 3")
	d.Late(func(string) bool { return true })
	act(t, d, files, "sync a")
	d.Late(nil)
	act(t, d, files, "write a 4")
	act(t, d, files, "sync a")
	d.Settle(1)
	if got := tree(t, d.Cut(Cut{}), "/"); got != "a=1234 b=x" {
		t.Errorf("a late sync has undone a later one: %q", got)
	}
}

func TestAPlannedCutComesBetweenTwoChanges(t *testing.T) {
	lines := []string{"write a 1", "write a 2", "sync a", "syncdir /", "rename a b"}
	for n, want := range []string{"", "a=", "a=1", "a=12", "a=12", "a=12", "a=12 b=12"} {
		d, files := New(), map[string]vfs.File{}
		d.CutAfter(n, Cut{Keep: 100})
		for _, line := range lines {
			act(t, d, files, line)
		}
		left := d.Left()
		if n > len(lines) {
			if left != nil {
				t.Errorf("a cut after %d changes of %d", n, len(lines)+1)
			}
			continue
		}
		if left == nil || tree(t, left, "/") != want {
			t.Errorf("a cut after %d changes leaves %v, want %q", n, left, want)
		}
	}
}

func TestErrorsAreThoseOfAFileSystem(t *testing.T) {
	d, files := New(), map[string]vfs.File{}
	act(t, d, files, "mkdir d")
	act(t, d, files, "write d/a x")
	_, open := d.Open("b")
	_, create := d.Create("e/a", vfs.WriteCategoryUnspecified)
	_, list := d.List("e")
	_, stat := d.Stat("b")
	l, err := d.Lock("d/LOCK")
	if err != nil {
		t.Fatal(err)
	}
	_, locked := d.Lock("d/LOCK")
	for what, tt := range map[string]struct{ err, want error }{
		"open": {open, fs.ErrNotExist}, "create": {create, fs.ErrNotExist}, "list": {list, fs.ErrNotExist},
		"stat": {stat, fs.ErrNotExist}, "remove": {d.Remove("b"), fs.ErrNotExist}, "rename": {d.Rename("b", "c"), fs.ErrNotExist},
		"remove a full directory": {d.Remove("d"), fs.ErrExist}, "link onto a file": {d.Link("d/a", "d/a"), fs.ErrExist},
		"lock twice": {locked, fs.ErrExist}, "directory over a file": {d.MkdirAll("d/a/b", 0o700), fs.ErrExist},
		"remove all of nothing": {d.RemoveAll("b"), nil},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", what, tt.err, tt.want)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = d.Lock("d/LOCK"); err != nil || l.Close() != nil {
		t.Errorf("lock again: %v", err)
	}
}
