package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

const (
	defaultMemTable = 16 << 20
	defaultCache    = 32 << 20
	// databaseFormat is Pebble's. It is raised in a release that says so: older
	// releases cannot open the directory then.
	databaseFormat = pebble.FormatFlushableIngest
)

func (d *Disk) pebbleOptions(readOnly bool) *pebble.Options {
	o := &pebble.Options{
		FS:                          d.fs,
		Lock:                        d.lock,
		ReadOnly:                    readOnly,
		FormatMajorVersion:          databaseFormat,
		MemTableSize:                uint64(d.o.MemTableSize),
		CacheSize:                   d.o.CacheSize,
		MemTableStopWritesThreshold: neverReached,
		L0StopWritesThreshold:       neverReached,
		L0CompactionThreshold:       4,
		DisableAutomaticCompactions: d.manual,
		DisableTableStats:           d.manual,
		Logger:                      logger{d.log, d.fs.stop},
		EventListener: &pebble.EventListener{
			BackgroundError: d.backgroundError,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { d.fs.stop(info.Details) },
			ManifestCreated: func(i pebble.ManifestCreateInfo) {
				if i.Err == nil {
					d.manifest.Store(true)
				}
			},
			WALCreated:    func(pebble.WALCreateInfo) { d.rotated.Store(true) },
			FlushEnd:      func(pebble.FlushInfo) { d.written() },
			CompactionEnd: func(pebble.CompactionInfo) { d.written() },
		},
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = defaultMemTable
	}
	d.memTable = o.MemTableSize
	if o.CacheSize == 0 {
		o.CacheSize = defaultCache
	}
	return o
}

// backgroundError is called when a table could not be written. The log still has the
// data, but it would only grow.
func (d *Disk) backgroundError(err error) {
	if !errors.Is(err, pebble.ErrCancelledCompaction) {
		d.fs.stop(err)
	}
}

// openPebble turns the panics of a database that cannot start into errors.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("database: %v", r)
		}
	}()
	return pebble.Open(dir, o)
}
