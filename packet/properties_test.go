package packet_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

// propertyTable is table 2-4 of MQTT 5.0: identifier, a value, and the packets
// the property belongs in; w is the will.
const propertyTable = `
1  01          PUBLISH w
2  00000001    PUBLISH w
3  000161      PUBLISH w
8  000161      PUBLISH w
9  000100      PUBLISH w
11 01          PUBLISH SUBSCRIBE
17 00000000    CONNECT CONNACK DISCONNECT
18 000161      CONNACK
19 0000        CONNACK
21 000161      CONNECT CONNACK AUTH
22 000100      CONNECT CONNACK AUTH
23 00          CONNECT
24 00000000    w
25 01          CONNECT
26 000161      CONNACK
28 000161      CONNACK DISCONNECT
31 000161      CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH
33 0001        CONNECT CONNACK
34 0000        CONNECT CONNACK
35 0001        PUBLISH
36 01          CONNACK
37 01          CONNACK
38 000161 0000 CONNECT CONNACK PUBLISH w PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH
39 00000001    CONNECT CONNACK
40 01          CONNACK
41 01          CONNACK
42 01          CONNACK
`

// scopes are the places for properties by the names of propertyTable.
func scopes() map[string]packet.Type {
	all := map[string]packet.Type{"w": packet.CONNECT}
	for typ := packet.CONNECT; typ <= packet.AUTH; typ++ {
		all[typ.String()] = typ
	}
	return all
}

func TestPropertiesBelongWhereTheTableSays(t *testing.T) {
	known := map[packet.PropertyID]bool{}
	for line := range strings.Lines(strings.TrimSpace(propertyTable)) {
		fields := strings.Fields(line)
		var id packet.PropertyID
		fmt.Sscan(fields[0], &id)
		known[id] = true
		raw, allowed := []byte{byte(id)}, map[string]bool{}
		for _, f := range fields[1:] {
			if _, ok := scopes()[f]; ok {
				allowed[f] = true
			} else {
				raw = append(raw, unhex(t, f)...)
			}
		}
		for name, typ := range scopes() {
			in := raw
			if id == packet.PropAuthData { // not without its method
				in = append([]byte{byte(packet.PropAuthMethod), 0, 1, 'M'}, raw...)
			}
			var p packet.Properties
			err := packet.DecodeProperties(typ, name == "w", in, &p)
			switch {
			case allowed[name] && (err != nil || !p.Has(id)):
				t.Errorf("%v in %s: %v", id, name, err)
			case allowed[name] && !bytes.Equal(p.AppendTo(nil), in):
				t.Errorf("%v encodes to % X, want % X", id, p.AppendTo(nil), in)
			case !allowed[name] && packet.ReasonOf(err) != packet.MalformedPacket:
				t.Errorf("%v in %s: %v, want malformed", id, name, err)
			}
		}
	}
	for id := range 256 {
		if id := packet.PropertyID(id); !known[id] {
			var p packet.Properties
			err := packet.DecodeProperties(packet.CONNACK, false, append([]byte{byte(id)}, make([]byte, 10)...), &p)
			if packet.ReasonOf(err) != packet.MalformedPacket {
				t.Errorf("property %d does not exist but gives %v", byte(id), err)
			}
		} else if strings.HasPrefix(id.String(), "property") {
			t.Errorf("property %d has no name", byte(id))
		}
	}
}

func TestSizeIsTheLengthOfTheEncoding(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, _ []byte) {
		if p, ok := s.packet.(*packet.Publish); ok {
			if got, want := p.Properties.Size(), len(p.Properties.AppendTo(nil)); got != want {
				t.Errorf("Size() = %d, AppendTo gives %d bytes", got, want)
			}
		}
	})
}

func TestOnlyMarkedPropertiesCount(t *testing.T) {
	p := packet.Properties{TopicAlias: 7}
	if !p.Empty() || p.Has(packet.PropTopicAlias) || p.Size() != 0 {
		t.Error("a field alone makes its property present")
	}
	p.Mark(packet.PropTopicAlias)
	if got := p.AppendTo(nil); p.Empty() || !p.Has(packet.PropTopicAlias) || !bytes.Equal(got, []byte{35, 0, 7}) {
		t.Errorf("marked: % X", got)
	}
	p.Unmark(packet.PropTopicAlias)
	if !p.Empty() || p.Has(packet.PropTopicAlias) || p.TopicAlias != 7 {
		t.Error("Unmark does not make it absent, or changes the field")
	}
}

