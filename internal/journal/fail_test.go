package journal

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/wirebird/wirebird/internal/session"
)

// breaking is a disk that fails at certain operations from some time on.
type breaking struct {
	on   atomic.Bool
	hits func(errorfs.Op) bool
	err  error
}

func (b *breaking) String() string { return "breaking" }

func (b *breaking) MaybeError(op errorfs.Op) error {
	if b.on.Load() && b.hits(op) {
		return b.err
	}
	return nil
}

func kind(suffix string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		for _, k := range kinds {
			if op.Kind == k && (suffix == "" || strings.HasSuffix(op.Path, suffix) || suffix == "MANIFEST" && strings.Contains(op.Path, suffix)) {
				return true
			}
		}
		return false
	}
}

func TestAFailedWriteIsTheAnswerForGood(t *testing.T) {
	for name, tt := range map[string]struct {
		hits func(errorfs.Op) bool
		err  error
	}{
		"log: disk full":              {kind(".log", errorfs.OpFileWrite), syscall.ENOSPC},
		"log: write error":            {kind(".log", errorfs.OpFileWrite), syscall.EIO},
		"log: sync error":             {kind(".log", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo), syscall.EIO},
		"log: no new file":            {kind(".log", errorfs.OpCreate, errorfs.OpReuseForWrite), syscall.ENOSPC},
		"directory: sync error":       {kind("data", errorfs.OpFileSync), syscall.EIO},
		"table: no new file":          {kind(".sst", errorfs.OpCreate), syscall.ENOSPC},
		"table: disk full":            {kind(".sst", errorfs.OpFileWrite), syscall.ENOSPC},
		"table: sync error":           {kind(".sst", errorfs.OpFileSync, errorfs.OpFileSyncData), syscall.EIO},
		"manifest: disk full":         {kind("MANIFEST", errorfs.OpFileWrite), syscall.ENOSPC},
		"manifest: sync error":        {kind("MANIFEST", errorfs.OpFileSync, errorfs.OpFileSyncData), syscall.EIO},
		"everything: no space":        {kind("", errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFilePreallocate), syscall.ENOSPC},
		"everything: input or output": {kind("", errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpRemove, errorfs.OpRename), syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) { breakDisk(t, tt.hits, tt.err) })
	}
}

func breakDisk(t *testing.T, hits func(errorfs.Op) bool, cause error) {
	disk := vfs.NewMem()
	b := &breaking{hits: hits, err: cause}
	var told atomic.Int32
	o := Options{FS: errorfs.Wrap(disk, b), Dir: "data", MemTableSize: 64 << 10, OnFail: func(err error) {
		if told.Add(1); !errors.Is(err, cause) {
			t.Errorf("OnFail was told %v", err)
		}
	}}
	d := mustOpen(t, o)
	mustRecover(t, d)
	if err := submit(d, Op{Kind: PutSession, SID: 1, Name: "a"}, publish(1, 100), publish(2, 3000)); err != nil {
		t.Fatal(err)
	}
	b.on.Store(true)
	stored := map[uint64]bool{1: true, 2: true}
	var err error
	mid := uint64(3)
	for ; err == nil && mid < 3000; mid++ {
		if err = submit(d, publish(mid, 1000)); err == nil {
			stored[mid] = true
		}
	}
	if !errors.Is(err, cause) {
		t.Fatalf("after %d messages: %v", mid, err)
	}
	b.on.Store(false) // a disk that works again is not trusted
	checkRefused(t, d, cause)
	if told.Load() != 1 {
		t.Errorf("OnFail was called %d times", told.Load())
	}
	checkLoads(t, d, 1, 2)
	if err := d.Close(); !errors.Is(err, cause) {
		t.Errorf("Close: %v", err)
	}
	checkStored(t, disk, stored)
}

func publish(mid uint64, size int) Op {
	return Op{Kind: Publish, MID: mid, Msg: &session.Message{Topic: "t", Payload: make([]byte, size)}, Targets: []Target{{SID: 1, QoS: 1}}}
}

