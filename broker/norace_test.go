//go:build !race

package broker_test

const poolAllocations = 0
