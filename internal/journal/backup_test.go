package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func TestABackupHoldsWhatWasCompleteWhenItBegan(t *testing.T) {
	for name, tt := range map[string]struct {
		disk vfs.FS
		dir  string
	}{
		"memory":         {vfs.NewMem(), ""},
		"real directory": {vfs.Default, t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{FS: tt.disk, Dir: filepath.Join(tt.dir, "data"), MemTableSize: 64 << 10}
			d := mustOpen(t, o)
			if err := submit(d, Op{Kind: PutSession, SID: 1, Name: "a"}, Op{Kind: PutSession, SID: 2, Name: "b"}); err != nil {
				t.Fatal(err)
			}
			l := newLedger()
			var wg sync.WaitGroup
			wg.Go(func() { l.drive(d, rand.New(rand.NewPCG(1, 1)), 1, 2000) })
			var before []*ledger
			for i := range 3 {
				_ = submit(d)
				before = append(before, l.snapshot())
				if _, err := d.Backup(filepath.Join(tt.dir, fmt.Sprint("backup", i))); err != nil {
					t.Fatal(err)
				}
			}
			wg.Wait()
			if _, err := d.Backup(filepath.Join(tt.dir, "backup0")); err == nil {
				t.Error("a backup was overwritten")
			}
			mustClose(t, d)
			for i, b := range before {
				checkBackup(t, tt.disk, tt.dir, i, b, l)
			}
		})
	}
}

func checkBackup(t *testing.T, disk vfs.FS, dir string, i int, before, after *ledger) {
	t.Helper()
	to := filepath.Join(dir, fmt.Sprint("restored", i))
	m, err := Restore(Options{FS: disk, Dir: to}, filepath.Join(dir, fmt.Sprint("backup", i)))
	if err != nil || m.Bytes() == 0 {
		t.Fatalf("restore: %v, %+v", err, m)
	}
	if _, err := Check(Options{FS: disk, Dir: to}, func(p string) { t.Error(p) }); err != nil {
		t.Error(err)
	}
	d := mustOpen(t, Options{FS: disk, Dir: to})
	got, _ := mustRecover(t, d)
	mustClose(t, d)
	if v := before.violations(got, after); len(v) > 0 {
		t.Errorf("backup %d: %q", i, v)
	}
	if _, err := Restore(Options{FS: disk, Dir: to}, filepath.Join(dir, fmt.Sprint("backup", i))); err == nil {
		t.Error("restored over data")
	}
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	for name, tt := range map[string]struct {
		harm func(t *testing.T, disk vfs.FS)
		says string
	}{
		"no manifest": {func(t *testing.T, disk vfs.FS) { overwrite(t, disk, manifestName, "") }, "read the manifest in backup"},
		"newer":       {func(t *testing.T, disk vfs.FS) { overwrite(t, disk, manifestName, `{"format":2}`) }, "written by a newer wirebird"},
		"elsewhere":   {func(t *testing.T, disk vfs.FS) { overwrite(t, disk, manifestName, `{"files":[{"name":"../x"}]}`) }, "which is no file of the backup"},
		"changed":     {func(t *testing.T, disk vfs.FS) { overwrite(t, disk, "MANIFEST-000001", "x") }, "differs from what was backed up"},
		"missing":     {func(t *testing.T, disk vfs.FS) { _ = disk.Remove("backup/MANIFEST-000001") }, "restore: "},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			d := mustOpen(t, Options{FS: disk, Dir: "data"})
			if _, err := d.Backup("backup"); err != nil {
				t.Fatal(err)
			}
			mustClose(t, d)
			tt.harm(t, disk)
			_, err := Restore(Options{FS: disk, Dir: "restored"}, "backup")
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
			if names, err := disk.List("restored"); err == nil {
				t.Errorf("left behind %v", names)
			}
		})
	}
}

func overwrite(t *testing.T, disk vfs.FS, name, text string) {
	f, err := disk.Create("backup/"+name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A backup to a full disk must not stop the broker.
func TestAFailedBackupLeavesTheJournalAlone(t *testing.T) {
	b := &breaking{err: errors.New("full"), hits: func(op errorfs.Op) bool {
		return strings.HasPrefix(op.Path, "backup") && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpLink)
	}}
	b.on.Store(true)
	d := mustOpen(t, Options{FS: errorfs.Wrap(vfs.NewMem(), b), Dir: "data"})
	if _, err := d.Backup("backup"); !errors.Is(err, b.err) {
		t.Errorf("backup: %v", err)
	}
	if err := submit(d, publish(1, 10)); err != nil {
		t.Error(err)
	}
	b.on.Store(false)
	if _, err := d.Backup("backup"); err != nil {
		t.Error(err)
	}
	mustClose(t, d)
}
