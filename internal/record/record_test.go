package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/topic"
)

func write(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Created: time.Unix(1, 0).UTC(), Filters: []string{"#"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(in []byte) (entries []Entry, err error) {
	r, err := NewReader(bytes.NewReader(in))
	for err == nil {
		var e Entry
		if e, err = r.Next(); err == nil {
			entries = append(entries, e)
		}
	}
	return entries, err
}

func full() Entry {
	return Entry{At: 1500 * time.Millisecond, Message: client.Message{
		Topic: "a/ü/<b>", Payload: []byte("\x00\xFF\xFE"), QoS: 2, Retain: true,
		Properties: client.Properties{
			PayloadFormat: 1, MessageExpiry: 7 * time.Second, ContentType: "t", ResponseTopic: "r",
			CorrelationData: []byte{0, 200}, User: []client.User{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}},
		},
	}}
}

func TestWhatIsWrittenComesBack(t *testing.T) {
	want := []Entry{full(), {At: 2 * time.Second, Message: client.Message{Topic: "b", Payload: []byte("text \u2028 \ufffd <&>\n")}}}
	got, err := read(write(t, want...))
	if err != io.EOF || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte("text"), "t")
	f.Add([]byte{0xFF}, "\u2028")
	f.Add([]byte{}, "x")
	f.Fuzz(func(t *testing.T, payload []byte, name string) {
		if topic.CheckName(name) != nil {
			return // no client has it
		}
		e := Entry{Message: client.Message{Topic: name, Payload: payload}}
		got, err := read(write(t, e))
		if err != io.EOF || len(got) != 1 || !bytes.Equal(got[0].Message.Payload, payload) || got[0].Message.Topic != name {
			t.Errorf("%q %q came back as %+v", name, payload, got)
		}
	})
}

// Cut anywhere, a recording loses only the message that was cut.
func TestACutLosesOnlyTheTail(t *testing.T) {
	whole := write(t, full(), full(), full())
	header := bytes.IndexByte(whole, '\n') + 1
	for cut := header; cut < len(whole); cut++ {
		got, err := read(whole[:cut])
		lines := bytes.Count(whole[header:cut], []byte("\n"))
		want := ErrTruncated
		if whole[cut-1] == '\n' {
			want = io.EOF
		}
		if len(got) != lines || err != want {
			t.Fatalf("cut at %d: %d messages, %v; want %d, %v", cut, len(got), err, lines, want)
		}
	}
}

func TestWhatIsNoRecordingIsSaid(t *testing.T) {
	head := `{"wirebird_recording":1,"created":"2026-01-01T00:00:00Z"}` + "\n"
	for in, want := range map[string]string{
		"":                                    "empty",
		"hello\n":                             "no recording",
		`{"a":1}` + "\n":                      "no recording",
		`{"wirebird_recording":2}` + "\n":     "version 2",
		head + "x\n" + head:                   "line 2",
		head + `{"t":1,"topic":"a/#"}` + "\n": "wildcard",
		head + `{"t":1,"topic":"a","qos":3}` + "\n":                               "qos 3",
		head + `{"t":-1,"topic":"a"}` + "\n":                                      "before",
		head + `{"t":1,"topic":"a","payload":"x","payload_base64":"eA=="}` + "\n": "two payloads",
		head + `{"t":1,"topic":"a","colour":"red"}` + "\n":                        "colour",
	} {
		if _, err := read([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want ...%s...", in, err, want)
		}
	}
}

// stage plays with a clock that jumps.
type stage struct {
	now    time.Time
	played []string
}

func (s *stage) replay() Replay {
	return Replay{
		Speed: 1,
		Now:   func() time.Time { return s.now },
		Wait: func(_ context.Context, until time.Time) error {
			if until.After(s.now) {
				s.now = until
			}
			return nil
		},
		Publish: func(_ context.Context, m client.Message) error {
			s.played = append(s.played, fmt.Sprintf("%v %s", s.now.Sub(time.Unix(0, 0)), m.Topic))
			return nil
		},
	}
}

func TestPlaysAtItsTimes(t *testing.T) {
	at := func(seconds int, topic string) Entry {
		return Entry{At: time.Duration(seconds) * time.Second, Message: client.Message{Topic: topic}}
	}
	in := write(t, at(5, "a/x"), at(7, "b"), at(9, "ab/x"), at(11, "a"))
	for name, tt := range map[string]struct {
		change func(*Replay)
		want   string
	}{
		"as it was":     {func(*Replay) {}, "[0s a/x 2s b 4s ab/x 6s a]"},
		"twice as fast": {func(p *Replay) { p.Speed = 2 }, "[0s a/x 1s b 2s ab/x 3s a]"},
		"at once":       {func(p *Replay) { p.Speed = 0 }, "[0s a/x 0s b 0s ab/x 0s a]"},
		"filtered":      {func(p *Replay) { p.Filters, p.Without = []string{"+/x", "b"}, []string{"a/#"} }, "[0s b 2s ab/x]"},
		"elsewhere": {func(p *Replay) {
			p.Prefix, p.Rewrites = "test/", []Rewrite{{"a", "c/d"}, {"c", "no"}}
		}, "[0s test/c/d/x 2s test/b 4s test/ab/x 6s test/c/d]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stage{now: time.Unix(0, 0)}
			p := s.replay()
			tt.change(&p)
			r, err := NewReader(bytes.NewReader(in))
			if err != nil {
				t.Fatal(err)
			}
			n, err := p.Play(t.Context(), r)
			if err != nil || fmt.Sprint(s.played) != tt.want || n != len(s.played) {
				t.Errorf("%d messages, %v: %v\nwant %s", n, err, s.played, tt.want)
			}
		})
	}
}

func TestACutRecordingIsPlayedToItsLastMessage(t *testing.T) {
	in := write(t, full(), full())
	s := &stage{now: time.Unix(0, 0)}
	p := s.replay()
	r, err := NewReader(bytes.NewReader(in[:len(in)-1]))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.Play(t.Context(), r); n != 1 || !errors.Is(err, ErrTruncated) {
		t.Errorf("%d messages, %v", n, err)
	}
}

func TestRewrites(t *testing.T) {
	if r, err := ParseRewrite("a/b/=c"); err != nil || r != (Rewrite{"a/b", "c"}) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, s := range []string{"", "a", "=b", "a="} {
		if _, err := ParseRewrite(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
