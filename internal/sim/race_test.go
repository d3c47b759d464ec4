//go:build race

package sim

// defaultSeeds is less under the race detector: one goroutine has nothing to race with.
const defaultSeeds = 100
