package packet

import "fmt"

// ReasonCode is a Reason Code of MQTT 5.0 (§2.4). Codes from 0x80 on are failures.
type ReasonCode byte

const (
	Success                             ReasonCode = 0x00 // also granted QoS 0 and normal disconnection
	GrantedQoS1                         ReasonCode = 0x01
	GrantedQoS2                         ReasonCode = 0x02
	DisconnectWithWill                  ReasonCode = 0x04
	NoMatchingSubscribers               ReasonCode = 0x10
	NoSubscriptionExisted               ReasonCode = 0x11
	ContinueAuthentication              ReasonCode = 0x18
	ReAuthenticate                      ReasonCode = 0x19
	UnspecifiedError                    ReasonCode = 0x80
	MalformedPacket                     ReasonCode = 0x81
	ProtocolError                       ReasonCode = 0x82
	ImplementationSpecificError         ReasonCode = 0x83
	UnsupportedProtocolVersion          ReasonCode = 0x84
	ClientIdentifierNotValid            ReasonCode = 0x85
	BadUserNameOrPassword               ReasonCode = 0x86
	NotAuthorized                       ReasonCode = 0x87
	ServerUnavailable                   ReasonCode = 0x88
	ServerBusy                          ReasonCode = 0x89
	Banned                              ReasonCode = 0x8A
	ServerShuttingDown                  ReasonCode = 0x8B
	BadAuthenticationMethod             ReasonCode = 0x8C
	KeepAliveTimeout                    ReasonCode = 0x8D
	SessionTakenOver                    ReasonCode = 0x8E
	TopicFilterInvalid                  ReasonCode = 0x8F
	TopicNameInvalid                    ReasonCode = 0x90
	PacketIdentifierInUse               ReasonCode = 0x91
	PacketIdentifierNotFound            ReasonCode = 0x92
	ReceiveMaximumExceeded              ReasonCode = 0x93
	TopicAliasInvalid                   ReasonCode = 0x94
	PacketTooLarge                      ReasonCode = 0x95
	MessageRateTooHigh                  ReasonCode = 0x96
	QuotaExceeded                       ReasonCode = 0x97
	AdministrativeAction                ReasonCode = 0x98
	PayloadFormatInvalid                ReasonCode = 0x99
	RetainNotSupported                  ReasonCode = 0x9A
	QoSNotSupported                     ReasonCode = 0x9B
	UseAnotherServer                    ReasonCode = 0x9C
	ServerMoved                         ReasonCode = 0x9D
	SharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ConnectionRateExceeded              ReasonCode = 0x9F
	MaximumConnectTime                  ReasonCode = 0xA0
	SubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	WildcardSubscriptionsNotSupported   ReasonCode = 0xA2
)

func (c ReasonCode) String() string {
	if name, _ := c.info(); name != "" {
		return name
	}
	return fmt.Sprintf("reason code 0x%02X", byte(c))
}

// ConnackV3 returns the CONNACK return code of 3.1 and 3.1.1 that fits best.
// Where none does it tells a lasting refusal (5, not authorized) from one worth
// another attempt (3, server unavailable), as that is what clients act upon.
func (c ReasonCode) ConnackV3() byte {
	if c < 0x80 {
		return 0
	}
	switch c {
	case UnsupportedProtocolVersion:
		return 1
	case ClientIdentifierNotValid:
		return 2
	case BadUserNameOrPassword:
		return 4
	case NotAuthorized, Banned, BadAuthenticationMethod, MalformedPacket, ProtocolError, TopicNameInvalid,
		PacketTooLarge, PayloadFormatInvalid, RetainNotSupported, QoSNotSupported:
		return 5
	}
	return 3
}

// reasonOfConnackV3 is the inverse of ConnackV3 for the codes that 3.1.1 defines.
func reasonOfConnackV3(code byte) (ReasonCode, bool) {
	switch code {
	case 0:
		return Success, true
	case 1:
		return UnsupportedProtocolVersion, true
	case 2:
		return ClientIdentifierNotValid, true
	case 3:
		return ServerUnavailable, true
	case 4:
		return BadUserNameOrPassword, true
	case 5:
		return NotAuthorized, true
	}
	return 0, false
}

// typeSet is a set of packet types; bit 0 stands for the will in a CONNECT.
type typeSet uint16

