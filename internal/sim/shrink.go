package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// shrinker makes a script that breaks a promise shorter while it still breaks that one.
type shrinker struct {
	play    func(*Script) error
	promise Promise
	best    *Script
	left    int // runs
}

// mostRuns bounds how often a script is played to shrink it.
const mostRuns = 3000

// Shrink returns the shortest script it finds that fails as s does, which fails in play.
func Shrink(s *Script, play func(*Script) error) *Script {
	var f *Failure
	if !errors.As(play(s), &f) {
		return s
	}
	h := &shrinker{play: play, promise: f.Promise, best: s, left: mostRuns}
	if f.Step > 0 {
		h.try(&Script{s.World, s.Steps[:f.Step]})
	}
	for size := -1; size != h.size() && h.left > 0; {
		size = h.size()
		h.clients()
		h.steps()
		h.world()
		h.packets()
	}
	return h.best
}

func (h *shrinker) size() int { return len(h.best.String()) }

// try plays a script and keeps it if it fails in the same way.
func (h *shrinker) try(s *Script) bool {
	if h.left <= 0 {
		return false
	}
	h.left--
	var f *Failure
	if !errors.As(h.play(s), &f) || f.Promise != h.promise {
		return false
	}
	h.best = s
	return true
}

// clients leaves whole clients out.
func (h *shrinker) clients() {
	seen := map[string]bool{}
	for _, s := range h.best.Steps {
		seen[s.Client] = true
	}
	delete(seen, "")
	for name := range seen {
		h.try(&Script{h.best.World, slices.DeleteFunc(slices.Clone(h.best.Steps), func(s Step) bool { return s.Client == name })})
	}
}

// steps leaves parts out, ever smaller ones.
func (h *shrinker) steps() {
	for n := len(h.best.Steps) / 2; n > 0; n /= 2 {
		for at := 0; at < len(h.best.Steps); {
			end := min(at+n, len(h.best.Steps))
			rest := slices.Concat(h.best.Steps[:at], h.best.Steps[end:])
			if !h.try(&Script{h.best.World, rest}) {
				at = end
			}
		}
	}
}

// world takes what is special away from the broker.
func (h *shrinker) world() {
	for i := range len(new(World).fields()) {
		w := h.best.World
		if f := w.fields()[i]; *f.n != 0 {
			*f.n = 0
			h.try(&Script{w, h.best.Steps})
		}
	}
	w := h.best.World
	w.DropOldest = false
	h.try(&Script{w, h.best.Steps})
	for _, simpler := range []Store{Model, Memory} {
		w = h.best.World
		w.Store = simpler
		h.try(&Script{w, h.best.Steps})
	}
}

// packets makes packets plainer.
func (h *shrinker) packets() {
	for i := 0; i < len(h.best.Steps); i++ {
		for _, plainer := range plainer(h.best.Steps[i].Packet) {
			steps := slices.Clone(h.best.Steps)
			steps[i].Packet = plainer
			h.try(&Script{h.best.World, steps})
		}
	}
}

// plainer are simpler forms of a packet.
func plainer(p packet.Packet) (list []packet.Packet) {
	switch p := p.(type) {
	case *packet.Connect:
		q := *p
		q.Will, q.KeepAlive = nil, 0
		list = append(list, &q)
		q = *p
		q.Properties = packet.Properties{SessionExpiry: p.Properties.SessionExpiry}
		if p.Properties.Has(packet.PropSessionExpiry) {
			q.Properties.Mark(packet.PropSessionExpiry)
		}
		list = append(list, &q)
	case *packet.Publish:
		q := *p
		q.Properties = packet.Properties{}
		list = append(list, &q)
		q = *p
		q.Retain = false
		if name, _, padded := strings.Cut(string(p.Payload), " "); padded {
			q.Payload = []byte(name)
		}
		list = append(list, &q)
	case *packet.Subscribe:
		q := *p
		q.Properties = packet.Properties{}
		list = append(list, &q)
		for i := range p.Filters {
			if len(p.Filters) > 1 {
				q := *p
				q.Filters = slices.Delete(slices.Clone(p.Filters), i, i+1)
				list = append(list, &q)
			}
		}
	}
	return list
}

// Tell is a failing script with the conversation that it leads to, as comments, and the
// broken promise at its end.
func Tell(s *Script) string { return tell(newWorld(s)) }

func tell(w *world) string {
	w.loud = true
	_, _ = w.run()
	return fmt.Sprintf("%s\n%s\n", w.script.World, strings.Join(w.log, "\n"))
}
