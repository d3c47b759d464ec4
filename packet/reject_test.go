package packet_test

import (
	"strings"
	"testing"

	"github.com/wirebird/wirebird/packet"
)

const (
	v31  = packet.V31
	v311 = packet.V311
	v5   = packet.V5
)

// refusal is a packet that must be refused, with its reason and the statement.
type refusal struct {
	version packet.Version
	wire    string
	code    packet.ReasonCode
	rule    string
}

func TestBadPacketsAreRefused(t *testing.T) {
	for _, table := range []map[string]refusal{badHeaders(), badConnects(), badPublishes(), badAcks(), badRequests(), badReplies()} {
		for name, tt := range table {
			t.Run(name, func(t *testing.T) {
				p, _, err := packet.Parse(tt.version, unhex(t, tt.wire))
				if packet.ReasonOf(err) != tt.code {
					t.Fatalf("Parse(%s) = %v, %v; want %v", tt.wire, p, err, tt.code)
				}
				if e, ok := err.(*packet.Error); !ok || e.Rule != tt.rule {
					t.Errorf("Parse(%s): %v; want the rule %q", tt.wire, err, tt.rule)
				}
			})
		}
	}
}

func badHeaders() map[string]refusal {
	return map[string]refusal{
		"type 0":                 {v5, "00 00", packet.MalformedPacket, ""},
		"flags of PINGREQ":       {v5, "C1", packet.MalformedPacket, "MQTT-2.1.3-1"},
		"flags of SUBSCRIBE":     {v5, "80", packet.MalformedPacket, "MQTT-2.1.3-1"},
		"DUP on PUBREL in 3.1.1": {v311, "6A 02 0001", packet.MalformedPacket, "MQTT-2.1.3-1"},
		"DUP on PUBACK in 3.1":   {v31, "48 02 0001", packet.MalformedPacket, "MQTT-2.1.3-1"},
		"DUP on SUBSCRIBE":       {v5, "8A 07 0001 00 0001 61 00", packet.MalformedPacket, "MQTT-2.1.3-1"},
		"length not minimal":     {v5, "C0 80 00", packet.MalformedPacket, "MQTT-1.5.5-1"},
		"length of five bytes":   {v5, "30 FFFFFFFF", packet.MalformedPacket, ""},
		"PINGREQ with a body":    {v311, "C0 01 00", packet.MalformedPacket, ""},
		"PINGRESP with a body":   {v5, "D0 01 00", packet.MalformedPacket, ""},
		"AUTH in 3.1.1":          {v311, "F0 00", packet.MalformedPacket, ""},
	}
}

