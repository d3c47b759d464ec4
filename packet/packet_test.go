package packet_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

// sample is a packet, its bytes in the shortest form and its line in a log.
type sample struct {
	version packet.Version
	packet  packet.Packet
	wire    string // hexadecimal; spaces between fields
	line    string
}

// props returns p with the listed properties marked.
func props(p packet.Properties, ids ...packet.PropertyID) packet.Properties {
	for _, id := range ids {
		p.Mark(id)
	}
	return p
}

func reasonProp(s string) packet.Properties {
	return props(packet.Properties{ReasonString: []byte(s)}, packet.PropReasonString)
}

func userProp(kv ...string) packet.Properties {
	var p packet.Properties
	for i := 0; i < len(kv); i += 2 {
		p.User = append(p.User, packet.User{Key: []byte(kv[i]), Value: []byte(kv[i+1])})
	}
	return props(p, packet.PropUser)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("bad hex in the table: %v", err)
	}
	return b
}

// eachSample runs f as a subtest for each sample with the version and type in its name.
func eachSample(t *testing.T, f func(t *testing.T, s sample, wire []byte)) {
	for i, s := range samples() {
		t.Run(fmt.Sprintf("%d %v %v", i, s.packet.Type(), s.version), func(t *testing.T) {
			f(t, s, unhex(t, s.wire))
		})
	}
}

func TestEncodingIsByteExact(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, wire []byte) {
		prefix := []byte("before")
		got := s.packet.Append(prefix[:len(prefix):len(prefix)], s.version)
		if string(got) != "before"+string(wire) {
			t.Errorf("Append(%v)\n got % X\nwant % X", s.packet, got[len(prefix):], wire)
		}
	})
}

func TestDecodingGivesThePacketBack(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, wire []byte) {
		p, n, err := packet.Parse(s.version, append(wire, 0xFF, 0xFF))
		if err != nil || n != len(wire) {
			t.Fatalf("Parse(% X) = %d, %v", wire, n, err)
		}
		if !equal(p, s.packet) {
			t.Errorf("Parse(% X)\n got %+v\nwant %+v", wire, p, s.packet)
		}
		if p.String() != s.line {
			t.Errorf("String()\n got %s\nwant %s", p, s.line)
		}
	})
}

// A packet object is decoded into again and again; nothing of the packet before
// may shine through.
func TestDecodingReplacesEverything(t *testing.T) {
	reused := map[packet.Type]packet.Packet{}
	for range 2 {
		eachSample(t, func(t *testing.T, s sample, wire []byte) {
			p := reused[s.packet.Type()]
			if p == nil {
				p = packet.New(s.packet.Type())
				reused[p.Type()] = p
			}
			h, n, err := packet.ParseHeader(wire)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Decode(s.version, h.Flags, wire[n:]); err != nil {
				t.Fatal(err)
			}
			if !equal(p, s.packet) {
				t.Errorf("got %+v\nwant %+v", p, s.packet)
			}
		})
	}
}

func TestBeginningOfAPacketAsksForMore(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, wire []byte) {
		for i := range wire {
			if p, n, err := packet.Parse(s.version, wire[:i]); p != nil || n != 0 || err != nil {
				t.Errorf("Parse(% X) = %v, %d, %v; want more", wire[:i], p, n, err)
			}
		}
	})
}

// A body cut short is either refused or, where the format allows it, a packet
// that says what its bytes say.
func TestTruncatedBodyIsRefusedOrComplete(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, wire []byte) {
		h, n, err := packet.ParseHeader(wire)
		if err != nil {
			t.Fatal(err)
		}
		for i := n; i < len(wire); i++ {
			checkDecode(t, h.Type, s.version, h.Flags, wire[n:i])
		}
	})
}

func TestCloneOwnsItsMemory(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, wire []byte) {
		p, _, err := packet.Parse(s.version, wire)
		if err != nil {
			t.Fatal(err)
		}
		c := packet.Clone(p)
		clear(wire)
		if !equal(c, s.packet) {
			t.Errorf("after the buffer changed the clone is %+v\nwant %+v", c, s.packet)
		}
	})
	if packet.Clone(nil) != nil {
		t.Error("Clone(nil) is not nil")
	}
}

func TestNoLineTellsASecret(t *testing.T) {
	p := &packet.Connect{Version: packet.V5, HasUsername: true, Username: []byte("u"), HasPassword: true, Password: []byte("hunter2")}
	p.Properties.AuthMethod, p.Properties.AuthData = []byte("M"), []byte("hunter2")
	p.Properties.Mark(packet.PropAuthMethod)
	p.Properties.Mark(packet.PropAuthData)
	p.Will = &packet.Will{Topic: []byte("w"), Payload: []byte("hunter2")}
	if s := p.String(); strings.Contains(s, "hunter2") {
		t.Errorf("String() = %s", s)
	}
}

func TestNewKnowsEveryType(t *testing.T) {
	for typ := packet.CONNECT; typ <= packet.AUTH; typ++ {
		if p := packet.New(typ); p == nil || p.Type() != typ {
			t.Errorf("New(%v) = %v", typ, p)
		}
	}
	if packet.New(0) != nil || packet.New(16) != nil {
		t.Error("New made a packet of a type that does not exist")
	}
}

// checkDecode states what holds for any body: it is refused with a failure
// code, or its packet encodes to bytes that decode to an equal packet and are
// themselves the shortest form.
func checkDecode(t *testing.T, typ packet.Type, v packet.Version, flags byte, body []byte) {
	t.Helper()
	p := packet.New(typ)
	if err := p.Decode(v, flags, body); err != nil {
		if code := packet.ReasonOf(err); code < 0x80 || code == packet.UnspecifiedError {
			t.Errorf("%v % X is refused with %v", typ, body, err)
		}
		return
	}
	if c, ok := p.(*packet.Connect); ok {
		v = c.Version
	}
	out := p.Append(nil, v)
	again, n, err := packet.Parse(v, out)
	if err != nil || n != len(out) {
		t.Fatalf("%v % X encodes to % X, which parses to %d, %v", typ, body, out, n, err)
	}
	if !equal(again, p) {
		t.Errorf("%v % X\nis       %+v\nand then %+v", typ, body, p, again)
	}
	if twice := again.Append(nil, v); !bytes.Equal(twice, out) {
		t.Errorf("% X encodes again to % X", out, twice)
	}
	if len(out) > 5+len(body) {
		t.Errorf("%d bytes of body grew to % X", len(body), out)
	}
	_ = p.String()
}

// equal compares packets by what they say: an empty slice is as good as none,
// and the raw properties are only another form of the properties.
func equal(a, b packet.Packet) bool {
	return sameValue(reflect.ValueOf(a), reflect.ValueOf(b))
}

func sameValue(a, b reflect.Value) bool {
	if a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return sameValue(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).Name != "RawProperties" && !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}
