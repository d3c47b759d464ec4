//go:build race

package sim

// The race detector makes a schedule ten times as slow, and has nothing to find in the
// one goroutine of a run but what runs share.
const (
	defaultSeeds = 2000
	powerSeeds   = 60
	controlSeeds = 15
	replaySeeds  = 5
)
