package mosquitto

import (
	"fmt"
	"io"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// screen shows the latest message of each topic on a line of its own (--watch).
type screen struct {
	out  io.Writer
	line map[string]int // from 1
}

func newScreen(out io.Writer) *screen {
	fmt.Fprint(out, "\x1b[2J\x1b[1;1H") // clear, and go to the top
	return &screen{out: out, line: map[string]int{}}
}

// show prints m on the line of its topic and leaves the cursor below all of
// them.
func (s *screen) show(m *packet.Publish, p *printer) {
	n, ok := s.line[string(m.Topic)]
	if !ok {
		n = len(s.line) + 1
		s.line[string(m.Topic)] = n
	}
	fmt.Fprintf(s.out, "\x1b[%d;1H\x1b[2K", n)
	p.print(m, time.Now())
	fmt.Fprintf(s.out, "\x1b[%d;1H", len(s.line)+1)
}
