package bench

import (
	"fmt"
	"os"
	"time"
)

const (
	diskBlock = 4 << 10
	diskSyncs = 100
	diskTime  = time.Second
)

// Disk is what a directory's disk takes for an append of 4 KiB and an fsync:
// the least that a message alone has to wait for.
type Disk struct {
	P50, P99 time.Duration
}

// MeasureDisk appends to a file in dir for at most about a second and removes it.
func MeasureDisk(dir string) (Disk, error) {
	f, err := os.CreateTemp(dir, "wirebird-bench-disk-")
	if err != nil {
		return Disk{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := newHistogram()
	block := make([]byte, diskBlock)
	for start := time.Now(); h.total() < diskSyncs && time.Since(start) < diskTime; {
		before := time.Now()
		if _, err := f.Write(block); err != nil {
			return Disk{}, err
		}
		if err := f.Sync(); err != nil {
			return Disk{}, fmt.Errorf("sync %s: %w", f.Name(), err)
		}
		h.record(time.Since(before))
	}
	return Disk{P50: h.quantile(0.50), P99: h.quantile(0.99)}, nil
}
