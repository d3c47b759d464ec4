//go:build !race

package journal

const manySeeds = 25
