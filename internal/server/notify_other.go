//go:build !linux

package server

// notifier tells nobody: there is no systemd here.
type notifier string

func (notifier) send(string) error { return nil }

func reloading() string { return "RELOADING=1" }
