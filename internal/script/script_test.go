package script_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// lines are in the form that Format gives them: every packet, every property.
var lines = []string{
	`CONNECT v3.1 id=a`,
	`CONNECT v3.1.1 id="" clean`,
	`CONNECT v3.1.1 id=a bridge keepalive=60 username=u password=p will{topic=w payload=bye q1 retain}`,
	`CONNECT v5 id=a clean keepalive=10 will{topic=w payload="" q0 format=1 expiry=30 content-type=text response-topic=r correlation="\x00\xff" delay=5 user=a:b user=a:c}`,
	`CONNECT v5 id=a expiry=60 auth-method=m auth-data=d request-problem=0 request-response=1 receive-max=2 alias-max=3 user=k:"v w" max-packet=100`,
	`CONNACK success`,
	`CONNACK success session-present expiry=1 assigned-id=auto server-keepalive=9 auth-method=m auth-data=d response-info=i server-reference=s reason=r receive-max=1 alias-max=2 max-qos=1 retain-available=0 user=a:b max-packet=7 wildcard-available=0 sub-id-available=0 shared-available=0`,
	`CONNACK not-authorized`,
	`PUBLISH q0 topic=a/b payload=hello`,
	`PUBLISH q2 id=65535 topic=$SYS/+x payload="two words" retain dup format=0 expiry=10 content-type=c response-topic=r correlation=c sub-id=1 sub-id=268435455 alias=3 user=k:v`,
	`PUBLISH q0 topic="" payload=5000*x alias=1`,
	`PUBLISH q0 topic=a payload=48*" "`,
	`PUBACK id=1`,
	`PUBACK id=1 no-matching-subscribers reason="not there" user=a:b`,
	`PUBREC id=2 quota-exceeded`,
	`PUBREL id=3 packet-identifier-not-found`,
	`PUBCOMP id=4`,
	`SUBSCRIBE id=1 filter=a/# q1 no-local retain-as-published retain-handling=2 filter=$share/g/+ q0 sub-id=7 user=a:b`,
	`SUBSCRIBE id=1`,
	`SUBACK id=1 q0 q1 q2 not-authorized reason=r`,
	`UNSUBSCRIBE id=2 filter=a filter="" user=a:b`,
	`UNSUBACK id=2`,
	`UNSUBACK id=2 success no-subscription-existed`,
	`PINGREQ`,
	`PINGRESP`,
	`DISCONNECT`,
	`DISCONNECT session-taken-over expiry=5 server-reference=s reason=r user=a:b`,
	`AUTH success`,
	`AUTH continue-authentication auth-method=m auth-data=d reason=r user=a:b`,
	`AUTH 0x42`,
}

