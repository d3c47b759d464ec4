package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"time"
	"unicode/utf8"

	"github.com/wirebird/wirebird/client"
)

// messageJSON is a message as %j, %J and --json print it. The names and their
// order are those of mosquitto_sub. A payload that is no text has a member of
// its own, because JSON strings cannot hold it.
type messageJSON struct {
	Time          string          `json:"tst"`
	Topic         string          `json:"topic"`
	QoS           byte            `json:"qos"`
	Retain        int             `json:"retain"`
	PayloadLen    int             `json:"payloadlen"`
	PacketID      uint16          `json:"mid,omitempty"`
	Properties    *propertiesJSON `json:"properties,omitempty"`
	Payload       json.RawMessage `json:"payload,omitempty"`
	PayloadBase64 []byte          `json:"payload_base64,omitempty"`
}

type propertiesJSON struct {
	PayloadFormat  byte     `json:"payload-format-indicator,omitempty"`
	MessageExpiry  uint32   `json:"message-expiry-interval,omitempty"`
	ContentType    string   `json:"content-type,omitempty"`
	ResponseTopic  string   `json:"response-topic,omitempty"`
	Correlation    *string  `json:"correlation-data,omitempty"`
	SubscriptionID any      `json:"subscription-identifier,omitempty"` // a number, or several
	TopicAlias     uint16   `json:"topic-alias,omitempty"`
	User           userJSON `json:"user-properties,omitempty"`
}

// userJSON is an object whose members may share a name, as User Properties do.
type userJSON []client.User

func (u userJSON) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, p := range u {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, quoteJSON(p.Key)...), ':')
		out = append(out, quoteJSON(p.Value)...)
	}
	return append(out, '}'), nil
}

func newMessageJSON(m *client.Message, t time.Time) messageJSON {
	o := messageJSON{
		Time:       t.Format("2006-01-02T15:04:05.000000-0700"),
		Topic:      m.Topic,
		QoS:        m.QoS,
		Retain:     digit(m.Retain),
		PayloadLen: len(m.Payload),
		PacketID:   m.PacketID,
	}
	if utf8.Valid(m.Payload) {
		o.Payload = quoteJSON(string(m.Payload))
	} else {
		o.PayloadBase64 = m.Payload
	}
	pr := &m.Properties
	p := propertiesJSON{
		PayloadFormat: pr.PayloadFormat,
		MessageExpiry: uint32(pr.MessageExpiry / time.Second),
		ContentType:   pr.ContentType,
		ResponseTopic: pr.ResponseTopic,
		TopicAlias:    pr.TopicAlias,
		User:          pr.User,
	}
	if pr.CorrelationData != nil {
		s := string(pr.CorrelationData)
		p.Correlation = &s
	}
	switch len(pr.SubscriptionIDs) {
	case 0:
	case 1:
		p.SubscriptionID = pr.SubscriptionIDs[0]
	default:
		p.SubscriptionID = pr.SubscriptionIDs
	}
	if p.PayloadFormat != 0 || p.MessageExpiry != 0 || p.ContentType != "" || p.ResponseTopic != "" ||
		p.TopicAlias != 0 || p.Correlation != nil || p.SubscriptionID != nil || len(p.User) > 0 {
		o.Properties = &p
	}
	return o
}

// quoteJSON is s as a JSON string, with < and > as they are.
func quoteJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always has a form
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func decodeFloat(b []byte, double bool) (float64, error) {
	switch {
	case double && len(b) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
	case double:
		return 0, errors.New("Message payload is not a double of 8 bytes")
	case len(b) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), nil
	}
	return 0, errors.New("Message payload is not a float of 4 bytes")
}
