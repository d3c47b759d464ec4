//go:build linux && !wirebird_goroutine

package shard

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A listener is watched by the Loops only: Go's own poller would wake a thread with each
// connection.
func TestNobodyElseWatchesListeners(t *testing.T) {
	_, _, g := start(t, 2, nil)
	turns := make(chan bool)
	for _, l := range g.Loops() {
		l.Post(func() { turns <- true }) // the one before it watches the listener
		<-turns
	}
	g.sys.mu.Lock()
	fd := g.sys.listeners[0].fd
	g.sys.mu.Unlock()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		t.Fatal(err)
	}
	watchers := 0
	for _, f := range files {
		text, _ := os.ReadFile("/proc/self/fdinfo/" + f.Name())
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "tfd:") && strings.Contains(line, fmt.Sprintf(" ino:%x ", st.Ino)) {
				watchers++
			}
		}
	}
	if watchers != 2 {
		t.Errorf("%d epoll sets have the listener, want those of 2 Loops", watchers)
	}
}
