package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// takeRequest answers the subscription to the Response Topic, if it is the first
// request, and the PUBLISH of a request.
func takeRequest(p *peer, first bool, code packet.ReasonCode) (responseTopic string, m *packet.Publish) {
	p.t.Helper()
	if first {
		s := expect[*packet.Subscribe](p)
		responseTopic = string(s.Filters[0].Filter)
		p.send(&packet.Suback{ID: s.ID, Codes: []packet.ReasonCode{1}})
	}
	m = expect[*packet.Publish](p)
	p.send(&packet.Puback{ID: m.ID, Code: code})
	return responseTopic, m
}

// response is the PUBLISH that answers m.
func response(m *packet.Publish, payload string) *packet.Publish {
	r := &packet.Publish{Topic: m.Properties.ResponseTopic, Payload: []byte(payload)}
	r.Properties.CorrelationData = m.Properties.CorrelationData
	r.Properties.Mark(packet.PropCorrelationData)
	return r
}

func TestRequestsFindTheirResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ack := &packet.Connack{}
		ack.Properties.ResponseInfo = []byte("my/replies")
		ack.Properties.Mark(packet.PropResponseInfo)
		c, _, p, _ := connect(t, client.Options{RequestResponse: true}, ack)
		ask := func(payload string, want string) <-chan error {
			return async(func() error {
				r, err := c.Request(t.Context(), "ask", []byte(payload))
				if err == nil && string(r.Payload) != want {
					t.Errorf("%s: got %q", payload, r.Payload)
				}
				return err
			})
		}
		one := ask("1", "one")
		topic, first := takeRequest(p, true, packet.Success)
		if !strings.HasPrefix(topic, "my/replies/") || string(first.Properties.ResponseTopic) != topic || first.QoS != 1 {
			t.Errorf("subscribed to %q, request %v has %q", topic, first, first.Properties.ResponseTopic)
		}
		two := ask("2", "two")
		_, second := takeRequest(p, false, packet.Success)
		p.send(response(second, "two"))
		p.send(response(second, "late"))
		p.send(&packet.Publish{Topic: []byte(topic), Payload: []byte("whose?")})
		if err := <-two; err != nil {
			t.Error(err)
		}
		notYet(t, one)
		p.send(response(first, "one"))
		if err := <-one; err != nil {
			t.Error(err)
		}
	})
}

func TestRequestsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{KeepAlive: -1}, &packet.Connack{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ask := func() <-chan error {
			return async(func() error { _, err := c.Request(ctx, "ask", nil); return err })
		}
		// A refused subscription is tried again by the next request.
		failed := ask()
		p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{packet.NotAuthorized}})
		if err := <-failed; packet.ReasonOf(err) != packet.NotAuthorized {
			t.Errorf("subscription refused: %v", err)
		}
		failed = ask()
		takeRequest(p, true, packet.NoMatchingSubscribers)
		if err := <-failed; !errors.Is(err, client.ErrNoResponder) {
			t.Errorf("nobody there: %v", err)
		}
		failed = ask()
		takeRequest(p, false, packet.Success)
		if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no response: %v", err)
		}
		ctx = t.Context()
		failed = ask()
		takeRequest(p, false, packet.Success)
		c.Close()
		if err := <-failed; !errors.Is(err, client.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{Version: packet.V311}, &packet.Connack{})
		if _, err := c.Request(t.Context(), "ask", nil); err == nil {
			t.Error("a request in MQTT 3.1.1")
		}
		if err := c.Respond(t.Context(), &client.Message{Topic: "a"}, nil); err == nil {
			t.Error("a response to no request")
		}
		p.quiet()
	})
}

type question struct{ A, B int }
type total struct{ Sum int }

func TestTypedRequestAndResponder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{Handlers: []client.Handler{{Filter: "sum", Func: client.Responder(nil,
			func(_ context.Context, q question) (total, error) {
				if q.A < 0 {
					return total{}, errors.New("negative")
				}
				return total{q.A + q.B}, nil
			})}}}, &packet.Connack{})
		asked := async(func() error {
			got, err := client.RequestValue[total](t.Context(), c, nil, "sum", question{1, 2})
			if err == nil && got.Sum != 3 {
				t.Errorf("got %+v", got)
			}
			return err
		})
		topic, m := takeRequest(p, true, packet.Success)
		if string(m.Payload) != `{"A":1,"B":2}` || string(m.Properties.ContentType) != "application/json" {
			t.Errorf("asked %q as %q", m.Payload, m.Properties.ContentType)
		}
		// The server hands the request to the same client.
		m.ID, m.QoS, m.Dup = 1, 1, false
		p.send(m)
		r := expect[*packet.Publish](p)
		if string(r.Topic) != topic || string(r.Properties.CorrelationData) != string(m.Properties.CorrelationData) ||
			string(r.Payload) != `{"Sum":3}` || r.QoS != 1 {
			t.Errorf("answered %v %q", r, r.Payload)
		}
		p.send(&packet.Puback{ID: r.ID})
		expect[*packet.Puback](p) // of the request
		p.send(&packet.Publish{Topic: r.Topic, Payload: r.Payload, Properties: response(m, "").Properties})
		if err := <-asked; err != nil {
			t.Error(err)
		}
		for _, payload := range []string{`{"A":-1}`, "no JSON"} { // no answer, but an acknowledgement
			m.Payload = []byte(payload)
			p.send(m)
			expect[*packet.Puback](p)
			p.quiet()
		}
		if s := c.Stats(); s.Undecodable != 1 {
			t.Errorf("%d undecodable", s.Undecodable)
		}
	})
}

