package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogramLimit is where durations end: longer ones count as this.
const histogramLimit = 120 * time.Second

// histogram counts durations with a relative error of a hundredth. It is for one
// goroutine.
type histogram struct{ h *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(1, int64(histogramLimit), 2)}
}

func (h histogram) record(d time.Duration) {
	_ = h.h.RecordValue(int64(min(max(d, 0), histogramLimit))) // within its bounds
}

func (h histogram) total() int64 { return h.h.TotalCount() }

// add counts what other has counted.
func (h histogram) add(other histogram) { h.h.Merge(other.h) }

// quantile returns the duration that a share of q of all durations does not
// exceed, 0 if there are none.
func (h histogram) quantile(q float64) time.Duration {
	return time.Duration(h.h.ValueAtQuantile(100 * q))
}
