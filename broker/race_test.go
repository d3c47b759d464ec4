//go:build race

package broker_test

// poolAllocations is what a message may allocate because the race detector lets a
// sync.Pool forget what it holds.
const poolAllocations = 4
