package journal

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/v1 again")

// TestDataOfEachVersionCanBeRead opens a copy of what earlier versions have written.
// A directory in testdata is never changed: a new version adds one of its own.
func TestDataOfEachVersionCanBeRead(t *testing.T) {
	const dir = "testdata/v1"
	if *update {
		writeSample(t, dir)
	}
	o := Options{Dir: filepath.Join(t.TempDir(), "data")}
	if err := os.CopyFS(o.Dir, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s, err := Check(o, func(p string) { t.Error(p) })
	if err != nil || s.LastMID != 1000 || s.Bodies != 1 {
		t.Errorf("check: %+v, %v", s, err)
	}
	d := mustOpen(t, o)
	got, _ := mustRecover(t, d)
	want := newModel()
	for _, op := range sampleOps() {
		want.apply(op)
	}
	if diff := want.differences(got); len(diff) > 0 {
		t.Error(strings.Join(diff, "\n"))
	}
	checkBodies(t, d, want)
	mustClose(t, d)
}

// sampleOps leave a record of every kind.
func sampleOps() []Op {
	var ops []Op
	for sid := range uint64(3) {
		ops = append(ops, sessionOps(sid)...)
	}
	msg := ops[3].Msg
	return append(ops,
		Op{Kind: PutRetained, Msg: msg},
		Op{Kind: Owe, SID: 0, MID: 100, ID: 9},
		Op{Kind: Publish, MID: 999, Msg: msg, Targets: []Target{{SID: 1, QoS: 1, SubIDs: []uint32{3, 70000}}, {SID: 2, QoS: 2, Retain: true, Share: "group", Filter: "a/+"}}},
		Op{Kind: Publish, MID: 1000, Msg: msg, Targets: []Target{{SID: 1, SubID: 5}}},
		Op{Kind: Complete, SID: 1, MID: 1000},
		Op{Kind: EndSubscription, SID: 2, Name: "f/2"},
		Op{Kind: EndWill, SID: 2},
		Op{Kind: Forget, SID: 2, ID: 7},
	)
}

// writeSample stores half of it in a table and half in the log.
func writeSample(t *testing.T, dir string) {
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	d := mustOpen(t, Options{Dir: dir})
	ops := sampleOps()
	if err := submit(d, ops[:len(ops)/2]...); err != nil {
		t.Fatal(err)
	}
	if err := d.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := submit(d, ops[len(ops)/2:]...); err != nil {
		t.Fatal(err)
	}
	mustClose(t, d)
}
