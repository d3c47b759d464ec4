package packet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wirebird/wirebird/packet"
)

func TestVarints(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		v    uint32
		n    int
		want packet.ReasonCode
	}{
		"nothing":             {"", 0, 0, packet.Success},
		"zero":                {"00", 0, 1, packet.Success},
		"one byte":            {"7F 80", 127, 1, packet.Success},
		"two bytes":           {"8001", 128, 2, packet.Success},
		"three bytes":         {"808001", 16384, 3, packet.Success},
		"largest":             {"FFFFFF7F", packet.MaxVarint, 4, packet.Success},
		"one of two":          {"80", 0, 0, packet.Success},
		"three of four":       {"FFFFFF", 0, 0, packet.Success},
		"overlong zero":       {"8000", 0, 0, packet.MalformedPacket},
		"overlong 127":        {"FF00", 0, 0, packet.MalformedPacket},
		"overlong four bytes": {"FFFFFF00", 0, 0, packet.MalformedPacket},
		"five bytes":          {"8080808001", 0, 0, packet.MalformedPacket},
	} {
		t.Run(name, func(t *testing.T) {
			v, n, err := packet.ParseVarint(unhex(t, tt.in))
			if n != tt.n || n > 0 && v != tt.v || packet.ReasonOf(err) != tt.want {
				t.Fatalf("ParseVarint(%s) = %d, %d, %v; want %d, %d, %v", tt.in, v, n, err, tt.v, tt.n, tt.want)
			}
			if n > 0 && packet.VarintLen(v) != n {
				t.Errorf("VarintLen(%d) = %d, want %d", v, packet.VarintLen(v), n)
			}
		})
	}
}

func TestWhatCannotBeEncodedPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"varint": func() { packet.AppendVarint(nil, packet.MaxVarint+1) },
		"packet": func() {
			(&packet.Publish{Topic: []byte("a"), Payload: make([]byte, packet.MaxVarint)}).Append(nil, packet.V311)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want packet.Header
		n    int
	}{
		"nothing":               {"", packet.Header{}, 0},
		"type only":             {"30", packet.Header{}, 0},
		"half a length":         {"3080", packet.Header{}, 0},
		"PUBLISH, all flags":    {"3F 8001", packet.Header{Type: packet.PUBLISH, Flags: 15, Remaining: 128}, 3},
		"PUBREL":                {"62 02", packet.Header{Type: packet.PUBREL, Flags: 2, Remaining: 2}, 2},
		"DUP on SUBSCRIBE, 3.1": {"8A 00", packet.Header{Type: packet.SUBSCRIBE, Flags: 10}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			h, n, err := packet.ParseHeader(unhex(t, tt.in))
			if n != tt.n || err != nil || n > 0 && h != tt.want {
				t.Errorf("ParseHeader(%s) = %+v, %d, %v; want %+v, %d", tt.in, h, n, err, tt.want, tt.n)
			}
		})
	}
	for flags := range byte(16) {
		for typ := range packet.AUTH + 1 {
			_, _, err := packet.ParseHeader([]byte{byte(typ)<<4 | flags, 0})
			var want bool
			switch typ {
			case 0:
			case packet.PUBLISH:
				want = true
			case packet.PUBREL, packet.SUBSCRIBE, packet.UNSUBSCRIBE:
				want = flags == 2 || flags == 10
			default:
				want = flags == 0
			}
			if (err == nil) != want {
				t.Errorf("%v with flags %04b: %v", typ, flags, err)
			}
		}
	}
}

// validText is ValidString without haste.
func validText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// The fast path looks at eight bytes at once, so every position counts.
func TestBadCharactersAreSeenAtEveryPosition(t *testing.T) {
	for _, bad := range []string{"\x00", "\x80", "\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "+", "#", "*", ",", "\"", "$", "\x7f", "\x01", "é", "€", "😀", "\ufffd"} {
		for length := range 26 {
			for at := range length + 1 {
				in := strings.Repeat("a", at) + bad + strings.Repeat("b", length-at)
				want := validText([]byte(in))
				if got := packet.ValidString([]byte(in)); got != want {
					t.Errorf("ValidString(%q) = %v", in, got)
				}
				code := packet.Success
				if !want {
					code = packet.MalformedPacket
				} else if strings.ContainsAny(in, "+#") {
					code = packet.TopicNameInvalid
				}
				wire := (&packet.Publish{Topic: []byte(in)}).Append(nil, packet.V311)
				if _, _, err := packet.Parse(packet.V311, wire); packet.ReasonOf(err) != code {
					t.Errorf("PUBLISH to %q: %v, want %v", in, err, code)
				}
			}
		}
	}
}

