package packet

import "fmt"

// PropertyID identifies a property of MQTT 5.0 (§2.2.2.2).
type PropertyID byte

const (
	PropPayloadFormat     PropertyID = 1
	PropMessageExpiry     PropertyID = 2
	PropContentType       PropertyID = 3
	PropResponseTopic     PropertyID = 8
	PropCorrelationData   PropertyID = 9
	PropSubscriptionID    PropertyID = 11
	PropSessionExpiry     PropertyID = 17
	PropAssignedClientID  PropertyID = 18
	PropServerKeepAlive   PropertyID = 19
	PropAuthMethod        PropertyID = 21
	PropAuthData          PropertyID = 22
	PropRequestProblem    PropertyID = 23
	PropWillDelay         PropertyID = 24
	PropRequestResponse   PropertyID = 25
	PropResponseInfo      PropertyID = 26
	PropServerReference   PropertyID = 28
	PropReasonString      PropertyID = 31
	PropReceiveMax        PropertyID = 33
	PropTopicAliasMax     PropertyID = 34
	PropTopicAlias        PropertyID = 35
	PropMaxQoS            PropertyID = 36
	PropRetainAvailable   PropertyID = 37
	PropUser              PropertyID = 38
	PropMaxPacketSize     PropertyID = 39
	PropWildcardAvailable PropertyID = 40
	PropSubIDAvailable    PropertyID = 41
	PropSharedAvailable   PropertyID = 42
)

func (id PropertyID) String() string {
	if name, _, _ := id.info(); name != "" {
		return name
	}
	return fmt.Sprintf("property %d", byte(id))
}

// propertyKind is how the value of a property is encoded.
type propertyKind byte

const (
	kindNone   propertyKind = iota // no such property
	kindByte                       // a byte that is 0 or 1; 5.0 has no other bytes
	kindUint16                     // two bytes
	kindUint32                     // four bytes
	kindVarint                     // a Variable Byte Integer
	kindBinary                     // binary data
	kindString                     // a UTF-8 string
	kindPair                       // two UTF-8 strings
)

const (
	inConnect typeSet = 1 << CONNECT
	inPublish typeSet = 1 << PUBLISH
	inRequest typeSet = 1<<SUBSCRIBE | 1<<UNSUBSCRIBE
	inMessage         = inPublish | inWill
	inReplies         = inCon | inAcks | inSub | inUnsub | inDis | inAuth
)

// info is the table of §2.2.2.2: the name in logs, the encoding, and the
// packets that may carry the property.
func (id PropertyID) info() (name string, kind propertyKind, in typeSet) {
	switch id {
	case PropPayloadFormat:
		return "payload-format", kindByte, inMessage
	case PropMessageExpiry:
		return "message-expiry", kindUint32, inMessage
	case PropContentType:
		return "content-type", kindString, inMessage
	case PropResponseTopic:
		return "response-topic", kindString, inMessage
	case PropCorrelationData:
		return "correlation-data", kindBinary, inMessage
	case PropSubscriptionID:
		return "subscription-id", kindVarint, inPublish | 1<<SUBSCRIBE
	case PropSessionExpiry:
		return "session-expiry", kindUint32, inConnect | inCon | inDis
	case PropAssignedClientID:
		return "assigned-client-id", kindString, inCon
	case PropServerKeepAlive:
		return "server-keep-alive", kindUint16, inCon
	case PropAuthMethod:
		return "auth-method", kindString, inConnect | inCon | inAuth
	case PropAuthData:
		return "auth-data", kindBinary, inConnect | inCon | inAuth
	case PropRequestProblem:
		return "request-problem", kindByte, inConnect
	case PropWillDelay:
		return "will-delay", kindUint32, inWill
	case PropRequestResponse:
		return "request-response", kindByte, inConnect
	case PropResponseInfo:
		return "response-info", kindString, inCon
	case PropServerReference:
		return "server-reference", kindString, inCon | inDis
	case PropReasonString:
		return "reason-string", kindString, inReplies
	case PropReceiveMax:
		return "receive-max", kindUint16, inConnect | inCon
	case PropTopicAliasMax:
		return "topic-alias-max", kindUint16, inConnect | inCon
	case PropTopicAlias:
		return "topic-alias", kindUint16, inPublish
	case PropMaxQoS:
		return "max-qos", kindByte, inCon
	case PropRetainAvailable:
		return "retain-available", kindByte, inCon
	case PropUser:
		return "user", kindPair, inConnect | inMessage | inRequest | inReplies
	case PropMaxPacketSize:
		return "max-packet-size", kindUint32, inConnect | inCon
	case PropWildcardAvailable:
		return "wildcard-available", kindByte, inCon
	case PropSubIDAvailable:
		return "subscription-id-available", kindByte, inCon
	case PropSharedAvailable:
		return "shared-available", kindByte, inCon
	}
	return "", kindNone, 0
}

// The four functions below give the field of a property, by its kind.

func (p *Properties) byteField(id PropertyID) *byte {
	switch id {
	case PropPayloadFormat:
		return &p.PayloadFormat
	case PropRequestProblem:
		return &p.RequestProblem
	case PropRequestResponse:
		return &p.RequestResponse
	case PropMaxQoS:
		return &p.MaxQoS
	case PropRetainAvailable:
		return &p.RetainAvailable
	case PropWildcardAvailable:
		return &p.WildcardAvailable
	case PropSubIDAvailable:
		return &p.SubIDAvailable
	default: // PropSharedAvailable
		return &p.SharedAvailable
	}
}

func (p *Properties) uint16Field(id PropertyID) *uint16 {
	switch id {
	case PropServerKeepAlive:
		return &p.ServerKeepAlive
	case PropReceiveMax:
		return &p.ReceiveMax
	case PropTopicAliasMax:
		return &p.TopicAliasMax
	default: // PropTopicAlias
		return &p.TopicAlias
	}
}

func (p *Properties) uint32Field(id PropertyID) *uint32 {
	switch id {
	case PropMessageExpiry:
		return &p.MessageExpiry
	case PropSessionExpiry:
		return &p.SessionExpiry
	case PropWillDelay:
		return &p.WillDelay
	default: // PropMaxPacketSize
		return &p.MaxPacketSize
	}
}

func (p *Properties) bytesField(id PropertyID) *[]byte {
	switch id {
	case PropContentType:
		return &p.ContentType
	case PropResponseTopic:
		return &p.ResponseTopic
	case PropCorrelationData:
		return &p.CorrelationData
	case PropAssignedClientID:
		return &p.AssignedClientID
	case PropAuthMethod:
		return &p.AuthMethod
	case PropAuthData:
		return &p.AuthData
	case PropResponseInfo:
		return &p.ResponseInfo
	case PropServerReference:
		return &p.ServerReference
	default: // PropReasonString
		return &p.ReasonString
	}
}
