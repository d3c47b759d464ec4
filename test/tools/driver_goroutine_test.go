//go:build wirebird_goroutine

package tools

const otherDriver = true
