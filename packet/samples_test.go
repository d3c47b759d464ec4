package packet_test

import "github.com/wirebird/wirebird/packet"

// samples are packets of every type and version, written out by hand from the
// tables of the standards.
func samples() []sample {
	return append(append(connectSamples(), publishSamples()...), append(subscribeSamples(), otherSamples()...)...)
}

func connectSamples() []sample {
	return []sample{
		{packet.V31, &packet.Connect{Version: packet.V31, CleanStart: true, KeepAlive: 10, ClientID: []byte("c")},
			"10 0F 0006 4D5149736470 03 02 000A 0001 63",
			`CONNECT version=3.1 clean-start keep-alive=10 client-id="c"`},
		{packet.V311, &packet.Connect{Version: packet.V311, ClientID: []byte("c"), HasUsername: true, Username: []byte("u"), HasPassword: true, Password: []byte{0, 255}},
			"10 14 0004 4D515454 04 C0 0000 0001 63 0001 75 0002 00FF",
			`CONNECT version=3.1.1 keep-alive=0 client-id="c" username="u" password=hidden`},
		{packet.V311, &packet.Connect{Version: packet.V311, Bridge: true, KeepAlive: 60, ClientID: []byte("b"),
			Will: &packet.Will{QoS: 2, Retain: true, Topic: []byte("w"), Payload: []byte("!")}},
			"10 13 0004 4D515454 84 34 003C 0001 62 0001 77 0001 21",
			`CONNECT version=3.1.1 bridge keep-alive=60 client-id="b" will(q2 r1 topic="w" payload=1B)`},
		{packet.V5, &packet.Connect{Version: packet.V5},
			"10 0D 0004 4D515454 05 00 0000 00 0000",
			`CONNECT version=5.0 keep-alive=0 client-id=""`},
		{packet.V5, &packet.Connect{Version: packet.V5, CleanStart: true, KeepAlive: 65535, ClientID: []byte("c"),
			HasPassword: true, Password: []byte("p"),
			Properties: props(packet.Properties{SessionExpiry: 0xFFFFFFFF, AuthMethod: []byte("M"), AuthData: []byte{1, 2, 3},
				RequestProblem: 1, RequestResponse: 0, ReceiveMax: 20, TopicAliasMax: 5, MaxPacketSize: 1024},
				packet.PropSessionExpiry, packet.PropAuthMethod, packet.PropAuthData, packet.PropRequestProblem,
				packet.PropRequestResponse, packet.PropReceiveMax, packet.PropTopicAliasMax, packet.PropMaxPacketSize),
			Will: &packet.Will{QoS: 1, Topic: []byte("w"), Properties: props(packet.Properties{WillDelay: 30, ContentType: []byte("t")},
				packet.PropWillDelay, packet.PropContentType)}},
			"10 3E 0004 4D515454 05 4E FFFF 1E 11FFFFFFFF 15 0001 4D 16 0003 010203 1701 1900 210014 220005 2700000400 0001 63 09 03 0001 74 180000001E 0001 77 0000 0001 70",
			`CONNECT version=5.0 clean-start keep-alive=65535 client-id="c" password=hidden` +
				` will(q1 r0 topic="w" payload=0B {content-type="t" will-delay=30})` +
				` {session-expiry=4294967295 auth-method="M" auth-data=3B request-problem=1 request-response=0 receive-max=20 topic-alias-max=5 max-packet-size=1024}`},
		{packet.V31, &packet.Connack{}, "20 02 00 00", `CONNACK code="success"`},
		{packet.V311, &packet.Connack{SessionPresent: true}, "20 02 01 00", `CONNACK code="success" session-present`},
		{packet.V311, &packet.Connack{Code: packet.NotAuthorized}, "20 02 00 05", `CONNACK code="not authorized"`},
		{packet.V5, &packet.Connack{SessionPresent: true}, "20 03 01 00 00", `CONNACK code="success" session-present`},
		{packet.V5, &packet.Connack{Code: packet.Banned, Properties: reasonProp("no")}, "20 08 00 8A 05 1F 0002 6E6F",
			`CONNACK code="banned" {reason-string="no"}`},
		{packet.V5, &packet.Connack{Properties: props(packet.Properties{AssignedClientID: []byte("x"), ServerKeepAlive: 9,
			ResponseInfo: []byte("r"), ServerReference: []byte("s"), SharedAvailable: 1, User: []packet.User{{}}},
			packet.PropAssignedClientID, packet.PropServerKeepAlive, packet.PropResponseInfo, packet.PropServerReference,
			packet.PropMaxQoS, packet.PropRetainAvailable, packet.PropUser, packet.PropWildcardAvailable,
			packet.PropSubIDAvailable, packet.PropSharedAvailable)},
			"20 21 00 00 1E 12 0001 78 13 0009 1A 0001 72 1C 0001 73 2400 2500 26 0000 0000 2800 2900 2A01",
			`CONNACK code="success" {assigned-client-id="x" server-keep-alive=9 response-info="r" server-reference="s"` +
				` max-qos=0 retain-available=0 user:""="" wildcard-available=0 subscription-id-available=0 shared-available=1}`},
	}
}

