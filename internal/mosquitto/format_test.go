package mosquitto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// at is the time of all messages here: a Sunday, day 58, in ISO week 8.
func at() time.Time {
	return time.Date(2022, 2, 27, 15, 4, 5, 123456789, time.FixedZone("CET", 3600))
}

func sample() *packet.Publish {
	m := &packet.Publish{
		Topic: []byte("a/ä"), Payload: []byte(`{"n": 1}`), QoS: 1, Retain: true, ID: 42,
		Properties: packet.Properties{
			PayloadFormat: 1, MessageExpiry: 90, ContentType: []byte("text/plain"), ResponseTopic: []byte("r"),
			CorrelationData: []byte("c\x00d"), TopicAlias: 3, SubscriptionIDs: []uint32{7, 8},
			User: []packet.User{{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("k"), Value: []byte("<w>")}},
		},
	}
	for _, id := range []packet.PropertyID{
		packet.PropPayloadFormat, packet.PropMessageExpiry, packet.PropContentType, packet.PropResponseTopic,
		packet.PropCorrelationData, packet.PropTopicAlias, packet.PropSubscriptionID, packet.PropUser,
	} {
		m.Properties.Mark(id)
	}
	return m
}

func format(f string, m *packet.Publish) (string, string) {
	var out, errOut bytes.Buffer
	p := printer{w: &out, format: f, hasFormat: true, complain: func(format string, args ...any) { fmt.Fprintf(&errOut, format, args...) }}
	p.print(m, at())
	return out.String(), errOut.String()
}

func TestFormatsPrintTheirParameters(t *testing.T) {
	for f, want := range map[string]string{
		"%t %p":                `a/ä {"n": 1}`,
		"%x|%X":                "7b226e223a20317d|7B226E223A20317D",
		"%l %q %r %m":          "8 1 1 42",
		"%A|%C|%E|%F|%R|%S":    "3|text/plain|90|1|r|7",
		"%D":                   "c\x00d",
		"%P":                   "k:v k:<w>",
		"%I|%U":                "2022-02-27T15:04:05+0100|1645970645.123456789",
		"%%@@\\\\":             "%@\\",
		`\0\a\e\n\r\t\v`:       "\x00\a\x1b\n\r\t\v",
		"%8t|%-8t|%.1t":        "    a/ä|a/ä    |a",
		"%08l|%-08l|%8l":       "00000008|8       |       8",
		"%20.4C|%.10I":         "                text|2022-02-27",
		"%10p|%010p":           `  {"n": 1}|00{"n": 1}`,
		"%3p|%-10p|%5x|%:x":    `{"n|{"n": 1}  | 7b22|7b:22:6e:22:3a:20:31:7d`,
		"@Y-@m-@d @H:@M:@S.@N": "2022-02-27 15:04:05.123456789",
		"@a @A @b @B @e @j":    "Sun Sunday Feb February 27 058",
		"@C @y @D @F @T @R":    "20 22 02/27/22 2022-02-27 15:04:05 15:04",
		"@I @l @k @p @P @r":    "03  3 15 PM pm 03:04:05 PM",
		"@G @g @V @U @W":       "2022 22 08 09 08",
		"@u @w @s @z @Z@n@t":   "7 0 1645970645 +0100 CET\n\t",
		"@c|@x|@X|@h|@?":       "Sun Feb 27 15:04:05 2022|02/27/22|15:04:05|Feb|@?",
	} {
		if err := checkFormat(f); err != nil {
			t.Errorf("%q: %v", f, err)
		}
		if got, errOut := format(f, sample()); got != want || errOut != "" {
			t.Errorf("%q: got %q, want %q (%s)", f, got, want, errOut)
		}
	}
}

func TestMissingPropertiesPrintAsNothing(t *testing.T) {
	if got, _ := format("[%A%C%D%E%F%P%R%S%3E]", &packet.Publish{Topic: []byte("t")}); got != "[   ]" {
		t.Errorf("got %q", got)
	}
}

func TestFloatsAreDecoded(t *testing.T) {
	single := &packet.Publish{Topic: []byte("t"), Payload: []byte{0, 0, 0x40, 0x3f}}
	double := &packet.Publish{Topic: []byte("t"), Payload: []byte{0, 0, 0, 0, 0, 0, 0xe8, 0x3f}}
	if got, errOut := format("%f %.2f %8.1f", single); got != "0.750000 0.75      0.8" || errOut != "" {
		t.Errorf("got %q, %q", got, errOut)
	}
	if got, errOut := format("%d", double); got != "0.750000" || errOut != "" {
		t.Errorf("got %q, %q", got, errOut)
	}
	if got, errOut := format("%d", single); got != "" || !strings.Contains(errOut, "double") {
		t.Errorf("got %q, %q", got, errOut)
	}
	if _, errOut := format("%f", double); !strings.Contains(errOut, "float") {
		t.Errorf("got %q", errOut)
	}
}

