package bench

import (
	"context"

	"github.com/wirebird/wirebird/internal/load"
	"github.com/wirebird/wirebird/packet"
)

// Messages is an experiment that publishes, and perhaps receives.
func Messages(name string, w load.Work) (Experiment, error) {
	unit := "delivery"
	if w.Pattern == load.None {
		unit = "publication"
	}
	x := Experiment{Name: name, Unit: unit, Measure: func(ctx context.Context, s Subject, progress func(load.Progress)) ([]Part, error) {
		w := w
		w.PIDs, w.Progress = s.PIDs, progress
		if s.Metrics != "" && w.Rate == 0 { // to ask takes a millisecond, which a schedule does not have
			w.Calls = func() float64 { return s.socketCalls(ctx) }
		}
		r, err := load.Run(ctx, s.Target, w)
		return []Part{{Result: r}}, err
	}}
	return x, w.Validate()
}

// Connections is an experiment that connects and disconnects.
func Connections(name string, w load.Connect) (Experiment, error) {
	x := Experiment{Name: name, Unit: "connection", Measure: func(ctx context.Context, s Subject, _ func(load.Progress)) ([]Part, error) {
		w := w
		w.PIDs = s.PIDs
		r, err := load.RunConnect(ctx, s.Target, w)
		return []Part{{Result: r}}, err
	}}
	return x, w.Validate()
}

// IdleConnections is an experiment with connections that stay and do nothing.
func IdleConnections(name string, w load.Idle) Experiment {
	return Experiment{Name: name, Unit: "connection", Measure: func(ctx context.Context, s Subject, _ func(load.Progress)) ([]Part, error) {
		w := w
		w.PIDs = s.PIDs
		r, err := load.RunIdle(ctx, s.Target, w)
		return []Part{{Result: r}}, err
	}}
}

// StoredMessages is an experiment with messages that the broker keeps: retained
// ones, or the queue of a session that is away.
func StoredMessages(name string, w load.Stored) (Experiment, error) {
	deliver := "drain"
	if w.Retained {
		deliver = "deliver"
	}
	x := Experiment{Name: name, Unit: "message", Measure: func(ctx context.Context, s Subject, _ func(load.Progress)) ([]Part, error) {
		w := w
		w.PIDs = s.PIDs
		store, back, err := load.RunStored(ctx, s.Target, w)
		return []Part{{"store", store}, {deliver, back}}, err
	}}
	return x, w.Validate()
}

// VersionName is short for a protocol version: 3.1.1 or 5.0.
func VersionName(v packet.Version) string {
	if v == packet.V5 {
		return "5.0"
	}
	return "3.1.1"
}