// checkRefused submits more from several goroutines.
func checkRefused(t *testing.T, d *Disk, cause error) {
	var wg sync.WaitGroup
	for i := range uint64(4) {
		wg.Go(func() {
			for range 50 {
				if err := submit(d, publish(1<<20+i, 10)); !errors.Is(err, cause) {
					t.Errorf("after a failure: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if p := d.Pressure(); p != 0 {
		t.Errorf("pressure is %d", p)
	}
	if s := d.Stats(); !errors.Is(s.Failed, cause) {
		t.Errorf("stats: %+v", s)
	}
}

func checkLoads(t *testing.T, d *Disk, mids ...uint64) {
	t.Helper()
	done := make(chan error, 1)
	d.Load(1, mids, func(msgs []*session.Message, err error) {
		for i, m := range msgs {
			if m == nil {
				err = errors.Join(err, fmt.Errorf("message %d is not there", mids[i]))
			}
		}
		done <- err
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// checkStored opens what a failure has left behind.
func checkStored(t *testing.T, disk vfs.FS, stored map[uint64]bool) {
	d := mustOpen(t, Options{FS: disk, Dir: "data"})
	got, _ := mustRecover(t, d)
	for mid := range stored {
		if _, ok := got.records[fmt.Sprintf("q 1 %d", mid)]; !ok {
			t.Errorf("message %d is lost", mid)
		}
	}
	if err := submit(d, publish(1<<30, 10)); err != nil {
		t.Error(err)
	}
	mustClose(t, d)
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		harm func(t *testing.T, disk vfs.FS)
		is   error
		says string
	}{
		"in use":       {func(t *testing.T, disk vfs.FS) { hold(t, disk) }, ErrLocked, "the data in data is in use by another process"},
		"newer":        {func(t *testing.T, disk vfs.FS) { write(t, disk, metaVersion, []byte{recordVersion, 9}) }, ErrNewer, "format 9 was written by a newer wirebird"},
		"newer record": {func(t *testing.T, disk vfs.FS) { write(t, disk, metaMID, []byte{9}) }, ErrNewer, "record of version 9 was written by a newer wirebird"},
		"no manifest":  {func(t *testing.T, disk vfs.FS) { harm(t, disk, "MANIFEST-", 0) }, ErrDamaged, "wirebird data check"},
		"torn table":   {func(t *testing.T, disk vfs.FS) { harm(t, disk, ".sst", 10) }, ErrDamaged, "wirebird data check"},
		"foreign data": {func(t *testing.T, disk vfs.FS) { foreign(t, disk) }, errForeign, "open the data in data: it holds a database that is not of wirebird"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			o := Options{FS: disk, Dir: "data"}
			d := mustOpen(t, o)
			if err := submit(d, Op{Kind: PutSession, SID: 1}, publish(1, 5000)); err != nil {
				t.Fatal(err)
			}
			if err := d.db.Flush(); err != nil {
				t.Fatal(err)
			}
			mustClose(t, d)
			tt.harm(t, disk)
			d, err := Open(o)
			if err == nil {
				_, err = d.Recover(newModel())
				mustClose(t, d)
			}
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
		})
	}
}

func hold(t *testing.T, disk vfs.FS) {
	d := mustOpen(t, Options{FS: disk, Dir: "data"})
	t.Cleanup(func() { mustClose(t, d) })
}

// write changes a record behind the journal's back.
func write(t *testing.T, disk vfs.FS, name string, value []byte) {
	d := mustOpen(t, Options{FS: disk, Dir: "data"})
	if err := d.db.Set(textKey(nil, tableMeta, name), value, nil); err != nil {
		t.Fatal(err)
	}
	mustClose(t, d)
}

func foreign(t *testing.T, disk vfs.FS) {
	d := mustOpen(t, Options{FS: disk, Dir: "data"})
	if err := d.db.Delete(textKey(nil, tableMeta, metaVersion), nil); err != nil {
		t.Fatal(err)
	}
	mustClose(t, d)
}

// harm cuts the newest file of a kind to size bytes.
func harm(t *testing.T, disk vfs.FS, part string, size int) {
	names, err := disk.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(name, part) || strings.HasPrefix(name, "marker") {
			continue
		}
		path := disk.PathJoin("data", name)
		if size == 0 {
			if err := disk.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		f, err := disk.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, size)
		_, err = io.ReadFull(f, head)
		out, createErr := disk.Create(path, vfs.WriteCategoryUnspecified)
		if err = errors.Join(err, f.Close(), createErr); err == nil {
			_, err = out.Write(head)
		}
		if err = errors.Join(err, out.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
