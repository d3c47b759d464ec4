//go:build !race

package sim

const (
	defaultSeeds = 2000
	powerSeeds   = 1000
)
