//go:build !race

package sim

const (
	defaultSeeds = 2000
	powerSeeds   = 1500
	controlSeeds = 100 // how many schedules may pass before a control loses something
	replaySeeds  = 20
)
