package mosquitto

import (
	"math"
	"strconv"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// carrier is a packet that -D can give properties to.
type carrier struct {
	name      string
	supported bool
	target    func(*properties) *packet.Properties
}

func carriers() []carrier {
	return []carrier{
		{"connect", true, func(p *properties) *packet.Properties { return &p.connect }},
		{"publish", true, func(p *properties) *packet.Properties { return &p.publish }},
		{"will", true, func(p *properties) *packet.Properties { return &p.will }},
		{"subscribe", true, func(p *properties) *packet.Properties { return &p.subscribe }},
		{"unsubscribe", true, func(p *properties) *packet.Properties { return &p.unsubscribe }},
		{"disconnect", true, func(p *properties) *packet.Properties { return &p.disconnect }},
		{"auth", false, nil}, {"connack", false, nil}, {"puback", false, nil}, {"pubrec", false, nil},
		{"pubrel", false, nil}, {"pubcomp", false, nil}, {"suback", false, nil}, {"unsuback", false, nil},
	}
}

// namedProperty is a property by its name in -D, with the packets it goes with.
type namedProperty struct {
	name string
	id   packet.PropertyID
	in   string
	set  func(p *packet.Properties, n uint32, s string)
	max  uint32 // of a number; 0 for text
}

const (
	inAcks    = "puback pubrec pubrel pubcomp suback unsuback"
	inReplies = inAcks + " connack disconnect auth"
)

func namedProperties() []namedProperty {
	type P = *packet.Properties
	return []namedProperty{
		{"payload-format-indicator", packet.PropPayloadFormat, "publish will", func(p P, n uint32, _ string) { p.PayloadFormat = byte(n) }, 1},
		{"message-expiry-interval", packet.PropMessageExpiry, "publish will", func(p P, n uint32, _ string) { p.MessageExpiry = n }, math.MaxUint32},
		{"content-type", packet.PropContentType, "publish will", func(p P, _ uint32, s string) { p.ContentType = []byte(s) }, 0},
		{"response-topic", packet.PropResponseTopic, "publish will", func(p P, _ uint32, s string) { p.ResponseTopic = []byte(s) }, 0},
		{"correlation-data", packet.PropCorrelationData, "publish will", func(p P, _ uint32, s string) { p.CorrelationData = []byte(s) }, 0},
		{"subscription-identifier", packet.PropSubscriptionID, "subscribe publish", func(p P, n uint32, _ string) { p.SubscriptionIDs = []uint32{n} }, packet.MaxVarint},
		{"session-expiry-interval", packet.PropSessionExpiry, "connect connack disconnect", func(p P, n uint32, _ string) { p.SessionExpiry = n }, math.MaxUint32},
		{"assigned-client-identifier", packet.PropAssignedClientID, "connack", nil, 0},
		{"server-keep-alive", packet.PropServerKeepAlive, "connack", nil, math.MaxUint16},
		{"authentication-method", packet.PropAuthMethod, "connect connack auth", func(p P, _ uint32, s string) { p.AuthMethod = []byte(s) }, 0},
		{"authentication-data", packet.PropAuthData, "connect connack auth", func(p P, _ uint32, s string) { p.AuthData = []byte(s) }, 0},
		{"request-problem-information", packet.PropRequestProblem, "connect", func(p P, n uint32, _ string) { p.RequestProblem = byte(n) }, 1},
		{"will-delay-interval", packet.PropWillDelay, "will", func(p P, n uint32, _ string) { p.WillDelay = n }, math.MaxUint32},
		{"request-response-information", packet.PropRequestResponse, "connect", func(p P, n uint32, _ string) { p.RequestResponse = byte(n) }, 1},
		{"response-information", packet.PropResponseInfo, "connack", nil, 0},
		{"server-reference", packet.PropServerReference, "connack disconnect", func(p P, _ uint32, s string) { p.ServerReference = []byte(s) }, 0},
		{"reason-string", packet.PropReasonString, inReplies, func(p P, _ uint32, s string) { p.ReasonString = []byte(s) }, 0},
		{"receive-maximum", packet.PropReceiveMax, "connect connack", func(p P, n uint32, _ string) { p.ReceiveMax = uint16(n) }, math.MaxUint16},
		{"topic-alias-maximum", packet.PropTopicAliasMax, "connect connack", func(p P, n uint32, _ string) { p.TopicAliasMax = uint16(n) }, math.MaxUint16},
		{"topic-alias", packet.PropTopicAlias, "publish", func(p P, n uint32, _ string) { p.TopicAlias = uint16(n) }, math.MaxUint16},
		{"maximum-qos", packet.PropMaxQoS, "connack", nil, 1},
		{"retain-available", packet.PropRetainAvailable, "connack", nil, 1},
		{"user-property", packet.PropUser, "connect publish will subscribe unsubscribe " + inReplies, nil, 0},
		{"maximum-packet-size", packet.PropMaxPacketSize, "connect connack", func(p P, n uint32, _ string) { p.MaxPacketSize = n }, math.MaxUint32},
		{"wildcard-subscription-available", packet.PropWildcardAvailable, "connack", nil, 1},
		{"subscription-identifier-available", packet.PropSubIDAvailable, "connack", nil, 1},
		{"shared-subscription-available", packet.PropSharedAvailable, "connack", nil, 1},
	}
}

// property reads what follows -D and returns how many words that were.
func (p *parser) property(words []string) (int, error) {
	few := usagef("Error: --property argument given but not enough arguments specified.\n\n").ours("-D needs a packet, the name of a property and its value, as: -D publish content-type text/plain; a user-property has a name and a value.")
	if len(words) < 3 {
		return 0, few
	}
	packetName, name := words[0], words[1]
	to := find(carriers(), func(c carrier) bool { return strings.EqualFold(c.name, packetName) })
	if to == nil {
		return 0, usagef("Error: Invalid command given in --property argument.\n\n").ours("-D: %q is no packet that takes properties; use connect, publish, will, subscribe, unsubscribe or disconnect.", packetName)
	}
	what := find(namedProperties(), func(n namedProperty) bool { return strings.EqualFold(n.name, name) })
	if what == nil {
		return 0, usagef("Error: Invalid property name given in --property argument.\n\n").ours("-D: there is no property %q. Run '%s --help' for the names.", name, p.name)
	}
	if !hasWord(what.in, to.name) {
		return 0, usagef("Error: %s property not allowed for %s in --property argument.\n\n", name, packetName).ours("-D: %s is not allowed for %s; it is for %s.", name, packetName, strings.ReplaceAll(what.in, " ", ", "))
	}
	user := what.id == packet.PropUser
	if user && len(words) < 4 {
		return 0, few
	}
	if !to.supported || what.id == packet.PropSubscriptionID && to.name == "publish" {
		return 0, usagef("Error: %s property not supported for %s in --property argument.\n\n", name, packetName).ours("-D: clients do not send %s with %s.", name, packetName)
	}
	p.config.version = packet.V5
	props := to.target(&p.config.properties)
	if user {
		props.User = append(props.User, packet.User{Key: []byte(words[2]), Value: []byte(words[3])})
		props.Mark(what.id)
		return 4, nil
	}
	if props.Has(what.id) {
		return 0, usagef("Error in %s properties: Duplicate property in property list\n", title(to.name)).ours("-D: %s is there twice for %s; leave one out.", what.name, to.name)
	}
	return 3, what.assign(props, words[2])
}

func (n *namedProperty) assign(p *packet.Properties, value string) error {
	var number uint64
	if n.max > 0 {
		var err error
		if number, err = strconv.ParseUint(value, 0, 64); err != nil || number > uint64(n.max) {
			return usagef("Error: Property value (%s) out of range for property %s.\n\n", value, n.name).ours("-D: %s must be a number from 0 to %d, not %q.", n.name, n.max, value)
		}
	} else if len(value) > packet.MaxString {
		return usagef("Error: Property value too long for property %s.\n\n", n.name)
	}
	n.set(p, uint32(number), value)
	p.Mark(n.id)
	return nil
}

// title is how messages call the packet.
func title(name string) string {
	if name == "will" {
		return "Will"
	}
	return strings.ToUpper(name)
}

func find[T any](list []T, is func(T) bool) *T {
	for i := range list {
		if is(list[i]) {
			return &list[i]
		}
	}
	return nil
}

func hasWord(words, word string) bool {
	for _, w := range strings.Fields(words) {
		if w == word {
			return true
		}
	}
	return false
}

// checkProperties finds values that the standard forbids.
func (c *config) checkProperties() error {
	const text = "Error in %s properties: A network protocol error occurred when communicating with the broker.\n"
	p := &c.properties
	switch {
	case p.connect.Has(packet.PropReceiveMax) && p.connect.ReceiveMax == 0, // [MQTT-3.1.2-23]
		p.connect.Has(packet.PropMaxPacketSize) && p.connect.MaxPacketSize == 0:
		return usagef(text, "CONNECT").ours("-D connect: receive-maximum and maximum-packet-size must be at least 1.")
	case p.publish.Has(packet.PropTopicAlias) && p.publish.TopicAlias == 0:
		return usagef(text, "PUBLISH").ours("-D publish topic-alias must be at least 1.")
	case p.subscribe.Has(packet.PropSubscriptionID) && p.subscribe.SubscriptionIDs[0] == 0:
		return usagef(text, "SUBSCRIBE").ours("-D subscribe subscription-identifier must be at least 1.")
	case !p.will.Empty() && c.willTopic == "":
		return nil // they go nowhere, as with Mosquitto's tools
	}
	return nil
}
