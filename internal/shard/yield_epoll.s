//go:build linux && !wirebird_goroutine

// With this file in the package the compiler accepts a function without a body: goyield
// is the runtime's.
