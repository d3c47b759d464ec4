//go:build race

package journal

// manySeeds is less under the race detector, which makes each ten times as slow.
const manySeeds = 5

const keepers = 3
