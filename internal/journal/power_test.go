package journal

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/wirebird/wirebird/internal/powercut"
	"github.com/wirebird/wirebird/internal/session"
)

// everyCut lets the power fail before every change of the disk that do makes, and after
// the last. check gets what is left, and whether do had come to its end.
func everyCut(t *testing.T, from *powercut.Disk, do func(*powercut.Disk) error, check func(left *powercut.Disk, ended bool) error) {
	t.Helper()
	cuts := 0
	for n, ended := 0, false; !ended; n++ {
		for i := range keepers {
			c := powercut.Cut{Seed: uint64(n*keepers + i), Keep: 100 * i / (keepers - 1)}
			disk := from.Cut(powercut.Cut{Keep: 100})
			disk.CutAfter(n, c)
			if err := do(disk); err != nil {
				t.Fatal(err)
			}
			left := disk.Left()
			if ended = left == nil; ended {
				left = disk.Cut(c)
			}
			if err := check(left, ended); err != nil {
				t.Fatalf("cut after %d changes, %d %% kept: %v", n, c.Keep, err)
			}
			cuts++
		}
	}
	t.Logf("%d cuts", cuts)
}

// filled is a disk with records of all kinds, some in tables and some in the log.
func filled(t *testing.T) *powercut.Disk {
	t.Helper()
	disk := powercut.New()
	m, err := OpenManual(Options{FS: disk, Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	msg := &session.Message{Topic: "t", Payload: []byte("hello"), QoS: 1}
	large := &session.Message{Topic: "t/large", Payload: make([]byte, 3000), QoS: 2}
	for mid := uint64(1); mid < 40; mid += 2 {
		for sid := uint64(1); sid <= 3; sid++ {
			m.Submit(0, []Op{
				{Kind: PutSession, SID: sid, Name: fmt.Sprint("c", sid), Expiry: 100},
				{Kind: PutSubscription, SID: sid, Name: "t/#", Options: 1},
				{Kind: Accept, SID: sid, ID: uint16(mid)},
				{Kind: PutWill, SID: sid, Msg: msg, Expiry: 5},
			}, func(error) {})
		}
		m.Submit(0, []Op{
			{Kind: Publish, MID: mid, Msg: msg, Targets: []Target{{SID: 1, QoS: 1}}},
			{Kind: Publish, MID: mid + 1, Msg: large, Targets: []Target{{SID: 1, QoS: 1}, {SID: 2, QoS: 2}}},
			{Kind: Assign, SID: 2, MID: mid + 1, ID: uint16(mid)},
			{Kind: PutRetained, Msg: &session.Message{Topic: fmt.Sprint("r/", mid), Payload: []byte("x")}},
		}, func(error) {})
		for m.Write(math.MaxInt) || m.Complete() {
		}
		if mid == 21 {
			if err := m.Flush(true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.Abandon(); err != nil {
		t.Fatal(err)
	}
	return disk
}

// recordsOf are those of a directory, which must be whole.
func recordsOf(disk *powercut.Disk, dir string) (map[string]string, error) {
	m, err := OpenManual(Options{FS: disk, Dir: dir})
	if err != nil {
		return nil, err
	}
	got := newModel()
	stats, err := m.Recover(got)
	if err == nil && stats.Orphans > 0 {
		err = fmt.Errorf("%d records belong to nothing", stats.Orphans)
	}
	return got.records, errors.Join(err, m.Abandon())
}

func mustRecords(t *testing.T, disk *powercut.Disk, dir string) map[string]string {
	t.Helper()
	got, err := recordsOf(disk.Cut(powercut.Cut{Keep: 100}), dir)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func same(disk *powercut.Disk, dir string, wants ...map[string]string) error {
	got, err := recordsOf(disk, dir)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(wants, func(w map[string]string) bool { return maps.Equal(w, got) }) {
		return fmt.Errorf("%d records, want %d: %v", len(got), len(wants[0]), got)
	}
	return nil
}

func TestAStartMayBeCutAnywhere(t *testing.T) {
	disk := filled(t)
	want := mustRecords(t, disk, "data")
	everyCut(t, disk, func(d *powercut.Disk) error {
		_, err := recordsOf(d, "data")
		return err
	}, func(left *powercut.Disk, _ bool) error { return same(left, "data", want) })
}

// The directory of a first start that was cut off is empty, or as good as that.
func TestTheFirstStartMayBeCutAnywhere(t *testing.T) {
	everyCut(t, powercut.New(), func(d *powercut.Disk) error {
		_, err := recordsOf(d, "data")
		return err
	}, func(left *powercut.Disk, _ bool) error { return same(left, "data", map[string]string{}) })
}

func TestATableMayBeCutAnywhere(t *testing.T) {
	disk := filled(t)
	want := mustRecords(t, disk, "data")
	everyCut(t, disk, func(d *powercut.Disk) error {
		m, err := OpenManual(Options{FS: d, Dir: "data"})
		if err != nil {
			return err
		}
		return errors.Join(m.Flush(true), m.db.Compact(t.Context(), []byte{0}, []byte{0xFF}, false), m.Abandon())
	}, func(left *powercut.Disk, _ bool) error { return same(left, "data", want) })
}

func TestARenameIsDoneInFullOrNotAtAll(t *testing.T) {
	disk := filled(t)
	before := mustRecords(t, disk, "data")
	rename := func(d *powercut.Disk) error {
		m, err := OpenManual(Options{FS: d, Dir: "data"})
		if err != nil {
			return err
		}
		// Two change places, and one gets a number that was free.
		return errors.Join(m.Rename(map[uint64]uint64{1: 2, 2: 1, 3: 1 << 40}), m.Abandon())
	}
	done := disk.Cut(powercut.Cut{Keep: 100})
	if err := rename(done); err != nil {
		t.Fatal(err)
	}
	after := mustRecords(t, done, "data")
	if maps.Equal(before, after) || len(before) != len(after) {
		t.Fatalf("%d records became %d", len(before), len(after))
	}
	everyCut(t, disk, rename, func(left *powercut.Disk, ended bool) error {
		if ended {
			return same(left, "data", after)
		}
		return same(left, "data", after, before)
	})
}

func TestABackupIsWholeOrSaysThatItIsNot(t *testing.T) {
	disk := filled(t)
	want := mustRecords(t, disk, "data")
	everyCut(t, disk, func(d *powercut.Disk) error {
		m, err := OpenManual(Options{FS: d, Dir: "data"})
		if err != nil {
			return err
		}
		_, err = m.Backup("backup")
		return errors.Join(err, m.Abandon())
	}, func(left *powercut.Disk, ended bool) error {
		if err := same(left, "data", want); err != nil {
			return err
		}
		if _, err := ReadManifest(left, "backup"); err != nil {
			if ended {
				return err
			}
			return nil
		}
		if _, err := Restore(Options{FS: left, Dir: "restored"}, "backup"); err != nil {
			return err
		}
		return same(left, "restored", want)
	})
}

// A start may find that the one before it, which was cut off, has left nothing to do. Then
// the database writes no manifest, of which a backup needs a copy.
func TestABackupIsWholeAfterAStartThatWasCutOff(t *testing.T) {
	disk := filled(t)
	want := mustRecords(t, disk, "data")
	everyCut(t, disk, func(d *powercut.Disk) error {
		_, err := recordsOf(d, "data")
		return err
	}, func(left *powercut.Disk, _ bool) error {
		m, err := OpenManual(Options{FS: left, Dir: "data"})
		if err != nil {
			return err
		}
		_, err = m.Backup("backup")
		if err = errors.Join(err, m.Abandon()); err != nil {
			return err
		}
		if _, err := Restore(Options{FS: left, Dir: "restored"}, "backup"); err != nil {
			return err
		}
		return same(left, "restored", want)
	})
}

// A restore that was cut off leaves the directory empty, so that it can be done again.
func TestARestoreIsDoneInFullOrNotAtAll(t *testing.T) {
	disk := filled(t)
	want := mustRecords(t, disk, "data")
	m, err := OpenManual(Options{FS: disk, Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Backup("backup"); err != nil {
		t.Fatal(err)
	}
	if err := m.Abandon(); err != nil {
		t.Fatal(err)
	}
	restore := func(d *powercut.Disk) error {
		_, err := Restore(Options{FS: d, Dir: "restored"}, "backup")
		return err
	}
	everyCut(t, disk, restore, func(left *powercut.Disk, ended bool) error {
		if names, _ := left.List("restored"); !ended && len(names) == 0 {
			if err := restore(left); err != nil {
				return err
			}
		}
		return same(left, "restored", want)
	})
}
