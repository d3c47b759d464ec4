package sim

import (
	"fmt"
	"math"
	"path"
	"slices"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/powercut"
)

// power is the real journal on a disk that loses its power. The script decides when
// submissions are written, when the disk has synced them, when the broker hears of it, and
// at which of these instants the power fails.
type power struct {
	o       journal.Options
	disk    *powercut.Disk
	j       *journal.Manual // nil while no broker runs
	asked   []int           // by commit: how many syncs must have taken effect before it is safe
	booting bool
	backups int
	renamed map[uint64]uint64 // by the broker that started last
}

func newPower(s Store) *power {
	o := journal.Options{Dir: "data", MemTableSize: 1 << 20, CacheSize: 1 << 20}
	o.Durability = map[Store]journal.Durability{Power: journal.Fsync, PowerOS: journal.OS, PowerNone: journal.None}[s]
	return &power{o: o, disk: powercut.New()}
}

func (p *power) open() (err error) {
	p.o.FS, p.asked = p.disk, nil
	p.j, err = journal.OpenManual(p.o)
	return err
}

func (p *power) boot(starting bool) { p.booting = starting }

// Volatile is false.
func (p *power) Volatile() bool { return false }

// Submit passes on.
func (p *power) Submit(lane int, ops []journal.Op, done func(error)) { p.j.Submit(lane, ops, done) }

// Load passes on; a broker that starts waits for the answer.
func (p *power) Load(sid uint64, mids []uint64, done loaded) {
	p.j.Load(sid, mids, done)
	if p.booting {
		p.j.Read(math.MaxInt)
	}
}

// Recover passes on.
func (p *power) Recover(v journal.Visitor) (journal.RecoverStats, error) { return p.j.Recover(v) }

// Rename passes on.
func (p *power) Rename(pairs map[uint64]uint64) error {
	p.renamed = pairs
	return p.j.Rename(pairs)
}

// LastMID is the journal's.
func (p *power) LastMID() uint64 { return p.j.LastMID() }

// write writes up to n submissions as one commit.
func (p *power) write(n int) bool {
	if err := p.j.Flush(false); err != nil {
		return false // the submitters hear of it
	}
	p.disk.Late(func(name string) bool { return path.Ext(name) == ".log" })
	did := p.j.Write(n)
	p.j.Synced() // the disk was asked; it has not done so yet
	p.disk.Late(nil)
	if did {
		p.asked = append(p.asked, p.disk.Asked())
	}
	return did
}

// complete tells the broker of commits that are safe.
func (p *power) complete(n int) (busy bool) {
	for ; n > 0 && len(p.asked) > 0 && p.asked[0] <= p.disk.Settled(); n-- {
		p.asked = p.asked[1:]
		busy = p.j.Complete()
	}
	return busy
}

// commit writes n submissions, syncs and completes all, and answers loads.
func (p *power) commit(n int) bool {
	busy := p.write(n)
	p.disk.Settle(math.MaxInt)
	busy = p.complete(math.MaxInt) || busy
	return p.j.Read(math.MaxInt) || busy
}

// crash ends the process; the system goes on.
func (p *power) crash() error { return p.off(powercut.Cut{Keep: 100}) }

// off ends the power.
func (p *power) off(c powercut.Cut) error {
	p.disk = p.disk.Cut(c)
	return p.end()
}

// end ends the journal of a broker that is no more. What it still does to its disk is done
// to one that nobody will see.
func (p *power) end() error {
	j := p.j
	p.j = nil
	if j == nil {
		return nil
	}
	return j.Abandon()
}

func (p *power) close() error { return p.end() }

// doPower does the steps for a broker with a disk.
func (w *world) doPower(p *power, s *Step) {
	switch s.Verb {
	case Write:
		p.write(s.A)
	case Sync:
		p.disk.Settle(s.A)
	case Done:
		p.complete(s.A)
	case Load:
		p.j.Read(s.A)
	case Table:
		if err := p.j.Flush(true); err != nil {
			w.fail(Recoverable, "%v", err)
		}
	case Off:
		w.res.Offs++
		w.crash(s.A, func() (map[uint64]uint64, error) { return w.off(p, s) })
	case Backup:
		if p.o.Durability == journal.Fsync {
			w.res.Backups++
			if err := p.backup(s.A, powercut.Cut{Seed: uint64(s.C), Keep: s.B}); err != nil {
				w.fail(Durable, "%v", err)
			}
		}
	}
}

// off lets the power fail. B of a hundred blocks and names that were not synced are left,
// D decides which. When C is not 0 the power fails again during the start, after C changes
// of the disk.
func (w *world) off(p *power, s *Step) (tried map[uint64]uint64, err error) {
	c := powercut.Cut{Seed: uint64(s.D), Keep: s.B}
	if s.D%4 == 0 {
		c.Block = 4096
	}
	if err := p.off(c); err != nil || s.C == 0 {
		return nil, err
	}
	w.res.Again++
	c.Seed++
	p.disk.CutAfter(s.C-1, c)
	p.renamed = nil
	p.boot(true)
	defer p.boot(false)
	if err := p.open(); err != nil {
		return nil, err
	}
	o := w.options(1 + s.A%3) // of a shard more, or of one
	o.Journal = p
	b, err := broker.New(o)
	if err == nil {
		_, err = b.Recover()
	}
	if err != nil {
		return nil, fmt.Errorf("the start that is cut off: %w", err)
	}
	left := p.disk.Left()
	if left == nil {
		left = p.disk.Cut(c)
	}
	err = p.end()
	p.disk = left
	return p.renamed, err
}

// backup makes a backup. After n changes the power fails, on a copy of the disk, which
// must hold the data and either a whole backup or one that says that it is not.
func (p *power) backup(n int, c powercut.Cut) error {
	p.disk.Settle(math.MaxInt)
	p.backups++
	dir := fmt.Sprint("backup", p.backups) // one that was removed may be there after a cut
	want, err := p.dump(p.disk.Cut(powercut.Cut{Keep: 100}), p.o.Dir)
	if err != nil {
		return err
	}
	p.disk.CutAfter(n, c)
	if _, err := p.j.Backup(dir); err != nil {
		return err
	}
	left := p.disk.Left()
	whole := left == nil
	if whole {
		left = p.disk.Cut(c)
	}
	if err := p.disk.RemoveAll(dir); err != nil {
		return err
	}
	if err := p.same(left, p.o.Dir, want); err != nil {
		return err
	}
	if _, err := journal.ReadManifest(left, dir); err != nil {
		if whole {
			return fmt.Errorf("a backup that was done is not there: %w", err)
		}
		return nil
	}
	if _, err := journal.Restore(journal.Options{FS: left, Dir: "restored"}, dir); err != nil {
		return err
	}
	return p.same(left, "restored", want)
}

func (p *power) same(on *powercut.Disk, dir string, want []string) error {
	got, err := p.dump(on, dir)
	if err != nil {
		return fmt.Errorf("%s after a backup and a cut: %w", dir, err)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s after a backup and a cut holds\n%q\nand before it\n%q", dir, got, want)
	}
	return nil
}

// dump lists everything in a directory.
func (p *power) dump(on *powercut.Disk, dir string) ([]string, error) {
	o := p.o
	o.FS, o.Dir = on, dir
	j, err := journal.OpenManual(o)
	if err != nil {
		return nil, err
	}
	list := &lister{}
	if _, err = j.Recover(list); err == nil {
		err = list.bodies(j)
	}
	if e := j.Abandon(); err == nil {
		err = e
	}
	return list.lines, err
}
