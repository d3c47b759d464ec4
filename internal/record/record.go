// Package record writes messages with their timing to a file and reads them back.
//
// The file is lines of JSON, described in docs/formats/recording.md: a header, then
// a line for each message. Payloads and properties come back byte by byte. A file
// that was cut off loses only its last line. It opens no file and no connection,
// and reads no clock.
package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// Version of the format that is written.
const Version = 1

// maxLine bounds a line: base64 of the largest packet, and what is around it.
const maxLine = packet.MaxSize/3*4 + 1<<20

// Header is the first line of a recording.
type Header struct {
	Version int       `json:"wirebird_recording"`
	Created time.Time `json:"created"`
	Server  string    `json:"server,omitempty"` // without credentials
	Filters []string  `json:"filters,omitempty"`
}

// Entry is a message and when it came, counted from the beginning.
type Entry struct {
	At      time.Duration
	Message client.Message
}

// line is an Entry in the file.
type line struct {
	At            int64       `json:"t"` // nanoseconds
	Topic         string      `json:"topic"`
	QoS           byte        `json:"qos"`
	Retain        bool        `json:"retain,omitempty"`
	Payload       *string     `json:"payload,omitempty"`
	PayloadBase64 []byte      `json:"payload_base64,omitempty"`
	Properties    *properties `json:"properties,omitempty"`
}

type properties struct {
	PayloadFormat   byte        `json:"payload_format,omitempty"`
	MessageExpiry   uint32      `json:"message_expiry_seconds,omitempty"`
	ContentType     string      `json:"content_type,omitempty"`
	ResponseTopic   string      `json:"response_topic,omitempty"`
	CorrelationData *[]byte     `json:"correlation_data_base64,omitempty"`
	User            [][2]string `json:"user,omitempty"`
}

// Writer writes a recording. It is for one goroutine.
type Writer struct {
	out *bufio.Writer
	enc *json.Encoder
}

// NewWriter writes the header.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	h.Version = Version
	if err := enc.Encode(h); err != nil {
		return nil, err
	}
	return &Writer{out, enc}, out.Flush()
}

// Write adds a message.
func (w *Writer) Write(e Entry) error {
	m := &e.Message
	l := line{At: int64(e.At), Topic: m.Topic, QoS: m.QoS, Retain: m.Retain, Properties: propertiesOf(&m.Properties)}
	if utf8.Valid(m.Payload) {
		text := string(m.Payload)
		l.Payload = &text
	} else {
		l.PayloadBase64 = m.Payload
	}
	return w.enc.Encode(l)
}

// Flush hands what was written to the file.
func (w *Writer) Flush() error { return w.out.Flush() }

// propertiesOf are those that travel with a message; alias and subscription
// identifiers belong to a connection. nil is none.
func propertiesOf(p *client.Properties) *properties {
	out := properties{
		PayloadFormat: p.PayloadFormat, MessageExpiry: uint32(p.MessageExpiry / time.Second),
		ContentType: p.ContentType, ResponseTopic: p.ResponseTopic,
	}
	if p.CorrelationData != nil {
		out.CorrelationData = &p.CorrelationData
	}
	for _, u := range p.User {
		out.User = append(out.User, [2]string{u.Key, u.Value})
	}
	if out.PayloadFormat == 0 && out.MessageExpiry == 0 && out.ContentType == "" && out.ResponseTopic == "" &&
		out.CorrelationData == nil && out.User == nil {
		return nil
	}
	return &out
}

// ErrTruncated is for a recording whose last line is not whole. All before it has
// been read.
var ErrTruncated = errors.New("the recording ends within a message, as when its writer was killed or the disk was full")

// Reader reads a recording.
type Reader struct {
	Header Header
	in     *bufio.Reader
	number int // of the line read last
}

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{in: bufio.NewReaderSize(r, 64<<10)}
	text, err := rd.line()
	if err != nil && err != ErrTruncated {
		if err == io.EOF {
			err = errors.New("the file is empty")
		}
		return nil, err
	}
	if jsonErr := json.Unmarshal(text, &rd.Header); jsonErr != nil || rd.Header.Version == 0 {
		return nil, errors.New("this is no recording: its first line is no header")
	}
	if rd.Header.Version > Version {
		return nil, fmt.Errorf("the recording has version %d, this program knows up to %d", rd.Header.Version, Version)
	}
	return rd, nil
}

// Next returns the next message: io.EOF at the end, ErrTruncated when the last line
// is not whole.
func (r *Reader) Next() (Entry, error) {
	text, err := r.line()
	if err != nil {
		return Entry{}, err
	}
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return Entry{}, fmt.Errorf("line %d: %w", r.number, err)
	}
	e, err := l.entry()
	if err != nil {
		return Entry{}, fmt.Errorf("line %d: %w", r.number, err)
	}
	return e, nil
}

// line returns a line without its end.
func (r *Reader) line() ([]byte, error) {
	var text []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if len(text)+len(part) > maxLine {
			return nil, fmt.Errorf("line %d is longer than any message", r.number+1)
		}
		text = append(text, part...)
		switch {
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(text) > 0:
			return text, ErrTruncated
		case err != nil:
			return nil, err
		default:
			r.number++
			return text[:len(text)-1], nil
		}
	}
}

func (l *line) entry() (Entry, error) {
	if err := topic.CheckName(l.Topic); err != nil {
		return Entry{}, fmt.Errorf("topic %q: %w", l.Topic, err)
	}
	switch {
	case l.QoS > 2:
		return Entry{}, fmt.Errorf("qos %d is none of 0, 1 and 2", l.QoS)
	case l.At < 0:
		return Entry{}, fmt.Errorf("t %d is before the beginning", l.At)
	case l.Payload != nil && l.PayloadBase64 != nil:
		return Entry{}, errors.New("two payloads")
	}
	e := Entry{At: time.Duration(l.At), Message: client.Message{Topic: l.Topic, QoS: l.QoS, Retain: l.Retain, Payload: l.PayloadBase64}}
	if l.Payload != nil {
		e.Message.Payload = []byte(*l.Payload)
	}
	if p := l.Properties; p != nil {
		out := &e.Message.Properties
		out.PayloadFormat, out.MessageExpiry = p.PayloadFormat, time.Duration(p.MessageExpiry)*time.Second
		out.ContentType, out.ResponseTopic = p.ContentType, p.ResponseTopic
		if p.CorrelationData != nil {
			out.CorrelationData = *p.CorrelationData
		}
		for _, u := range p.User {
			out.User = append(out.User, client.User{Key: u[0], Value: u[1]})
		}
	}
	return e, nil
}
