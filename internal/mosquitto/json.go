package mosquitto

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wirebird/wirebird/packet"
)

// jsonWriter writes JSON as cJSON does, which mosquitto_sub uses: on one line
// without spaces, or pretty with tabs.
type jsonWriter struct {
	buf    []byte
	pretty bool
	depth  int
	first  bool // nothing is in the object yet
}

func (w *jsonWriter) open() {
	w.buf = append(w.buf, '{')
	w.depth++
	w.first = true
}

func (w *jsonWriter) close() {
	w.depth--
	w.line()
	w.buf = append(w.buf, '}')
	w.first = false
}

func (w *jsonWriter) line() {
	if w.pretty {
		w.buf = append(w.buf, '\n')
		for range w.depth {
			w.buf = append(w.buf, '\t')
		}
	}
}

func (w *jsonWriter) key(name string) {
	if !w.first {
		w.buf = append(w.buf, ',')
	}
	w.first = false
	w.line()
	w.quote(name)
	w.buf = append(w.buf, ':')
	if w.pretty {
		w.buf = append(w.buf, '\t')
	}
}

func (w *jsonWriter) text(name, v string) {
	w.key(name)
	w.quote(v)
}

func (w *jsonWriter) number(name string, v uint64) {
	w.key(name)
	w.buf = strconv.AppendUint(w.buf, v, 10)
}

// quote writes a string with only the escapes that JSON demands. What is no
// UTF-8 becomes U+FFFD.
func (w *jsonWriter) quote(s string) {
	w.buf = append(w.buf, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.buf = append(w.buf, '\\', byte(r))
		case r == '\b':
			w.buf = append(w.buf, `\b`...)
		case r == '\f':
			w.buf = append(w.buf, `\f`...)
		case r == '\n':
			w.buf = append(w.buf, `\n`...)
		case r == '\r':
			w.buf = append(w.buf, `\r`...)
		case r == '\t':
			w.buf = append(w.buf, `\t`...)
		case r < ' ':
			w.buf = append(w.buf, '\\', 'u', '0', '0', "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
		default:
			w.buf = utf8.AppendRune(w.buf, r)
		}
	}
	w.buf = append(w.buf, '"')
}

// value writes a JSON text again. Numbers keep their digits.
func (w *jsonWriter) value(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := w.next(d); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

func (w *jsonWriter) next(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch v := t.(type) {
	case json.Delim:
		if v == '{' {
			return w.object(d)
		}
		return w.array(d)
	case string:
		w.quote(v)
	case json.Number:
		w.buf = append(w.buf, v...)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	default:
		w.buf = append(w.buf, "null"...)
	}
	return nil
}

func (w *jsonWriter) object(d *json.Decoder) error {
	w.open()
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return err
		}
		w.key(k.(string)) // the decoder allows nothing else
		if err := w.next(d); err != nil {
			return err
		}
		w.first = false
	}
	w.close()
	_, err := d.Token()
	return err
}

func (w *jsonWriter) array(d *json.Decoder) error {
	w.buf = append(w.buf, '[')
	for i := 0; d.More(); i++ {
		if i > 0 {
			w.buf = append(w.buf, ',')
			if w.pretty {
				w.buf = append(w.buf, ' ')
			}
		}
		if err := w.next(d); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, ']')
	_, err := d.Token()
	return err
}

// json prints the message as an object; parsed puts the payload into it as the
// JSON value it is. A payload that is no text has a member of its own, because
// JSON strings cannot hold it.
func (p *printer) json(m *packet.Publish, t time.Time, parsed bool) {
	w := &jsonWriter{pretty: p.pretty}
	w.open()
	w.text("tst", t.Format("2006-01-02T15:04:05.000000Z-0700"))
	w.text("topic", string(m.Topic))
	w.number("qos", uint64(m.QoS))
	w.number("retain", uint64(digit(m.Retain)))
	w.number("payloadlen", uint64(len(m.Payload)))
	if m.QoS > 0 {
		w.number("mid", uint64(m.ID))
	}
	if !m.Properties.Empty() {
		w.key("properties")
		w.properties(&m.Properties)
	}
	switch {
	case len(m.Payload) == 0:
		w.key("payload")
		w.buf = append(w.buf, "null"...)
	case parsed:
		w.key("payload")
		if !json.Valid(m.Payload) || w.value(m.Payload) != nil {
			p.complain("Error: Message payload is not valid JSON on topic %s.\n", m.Topic)
			return
		}
	case utf8.Valid(m.Payload):
		w.text("payload", string(m.Payload))
	default:
		w.text("payload_base64", base64.StdEncoding.EncodeToString(m.Payload))
	}
	w.close()
	p.buf = append(p.buf, w.buf...)
}

func (w *jsonWriter) properties(p *packet.Properties) {
	w.open()
	if p.Has(packet.PropPayloadFormat) {
		w.number("payload-format-indicator", uint64(p.PayloadFormat))
	}
	if p.Has(packet.PropMessageExpiry) {
		w.number("message-expiry-interval", uint64(p.MessageExpiry))
	}
	if p.Has(packet.PropContentType) {
		w.text("content-type", string(p.ContentType))
	}
	if p.Has(packet.PropResponseTopic) {
		w.text("response-topic", string(p.ResponseTopic))
	}
	if p.Has(packet.PropCorrelationData) {
		w.text("correlation-data", string(p.CorrelationData))
	}
	if p.Has(packet.PropSubscriptionID) {
		w.subscriptionIDs(p.SubscriptionIDs)
	}
	if p.Has(packet.PropTopicAlias) {
		w.number("topic-alias", uint64(p.TopicAlias))
	}
	if p.Has(packet.PropUser) {
		w.key("user-properties")
		w.open()
		for _, u := range p.User {
			w.text(string(u.Key), string(u.Value))
		}
		w.close()
	}
	w.close()
}

// subscriptionIDs are a number, or several in an array.
func (w *jsonWriter) subscriptionIDs(ids []uint32) {
	w.key("subscription-identifier")
	if len(ids) != 1 {
		w.buf = append(w.buf, '[')
	}
	for i, id := range ids {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = strconv.AppendUint(w.buf, uint64(id), 10)
	}
	if len(ids) != 1 {
		w.buf = append(w.buf, ']')
	}
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
