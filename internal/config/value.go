package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// String returns s with the largest unit that divides it, as 1MiB, or a plain
// number.
func (s Size) String() string {
	switch {
	case s == 0:
	case s%TiB == 0:
		return strconv.FormatInt(int64(s/TiB), 10) + "TiB"
	case s%GiB == 0:
		return strconv.FormatInt(int64(s/GiB), 10) + "GiB"
	case s%MiB == 0:
		return strconv.FormatInt(int64(s/MiB), 10) + "MiB"
	case s%KiB == 0:
		return strconv.FormatInt(int64(s/KiB), 10) + "KiB"
	}
	return strconv.FormatInt(int64(s), 10)
}

var errForm = errors.New("form")

// parseSize reads a whole number, alone or with KiB, MiB, GiB or TiB behind it.
func parseSize(s string) (Size, error) {
	unit := Size(1)
	for _, u := range []struct {
		name string
		size Size
	}{{"KiB", KiB}, {"MiB", MiB}, {"GiB", GiB}, {"TiB", TiB}} {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSuffix(digits, " "), u.size
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n > math.MaxInt64/uint64(unit) {
		return 0, errForm
	}
	return Size(n) * unit, nil
}

// parseDuration reads what time.ParseDuration reads, and days as 7d.
func parseDuration(s string) (time.Duration, error) {
	if digits, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(digits, 10, 16) // 65535 days fit a Duration
		if err != nil {
			return 0, errForm
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(s)
}

// formatDuration writes 10m where Duration.String writes 10m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	var before []int // row i-2
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// suggest returns the name that was probably meant, "" if none is close. A
// name at another level, as max_qos for limits.max_qos, is close.
func suggest(name string, names []string) string {
	if len(name) > 100 {
		return "" // nobody mistypes that much
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	best, bestDistance := "", min(4, (len(name)+2)/3)+1
	for _, n := range names {
		d := editDistance(name, n)
		if last != "" && last == n[strings.LastIndexByte(n, '.')+1:] {
			d = 0
		}
		if d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}
