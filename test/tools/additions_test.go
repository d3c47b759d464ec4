package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// additions of Mosquitto 2.1, and what Debian's build does not have: want are
// patterns that all match the outcome.
var additionLines = []struct {
	tool string
	line
	want []string
}{
	{"pub", line{args: "-t a -m x --ws", mode: "ws"}, []string{`^status 0\n`, `WebSocket /mqtt`, `topic="a" payload=1B "x"`}},
	{"pub", line{args: "-t a -m x --ws --ws-path /broker?k=v", mode: "ws"}, []string{`^status 0\n`, `WebSocket /broker\?k=v`}},
	{"pub", line{args: "-L ws://u:p@127.0.0.1:$PORT/a/b -m x", mode: "ws"}, []string{`^status 0\n`, `WebSocket /mqtt`, `username="u"`, `topic="a/b"`}},
	{"sub", line{args: "-L wss://localhost:$PORT/a --cafile $DIR/ca.pem -E", mode: "wss"}, []string{`^status 0\n`, `WebSocket /mqtt`, `filter="a"`}},
	{"pub", line{args: "-t a -m x --ws"}, []string{`^status 14\n|^status 1\n`, `(?s)--- stderr\n[^\n]+\n`}},
	{"pub", line{args: cafile + "--no-tls -t a -m x"}, []string{`^status 0\n`, `topic="a"`}},
	{"pub", line{args: cafile + "--tls-keylog $DIR/keys -t a -m x", mode: "tls"}, []string{`^status 0\n`}},
	{"pub", line{args: "-t a -m x -V 5.0 --mptcp"}, []string{`^status 0\n`, `version=5.0`}},
	{"pub", line{args: "-t a -m x -V 3.1.1"}, []string{`version=3.1.1`}},
	{"pub", line{args: "-t a -m x -V 31"}, []string{`version=3.1 `}},
	{"pub", line{args: "-o $DIR/options -t a -m x"}, []string{`client-id="from file"`, `PUBLISH q1`}},
	{"pub", line{args: "-o /nonexistent -t a -m x"}, []string{`^status 1\n`, `Unable to open options file "/nonexistent": No such file`}},
	{"sub", line{args: "-t a -V 5 --retain-handling new --no-local -E", mode: "none"}, []string{`filter="a" q0 no-local retain-handling=1`}},
	{"sub", line{args: "-t a -V 5 --retain-handling never -E", mode: "none"}, []string{`retain-handling=2`}},
	{"sub", line{args: "-t a --message-rate -W 2"}, []string{`^status 27\n--- stdout\n3\n`}},
	{"sub", line{args: "-t a -w -v -C 3"}, []string{`^status 0\n--- stdout\n` + regexp.QuoteMeta("\x1b[2J\x1b[1;1H\x1b[1;1H\x1b[2Ka/old 1\n\x1b[2;1H\x1b[2;1H\x1b[2Ka/b {")}},
	{"sub", line{args: "-t a -v -C 3 --random-filter 100"}, []string{`a/old 1\na/b .*\na/c \(null\)\n`}},
	{"sub", line{args: "-t a -V 5 -W 4", mode: "keepalive"}, []string{`^status 27\n`, `keep-alive=60`, `PINGREQ`}},
	{"sub", line{args: cafile + "-t a -W 1", mode: "mute"}, []string{`^status 27\n--- stdout\n\n--- stderr\nTimed out\n`}},
	{"rr", line{args: cafile + "-t a -e b -m x -W 1", mode: "mute"}, []string{`^status 27\n--- stdout\n\n--- stderr\nTimed out\n`}},
	{"sub", line{args: "-U b -E -W 1", mode: "none"}, []string{`^status 27\n`, `UNSUBSCRIBE id=1 filter="b"`}},
	{"rr", line{args: "-t a -e b -m x --latency", mode: "echo"}, []string{`^status 0\n--- stdout\nre: x\nLatency: \d+\.\d+(ms|µs)?\n`}},
}

func TestAdditions(t *testing.T) {
	b := newBench(t)
	t.Run("lines", func(t *testing.T) { // which ends when all of them have
		for _, l := range additionLines {
			_, ours := b.tools(t, l.tool)
			t.Run(fmt.Sprintf("%s %s", l.tool, l.args), func(t *testing.T) {
				t.Parallel()
				got := b.run(t, ours, l.line)
				for _, want := range l.want {
					if !regexp.MustCompile(want).MatchString(got) {
						t.Errorf("no match for %s in\n%s", want, got)
					}
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	if keys, err := os.ReadFile(filepath.Join(b.dir, "keys")); err != nil || !strings.Contains(string(keys), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("--tls-keylog: %v, %q", err, keys)
	}
}