const (
	inWill  typeSet = 1
	inAcks          = inAck | inRel
	inAck   typeSet = 1<<PUBACK | 1<<PUBREC
	inRel   typeSet = 1<<PUBREL | 1<<PUBCOMP
	inSub   typeSet = 1 << SUBACK
	inUnsub typeSet = 1 << UNSUBACK
	inCon   typeSet = 1 << CONNACK
	inDis   typeSet = 1 << DISCONNECT
	inAuth  typeSet = 1 << AUTH
)

// validIn reports whether 5.0 allows c in packets of type t.
func (c ReasonCode) validIn(t Type) bool {
	_, in := c.info()
	return in>>t&1 != 0
}

// info is the table of §2.4: names and the packets that may carry the code.
func (c ReasonCode) info() (name string, in typeSet) {
	switch c {
	case Success:
		return "success", inCon | inAcks | inSub | inUnsub | inDis | inAuth
	case GrantedQoS1:
		return "granted QoS 1", inSub
	case GrantedQoS2:
		return "granted QoS 2", inSub
	case DisconnectWithWill:
		return "disconnect with will message", inDis
	case NoMatchingSubscribers:
		return "no matching subscribers", inAck
	case NoSubscriptionExisted:
		return "no subscription existed", inUnsub
	case ContinueAuthentication:
		return "continue authentication", inAuth
	case ReAuthenticate:
		return "re-authenticate", inAuth
	case UnspecifiedError:
		return "unspecified error", inCon | inAck | inSub | inUnsub | inDis
	case MalformedPacket:
		return "malformed packet", inCon | inDis
	case ProtocolError:
		return "protocol error", inCon | inDis
	case ImplementationSpecificError:
		return "implementation specific error", inCon | inAck | inSub | inUnsub | inDis
	case UnsupportedProtocolVersion:
		return "unsupported protocol version", inCon
	case ClientIdentifierNotValid:
		return "client identifier not valid", inCon
	case BadUserNameOrPassword:
		return "bad user name or password", inCon
	case NotAuthorized:
		return "not authorized", inCon | inAck | inSub | inUnsub | inDis
	case ServerUnavailable:
		return "server unavailable", inCon
	case ServerBusy:
		return "server busy", inCon | inDis
	case Banned:
		return "banned", inCon
	case ServerShuttingDown:
		return "server shutting down", inDis
	case BadAuthenticationMethod:
		return "bad authentication method", inCon | inDis
	case KeepAliveTimeout:
		return "keep alive timeout", inDis
	case SessionTakenOver:
		return "session taken over", inDis
	case TopicFilterInvalid:
		return "topic filter invalid", inSub | inUnsub | inDis
	case TopicNameInvalid:
		return "topic name invalid", inCon | inAck | inDis
	case PacketIdentifierInUse:
		return "packet identifier in use", inAck | inSub | inUnsub
	case PacketIdentifierNotFound:
		return "packet identifier not found", inRel
	case ReceiveMaximumExceeded:
		return "receive maximum exceeded", inDis
	case TopicAliasInvalid:
		return "topic alias invalid", inDis
	case PacketTooLarge:
		return "packet too large", inCon | inDis
	case MessageRateTooHigh:
		return "message rate too high", inDis
	case QuotaExceeded:
		return "quota exceeded", inCon | inAck | inSub | inDis
	case AdministrativeAction:
		return "administrative action", inDis
	case PayloadFormatInvalid:
		return "payload format invalid", inCon | inAck | inDis
	case RetainNotSupported:
		return "retain not supported", inCon | inDis
	case QoSNotSupported:
		return "QoS not supported", inCon | inDis
	case UseAnotherServer:
		return "use another server", inCon | inDis
	case ServerMoved:
		return "server moved", inCon | inDis
	case SharedSubscriptionsNotSupported:
		return "shared subscriptions not supported", inSub | inDis
	case ConnectionRateExceeded:
		return "connection rate exceeded", inCon | inDis
	case MaximumConnectTime:
		return "maximum connect time", inDis
	case SubscriptionIdentifiersNotSupported:
		return "subscription identifiers not supported", inSub | inDis
	case WildcardSubscriptionsNotSupported:
		return "wildcard subscriptions not supported", inSub | inDis
	}
	return "", 0
}