func TestMessagesPrintAsJSON(t *testing.T) {
	const head = `{"tst":"2022-02-27T15:04:05.123456Z+0100","topic":"a/ä","qos":1,"retain":1,"payloadlen":8,"mid":42,` +
		`"properties":{"payload-format-indicator":1,"message-expiry-interval":90,"content-type":"text/plain",` +
		`"response-topic":"r","correlation-data":"c\u0000d","subscription-identifier":[7,8],"topic-alias":3,` +
		`"user-properties":{"k":"v","k":"<w>"}},"payload":`
	if got, _ := format("%j", sample()); got != head+`"{\"n\": 1}"}` {
		t.Errorf("%%j: got %s", got)
	}
	if got, _ := format("%J", sample()); got != head+`{"n":1}}` {
		t.Errorf("%%J: got %s", got)
	}
	binary := &packet.Publish{Topic: []byte("t"), Payload: []byte{0xff, 0}}
	if got, _ := format("%j", binary); got != `{"tst":"2022-02-27T15:04:05.123456Z+0100","topic":"t","qos":0,"retain":0,"payloadlen":2,"payload_base64":"/wA="}` {
		t.Errorf("binary: got %s", got)
	}
	if got, errOut := format("%J", binary); got != "" || errOut != "Error: Message payload is not valid JSON on topic t.\n" {
		t.Errorf("binary: got %s, %q", got, errOut)
	}
}

// FuzzFormat: what checkFormat accepts prints without an error, and %j is
// always one JSON object.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{"%t %p", "%08l@Y\\n", "%-5.3C%%", "%99999p", "@", "%", `\q`} {
		f.Add(s, []byte("payload"))
	}
	f.Fuzz(func(t *testing.T, s string, payload []byte) {
		m := sample()
		m.Payload = payload
		if checkFormat(s) == nil {
			var out bytes.Buffer
			p := printer{w: &out, complain: func(string, ...any) {}, format: s, hasFormat: true}
			p.print(m, at())
			if limit := len(s) * (maxWidth + 1000 + 6*len(payload)); out.Len() > limit {
				t.Errorf("%q printed %d bytes", s, out.Len())
			}
		}
		if got, _ := format("%j", m); !json.Valid([]byte(got)) {
			t.Errorf("payload %q printed as %s", payload, got)
		}
	})
}

// FuzzURL: -L is refused, or gives a port and leaves the topic as it is.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"mqtt://h/t", "mqtts://u:p%40@[::1]:99/a/#", "ws://h", "wss://@h:0/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := &parser{tool: Sub, config: Sub.defaults()}
		if p.url(s) != nil {
			return
		}
		if c := p.config; c.port < 0 || c.port > 65535 || !strings.HasSuffix(s, c.topics[0]) {
			t.Errorf("%q: %+v", s, c)
		}
	})
}

func TestURLsAreTakenApart(t *testing.T) {
	for in, want := range map[string]string{
		"mqtt://h/a/b":            "mqtt://h:1883  a/b",
		"mqtts://h/t":             "mqtts://h:8883  t",
		"MQTT://u:p%40s:s@h:99/#": "mqtt://h:99 u p@s:s #",
		"ws://h:80/a?b":           "ws://h:80/mqtt  a?b",
		"wss://[::1]:443/t":       "wss://[::1]:443/mqtt  t",
		"mqtt://only%user@h/t":    "mqtt://h:1883 only%user t",
	} {
		p := &parser{tool: Sub, ours: true, config: Sub.defaults()}
		if err := p.url(in); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		c := p.config
		u, err := c.target(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		user := ""
		if c.username != nil {
			user = *c.username
		}
		if c.password != nil {
			user += " " + *c.password
		}
		if got := u.String() + " " + user + " " + c.topics[0]; got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func BenchmarkPrint(b *testing.B) {
	for _, f := range []string{"%t %p", "%j"} {
		b.Run(f, func(b *testing.B) {
			var out bytes.Buffer
			p := printer{w: &out, format: f, hasFormat: true, newline: true}
			m, now := sample(), at()
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				p.print(m, now)
			}
		})
	}
}
