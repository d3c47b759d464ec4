//go:build !linux

package load

func newDriver() (driver, error) { return newNetDriver() }
