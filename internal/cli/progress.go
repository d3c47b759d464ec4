package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/wirebird/wirebird/internal/load"
)

// progress is a line on standard error that tells how work goes, if that is a
// terminal.
type progress struct {
	w  io.Writer // nil: nobody looks
	mu sync.Mutex
	up bool // a line stands there; guarded by mu
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return &progress{w: w}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull && os.Getenv("TERM") != "dumb"
}

// tell shows an interval of a measurement.
func (p *progress) tell(what string, l load.Progress) {
	if l.Elapsed == 0 {
		p.line("%s: connecting", what)
		return
	}
	phase := "warm-up"
	if l.Measuring {
		phase = "measuring"
	}
	p.line("%s: %s, %.1fs, %.0f/s, p99 %v", what, phase, l.Elapsed.Seconds(), l.PerSecond, l.P99.Round(time.Microsecond))
}

func (p *progress) line(format string, args ...any) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = true
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.up = false
}
