package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// The User Properties of the W3C Trace Context for MQTT.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// TraceContext is a W3C Trace Context. Publish sends the one of its context as
// the User Properties traceparent and tracestate, and Message.Context has the
// one that came with a message, so that what a handler publishes belongs to the
// same trace. MQTT 5.0 only.
type TraceContext struct {
	Parent string // "00-" trace id "-" parent id "-" flags, in lower-case hexadecimal
	State  string // may be empty
}

// NewTrace begins a trace with random identifiers.
func NewTrace() TraceContext {
	var id [24]byte
	rand.Read(id[:])
	return TraceContext{Parent: "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-01"}
}

// Child is a new span of the same trace. Of no valid Trace Context it is a new
// trace.
func (t TraceContext) Child() TraceContext {
	if !t.Valid() {
		return NewTrace()
	}
	var id [8]byte
	rand.Read(id[:])
	t.Parent = t.Parent[:36] + hex.EncodeToString(id[:]) + t.Parent[52:]
	return t
}

// Valid reports whether Parent has the form that version 00 asks for: §3.2 of
// the W3C recommendation.
func (t TraceContext) Valid() bool {
	p := t.Parent
	if len(p) < 55 || p[2] != '-' || p[35] != '-' || p[52] != '-' || p[:2] == "ff" ||
		p[:2] == "00" && len(p) != 55 || len(p) > 55 && p[55] != '-' {
		return false
	}
	trace, parent := p[3:35], p[36:52]
	return isHex(p[:2]) && isHex(trace) && isHex(parent) && isHex(p[53:55]) &&
		strings.Trim(trace, "0") != "" && strings.Trim(parent, "0") != ""
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

type traceKey struct{}

// ContextWithTrace returns a context whose Trace Context is t.
func ContextWithTrace(ctx context.Context, t TraceContext) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the Trace Context of ctx, if it has one.
func TraceOf(ctx context.Context) (TraceContext, bool) {
	t, ok := ctx.Value(traceKey{}).(TraceContext)
	return t, ok
}

// addTrace adds the Trace Context of ctx to m, unless m has one.
func (c *Client) addTrace(ctx context.Context, m *Message) {
	var t TraceContext
	if c.opts.TraceContext != nil {
		t = c.opts.TraceContext(ctx)
	} else {
		t, _ = TraceOf(ctx)
	}
	if !t.Valid() {
		return
	}
	for _, u := range m.Properties.User {
		if u.Key == traceParent {
			return
		}
	}
	user := m.Properties.User
	user = append(user[:len(user):len(user)], User{traceParent, t.Parent})
	if t.State != "" {
		user = append(user, User{traceState, t.State})
	}
	m.Properties.User = user
}

// Trace is the Trace Context that came with m, if there is a valid one.
func (m *Message) Trace() (TraceContext, bool) {
	var t TraceContext
	for _, u := range m.Properties.User {
		switch u.Key {
		case traceParent:
			t.Parent = u.Value
		case traceState:
			t.State = u.Value
		}
	}
	return t, t.Valid()
}

// Context ends when the client does, and has the Trace Context of m. It is for
// what a handler waits for.
func (m *Message) Context() context.Context {
	ctx := context.Background()
	if m.d != nil {
		ctx = m.d.lane.client.life
	}
	if t, ok := m.Trace(); ok {
		ctx = ContextWithTrace(ctx, t)
	}
	return ctx
}