func TestReasonOf(t *testing.T) {
	inner := &packet.Error{Code: packet.QuotaExceeded, Rule: "MQTT-3.3.4-7", Err: io.EOF}
	for name, tt := range map[string]struct {
		err  error
		want packet.ReasonCode
		text string
	}{
		"nil":     {nil, packet.Success, ""},
		"foreign": {io.EOF, packet.UnspecifiedError, "EOF"},
		"own":     {inner, packet.QuotaExceeded, "mqtt: quota exceeded [MQTT-3.3.4-7]: EOF"},
		"wrapped": {fmt.Errorf("store: %w", inner), packet.QuotaExceeded, "store: mqtt: quota exceeded [MQTT-3.3.4-7]: EOF"},
		"bare":    {&packet.Error{Code: packet.ServerBusy}, packet.ServerBusy, "mqtt: server busy"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := packet.ReasonOf(tt.err); got != tt.want {
				t.Errorf("ReasonOf(%v) = %v, want %v", tt.err, got, tt.want)
			}
			if tt.err != nil && tt.err.Error() != tt.text {
				t.Errorf("Error() = %s, want %s", tt.err, tt.text)
			}
		})
	}
	if !errors.Is(inner, io.EOF) {
		t.Error("the cause cannot be found")
	}
}

func TestReasonsAsReturnCodesOfOlderVersions(t *testing.T) {
	for code, want := range map[packet.ReasonCode]byte{
		packet.Success: 0, packet.GrantedQoS2: 0,
		packet.UnsupportedProtocolVersion: 1,
		packet.ClientIdentifierNotValid:   2,
		packet.ServerUnavailable:          3, packet.ServerBusy: 3, packet.QuotaExceeded: 3, packet.UseAnotherServer: 3,
		packet.ServerMoved: 3, packet.ConnectionRateExceeded: 3, packet.UnspecifiedError: 3, 0xFF: 3,
		packet.BadUserNameOrPassword: 4,
		packet.NotAuthorized:         5, packet.Banned: 5, packet.BadAuthenticationMethod: 5, packet.RetainNotSupported: 5,
	} {
		if got := code.ConnackV3(); got != want {
			t.Errorf("%v becomes %d, want %d", code, got, want)
		}
	}
	for code := range byte(6) { // all that 3.1.1 has survive the way through a Connack
		var p packet.Connack
		if err := p.Decode(packet.V311, 0, []byte{0, code}); err != nil || p.Code.ConnackV3() != code {
			t.Errorf("return code %d comes back as %d, %v", code, p.Code.ConnackV3(), err)
		}
	}
}

func TestEveryWordHasAName(t *testing.T) {
	names := map[string]bool{}
	for c := range 256 {
		name := packet.ReasonCode(c).String()
		if names[name] {
			t.Errorf("two reason codes are called %q", name)
		}
		names[name] = true
	}
	for want, got := range map[string]fmt.Stringer{
		"3.1": packet.V31, "3.1.1": packet.V311, "5.0": packet.V5, "version 6": packet.Version(6),
		"type 0": packet.Type(0), "AUTH": packet.AUTH, "SUBSCRIBE": packet.SUBSCRIBE,
		"not authorized": packet.NotAuthorized, "packet too large": packet.PacketTooLarge,
		"wildcard subscriptions not supported": packet.WildcardSubscriptionsNotSupported, "reason code 0xA3": packet.ReasonCode(0xA3),
		"message-expiry": packet.PropMessageExpiry, "property 0": packet.PropertyID(0),
	} {
		if got.String() != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