func TestResetKeepsListsWithinReason(t *testing.T) {
	p := props(packet.Properties{User: make([]packet.User, 10), SubscriptionIDs: make([]uint32, 1<<20), ReasonString: []byte("x")},
		packet.PropUser, packet.PropSubscriptionID, packet.PropReasonString)
	p.User[0].Key = []byte("held")
	p.Reset()
	if !p.Empty() || p.ReasonString != nil || len(p.User) != 0 || len(p.SubscriptionIDs) != 0 {
		t.Errorf("after Reset: %+v", p)
	}
	if cap(p.User) != 10 || p.User[:1][0].Key != nil {
		t.Error("Reset gave a small list away, or holds the bytes of the last packet")
	}
	if cap(p.SubscriptionIDs) != 0 {
		t.Error("Reset keeps a huge list")
	}
}

// Who forwards a decoded packet unmarks what must not travel; the next packet in
// the same object must not inherit it.
func TestUnmarkedListsDoNotReturn(t *testing.T) {
	var p packet.Properties
	for _, raw := range [][]byte{{11, 1}, {38, 0, 0, 0, 0}, {11, 2, 38, 0, 0, 0, 0}} {
		if err := packet.DecodeProperties(packet.PUBLISH, false, raw, &p); err != nil {
			t.Fatal(err)
		}
		if got := p.AppendTo(nil); !bytes.Equal(got, raw) {
			t.Errorf("% X is encoded as % X", raw, got)
		}
		p.Unmark(packet.PropSubscriptionID)
		p.Unmark(packet.PropUser)
	}
}

func TestForwardedPropertiesLeaveTheConnectionBehind(t *testing.T) {
	for name, tt := range map[string]struct{ raw, want string }{
		"none":             {"", ""},
		"all to leave out": {"0200000001 0B8001 0B01 230001", ""},
		"all to keep":      {"0101 03000161 08000161 09000100 26000161000162", "0101 03000161 08000161 09000100 26000161000162"},
		"between others":   {"26000161000162 230001 0101 0200000009 26000000 0162 0BFFFFFF7F 03000178", "26000161000162 0101 260000000162 03000178"},
	} {
		t.Run(name, func(t *testing.T) {
			got := packet.ForwardProperties([]byte("x"), unhex(t, tt.raw))
			if want := "x" + string(unhex(t, tt.want)); string(got) != want {
				t.Errorf("ForwardProperties(%s) = % X, want %s", tt.raw, got[1:], tt.want)
			}
		})
	}
}

func TestAppendPublishIsWhatAppendWrites(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, wire []byte) {
		p, ok := s.packet.(*packet.Publish)
		if !ok {
			t.Skip("not a PUBLISH")
		}
		raw := p.Properties.AppendTo(nil)
		out, idAt := packet.AppendPublish([]byte("xy"), s.version, wire[0]&0x0F, string(p.Topic), p.ID, raw, p.Payload)
		if !bytes.Equal(out[2:], wire) {
			t.Errorf("AppendPublish = % X, want % X", out[2:], wire)
		}
		if p.QoS == 0 && idAt != -1 || p.QoS > 0 && !bytes.Equal(out[idAt:idAt+2], []byte{byte(p.ID >> 8), byte(p.ID)}) {
			t.Errorf("the identifier %d is not at %d of % X", p.ID, idAt, out)
		}
		if n := packet.PublishSize(s.version, p.QoS, len(p.Topic), len(raw), len(p.Payload)); n != len(wire) {
			t.Errorf("PublishSize = %d, want %d", n, len(wire))
		}
	})
}

func TestPublishSizeTellsWhatIsTooLarge(t *testing.T) {
	for payload, want := range map[int]int{
		124:                  127 + 2,
		125:                  128 + 3,
		packet.MaxVarint - 3: packet.MaxSize,
		packet.MaxVarint - 2: packet.MaxSize + 1,
	} {
		if got := packet.PublishSize(packet.V311, 0, 1, 0, payload); got != want {
			t.Errorf("PublishSize with %d bytes of payload = %d, want %d", payload, got, want)
		}
	}
}
