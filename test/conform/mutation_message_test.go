package conform

import (
	"bytes"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// lost drops messages of the broker.
func lost(fn func(l *link, p *packet.Publish) bool) fault {
	return fromBroker(func(l *link, p *packet.Publish) packet.Packet {
		if fn(l, p) {
			return nil
		}
		return p
	})
}

// refilter changes the filters that clients subscribe to.
func refilter(fn func(filter []byte) []byte) fault {
	return alter(func(p *packet.Subscribe) {
		for i := range p.Filters {
			p.Filters[i].Filter = fn(p.Filters[i].Filter)
		}
	})
}

// topicMutations are brokers that match in a wrong way.
func topicMutations() map[string]mutation {
	v5, v311 := packet.V5, packet.V311
	return map[string]mutation{
		"+ does not match an empty level": {lost(func(_ *link, p *packet.Publish) bool {
			return strings.Contains("/"+string(p.Topic)+"/", "//")
		}), v311, "plus-matches-one-level plus-at-the-end plus-and-hash"},
		"+ matches many levels": {refilter(func(f []byte) []byte {
			if g, ok := bytes.CutSuffix(f, []byte("/+")); ok {
				f = append(g, "/#"...)
			}
			return f
		}), v5, "plus-at-the-end"},
		"wildcards match $": {alter(func(p *packet.Publish) {
			if p.Topic[0] == '$' {
				p.Topic = p.Topic[1:]
			}
		}), v311, "dollar-topics"},
		"# matches $SYS": {refilter(func(f []byte) []byte {
			if string(f) == "#" {
				f = []byte("$SYS/#")
			}
			return f
		}), v5, "dollar-sys"},
		"bad filters are mended": {refilter(func(f []byte) []byte {
			if strings.HasPrefix(string(f), "$share") {
				return []byte("$share/mended/filter")
			}
			return []byte("mended/filter")
		}), v5, "bad-filters shared-bad-filters"},
		"long topics are ignored": {fromClient(func(_ *link, p *packet.Publish) packet.Packet {
			if len(p.Topic) > 1000 {
				return nil
			}
			return p
		}), v5, "topic-of-65535-bytes"},
		"topic and payload change places": {edit(func(p *packet.Publish) { p.Topic, p.Payload = p.Payload, p.Topic }), v5, "topic-name-comes-first"},
	}
}

// resolve is a broker that knows every alias.
func resolve(p *packet.Publish) {
	if len(p.Topic) == 0 {
		p.Topic = []byte("known/already")
		p.Properties.Unmark(packet.PropTopicAlias)
	}
}

// aliasOf makes the broker's messages use an alias, whatever the client has said.
func aliasOf(alias uint16) fault {
	return edit(func(p *packet.Publish) {
		p.Properties.TopicAlias = alias
		p.Properties.Mark(packet.PropTopicAlias)
	})
}

// messageMutations are brokers that change, add or drop what a message carries.
func messageMutations() map[string]mutation {
	v5, v311 := packet.V5, packet.V311
	return map[string]mutation{
		"QoS 0 has a packet identifier": {fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			if m, ok := p.(*packet.Publish); ok && m.QoS == 0 {
				m.Payload = append([]byte{0, 1}, m.Payload...)
				b = m.Append(nil, l.v)
			}
			return [][]byte{b}
		}}, v311, "no-identifier-at-qos-0"},
		"no properties have no length": {fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			if m, ok := p.(*packet.Publish); ok && m.Properties.Empty() {
				b = m.Append(nil, packet.V311)
			}
			return [][]byte{b}
		}}, v5, "property-length-is-there"},
		"malformed properties are ignored": {lenient, v5, "user-property-strings property-length-is-missed will-flag-0-with-fields"},
		"user properties are dropped":      {alter(func(p *packet.Publish) { p.Properties.Unmark(packet.PropUser) }), v5, "user-property-strings"},
		"reason strings come unasked": {edit(func(p *packet.Suback) {
			p.Properties.ReasonString = []byte("granted")
			p.Properties.Mark(packet.PropReasonString)
		}), v5, "problem-information-0"},
		"a subscription identifier is lost": {edit(func(p *packet.Publish) {
			if ids := p.Properties.SubscriptionIDs; len(ids) > 0 {
				p.Properties.SubscriptionIDs = ids[1:]
			}
		}), v5, "subscription-identifiers-of-overlaps"},
		"subscription identifiers of clients are ignored": {alter(func(p *packet.Publish) {
			p.Properties.Unmark(packet.PropSubscriptionID)
			p.Properties.SubscriptionIDs = nil
		}), v5, "subscription-identifier-from-a-client"},
		"aliases are never assigned anew": {fromClient(func(l *link, p *packet.Publish) packet.Packet {
			if p.Properties.Has(packet.PropTopicAlias) && len(p.Topic) > 0 {
				alias := string([]byte{byte(p.Properties.TopicAlias >> 8), byte(p.Properties.TopicAlias)})
				if l.known[alias]++; l.known[alias] > 1 {
					p.Properties.Unmark(packet.PropTopicAlias)
				}
			}
			return p
		}), v5, "alias-from-the-client"},
		"aliases are never forgotten": {alter(resolve), v5, "alias-does-not-outlive-the-connection alias-unknown"},
		"more aliases are taken than announced": {edit(func(p *packet.Connack) { p.Properties.TopicAliasMax = 5 }), v5,
			"alias-above-the-maximum"},
		"aliases come unasked":                 {aliasOf(1), v5, "no-alias-from-the-broker"},
		"aliases are above the maximum":        {aliasOf(3), v5, "alias-from-the-broker"},
		"QoS 0 is not retained":                {alter(func(p *packet.Publish) { p.Retain = p.Retain && p.QoS > 0 }), v311, "retained-qos-0-replaces"},
		"retained messages end their session":  {alter(func(p *packet.Publish) { p.Retain = false }), v311, "retained-outlives-the-session"},
		"an empty message removes nothing":     {alter(func(p *packet.Publish) { p.Retain = p.Retain && len(p.Payload) > 0 }), v5, "retained-is-removed"},
		"PUBACK is not sent in 3.1.1 for $SYS": {fromBroker(func(*link, *packet.Puback) packet.Packet { return nil }), v311, "publish-not-authorized"},
	}
}