func badConnects() map[string]refusal {
	const unsupported = packet.UnsupportedProtocolVersion
	return map[string]refusal{
		"name in lower case":             {v5, "10 0D 0004 6D717474 05 00 0000 00 0000", unsupported, "MQTT-3.1.2-1"},
		"empty name":                     {v5, "10 03 0000 04", unsupported, "MQTT-3.1.2-1"},
		"level 6":                        {v5, "10 0D 0004 4D515454 06 00 0000 00 0000", unsupported, "MQTT-3.1.2-2"},
		"level 3 with the newer name":    {v5, "10 0C 0004 4D515454 03 00 0000 0000", unsupported, "MQTT-3.1.2-2"},
		"level 4 with the older name":    {v5, "10 0E 0006 4D5149736470 04 00 0000 0000", unsupported, "MQTT-3.1.2-2"},
		"nothing":                        {v5, "10 00", packet.MalformedPacket, ""},
		"ends in the name":               {v5, "10 04 0004 4D51", packet.MalformedPacket, ""},
		"ends before the flags":          {v5, "10 07 0004 4D515454 04", packet.MalformedPacket, ""},
		"reserved connect flag":          {v311, "10 0C 0004 4D515454 04 01 0000 0000", packet.MalformedPacket, "MQTT-3.1.2-3"},
		"will QoS 3":                     {v311, "10 11 0004 4D515454 04 1C 0000 0000 0001 77 0000", packet.MalformedPacket, "MQTT-3.1.2-12"},
		"will QoS without will":          {v311, "10 0C 0004 4D515454 04 08 0000 0000", packet.MalformedPacket, "MQTT-3.1.2-11"},
		"will retain without will":       {v5, "10 0D 0004 4D515454 05 20 0000 00 0000", packet.MalformedPacket, "MQTT-3.1.2-13"},
		"password alone in 3.1.1":        {v311, "10 0F 0004 4D515454 04 40 0000 0000 0001 70", packet.MalformedPacket, "MQTT-3.1.2-22 of 3.1.1"},
		"password alone in 3.1":          {v31, "10 11 0006 4D5149736470 03 40 0000 0000 0001 70", packet.MalformedPacket, "MQTT-3.1.2-22 of 3.1.1"},
		"user name missing in 3.1.1":     {v311, "10 0C 0004 4D515454 04 80 0000 0000", packet.MalformedPacket, ""},
		"user name cut in 3.1":           {v31, "10 10 0006 4D5149736470 03 80 0000 0000 0001", packet.MalformedPacket, ""},
		"client id not UTF-8":            {v311, "10 0D 0004 4D515454 04 02 0000 0001 FF", packet.MalformedPacket, "MQTT-1.5.4-1"},
		"user name with U+0000":          {v311, "10 0F 0004 4D515454 04 80 0000 0000 0001 00", packet.MalformedPacket, "MQTT-1.5.4-1"},
		"will topic with wildcard":       {v311, "10 11 0004 4D515454 04 04 0000 0000 0001 23 0000", packet.TopicNameInvalid, "MQTT-4.7.1-1"},
		"will topic empty":               {v311, "10 10 0004 4D515454 04 04 0000 0000 0000 0000", packet.TopicNameInvalid, "MQTT-4.7.3-1"},
		"will topic missing":             {v311, "10 0C 0004 4D515454 04 04 0000 0000", packet.MalformedPacket, ""},
		"will delay among the connect's": {v5, "10 12 0004 4D515454 05 00 0000 05 1800000000 0000", packet.MalformedPacket, ""},
		"session expiry among the will's": {v5, "10 18 0004 4D515454 05 04 0000 00 0000 05 1100000000 0001 77 0000",
			packet.MalformedPacket, ""},
		"trailing byte":         {v311, "10 0D 0004 4D515454 04 00 0000 0000 00", packet.MalformedPacket, ""},
		"receive maximum 0":     {v5, "10 10 0004 4D515454 05 00 0000 03 210000 0000", packet.ProtocolError, ""},
		"maximum packet size 0": {v5, "10 12 0004 4D515454 05 00 0000 05 2700000000 0000", packet.ProtocolError, ""},
		"request problem 2":     {v5, "10 0F 0004 4D515454 05 00 0000 02 1702 0000", packet.ProtocolError, ""},
		"auth data alone":       {v5, "10 10 0004 4D515454 05 00 0000 03 160000 0000", packet.ProtocolError, ""},
		"session expiry twice":  {v5, "10 17 0004 4D515454 05 00 0000 0A 1100000000 1100000000 0000", packet.ProtocolError, ""},
	}
}

