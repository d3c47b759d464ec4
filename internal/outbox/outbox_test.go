package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens dir until the test ends, or the caller closes it.
func open(t *testing.T, dir string, o Options) (*Outbox, Recovered) {
	t.Helper()
	b, r, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, r
}

func add(t *testing.T, b *Outbox, data ...string) (seqs []uint64) {
	t.Helper()
	for _, d := range data {
		seq, err := b.Add(time.Unix(1, 2), []byte(d))
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seq)
	}
	return seqs
}

func closed(t *testing.T, b *Outbox) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// want checks what was recovered, in order.
func want(t *testing.T, r Recovered, data ...string) {
	t.Helper()
	var got []string
	for i, e := range r.Entries {
		got = append(got, string(e.Data))
		if i > 0 && e.Seq <= r.Entries[i-1].Seq {
			t.Errorf("number %d after %d", e.Seq, r.Entries[i-1].Seq)
		}
	}
	if !slices.Equal(got, data) {
		t.Errorf("recovered %q, want %q", got, data)
	}
}

// newest is the file that was written last and holds records.
func newest(t *testing.T, dir string) (path string, content []byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(paths) == 0 {
		t.Fatal("no file", err)
	}
	path = paths[len(paths)-1]
	content, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestEntriesComeBackInOrderUntilTheyAreDone(t *testing.T) {
	for _, size := range []int64{0, 1, 60} {
		t.Run(fmt.Sprint("segments of ", size), func(t *testing.T) {
			dir := t.TempDir()
			b, r := open(t, dir, Options{SegmentSize: size})
			want(t, r)
			var seqs []uint64
			for i := range 20 {
				s := add(t, b, fmt.Sprint(i))
				if err := b.Sync(s[0]); err != nil {
					t.Fatal(err)
				}
				seqs = append(seqs, s...)
			}
			for i, s := range seqs {
				if i%3 != 0 {
					b.Done(s)
					b.Done(s) // twice is once
				}
			}
			if n, bytes := b.Len(); n != 7 || bytes != 10 {
				t.Errorf("%d entries, %d bytes", n, bytes)
			}
			closed(t, b)

			b, r = open(t, dir, Options{SegmentSize: size})
			want(t, r, "0", "3", "6", "9", "12", "15", "18")
			if r.Torn != 0 || r.Damaged != 0 || !r.Entries[0].Time.Equal(time.Unix(1, 2)) {
				t.Errorf("torn %d, damaged %d, time %v", r.Torn, r.Damaged, r.Entries[0].Time)
			}
			if s := add(t, b, "new"); s[0] <= seqs[19] {
				t.Errorf("number %d came twice", s[0])
			}
			for _, e := range r.Entries {
				b.Done(e.Seq)
			}
			closed(t, b)

			b, r = open(t, dir, Options{SegmentSize: size})
			want(t, r, "new")
			b.Done(r.Entries[0].Seq)
			closed(t, b)
			_, r = open(t, dir, Options{SegmentSize: size})
			want(t, r)
			if files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix)); len(files) != 1 {
				t.Errorf("an empty outbox has the files %v", files)
			}
		})
	}
}

func TestATornRecordIsLostAlone(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir, Options{})
	add(t, b, "first", "second", "torn")
	closed(t, b)
	path, content := newest(t, dir)
	last := len(appendEntry(nil, 3, time.Unix(1, 2), []byte("torn")))
	for cut := 1; cut <= last; cut++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), content[:len(content)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		b, r := open(t, dir, Options{})
		want(t, r, "first", "second")
		if r.Torn != int64(last-cut) || r.Damaged != 0 {
			t.Errorf("cut %d: torn %d, damaged %d", cut, r.Torn, r.Damaged)
		}
		add(t, b, "third")
		closed(t, b)
		b, r = open(t, dir, Options{})
		want(t, r, "first", "second", "third")
		if r.Torn != 0 || r.Damaged != 0 {
			t.Errorf("cut %d: the next time torn %d, damaged %d", cut, r.Torn, r.Damaged)
		}
		closed(t, b)
	}
}

func TestADamagedRecordIsLostAlone(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir, Options{})
	add(t, b, "first", "second", "third")
	closed(t, b)
	path, content := newest(t, dir)
	start := len(magic) + len(appendEntry(nil, 1, time.Unix(1, 2), []byte("first")))
	size := len(appendEntry(nil, 2, time.Unix(1, 2), []byte("second")))
	for at := range size {
		dir := t.TempDir()
		bad := bytes.Clone(content)
		bad[start+at] ^= 0xFF
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		b, r := open(t, dir, Options{})
		want(t, r, "first", "third")
		if r.Torn != 0 || r.Damaged != int64(size) {
			t.Errorf("byte %d: torn %d, damaged %d of %d", at, r.Torn, r.Damaged, size)
		}
		closed(t, b)
	}
}

func TestLimits(t *testing.T) {
	for name, o := range map[string]Options{"entries": {MaxEntries: 2}, "bytes": {MaxBytes: 9}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b, _ := open(t, dir, o)
			seqs := add(t, b, "1234", "5678")
			if _, err := b.Add(time.Now(), []byte("90")); !errors.Is(err, ErrFull) {
				t.Errorf("got %v", err)
			}
			b.Done(seqs[0])
			add(t, b, "90")
			closed(t, b)
			if _, err := b.Add(time.Now(), nil); !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
			b, r := open(t, dir, o)
			want(t, r, "5678", "90")
			if n, size := b.Len(); n != 2 || size != 6 {
				t.Errorf("%d entries of %d bytes", n, size)
			}
		})
	}
}

func TestADirectoryHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir, Options{})
	if _, _, err := Open(dir, Options{}); err == nil {
		t.Error("opened twice")
	}
	closed(t, b)
	open(t, dir, Options{})
}

// An entry that is done before it was written belongs to no file yet.
func TestAnEntryDoneEarlyTakesNoOtherWithIt(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir, Options{SegmentSize: 1})
	kept := add(t, b, "kept")
	if err := b.Sync(kept[0]); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.Done(add(t, b, "early")[0])
		if err := b.Sync(add(t, b, "more")[0]); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, b)
	_, r := open(t, dir, Options{SegmentSize: 1})
	want(t, r, "kept", "more", "more", "more")
}

// Close makes durable what was written without a sync.
func TestSyncReturnsAfterClose(t *testing.T) {
	b, _ := open(t, t.TempDir(), Options{})
	seqs := add(t, b, "done", "other")
	b.Done(seqs[0])
	for written := false; !written; runtime.Gosched() {
		b.mu.Lock()
		written = len(b.pending) == 0
		b.mu.Unlock()
	}
	closed(t, b)
	b.mu.Lock()
	durable := b.durable
	b.mu.Unlock()
	if durable < seqs[1] {
		t.Fatalf("closed with entries up to %d durable, want %d", durable, seqs[1])
	}
	if err := b.Sync(seqs[1]); err != nil {
		t.Error(err)
	}
}
