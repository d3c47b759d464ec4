package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// Pattern says who gets whose messages.
type Pattern uint8

const (
	// Pairs gives each publisher a subscriber of its own.
	Pairs Pattern = iota
	// All gives every subscriber every message: one subscriber is fan-in, one
	// publisher fan-out.
	All
	// Scatter lets each subscriber hold 100 filters, 60 exact, 30 with + and 10 with
	// #, and the publishers walk topics that match exactly one filter each.
	Scatter
	// None has no subscribers: publishing alone.
	None
)

func (p Pattern) String() string { return [...]string{"pairs", "all", "scatter", "none"}[p] }

// Work is a load and how long it is measured.
type Work struct {
	Pattern     Pattern
	Version     packet.Version // 0 is 3.1.1
	QoS         byte
	Publishers  int
	Subscribers int // Pairs has as many as publishers
	Payload     int // bytes; at least StampBytes
	// Window is how many messages of a publisher are under way, delivered or
	// acknowledged later. With a rate it bounds only what is not acknowledged.
	Window int
	// Batch is how many messages a publisher writes at once.
	Batch int
	// Rate is the messages that are due each second, of all publishers together. 0 is
	// a closed loop: the next is sent when one has come.
	Rate             float64
	Warmup, Duration time.Duration
	// PIDs are the broker's processes; none is unknown.
	PIDs []int
	// Calls, if not nil, is asked for system calls of the broker that the system does
	// not count: those by send and recv.
	Calls func() float64
	// Progress is told some times a second how it goes. nil is nobody.
	Progress func(Progress)
	// Portable drives connections with goroutines where epoll would do.
	Portable bool
}

// Progress is one interval of a measurement.
type Progress struct {
	Elapsed   time.Duration // since the warm-up began
	Measuring bool
	PerSecond float64
	P99       time.Duration
}

// Limits of Work.
const (
	MaxClients = 100_000
	MaxWindow  = 65535
	MaxPayload = 4 << 20
	maxUnsent  = 1 << 20 // bytes of a connection that a schedule may be ahead
)

// Validate names the first field that cannot be.
func (w *Work) Validate() error {
	switch {
	case w.Version != packet.V311 && w.Version != packet.V5:
		return errors.New("version: want 3.1.1 or 5.0")
	case w.QoS > 2:
		return fmt.Errorf("QoS: want 0, 1 or 2, not %d", w.QoS)
	case w.Publishers < 1 || w.Publishers > MaxClients:
		return fmt.Errorf("publishers: want 1 to %d, not %d", MaxClients, w.Publishers)
	case w.Pattern != None && (w.Subscribers < 1 || w.Subscribers > MaxClients):
		return fmt.Errorf("subscribers: want 1 to %d, not %d", MaxClients, w.Subscribers)
	case w.Pattern == Pairs && w.Subscribers != w.Publishers:
		return errors.New("pairs: want as many subscribers as publishers")
	case w.Pattern == Scatter && w.Publishers > w.Subscribers:
		return errors.New("scatter: want at most as many publishers as subscribers")
	case w.Payload < StampBytes || w.Payload > MaxPayload:
		return fmt.Errorf("payload: want %d to %d bytes, not %d", StampBytes, MaxPayload, w.Payload)
	case w.Window < 1 || w.Window > MaxWindow:
		return fmt.Errorf("window: want 1 to %d messages, not %d", MaxWindow, w.Window)
	case w.Batch < 1 || w.Batch > w.Window:
		return fmt.Errorf("batch: want 1 to the window, %d, not %d", w.Window, w.Batch)
	case w.Rate < 0 || w.Rate > 1e8:
		return fmt.Errorf("rate: want 0 to 100 million messages/s, not %g", w.Rate)
	case w.Duration <= 0 || w.Warmup < 0:
		return errors.New("duration: want more than 0")
	}
	return nil
}

// streams is how many there are, each numbered from 0.
func (w *Work) streams() int {
	if w.Pattern == Scatter {
		return w.Publishers * w.Subscribers
	}
	return w.Publishers
}

// copies is to how many subscribers a message goes.
func (w *Work) copies() int {
	switch w.Pattern {
	case All:
		return w.Subscribers
	case None:
		return 0
	}
	return 1
}

// Scattered topics: what one subscriber of Scatter holds.
const (
	scatterFilters = 100
	scatterExact   = 60
	scatterPlus    = 20 // with + in the second place of three, half as many with + in the first
	scatterOther   = 10
)

// topics returns what a publisher publishes to, with the stream of each.
func (w *Work) topics(prefix string, publisher int, each func(topic string, stream uint32)) {
	if w.Pattern != Scatter {
		each(fmt.Sprintf("%s/%05d", prefix, publisher), uint32(publisher))
		return
	}
	for s := publisher % w.Subscribers; s < w.Subscribers; s += w.Publishers {
		stream := uint32(publisher*w.Subscribers + s)
		for i := range scatterExact {
			each(fmt.Sprintf("%s/c%d/d%d/temp", prefix, s, i), stream)
		}
		for i := range scatterPlus {
			each(fmt.Sprintf("%s/c%d/d%d/m%d", prefix, s, i, i), stream)
		}
		for i := range scatterOther {
			each(fmt.Sprintf("%s/c%d/p%d/x", prefix, s, i), stream)
			each(fmt.Sprintf("%s/c%d/z%d/a/b", prefix, s, i), stream)
		}
	}
}

// filters are what a subscriber subscribes to.
func (w *Work) filters(prefix string, subscriber int) []string {
	switch {
	case w.Pattern == Pairs || w.Pattern == All && w.Publishers == 1:
		return []string{fmt.Sprintf("%s/%05d", prefix, subscriber*min(w.Publishers-1, 1))}
	case w.Pattern == All:
		return []string{prefix + "/+"}
	}
	var all []string
	for i := range scatterExact {
		all = append(all, fmt.Sprintf("%s/c%d/d%d/temp", prefix, subscriber, i))
	}
	for i := range scatterPlus {
		all = append(all, fmt.Sprintf("%s/c%d/+/m%d", prefix, subscriber, i))
	}
	for i := range scatterOther {
		all = append(all, fmt.Sprintf("+/%s/c%d/p%d/x", afterSlash(prefix), subscriber, i))
		all = append(all, fmt.Sprintf("%s/c%d/z%d/#", prefix, subscriber, i))
	}
	return all
}

// afterSlash is the prefix without its first level.
func afterSlash(prefix string) string {
	for i := range prefix {
		if prefix[i] == '/' {
			return prefix[i+1:]
		}
	}
	return prefix
}
