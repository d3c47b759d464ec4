package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// manifestName is the file that makes a directory a backup. It is written last.
const manifestName = "wirebird-backup.json"

// partial is the ending of a directory that is not finished.
const partial = ".partial"

// Manifest describes a backup.
type Manifest struct {
	Format  int            `json:"format"`
	Created time.Time      `json:"created"`
	LastMID uint64         `json:"last_mid"`
	Files   []ManifestFile `json:"files"`
}

// ManifestFile is one file of a backup.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Bytes is the size of all files.
func (m *Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// Backup makes a copy of everything that is complete when it is called in dir, which
// must not exist, while the journal goes on. Tables are linked where the file system
// can, so that a copy on the same disk takes little room.
func (d *Disk) Backup(dir string) (Manifest, error) {
	m := Manifest{Format: formatVersion, Created: time.Now().UTC().Truncate(time.Second), LastMID: d.LastMID()}
	under := d.fs.FS
	if _, err := under.Stat(dir); err == nil {
		return m, fmt.Errorf("back up: %s is there already", dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("back up: %w", err)
	}
	tmp := dir + partial
	if err := under.RemoveAll(tmp); err != nil {
		return m, fmt.Errorf("back up: %w", err)
	}
	if err := under.MkdirAll(under.PathDir(dir), 0o700); err != nil {
		return m, fmt.Errorf("back up: %w", err)
	}
	err := d.needManifest()
	if err == nil {
		err = d.db.Checkpoint(tmp, pebble.WithFlushedWAL())
	}
	if err == nil {
		err = d.failure() // the log may not hold all that it should
	}
	if err == nil {
		err = m.describe(under, tmp)
	}
	if err == nil {
		err = m.write(under, tmp)
	}
	if err == nil {
		err = moveDir(under, tmp, dir)
	}
	if err != nil {
		return m, errors.Join(fmt.Errorf("back up: %w", err), under.RemoveAll(tmp))
	}
	return m, nil
}

// needManifest makes the database write a manifest if it has written none since the start,
// because a start that was cut off has left nothing to do. Until then it would copy an
// empty one, and the backup could not be read.
func (d *Disk) needManifest() error {
	if d.manifest.Load() {
		return nil
	}
	flushed, err := d.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-d.broken: // the database would try for ever
		return d.failure()
	}
	if !d.manifest.Load() {
		return errors.New("the database has written no manifest")
	}
	return nil
}

// Restore puts a copy of the backup in from into o.Dir, which must not exist or be
// empty. It compares every file with the backup's manifest.
func Restore(o Options, from string) (Manifest, error) {
	under := o.FS
	if under == nil {
		under = vfs.Default
	}
	m, err := ReadManifest(under, from)
	if err != nil {
		return m, err
	}
	if names, err := under.List(o.Dir); err == nil && len(names) > 0 {
		return m, fmt.Errorf("restore: %s is not empty", o.Dir)
	}
	tmp := o.Dir + partial
	err = errors.Join(under.RemoveAll(tmp), under.MkdirAll(tmp, 0o700))
	for _, f := range m.Files {
		if err != nil {
			break
		}
		err = restoreFile(under, from, tmp, f)
	}
	if err == nil {
		err = syncDir(under, tmp)
	}
	if err == nil {
		err = under.RemoveAll(o.Dir) // empty
	}
	if err == nil {
		err = moveDir(under, tmp, o.Dir)
	}
	if err != nil {
		return m, errors.Join(fmt.Errorf("restore: %w", err), under.RemoveAll(tmp))
	}
	return m, nil
}

// ReadManifest reads that of the backup in dir. A nil under is the operating system's.
func ReadManifest(under vfs.FS, dir string) (Manifest, error) {
	if under == nil {
		under = vfs.Default
	}
	var m Manifest
	f, err := under.Open(under.PathJoin(dir, manifestName))
	if err != nil {
		return m, fmt.Errorf("%s holds no complete backup: %w", dir, err)
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("read the manifest in %s: %w", dir, err)
	}
	if m.Format > formatVersion {
		return m, fmt.Errorf("the backup in %s was %w", dir, ErrNewer)
	}
	for _, f := range m.Files {
		if under.PathBase(f.Name) != f.Name || f.Name == "." || f.Name == ".." {
			return m, fmt.Errorf("the manifest in %s names %q, which is no file of the backup", dir, f.Name)
		}
	}
	return m, nil
}

// describe lists the files of a checkpoint.
func (m *Manifest) describe(under vfs.FS, dir string) error {
	names, err := under.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := under.Open(under.PathJoin(dir, name))
		if err != nil {
			return err
		}
		size, sum, err := digest(io.Discard, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		m.Files = append(m.Files, ManifestFile{name, size, sum})
	}
	return nil
}

func (m *Manifest) write(under vfs.FS, dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f, err := under.Create(under.PathJoin(dir, manifestName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), syncDir(under, dir))
}

func restoreFile(under vfs.FS, from, to string, want ManifestFile) error {
	src, err := under.Open(under.PathJoin(from, want.Name))
	if err != nil {
		return err
	}
	dst, err := under.Create(under.PathJoin(to, want.Name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	size, sum, err := digest(dst, src)
	if err == nil && (size != want.Size || sum != want.SHA256) {
		err = fmt.Errorf("%s differs from what was backed up: %w", want.Name, ErrDamaged)
	}
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close(), src.Close())
}

// digest copies and sums up.
func digest(dst io.Writer, src io.Reader) (size int64, sum string, err error) {
	h := sha256.New()
	// vfs writers may change what they are given, so that the sum comes first.
	size, err = io.Copy(io.MultiWriter(h, dst), src)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

func moveDir(under vfs.FS, from, to string) error {
	if err := under.Rename(from, to); err != nil {
		return err
	}
	return syncDir(under, under.PathDir(to))
}

func syncDir(under vfs.FS, dir string) error {
	f, err := under.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