func publishSamples() []sample {
	return []sample{
		{packet.V311, &packet.Publish{Topic: []byte("a/b"), Payload: []byte("hi")}, "30 07 0003 612F62 6869",
			`PUBLISH q0 r0 d0 topic="a/b" payload=2B`},
		{packet.V31, &packet.Publish{Dup: true, QoS: 2, Retain: true, Topic: []byte("a"), ID: 258}, "3D 05 0001 61 0102",
			`PUBLISH q2 r1 d1 id=258 topic="a" payload=0B`},
		{packet.V5, &packet.Publish{Topic: []byte("a")}, "30 04 0001 61 00", `PUBLISH q0 r0 d0 topic="a" payload=0B`},
		{packet.V5, &packet.Publish{QoS: 1, Retain: true, Topic: []byte("a/b"), ID: 5, Payload: []byte("xyz"),
			Properties: props(packet.Properties{MessageExpiry: 10}, packet.PropMessageExpiry)},
			"33 10 0003 612F62 0005 05 020000000A 78797A",
			`PUBLISH q1 r1 d0 id=5 topic="a/b" payload=3B {message-expiry=10}`},
		{packet.V5, &packet.Publish{Properties: props(packet.Properties{PayloadFormat: 1, ResponseTopic: []byte("r"), CorrelationData: []byte{0},
			SubscriptionIDs: []uint32{1, 268435455}, TopicAlias: 3,
			User: []packet.User{{Key: []byte("b"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("\u20ac")}}},
			packet.PropPayloadFormat, packet.PropResponseTopic, packet.PropCorrelationData, packet.PropSubscriptionID,
			packet.PropTopicAlias, packet.PropUser)},
			"30 27 0000 24 0101 08 0001 72 09 0001 00 0B01 0BFFFFFF7F 230003 26 0001 62 0001 31 26 0001 61 0003 E282AC",
			`PUBLISH q0 r0 d0 topic="" payload=0B {payload-format=1 response-topic="r" correlation-data=1B` +
				` subscription-id=1 subscription-id=268435455 topic-alias=3 user:"b"="1" user:"a"="€"}`},
		{packet.V311, &packet.Puback{ID: 1}, "40 02 0001", "PUBACK id=1"},
		{packet.V5, &packet.Puback{ID: 1}, "40 02 0001", "PUBACK id=1"},
		{packet.V5, &packet.Puback{ID: 1, Code: packet.NoMatchingSubscribers}, "40 03 0001 10", `PUBACK id=1 code="no matching subscribers"`},
		{packet.V5, &packet.Puback{ID: 1, Properties: reasonProp("")}, "40 07 0001 00 03 1F 0000", `PUBACK id=1 {reason-string=""}`},
		{packet.V31, &packet.Pubrec{ID: 65535}, "50 02 FFFF", "PUBREC id=65535"},
		{packet.V5, &packet.Pubrec{ID: 2, Code: packet.QuotaExceeded}, "50 03 0002 97", `PUBREC id=2 code="quota exceeded"`},
		{packet.V311, &packet.Pubrel{ID: 2}, "62 02 0002", "PUBREL id=2"},
		{packet.V5, &packet.Pubrel{ID: 2, Code: packet.PacketIdentifierNotFound}, "62 03 0002 92", `PUBREL id=2 code="packet identifier not found"`},
		{packet.V311, &packet.Pubcomp{ID: 2}, "70 02 0002", "PUBCOMP id=2"},
		{packet.V5, &packet.Pubcomp{ID: 2, Code: packet.PacketIdentifierNotFound, Properties: userProp("k", "v")},
			"70 0B 0002 92 07 26 0001 6B 0001 76", `PUBCOMP id=2 code="packet identifier not found" {user:"k"="v"}`},
	}
}

func subscribeSamples() []sample {
	return []sample{
		{packet.V311, &packet.Subscribe{ID: 3, Filters: []packet.Subscription{{Filter: []byte("a/#"), QoS: 2}, {Filter: []byte("+")}}},
			"82 0C 0003 0003 612F23 02 0001 2B 00", `SUBSCRIBE id=3 filter="a/#" q2 filter="+" q0`},
		{packet.V5, &packet.Subscribe{ID: 3, Filters: []packet.Subscription{{Filter: []byte("a"), QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}},
			Properties: props(packet.Properties{SubscriptionIDs: []uint32{128}}, packet.PropSubscriptionID)},
			"82 0A 0003 03 0B8001 0001 61 2D",
			`SUBSCRIBE id=3 filter="a" q1 no-local retain-as-published retain-handling=2 {subscription-id=128}`},
		{packet.V311, &packet.Suback{ID: 3, Codes: []packet.ReasonCode{packet.GrantedQoS2, packet.UnspecifiedError}},
			"90 04 0003 02 80", `SUBACK id=3 codes=["granted QoS 2" "unspecified error"]`},
		{packet.V5, &packet.Suback{ID: 3, Codes: []packet.ReasonCode{packet.Success, packet.NotAuthorized}},
			"90 05 0003 00 00 87", `SUBACK id=3 codes=["success" "not authorized"]`},
		{packet.V31, &packet.Unsubscribe{ID: 4, Filters: [][]byte{[]byte("a"), []byte("b/c")}},
			"A2 0A 0004 0001 61 0003 622F63", `UNSUBSCRIBE id=4 filter="a" filter="b/c"`},
		{packet.V5, &packet.Unsubscribe{ID: 4, Filters: [][]byte{[]byte("a")}, Properties: userProp("", "v")},
			"A2 0C 0004 06 26 0000 0001 76 0001 61", `UNSUBSCRIBE id=4 filter="a" {user:""="v"}`},
		{packet.V311, &packet.Unsuback{ID: 4}, "B0 02 0004", "UNSUBACK id=4"},
		{packet.V5, &packet.Unsuback{ID: 4, Codes: []packet.ReasonCode{packet.NoSubscriptionExisted}}, "B0 04 0004 00 11",
			`UNSUBACK id=4 codes=["no subscription existed"]`},
	}
}

func otherSamples() []sample {
	return []sample{
		{packet.V31, &packet.Pingreq{}, "C0 00", "PINGREQ"},
		{packet.V5, &packet.Pingresp{}, "D0 00", "PINGRESP"},
		{packet.V311, &packet.Disconnect{}, "E0 00", `DISCONNECT code="success"`},
		{packet.V5, &packet.Disconnect{}, "E0 00", `DISCONNECT code="success"`},
		{packet.V5, &packet.Disconnect{Code: packet.DisconnectWithWill}, "E0 01 04", `DISCONNECT code="disconnect with will message"`},
		{packet.V5, &packet.Disconnect{Properties: props(packet.Properties{}, packet.PropSessionExpiry)}, "E0 07 00 05 1100000000",
			`DISCONNECT code="success" {session-expiry=0}`},
		{packet.V5, &packet.Auth{}, "F0 00", `AUTH code="success"`},
		{packet.V5, &packet.Auth{Code: packet.ReAuthenticate, Properties: props(packet.Properties{AuthMethod: []byte("M")}, packet.PropAuthMethod)},
			"F0 06 19 04 15 0001 4D", `AUTH code="re-authenticate" {auth-method="M"}`},
	}
}