func badPublishes() map[string]refusal {
	return map[string]refusal{
		"QoS 3":                         {v311, "36 05 0001 61 0001", packet.MalformedPacket, "MQTT-3.3.1-4"},
		"DUP at QoS 0":                  {v311, "38 03 0001 61", packet.MalformedPacket, "MQTT-3.3.1-2"},
		"id 0":                          {v311, "32 05 0001 61 0000", packet.ProtocolError, "MQTT-2.2.1-3"},
		"id missing":                    {v311, "32 03 0001 61", packet.MalformedPacket, ""},
		"plus in topic":                 {v311, "30 05 0003 612F2B", packet.TopicNameInvalid, "MQTT-3.3.2-2"},
		"hash deep in topic":            {v5, "30 0F 000C 616263646566676823303132 00", packet.TopicNameInvalid, "MQTT-3.3.2-2"},
		"hash before bad UTF-8":         {v311, "30 04 0002 23FF", packet.MalformedPacket, "MQTT-3.3.2-1"},
		"U+0000 in topic":               {v311, "30 0B 0009 616263646566676800", packet.MalformedPacket, "MQTT-3.3.2-1"},
		"surrogate in topic":            {v311, "30 05 0003 EDA080", packet.MalformedPacket, "MQTT-3.3.2-1"},
		"no topic in 3.1.1":             {v311, "30 02 0000", packet.TopicNameInvalid, "MQTT-4.7.3-1"},
		"neither topic nor alias":       {v5, "30 03 0000 00", packet.ProtocolError, ""},
		"topic past the end":            {v311, "30 03 0002 61", packet.MalformedPacket, ""},
		"no properties in 5.0":          {v5, "30 03 0001 61", packet.MalformedPacket, ""},
		"properties past the end":       {v5, "30 04 0001 61 01", packet.MalformedPacket, ""},
		"property length not minimal":   {v5, "30 05 0001 61 8000", packet.MalformedPacket, "MQTT-1.5.5-1"},
		"property past the properties":  {v5, "30 07 0001 61 02 2300 01", packet.MalformedPacket, ""},
		"unknown property":              {v5, "30 06 0001 61 02 0400", packet.MalformedPacket, ""},
		"property id of two bytes":      {v5, "30 07 0001 61 03 818000", packet.MalformedPacket, ""},
		"property of another packet":    {v5, "30 07 0001 61 03 210001", packet.MalformedPacket, ""},
		"payload format 2":              {v5, "30 06 0001 61 02 0102", packet.ProtocolError, ""},
		"topic alias 0":                 {v5, "30 07 0001 61 03 230000", packet.TopicAliasInvalid, "MQTT-3.3.2-8"},
		"topic alias twice":             {v5, "30 0A 0001 61 06 230001 230001", packet.ProtocolError, ""},
		"topic alias cut":               {v5, "30 05 0001 61 01 23", packet.MalformedPacket, ""},
		"subscription id 0":             {v5, "30 06 0001 61 02 0B00", packet.ProtocolError, ""},
		"subscription id cut":           {v5, "30 06 0001 61 02 0B80", packet.MalformedPacket, ""},
		"wildcard in response topic":    {v5, "30 08 0001 61 04 08 0001 2B", packet.ProtocolError, "MQTT-3.3.2-14"},
		"empty response topic":          {v5, "30 07 0001 61 03 08 0000", packet.ProtocolError, "MQTT-4.7.3-1"},
		"content type not UTF-8":        {v5, "30 08 0001 61 04 03 0001 C3", packet.MalformedPacket, "MQTT-1.5.4-1"},
		"user property without a value": {v5, "30 08 0001 61 04 26 0001 6B", packet.MalformedPacket, ""},
		"user property value not UTF-8": {v5, "30 0A 0001 61 06 26 0000 0001 80", packet.MalformedPacket, "MQTT-1.5.4-1"},
		"user property key with U+0000": {v5, "30 0A 0001 61 06 26 0001 00 0000", packet.MalformedPacket, "MQTT-1.5.4-1"},
		"correlation data past the end": {v5, "30 08 0001 61 04 09 0002 61", packet.MalformedPacket, ""},
	}
}