func TestPublishValueMeetsTyped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan question, 1)
		c, _, p, _ := connect(t, client.Options{ManualAck: true, OnMessage: client.Typed(nil,
			func(_ *client.Client, m *client.Message, q question) { got <- q; m.Ack() })}, &packet.Connack{})
		if err := client.PublishValue(t.Context(), c, nil, client.Message{Topic: "q"}, question{3, 4}); err != nil {
			t.Fatal(err)
		}
		m := expect[*packet.Publish](p)
		p.send(m)
		if q := <-got; q != (question{3, 4}) {
			t.Errorf("got %+v", q)
		}
		p.send(&packet.Publish{Topic: []byte("q"), Payload: []byte("{"), QoS: 1, ID: 5})
		if ack := expect[*packet.Puback](p); ack.ID != 5 { // it would be no better the next time
			t.Errorf("got %v", ack)
		}
		if err := client.PublishValue(t.Context(), c, nil, client.Message{Topic: "q"}, func() {}); err == nil {
			t.Error("a function became JSON")
		}
		p.quiet()
	})
}

func TestTraceContextTravels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, p, _ := connect(t, client.Options{OnMessage: func(c *client.Client, m *client.Message) {
			if err := c.Publish(m.Context(), client.Message{Topic: "b", Properties: client.Properties{User: []client.User{{Key: "k", Value: "v"}}}}); err != nil {
				t.Error(err)
			}
		}}, &packet.Connack{})
		const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		for _, tt := range []struct{ parent, state, want string }{
			{parent, "v=1", "k=v traceparent=" + parent + " tracestate=v=1 "},
			{parent, "", "k=v traceparent=" + parent + " "},
			{"00-nonsense", "v=1", "k=v "},
		} {
			m := &packet.Publish{Topic: []byte("a")}
			m.Properties.User = []packet.User{{Key: []byte("traceparent"), Value: []byte(tt.parent)}}
			if tt.state != "" {
				m.Properties.User = append(m.Properties.User, packet.User{Key: []byte("tracestate"), Value: []byte(tt.state)})
			}
			m.Properties.Mark(packet.PropUser)
			p.send(m)
			var got strings.Builder
			for _, u := range expect[*packet.Publish](p).Properties.User {
				got.WriteString(string(u.Key) + "=" + string(u.Value) + " ")
			}
			synctest.Wait() // Publish returns before the test ends
			if got.String() != tt.want {
				t.Errorf("%q: got %q, want %q", tt.parent, got.String(), tt.want)
			}
		}
	})
}

func TestTraceContextForm(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for parent, want := range map[string]bool{
		"00-" + trace + "-" + span + "-01":                    true,
		"00-" + trace + "-" + span + "-01-x":                  false, // only later versions may have more
		"01-" + trace + "-" + span + "-01-x":                  true,
		"01-" + trace + "-" + span + "-01x":                   false,
		"ff-" + trace + "-" + span + "-01":                    false,
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":  false,
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01": false,
		"00-" + strings.ToUpper(trace) + "-" + span + "-01":   false,
		"00-" + trace + "-" + span:                            false,
		"":                                                    false,
	} {
		if got := (client.TraceContext{Parent: parent}).Valid(); got != want {
			t.Errorf("%q: valid is %v", parent, got)
		}
	}
	root := client.NewTrace()
	child := root.Child()
	if !root.Valid() || !child.Valid() || child.Parent[:36] != root.Parent[:36] || child.Parent == root.Parent {
		t.Errorf("%q has the child %q", root.Parent, child.Parent)
	}
	if orphan := (client.TraceContext{}).Child(); !orphan.Valid() {
		t.Errorf("a new trace is %q", orphan.Parent)
	}
}

func TestTheTraceContextOptionComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ours, theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
		type key struct{}
		c, _, p, _ := connect(t, client.Options{TraceContext: func(ctx context.Context) client.TraceContext {
			s, _ := ctx.Value(key{}).(string)
			return client.TraceContext{Parent: s}
		}}, &packet.Connack{})
		traced := client.ContextWithTrace(t.Context(), client.TraceContext{Parent: theirs})
		for name, tt := range map[string]struct {
			ctx  context.Context
			user []client.User
			want string
		}{
			"its own":          {context.WithValue(traced, key{}, ours), nil, "[{traceparent " + ours + "}]"},
			"none":             {traced, nil, "[]"},
			"one in a message": {context.WithValue(traced, key{}, ours), []client.User{{Key: "traceparent", Value: theirs}}, "[{traceparent " + theirs + "}]"},
		} {
			m := client.Message{Topic: "a", Properties: client.Properties{User: tt.user}}
			if _, err := c.PublishAsync(tt.ctx, m); err != nil {
				t.Fatal(err)
			}
			var got []client.User
			for _, u := range expect[*packet.Publish](p).Properties.User {
				got = append(got, client.User{Key: string(u.Key), Value: string(u.Value)})
			}
			if fmt.Sprint(got) != tt.want {
				t.Errorf("%s: sent %v, want %s", name, got, tt.want)
			}
		}
	})
}
