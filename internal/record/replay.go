package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/topic"
)

// Replay says how a recording is played.
type Replay struct {
	// Speed is how much faster than it came; 0 does not wait at all.
	Speed float64
	// Filters are what topics have to match, one of them; none is all. Without are
	// those that leave a topic out.
	Filters, Without []string
	Rewrites         []Rewrite
	Prefix           string // before every topic, after Rewrites
	// Publish is given each message when its time has come.
	Publish func(ctx context.Context, m client.Message) error
	// Now and Wait are the clock: Wait returns at an instant, or when ctx ends.
	Now  func() time.Time
	Wait func(ctx context.Context, until time.Time) error
}

// Rewrite puts To where a topic begins with the levels of From.
type Rewrite struct{ From, To string }

// ParseRewrite takes FROM=TO apart.
func ParseRewrite(s string) (Rewrite, error) {
	from, to, ok := strings.Cut(s, "=")
	if !ok || from == "" || to == "" {
		return Rewrite{}, fmt.Errorf("%q is not of the form FROM=TO", s)
	}
	return Rewrite{strings.TrimSuffix(from, "/"), strings.TrimSuffix(to, "/")}, nil
}

// rename is where a message goes; the first rewrite that fits counts.
func (p *Replay) rename(name string) string {
	for _, r := range p.Rewrites {
		if rest, ok := strings.CutPrefix(name, r.From); ok && (rest == "" || rest[0] == '/') {
			name = r.To + rest
			break
		}
	}
	return p.Prefix + name
}

func (p *Replay) wanted(name string) bool {
	for _, f := range p.Without {
		if topic.Match(f, name) {
			return false
		}
	}
	for _, f := range p.Filters {
		if topic.Match(f, name) {
			return true
		}
	}
	return len(p.Filters) == 0
}

// Play publishes the messages of r at their times, counted from the first that is
// wanted, and returns how many. A recording that is cut off is played to its last
// whole message, then the error is ErrTruncated.
func (p *Replay) Play(ctx context.Context, r *Reader) (int, error) {
	n := 0
	var began time.Time
	var first time.Duration
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if !p.wanted(e.Message.Topic) {
			continue
		}
		if n == 0 {
			began, first = p.Now(), e.At
		}
		if p.Speed > 0 {
			due := began.Add(time.Duration(float64(e.At-first) / p.Speed))
			if err := p.Wait(ctx, due); err != nil {
				return n, err
			}
		}
		e.Message.Topic = p.rename(e.Message.Topic)
		if err := topic.CheckName(e.Message.Topic); err != nil {
			return n, fmt.Errorf("topic %q: %w", e.Message.Topic, err)
		}
		if err := p.Publish(ctx, e.Message); err != nil {
			return n, fmt.Errorf("publish to %q: %w", e.Message.Topic, err)
		}
		n++
	}
}
