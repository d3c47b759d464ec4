//go:build !wirebird_goroutine

package tools

// otherDriver is true where the tests are run a second time for the sake of the
// broker's driver, which the tools have nothing to do with.
const otherDriver = false
