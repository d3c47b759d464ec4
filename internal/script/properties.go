package script

import (
	"fmt"
	"strconv"

	"github.com/wirebird/wirebird/packet"
)

// nameOf is what the language calls a property. Message and Session Expiry Interval are
// both expiry: no packet can have both, and a will is a group of its own.
func nameOf(id packet.PropertyID) string {
	switch id {
	case packet.PropPayloadFormat:
		return "format"
	case packet.PropMessageExpiry, packet.PropSessionExpiry:
		return "expiry"
	case packet.PropCorrelationData:
		return "correlation"
	case packet.PropSubscriptionID:
		return "sub-id"
	case packet.PropAssignedClientID:
		return "assigned-id"
	case packet.PropServerKeepAlive:
		return "server-keepalive"
	case packet.PropWillDelay:
		return "delay"
	case packet.PropReasonString:
		return "reason"
	case packet.PropTopicAliasMax:
		return "alias-max"
	case packet.PropTopicAlias:
		return "alias"
	case packet.PropMaxPacketSize:
		return "max-packet"
	case packet.PropSubIDAvailable:
		return "sub-id-available"
	}
	return id.String()
}

// lastProperty is the highest identifier there is.
const lastProperty = packet.PropSharedAvailable

// propertyOf finds the property that a word names; 0 when it names none.
func propertyOf(name string, message bool) packet.PropertyID {
	for id := packet.PropPayloadFormat; id <= lastProperty; id++ {
		if nameOf(id) != name || id == packet.PropMessageExpiry && !message {
			continue
		}
		if field(new(packet.Properties), id) != nil {
			return id
		}
	}
	return 0
}

// field is a pointer to the value of a property; nil when there is no such property.
func field(p *packet.Properties, id packet.PropertyID) any {
	switch id {
	case packet.PropPayloadFormat:
		return &p.PayloadFormat
	case packet.PropMessageExpiry:
		return &p.MessageExpiry
	case packet.PropContentType:
		return &p.ContentType
	case packet.PropResponseTopic:
		return &p.ResponseTopic
	case packet.PropCorrelationData:
		return &p.CorrelationData
	case packet.PropSubscriptionID:
		return &p.SubscriptionIDs
	case packet.PropSessionExpiry:
		return &p.SessionExpiry
	case packet.PropAssignedClientID:
		return &p.AssignedClientID
	case packet.PropServerKeepAlive:
		return &p.ServerKeepAlive
	case packet.PropAuthMethod:
		return &p.AuthMethod
	case packet.PropAuthData:
		return &p.AuthData
	case packet.PropRequestProblem:
		return &p.RequestProblem
	case packet.PropWillDelay:
		return &p.WillDelay
	case packet.PropRequestResponse:
		return &p.RequestResponse
	case packet.PropResponseInfo:
		return &p.ResponseInfo
	case packet.PropServerReference:
		return &p.ServerReference
	case packet.PropReasonString:
		return &p.ReasonString
	case packet.PropReceiveMax:
		return &p.ReceiveMax
	case packet.PropTopicAliasMax:
		return &p.TopicAliasMax
	case packet.PropTopicAlias:
		return &p.TopicAlias
	case packet.PropMaxQoS:
		return &p.MaxQoS
	case packet.PropRetainAvailable:
		return &p.RetainAvailable
	case packet.PropUser:
		return &p.User
	case packet.PropMaxPacketSize:
		return &p.MaxPacketSize
	case packet.PropWildcardAvailable:
		return &p.WildcardAvailable
	case packet.PropSubIDAvailable:
		return &p.SubIDAvailable
	case packet.PropSharedAvailable:
		return &p.SharedAvailable
	}
	return nil
}

// property takes w for a property; false when it names none.
func property(p *packet.Properties, w *word, message bool) (bool, error) {
	id := propertyOf(w.key, message)
	if id == 0 {
		return false, nil
	}
	if !w.hasValue || w.pair != (id == packet.PropUser) {
		return true, fmt.Errorf("%s needs a value; user needs two, as user=key:value", w.key)
	}
	repeatable := id == packet.PropUser || id == packet.PropSubscriptionID
	if p.Has(id) && !repeatable {
		return true, fmt.Errorf("%s twice", w.key)
	}
	p.Mark(id)
	var err error
	switch f := field(p, id).(type) {
	case *byte:
		err = number(w, 8, f)
	case *uint16:
		err = number(w, 16, f)
	case *uint32:
		err = number(w, 32, f)
	case *[]byte:
		*f, err = text(w.key, w.value)
	case *[]uint32:
		var v uint32
		if err = number(w, 28, &v); err == nil {
			*f = append(*f, v)
		}
	case *[]packet.User:
		u := packet.User{}
		if u.Key, err = text(w.key, w.value); err == nil {
			u.Value, err = text(w.key, w.second)
		}
		*f = append(*f, u)
	}
	return true, err
}

// number reads a value of a number of bits.
func number[N ~uint8 | ~uint16 | ~uint32](w *word, bits int, to *N) error {
	if !w.hasValue || w.pair {
		return fmt.Errorf("%s needs a number", w.key)
	}
	v, err := strconv.ParseUint(w.value, 10, bits)
	if err != nil {
		return fmt.Errorf("%s=%s: not a number of %d bits", w.key, w.value, bits)
	}
	*to = N(v)
	return nil
}

// text checks the length of a string or binary field.
func text(key, value string) ([]byte, error) {
	if len(value) > packet.MaxString {
		return nil, fmt.Errorf("%s has %d bytes, most is %d", key, len(value), packet.MaxString)
	}
	return []byte(value), nil
}

// formatProperties gives the words of p, the kinds in the order of their identifiers.
func formatProperties(p *packet.Properties) []string {
	var words []string
	for id := packet.PropPayloadFormat; id <= lastProperty; id++ {
		if !p.Has(id) {
			continue
		}
		name := nameOf(id) + "="
		switch f := field(p, id).(type) {
		case *byte:
			words = append(words, name+strconv.Itoa(int(*f)))
		case *uint16:
			words = append(words, name+strconv.Itoa(int(*f)))
		case *uint32:
			words = append(words, name+strconv.FormatUint(uint64(*f), 10))
		case *[]byte:
			words = append(words, name+quote(*f))
		case *[]uint32:
			for _, v := range *f {
				words = append(words, name+strconv.FormatUint(uint64(v), 10))
			}
		case *[]packet.User:
			for _, u := range *f {
				words = append(words, name+quote(u.Key)+":"+quote(u.Value))
			}
		}
	}
	return words
}
