package load

import (
	"bufio"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Listening returns the process of this machine that listens at the target's
// address, 0 if there is none that we may look at.
func (t *Target) Listening() int {
	var inode string
	if t.network == "unix" {
		inode = unixInode(t.address)
	} else if _, port, err := net.SplitHostPort(t.address); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			inode = tcpInode(uint16(n))
		}
	}
	if inode == "" {
		return 0
	}
	return holder("socket:[" + inode + "]")
}

// tcpInode finds the socket that listens on a port.
func tcpInode(port uint16) string {
	want := strings.ToUpper(hex.EncodeToString([]byte{byte(port >> 8), byte(port)}))
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		inode := scan(path, func(f []string) string {
			const listening = "0A"
			if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], ":"+want) {
				return f[9]
			}
			return ""
		})
		if inode != "" {
			return inode
		}
	}
	return ""
}

func unixInode(path string) string {
	return scan("/proc/net/unix", func(f []string) string {
		const accepting = "00010000"
		if len(f) > 7 && f[7] == path && f[3] == accepting {
			return f[6]
		}
		return ""
	})
}

// scan returns what the first line of a table gives that gives anything.
func scan(path string, take func(fields []string) string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if v := take(strings.Fields(lines.Text())); v != "" {
			return v
		}
	}
	return ""
}

// holder returns the process with an open descriptor that links to name.
func holder(name string) int {
	all, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0
	}
	for _, path := range all {
		if to, err := os.Readlink(path); err == nil && to == name {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2]) // digits, by the pattern
			return pid
		}
	}
	return 0
}