func badAcks() map[string]refusal {
	return map[string]refusal{
		"PUBACK of 0":                     {v311, "40 02 0000", packet.ProtocolError, "MQTT-2.2.1-3"},
		"PUBACK without id":               {v311, "40 01 00", packet.MalformedPacket, ""},
		"PUBACK with reason in 3.1.1":     {v311, "40 03 0001 00", packet.MalformedPacket, ""},
		"PUBACK with reason of PUBREL":    {v5, "40 03 0001 92", packet.ProtocolError, "MQTT-3.4.2-1"},
		"PUBREC with unknown reason":      {v5, "50 03 0001 7F", packet.ProtocolError, "MQTT-3.5.2-1"},
		"PUBREL with reason of PUBREC":    {v5, "62 03 0001 10", packet.ProtocolError, "MQTT-3.6.2-1"},
		"PUBCOMP with reason of PUBREC":   {v5, "70 03 0001 97", packet.ProtocolError, "MQTT-3.7.2-1"},
		"PUBACK with bytes after the end": {v5, "40 05 0001 00 00 00", packet.MalformedPacket, ""},
		"PUBACK with expiry":              {v5, "40 09 0001 00 05 0200000000", packet.MalformedPacket, ""},
		"PUBACK with two reason strings":  {v5, "40 0A 0001 00 06 1F0000 1F0000", packet.ProtocolError, ""},
		"DISCONNECT with body in 3.1.1":   {v311, "E0 01 00", packet.MalformedPacket, ""},
		"DISCONNECT with CONNACK reason":  {v5, "E0 01 84", packet.ProtocolError, "MQTT-3.14.2-1"},
		"DISCONNECT with trailing byte":   {v5, "E0 03 00 00 00", packet.MalformedPacket, ""},
		"AUTH with reason of DISCONNECT":  {v5, "F0 02 04 00", packet.ProtocolError, "MQTT-3.15.2-1"},
		"AUTH without property length":    {v5, "F0 01 18", packet.MalformedPacket, ""},
		"AUTH with data but no method":    {v5, "F0 05 18 03 160000", packet.ProtocolError, ""},
	}
}

func badRequests() map[string]refusal {
	return map[string]refusal{
		"SUBSCRIBE without filter":       {v311, "82 02 0001", packet.ProtocolError, "MQTT-3.8.3-2"},
		"SUBSCRIBE with id 0":            {v311, "82 06 0000 0001 61 00", packet.ProtocolError, "MQTT-2.2.1-3"},
		"SUBSCRIBE without options":      {v311, "82 05 0001 0001 61", packet.MalformedPacket, ""},
		"SUBSCRIBE with empty filter":    {v311, "82 05 0001 0000 00", packet.TopicFilterInvalid, "MQTT-4.7.3-1"},
		"SUBSCRIBE with filter not text": {v5, "82 07 0001 00 0001 FF 00", packet.MalformedPacket, "MQTT-1.5.4-1"},
		"SUBSCRIBE with QoS 3 in 3.1.1":  {v311, "82 06 0001 0001 61 03", packet.MalformedPacket, "MQTT-3.8.3-4 of 3.1.1"},
		"SUBSCRIBE with options in 3.1":  {v31, "82 06 0001 0001 61 04", packet.MalformedPacket, "MQTT-3.8.3-4 of 3.1.1"},
		"SUBSCRIBE with QoS 3":           {v5, "82 07 0001 00 0001 61 03", packet.MalformedPacket, ""},
		"SUBSCRIBE with reserved option": {v5, "82 07 0001 00 0001 61 40", packet.MalformedPacket, "MQTT-3.8.3-5"},
		"SUBSCRIBE with retain handling": {v5, "82 07 0001 00 0001 61 30", packet.ProtocolError, ""},
		"SUBSCRIBE with two ids":         {v5, "82 0B 0001 04 0B01 0B02 0001 61 00", packet.ProtocolError, ""},
		"UNSUBSCRIBE without filter":     {v5, "A2 03 0001 00", packet.ProtocolError, "MQTT-3.10.3-2"},
		"UNSUBSCRIBE with id 0":          {v311, "A2 05 0000 0001 61", packet.ProtocolError, "MQTT-2.2.1-3"},
		"UNSUBSCRIBE with empty filter":  {v311, "A2 04 0001 0000", packet.TopicFilterInvalid, "MQTT-4.7.3-1"},
		"UNSUBSCRIBE with cut filter":    {v311, "A2 05 0001 0002 61", packet.MalformedPacket, ""},
		"UNSUBSCRIBE with an id":         {v5, "A2 08 0001 02 0B01 0001 61", packet.MalformedPacket, ""},
	}
}

