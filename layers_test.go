package wirebird

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/wirebird/wirebird"

// floors is the house: a package imports packages of lower floors only. Those of the
// test floor may import anything and are imported by tests only.
var floors = map[string]int{
	"packet": 0, "topic": 0, "internal/fault": 0, "internal/contexts": 0,
	"internal/session": 1, "internal/shard": 1, "internal/transport": 1, "internal/route": 1, "internal/script": 1, "internal/outbox": 1, "internal/scram": 1,
	"internal/journal": 2, // its operations carry session's entries
	"internal/auth":    2, "client": 2, "internal/load": 2,
	"broker": 3, "internal/bench": 3, "internal/conform": 3, "internal/mosquitto": 3,
	"internal/record": 3, "internal/simulate": 3, "internal/probe": 3,
	"internal/metrics": 4, "client/clienttest": 4,
	"internal/config":    5,
	"internal/server":    6,
	"internal/cli":       7,
	"cmd/wirebird":       8,
	"examples/publisher": 8, "examples/subscriber": 8, "examples/request": 8, "examples/outbox": 8, "examples/tls": 8,
	"internal/nodetest": testFloor - 1, // for tests alone
	"internal/powercut": testFloor - 1, // for tests alone
	"internal/sim":      testFloor,
	"test/interop":      testFloor,
	"test/crash":        testFloor,
	"test/hostile":      testFloor,
	"test/conform":      testFloor,
	"test/examples":     testFloor,
	"test/tools":        testFloor,
	"test/client":       testFloor,
	"test/peers":        testFloor,
}

const testFloor = 100

// outside lists, for modules that one package wraps, the only package that may import
// them. Leaving the module then touches one package.
var outside = map[string]string{
	"golang.org/x/sys/":                   "internal/shard internal/server internal/load",
	"golang.org/x/crypto/":                "internal/auth",
	"github.com/pires/go-proxyproto":      "internal/transport",
	"github.com/coder/websocket":          "client",
	"github.com/cockroachdb/pebble/v2":    "internal/journal internal/powercut",
	"github.com/goccy/go-yaml":            "internal/config internal/simulate",
	"github.com/HdrHistogram/":            "internal/load internal/bench",
	"github.com/guptarohit/asciigraph":    "internal/bench",
	"github.com/spf13/":                   "internal/cli internal/config",
	"github.com/lmittmann/tint":           "internal/server",
	"github.com/prometheus/client_golang": "internal/metrics internal/server",
}

// stdOnly are the packages that import the standard library and each other only.
var stdOnly = "packet topic internal/session internal/route internal/outbox internal/scram"

type source struct {
	dir, name string
	lines     int
	file      *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || filepath.Dir(path) == "." {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(filepath.Dir(path)), d.Name(), set.Position(f.FileEnd).Line, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPackagesStandOnTheirFloors(t *testing.T) {
	for _, s := range sources(t) {
		floor, ok := floors[s.dir]
		if !ok {
			t.Errorf("%s has no floor: add it to the table", s.dir)
			continue
		}
		test := strings.HasSuffix(s.name, "_test.go")
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			rest, ours := strings.CutPrefix(path, module+"/")
			if !ours {
				checkOutside(t, s, path, test)
				continue
			}
			if to := floors[rest]; !test && to >= floor {
				t.Errorf("%s/%s (floor %d) imports %s (floor %d)", s.dir, s.name, floor, rest, to)
			}
		}
	}
}

func checkOutside(t *testing.T, s source, path string, test bool) {
	t.Helper()
	first, _, _ := strings.Cut(path, "/")
	if test || !strings.Contains(first, ".") {
		return
	}
	if contains(stdOnly, s.dir) {
		t.Errorf("%s/%s imports %s: this package uses the standard library only", s.dir, s.name, path)
	}
	for module, owners := range outside {
		if strings.HasPrefix(path, module) {
			if !contains(owners, s.dir) {
				t.Errorf("%s/%s imports %s, which only %s may", s.dir, s.name, path, owners)
			}
			return
		}
	}
	if floors[s.dir] != testFloor {
		t.Errorf("%s/%s imports %s, which is not in the table", s.dir, s.name, path)
	}
}

func contains(list, name string) bool {
	for _, v := range strings.Fields(list) {
		if v == name {
			return true
		}
	}
	return false
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if doc := s.file.Doc.Text(); len(doc) > 40 && !strings.HasSuffix(s.name, "_test.go") {
			documented[s.dir] = true
		}
	}
	for dir, floor := range floors {
		if !documented[dir] && floor != testFloor {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// Past these sizes a file holds a second idea.
const (
	mostLines     = 500
	mostTestLines = 800
)

func TestNoFileOutgrowsItsIdea(t *testing.T) {
	for _, s := range sources(t) {
		most := mostLines
		if strings.HasSuffix(s.name, "_test.go") {
			most = mostTestLines
		}
		if s.lines > most {
			t.Errorf("%s/%s has %d lines, more than %d", s.dir, s.name, s.lines, most)
		}
	}
}

func TestNothingRunsBeforeMain(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.name, "_test.go") {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s/%s has an init function", s.dir, s.name)
			}
		}
	}
}

// A corpus whose target has another name or place is replayed by nobody.
func TestEveryCorpusHasItsTarget(t *testing.T) {
	targets := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				targets[s.dir+"/testdata/fuzz/"+f.Name.Name] = true
			}
		}
	}
	corpora, err := filepath.Glob("*/testdata/fuzz/*")
	if err != nil {
		t.Fatal(err)
	}
	inner, err := filepath.Glob("internal/*/testdata/fuzz/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(corpora, inner...) {
		if !targets[filepath.ToSlash(dir)] {
			t.Errorf("%s: there is no such fuzz test", dir)
		}
	}
	if len(corpora)+len(inner) == 0 {
		t.Error("no corpora at all")
	}
}