func TestPacketsAreReadAndWritten(t *testing.T) {
	for _, line := range lines {
		p, err := script.ParsePacket(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := script.Format(p); got != line {
			t.Errorf("read  %s\nwrote %s", line, got)
		}
	}
}

// What a line says is what goes over the network: packets that can be decoded again are
// the same then.
func TestPacketsSurviveTheNetwork(t *testing.T) {
	for _, line := range lines {
		p, err := script.ParsePacket(line)
		if err != nil {
			t.Fatal(err)
		}
		v := packet.V5
		if c, ok := p.(*packet.Connect); ok {
			v = c.Version
		}
		got, _, err := packet.Parse(v, p.Append(nil, v))
		if err != nil {
			continue // such as SUBSCRIBE without filters
		}
		if script.Format(got) != line {
			t.Errorf("sent %s\ngot  %s", line, script.Format(got))
		}
	}
}

func TestShortFormsAreRead(t *testing.T) {
	for short, want := range map[string]string{
		`PUBLISH topic=a payload=x`:             `PUBLISH q0 topic=a payload=x`,
		`PUBLISH payload=x   topic=a`:           `PUBLISH q0 topic=a payload=x`,
		`PUBLISH topic="a" payload="x"`:         `PUBLISH q0 topic=a payload=x`,
		`PUBLISH topic=a payload=3*ab`:          `PUBLISH q0 topic=a payload=ababab`,
		`PUBLISH topic=a payload=2*"a b"`:       `PUBLISH q0 topic=a payload="a ba b"`,
		`PUBACK id=1 success`:                   `PUBACK id=1`,
		`PUBACK 0x10 id=1`:                      `PUBACK id=1 no-matching-subscribers`,
		`DISCONNECT success`:                    `DISCONNECT`,
		`SUBACK id=1 0x01 0x87`:                 `SUBACK id=1 q1 not-authorized`,
		`CONNECT will{payload=y topic=x} v5`:    `CONNECT v5 id="" will{topic=x payload=y q0}`,
		`CONNECT v5 will{ topic=x payload=y  }`: `CONNECT v5 id="" will{topic=x payload=y q0}`,
	} {
		p, err := script.ParsePacket(short)
		if err != nil {
			t.Errorf("%s: %v", short, err)
		} else if got := script.Format(p); got != want {
			t.Errorf("%s is %s, want %s", short, got, want)
		}
	}
}

func TestMistakesAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"a> PUBLSH topic=a":                      `line 1: "PUBLSH" is no packet`,
		"\n\na> PUBLISH topik=a":                 `line 3: PUBLISH: what is "topik"?`,
		"a> PUBACK id=70000":                     `line 1: PUBACK: id=70000: not a number of 16 bits`,
		"a> PUBACK id":                           `line 1: PUBACK: id needs a number`,
		"a> PUBLISH topic":                       `line 1: PUBLISH: topic needs a value`,
		"a> PUBLISH topic=a:b":                   `line 1: PUBLISH: topic needs a value`,
		"a> PUBLISH topic=a payload=x=y":         `line 1: unexpected '=': put the value in quotes`,
		"a> PUBLISH topic=a payload=":            `line 1: payload: no value; an empty one is ""`,
		`a> PUBLISH topic="a`:                    `line 1: topic: invalid syntax`,
		"a> PUBLISH topic=a alias=1 alias=2":     `line 1: PUBLISH: alias twice`,
		"a> PUBLISH topic=a user=x":              `line 1: PUBLISH: user needs a value; user needs two, as user=key:value`,
		"a> PUBLISH topic=a payload=99999999*xx": `line 1: payload: 99999999 times 2 bytes are too many`,
		"a> CONNECT id=a":                        `line 1: CONNECT: needs a version: v3.1, v3.1.1 or v5`,
		"a> CONNECT v3.1.1 id=a expiry=1":        `line 1: CONNECT: MQTT 3.1.1 has no properties`,
		"a> CONNECT v5 id=a will{topic=x":        `line 1: CONNECT: will{ has no end`,
		"a> CONNECT v5 id=a }":                   `line 1: CONNECT: unexpected brace`,
		"a> PINGREQ }":                           `line 1: PINGREQ: what is ""?`,
		"a> PUBLISH topic=a !alias":              `line 1: PUBLISH: what is "alias"?`,
		"a> PUBLISH !":                           `line 1: unexpected ""`,
		"a> SUBSCRIBE id=1 q1":                   `line 1: SUBSCRIBE: what is "q1"?`,
		"a> hex 0":                               `line 1: encoding/hex: odd length hex string`,
		"a<":                                     `line 1: nothing after a<`,
		"a/b> PINGREQ":                           `line 1: "a/b" is no name for a connection`,
		"a< exactly":                             `line 1: no packet`,
		"a> PUBLISH topic=65536*x":               `line 1: PUBLISH: topic has 65536 bytes, most is 65535`,
	} {
		if _, err := script.Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestStepsAreRead(t *testing.T) {
	steps, err := script.Parse("# hello\n\nclock +15s\na> PINGREQ\na+ hex 0C 00\na< PINGRESP\na< closed\na< nothing\na! cut now\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []script.Kind{script.Remark, script.Remark, script.Directive, script.Send, script.Queue, script.Expect, script.Closed, script.Nothing, script.Network}
	if len(steps) != len(want) {
		t.Fatalf("%d steps, want %d", len(steps), len(want))
	}
	for i, s := range steps {
		if s.Kind != want[i] || s.Number != i+1 {
			t.Errorf("step %d is %d on line %d, want %d", i, s.Kind, s.Number, want[i])
		}
	}
	if !bytes.Equal(steps[4].Bytes, []byte{0x0C, 0}) || steps[4].Conn != "a" {
		t.Errorf("hex gives % X for %q", steps[4].Bytes, steps[4].Conn)
	}
	if got := strings.Join(steps[8].Words, "|"); got != "cut|now" {
		t.Errorf("the words are %s", got)
	}
}

func TestExpectations(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		matches   bool
	}{
		{"PUBACK id=1", "PUBACK id=1", true},
		{"PUBACK id=1", "PUBACK id=2", false},
		{"PUBACK id=1", "PUBREC id=1", false},
		{"PUBACK id=1", "PUBACK id=1 reason=x", true},
		{"PUBACK id=1 exactly", "PUBACK id=1 reason=x", false},
		{"PUBACK id=1 reason=x exactly", "PUBACK id=1 reason=x", true},
		{"PUBACK id=1 reason=y", "PUBACK id=1 reason=x", false},
		{"PUBACK id=1", "PUBACK id=1 not-authorized", false},
		{"PUBLISH topic=a payload=x", "PUBLISH topic=a payload=x retain", false},
		{"PUBLISH topic=a payload=x user=a:1 user=b:2", "PUBLISH topic=a payload=x content-type=t user=a:1 user=b:2", true},
		{"PUBLISH topic=a payload=x user=b:2 user=a:1", "PUBLISH topic=a payload=x user=a:1 user=b:2", false},
		{"PUBLISH topic=a payload=x user=a:1", "PUBLISH topic=a payload=x user=a:1 user=c:3", false},
		{"PUBLISH topic=a payload=x !alias", "PUBLISH topic=a payload=x user=a:1", true},
		{"PUBLISH topic=a payload=x !user", "PUBLISH topic=a payload=x user=a:1", false},
		{"PUBLISH topic=a payload=*", "PUBLISH topic=a payload=x", true},
		{"PUBLISH q1 id=* topic=a payload=x", "PUBLISH q1 id=9 topic=a payload=x", true},
		{"CONNACK success assigned-id=*", "CONNACK success assigned-id=auto-7", true},
		{"CONNACK success assigned-id=*", "CONNACK success", false},
		{"CONNACK success assigned-id=* exactly", "CONNACK success assigned-id=auto-7 max-qos=1", false},
		{"DISCONNECT", "DISCONNECT protocol-error", false},
	} {
		steps, err := script.Parse("a< " + tt.want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := script.ParsePacket(tt.got)
		if err != nil {
			t.Fatal(err)
		}
		if steps[0].Matches(got) != tt.matches {
			t.Errorf("%q matches %q: %v, want %v", tt.want, tt.got, !tt.matches, tt.matches)
		}
	}
}

// FuzzParsePacket: what was read is written as a line that reads the same.
func FuzzParsePacket(f *testing.F) {
	for _, line := range lines {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p, err := script.ParsePacket(line)
		if err != nil {
			return
		}
		once := script.Format(p)
		q, err := script.ParsePacket(once)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", line, once, err)
		}
		if twice := script.Format(q); twice != once {
			t.Fatalf("%q, then %q", once, twice)
		}
	})
}

// FuzzFormat: every packet that can be decoded can be written and read, and is then the
// same on the network.
func FuzzFormat(f *testing.F) {
	for _, line := range lines {
		if p, err := script.ParsePacket(line); err == nil {
			f.Add(p.Append(nil, packet.V5))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n, err := packet.Parse(packet.V5, b)
		if err != nil || n == 0 {
			return
		}
		v := packet.V5
		if c, ok := p.(*packet.Connect); ok {
			v = c.Version
		}
		line := script.Format(p)
		q, err := script.ParsePacket(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !bytes.Equal(q.Append(nil, v), p.Append(nil, v)) {
			t.Fatalf("%s\nis % X\nnot % X", line, q.Append(nil, v), p.Append(nil, v))
		}
	})
}
