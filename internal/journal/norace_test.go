//go:build !race

package journal

const manySeeds = 25

// keepers is how often a cut is made at each instant, with more or less of what was not
// synced.
const keepers = 8
