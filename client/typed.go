package client

import (
	"context"
	"encoding/json"
	"fmt"
)

// Codec turns values into payloads and back.
type Codec interface {
	Marshal(v any) ([]byte, error)         // makes a payload
	Unmarshal(payload []byte, v any) error // v is a pointer
	ContentType() string                   // goes with what is published
}

// JSON is the Codec that a nil Codec means.
type JSON struct{}

// Marshal returns v as JSON.
func (JSON) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal reads JSON into v.
func (JSON) Unmarshal(payload []byte, v any) error { return json.Unmarshal(payload, v) }

// ContentType is application/json.
func (JSON) ContentType() string { return "application/json" }

func orJSON(codec Codec) Codec {
	if codec == nil {
		return JSON{}
	}
	return codec
}

// Typed makes a handler of fn, which gets the payload as a T. A message that
// codec refuses does not reach fn: it is counted in Stats.Undecodable, logged,
// and acknowledged, because it would not become better by coming again.
func Typed[T any](codec Codec, fn func(*Client, *Message, T)) func(*Client, *Message) {
	codec = orJSON(codec)
	return func(c *Client, m *Message) {
		var v T
		if err := codec.Unmarshal(m.Payload, &v); err != nil {
			c.counts.undecodable.Add(1)
			c.opts.Logger.Warn("payload not understood", "topic", m.Topic, "error", err)
			m.Ack()
			return
		}
		fn(c, m, v)
	}
}

// Responder makes a handler of fn, whose answer it sends to the Response Topic
// of the request. An error of fn is logged, and the requester gets no answer.
func Responder[Req, Resp any](codec Codec, fn func(context.Context, Req) (Resp, error)) func(*Client, *Message) {
	codec = orJSON(codec)
	return Typed(codec, func(c *Client, m *Message, req Req) {
		ctx := m.Context()
		err := func() error {
			resp, err := fn(ctx, req)
			if err != nil {
				return err
			}
			answer, err := encodeValue(codec, Message{QoS: m.QoS}, resp)
			if err != nil {
				return err
			}
			return c.RespondWith(ctx, m, answer)
		}()
		if err != nil {
			c.opts.Logger.Warn("request not answered", "topic", m.Topic, "error", err)
		}
	})
}

// PublishValue publishes v as the payload of m.
func PublishValue[T any](ctx context.Context, c *Client, codec Codec, m Message, v T) error {
	m, err := encodeValue(orJSON(codec), m, v)
	if err != nil {
		return wrapPublish(m.Topic, err)
	}
	return c.Publish(ctx, m)
}

// RequestValue sends req to topic at QoS 1 and returns the response as a Resp.
func RequestValue[Resp, Req any](ctx context.Context, c *Client, codec Codec, topic string, req Req) (Resp, error) {
	var resp Resp
	codec = orJSON(codec)
	m, err := encodeValue(codec, Message{Topic: topic, QoS: 1}, req)
	if err != nil {
		return resp, fmt.Errorf("request to %q: %w", topic, err)
	}
	reply, err := c.RequestWith(ctx, m)
	if err != nil {
		return resp, err
	}
	if err := codec.Unmarshal(reply.Payload, &resp); err != nil {
		return resp, fmt.Errorf("request to %q: response not understood: %w", topic, err)
	}
	return resp, nil
}

func encodeValue(codec Codec, m Message, v any) (Message, error) {
	payload, err := codec.Marshal(v)
	if err != nil {
		return m, fmt.Errorf("payload: %w", err)
	}
	m.Payload = payload
	if m.Properties.ContentType == "" {
		m.Properties.ContentType = codec.ContentType()
	}
	return m, nil
}