// flowMutations are brokers that get exchanges, quotas and resending wrong.
func flowMutations() map[string]mutation {
	v5, v311 := packet.V5, packet.V311
	refusals := fault{fromClient: func(_ *link, p packet.Packet, b []byte) [][]byte {
		switch p := p.(type) {
		case *packet.Puback:
			if p.Code >= 0x80 {
				return nil
			}
		case *packet.Pubrec:
			if p.Code >= 0x80 {
				return nil
			}
		}
		return [][]byte{b}
	}}
	return map[string]mutation{
		"a client is forgotten": {lost(func(l *link, _ *packet.Publish) bool { return l.is("a2") }), v311, "every-session-gets-it"},
		"identifiers run out":   {edit(func(p *packet.Publish) { p.ID = min(p.ID, 1) }), v311, "long-queue"},
		"refusals are ignored":  {refusals, v5, "puback-with-an-error pubrec-with-an-error-frees-the-identifier"},
		"PUBACK has a code of another packet": {raw(packet.PUBACK, func(b []byte) []byte {
			return []byte{b[0], 3, b[2], b[3], byte(packet.PacketIdentifierNotFound)}
		}), v5, "codes-of-the-broker"},
		"messages are sent again at SUBSCRIBE": {fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			out := [][]byte{b}
			switch p := p.(type) {
			case *packet.Publish:
				if p.QoS > 0 {
					p.Dup = true
					l.kept = append(l.kept, p.Append(nil, l.v))
				}
			case *packet.Suback:
				out, l.kept = append(out, l.kept...), nil
			}
			return out
		}}, v5, "resend-at-no-other-time"},
		"more messages are taken than announced": {edit(func(p *packet.Connack) {
			p.Properties.ReceiveMax = 10
			p.Properties.Mark(packet.PropReceiveMax)
		}), v5, "receive-maximum-of-the-broker"},
		"nothing is sent again": {lost(func(_ *link, p *packet.Publish) bool { return p.Dup }), v5, "expiry-after-the-first-sending unsubscribe-completes-deliveries"},
		"an expired message is not completed": {fromBroker(func(*link, *packet.Pubcomp) packet.Packet { return nil }), v5,
			"expiry-of-what-a-client-publishes"},
		"UNSUBSCRIBE ends what is under way": {lost(func(_ *link, p *packet.Publish) bool { return p.Dup }), v311, "unsubscribe-completes-deliveries"},
	}
}

// subscribeMutations are brokers that take SUBSCRIBE in a wrong way.
func subscribeMutations() map[string]mutation {
	v5, v311 := packet.V5, packet.V311
	return map[string]mutation{
		"the first filter counts alone": {alter(func(p *packet.Subscribe) { p.Filters = p.Filters[:1] }), v5, "many-filters"},
		"wildcards are not answered": {fault{fromBroker: func(_ *link, p packet.Packet, b []byte) [][]byte {
			if p.Type() == packet.SUBACK {
				return nil
			}
			return [][]byte{b}
		}}, v311, "wildcards-are-granted-or-refused"},
		"subscribing again changes nothing": {fromClient(func(l *link, p *packet.Subscribe) packet.Packet {
			for i, s := range p.Filters {
				qos, again := l.known[string(s.Filter)]
				if again {
					p.Filters[i].QoS = qos
				}
				l.known[string(s.Filter)] = p.Filters[i].QoS
			}
			return p
		}), v5, "subscribe-again-replaces"},
		"retained messages come once": {alter(func(p *packet.Subscribe) {
			for i := range p.Filters {
				p.Filters[i].RetainHandling = 1
			}
		}), v5, "subscribe-again-repeats-retained"},
		"subscribing again loses a message": {fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			switch p.Type() {
			case packet.SUBACK:
				l.count++
			case packet.PUBLISH:
				if l.count >= 2 && l.kept == nil { // once
					l.kept = [][]byte{b}
					return nil
				}
			}
			return [][]byte{b}
		}}, v5, "subscribe-again-loses-nothing"},
	}
}