func badReplies() map[string]refusal {
	return map[string]refusal{
		"CONNACK with reserved flags":     {v5, "20 03 02 00 00", packet.MalformedPacket, "MQTT-3.2.2-1"},
		"CONNACK refusing with session":   {v311, "20 02 01 05", packet.ProtocolError, "MQTT-3.2.2-6"},
		"CONNACK with reserved code":      {v311, "20 02 00 06", packet.ProtocolError, ""},
		"CONNACK with code of DISCONNECT": {v5, "20 03 00 8E 00", packet.ProtocolError, "MQTT-3.2.2-8"},
		"CONNACK too long":                {v311, "20 03 00 00 00", packet.MalformedPacket, ""},
		"CONNACK too short":               {v5, "20 02 00 00", packet.MalformedPacket, ""},
		"CONNACK with maximum QoS 2":      {v5, "20 05 00 00 02 2402", packet.ProtocolError, ""},
		"SUBACK without codes":            {v5, "90 03 0001 00", packet.ProtocolError, "MQTT-3.8.4-6"},
		"SUBACK with 0x87 in 3.1.1":       {v311, "90 03 0001 87", packet.ProtocolError, "MQTT-3.9.3-2 of 3.1.1"},
		"SUBACK with QoS 3":               {v311, "90 03 0001 03", packet.ProtocolError, "MQTT-3.9.3-2"},
		"UNSUBACK with codes in 3.1.1":    {v311, "B0 03 0001 00", packet.MalformedPacket, ""},
		"UNSUBACK without codes":          {v5, "B0 03 0001 00", packet.ProtocolError, "MQTT-3.11.3-2"},
		"UNSUBACK with granted QoS":       {v5, "B0 04 0001 00 01", packet.ProtocolError, "MQTT-3.11.3-2"},
	}
}

// Decode knows the version and so has the last word on the header flags.
func TestReservedFlagsAreRefused(t *testing.T) {
	eachSample(t, func(t *testing.T, s sample, wire []byte) {
		typ := s.packet.Type()
		if typ == packet.PUBLISH {
			t.Skip("has no reserved flags")
		}
		h, n, err := packet.ParseHeader(wire)
		if err != nil {
			t.Fatal(err)
		}
		for flags := range byte(16) {
			want := packet.MalformedPacket
			repeated := s.version == v31 && h.Flags == 2 && flags == 10
			if flags == h.Flags || repeated {
				want = packet.Success
			}
			if err := packet.New(typ).Decode(s.version, flags, wire[n:]); packet.ReasonOf(err) != want {
				t.Errorf("flags %04b: %v, want %v", flags, err, want)
			}
		}
	})
}

// What is longer or older than it needs to be is understood all the same.
func TestOtherFormsAreUnderstood(t *testing.T) {
	for name, tt := range map[string]struct {
		version packet.Version
		wire    string
		want    packet.Packet
	}{
		"PUBACK with success":              {v5, "40 03 0001 00", &packet.Puback{ID: 1}},
		"PUBACK with empty properties":     {v5, "40 04 0001 00 00", &packet.Puback{ID: 1}},
		"DISCONNECT with success":          {v5, "E0 01 00", &packet.Disconnect{}},
		"DISCONNECT with empty properties": {v5, "E0 02 04 00", &packet.Disconnect{Code: packet.DisconnectWithWill}},
		"AUTH with success":                {v5, "F0 02 00 00", &packet.Auth{}},
		"PUBREL repeated in 3.1":           {v31, "6A 02 0001", &packet.Pubrel{ID: 1}},
		"CONNACK of 3.1 with noise":        {v31, "20 02 FF 00", &packet.Connack{}},
		"user name missing in 3.1": {v31, "10 0F 0006 4D5149736470 03 C0 0000 0001 63",
			&packet.Connect{Version: v31, ClientID: []byte("c")}},
		"password missing in 3.1": {v31, "10 12 0006 4D5149736470 03 C0 0000 0001 63 0001 75",
			&packet.Connect{Version: v31, ClientID: []byte("c"), HasUsername: true, Username: []byte("u")}},
		"properties in descending order": {v5, "30 0B 0001 61 07 0200000001 0100",
			&packet.Publish{Topic: []byte("a"), Properties: props(packet.Properties{MessageExpiry: 1}, packet.PropPayloadFormat, packet.PropMessageExpiry)}},
		"a string that begins with U+FEFF": {v311, "30 06 0004 EFBBBF61", &packet.Publish{Topic: []byte("\ufeffa")}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, err := packet.Parse(tt.version, unhex(t, tt.wire))
			if err != nil || !equal(p, tt.want) {
				t.Errorf("Parse(%s) = %v, %v; want %v", tt.wire, p, err, tt.want)
			}
		})
	}
}

func TestVersionIsKnownWhenConnectIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		wire string
		want packet.Version
	}{
		"cut after the flags": {"0004 4D515454 05 00", v5},
		"reserved flag":       {"0004 4D515454 05 01 0000 00 0000", v5},
		"level 6":             {"0004 4D515454 06 00 0000 00 0000", 6},
		"bridge of 3.1.1":     {"0004 4D515454 84 01 0000 0000", v311},
	} {
		t.Run(name, func(t *testing.T) {
			var c packet.Connect
			if err := c.Decode(0, 0, unhex(t, tt.wire)); err == nil || c.Version != tt.want {
				t.Errorf("Decode(%s): version %v, %v; want %v and an error", tt.wire, c.Version, err, tt.want)
			}
		})
	}
}

// What a version has no place for is left out rather than written wrongly.
func TestOlderVersionsLeaveOut(t *testing.T) {
	long := strings.Repeat("x", packet.MaxString+1)
	for name, tt := range map[string]struct {
		version packet.Version
		packet  packet.Packet
		want    string
	}{
		"reason of PUBACK":    {v311, &packet.Puback{ID: 1, Code: packet.NotAuthorized, Properties: reasonProp("x")}, "40 02 0001"},
		"reasons of SUBACK":   {v311, &packet.Suback{ID: 1, Codes: []packet.ReasonCode{1, packet.NotAuthorized}}, "90 04 0001 01 80"},
		"reasons of UNSUBACK": {v31, &packet.Unsuback{ID: 1, Codes: []packet.ReasonCode{0}}, "B0 02 0001"},
		"reason of a DISCONNECT": {v311, &packet.Disconnect{Code: packet.ServerBusy, Properties: reasonProp("x")},
			"E0 00"},
		"properties of PUBLISH":   {v311, &packet.Publish{Topic: []byte("a"), Properties: userProp("k", "v")}, "30 03 0001 61"},
		"options of SUBSCRIBE":    {v311, &packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("a"), QoS: 1, NoLocal: true}}}, "82 06 0001 0001 61 01"},
		"session present in 3.1":  {v31, &packet.Connack{SessionPresent: true}, "20 02 00 00"},
		"session of a refusal":    {v5, &packet.Connack{SessionPresent: true, Code: packet.Banned}, "20 03 00 8A 00"},
		"version of v, not given": {v31, &packet.Connect{}, "10 0E 0006 4D5149736470 03 00 0000 0000"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := tt.packet.Append(nil, tt.version), unhex(t, tt.want); string(got) != string(want) {
				t.Errorf("Append = % X, want % X", got, want)
			}
		})
	}
	t.Run("the end of a string that is too long", func(t *testing.T) {
		in := &packet.Publish{Topic: []byte(long), Properties: userProp(long, "v")}
		p, _, err := packet.Parse(v5, in.Append(nil, v5))
		want := &packet.Publish{Topic: []byte(long[1:]), Properties: userProp(long[1:], "v")}
		if err != nil || !equal(p, want) {
			t.Errorf("Parse of the encoding: %v", err)
		}
	})
}
