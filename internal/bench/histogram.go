package bench

import (
	"math"
	"math/bits"
	"time"
)

const (
	histogramBits  = 6                        // 64 steps an octave: an error of 1/128 at most
	histogramLimit = time.Duration(1<<37 - 1) // longer durations count as this, more than two minutes
	histogramSlots = (37 - histogramBits + 1) << histogramBits
)

// histogram counts durations with a relative error that does not depend on
// their size. The zero value is empty; it is for one goroutine.
type histogram struct {
	counts [histogramSlots]uint32
	total  uint64
}

func (h *histogram) record(d time.Duration) {
	h.counts[slotOf(d)]++
	h.total++
}

func slotOf(d time.Duration) int {
	v := uint64(min(max(d, 0), histogramLimit))
	shift := max(bits.Len64(v)-histogramBits-1, 0)
	return shift<<histogramBits + int(v>>shift)
}

// middleOf returns the duration in the middle of those that share a slot.
func middleOf(slot int) time.Duration {
	shift := max(slot>>histogramBits-1, 0)
	return time.Duration((slot-shift<<histogramBits)<<shift + 1<<shift/2)
}

// add counts what other has counted.
func (h *histogram) add(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// quantile returns the duration that a share of q of all durations does not
// exceed, 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(h.total))), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); seen >= rank {
			return middleOf(i)
		}
	}
	return 0
}
