//go:build linux && !wirebird_goroutine

package shard

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A connection that moves, with its first bytes or later, is in the epoll set of its Loop only.
func TestOneLoopWatchesAConnection(t *testing.T) {
	const loops = 3
	fds := make(chan int32, 1)
	addr, _, g := start(t, loops, func(k *echo, c *Conn, line string) bool {
		switch line {
		case "move":
			c.Move(k.l.Peers()[(k.l.ID()+1)%loops], []byte("moved\n"))
		case "which":
			fds <- c.fd
			c.Write([]byte("told\n"))
		default:
			return false
		}
		return true
	})
	for i := range 6 {
		nc := dial(t, addr)
		if i%2 == 0 {
			_, _ = nc.Write([]byte("stay\n"))
			expect(t, nc, "stay\n")
		}
		for range loops {
			_, _ = nc.Write([]byte("move\n"))
			expect(t, nc, "moved\n")
			_, _ = nc.Write([]byte("which\n"))
			expect(t, nc, "told\n")
			fd, n := <-fds, 0
			for _, d := range g.sys.drivers {
				n += watches(t, d.ep, fd)
			}
			if n != 1 {
				t.Fatalf("%d Loops watch one connection", n)
			}
		}
		nc.Close()
	}
}

// watches returns how often fd is in the epoll set ep.
func watches(t *testing.T, ep int, fd int32) (n int) {
	t.Helper()
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", ep))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "tfd:" && f[1] == fmt.Sprint(fd) {
			n++
		}
	}
	return n
}
