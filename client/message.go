package client

import (
	"bytes"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// Message is an Application Message, to be published or received.
type Message struct {
	Topic      string     // a Topic Name, without wildcards
	Payload    []byte     // of any content; nil is an empty one
	QoS        byte       // 0, 1 or 2
	Retain     bool       // the server keeps it for those who subscribe later, or had kept it
	Dup        bool       // received again, perhaps; ignored when publishing
	PacketID   uint16     // of a received QoS 1 or QoS 2 message; ignored when publishing
	Properties Properties // nothing by default

	d *delivery // of a received message
}

// Properties are those of a message. They travel with MQTT 5.0 only.
type Properties struct {
	// PayloadFormat is 1 for UTF-8 and 0 for anything.
	PayloadFormat byte
	// MessageExpiry is how long the message is worth delivering, in whole
	// seconds. 0 means forever.
	MessageExpiry   time.Duration
	ContentType     string // such as application/json; "" means none
	ResponseTopic   string // where a response is expected; "" means none
	CorrelationData []byte // nil means none
	// TopicAlias goes with an outgoing message beside its topic, and says which
	// alias an incoming one came with. 0 means none.
	TopicAlias uint16
	// SubscriptionIDs are of the subscriptions that an incoming message matched.
	SubscriptionIDs []uint32
	User            []User // any names and values, in order
	// WillDelay is how long the server waits before it publishes a Will, in
	// whole seconds. It counts in Options.Will only.
	WillDelay time.Duration
}

// Ack acknowledges a received message, before its handler returns or, with
// ManualAck, at any time, from any goroutine and in any order. The server gets
// the acknowledgements in the order of the messages, as the standard asks: one
// that comes early waits for those before it. A message that went to several
// handlers is acknowledged when all are done with it. Ack does nothing for QoS
// 0, when called again, and after the connection that the message came on has
// ended: a QoS 1 message comes again then.
func (m *Message) Ack() {
	if m.d != nil {
		m.d.lane.client.delivered(m.d)
	}
}

func (m *Message) check() error {
	if m.QoS > 2 {
		return fmt.Errorf("QoS %d is none of 0, 1 and 2", m.QoS)
	}
	if err := topic.CheckName(m.Topic); err != nil {
		return fmt.Errorf("topic %q: %w", m.Topic, err)
	}
	if m.Properties.empty() {
		return nil
	}
	return m.Properties.check()
}

// check refuses what the server would close the connection for.
func (pr *Properties) check() error {
	if pr.ResponseTopic != "" {
		if err := topic.CheckName(pr.ResponseTopic); err != nil { // [MQTT-3.3.2-14]
			return fmt.Errorf("ResponseTopic %q: %w", pr.ResponseTopic, err)
		}
	}
	if pr.PayloadFormat > 1 {
		return fmt.Errorf("PayloadFormat %d is neither 0 nor 1", pr.PayloadFormat)
	}
	if len(pr.CorrelationData) > packet.MaxString {
		return fmt.Errorf("CorrelationData of %d bytes is over %d", len(pr.CorrelationData), packet.MaxString)
	}
	if err := checkText("ContentType", pr.ContentType); err != nil {
		return err
	}
	return checkUser(pr.User)
}

// checkText refuses what is no string of MQTT [MQTT-1.5.4-1] [MQTT-1.5.4-2].
func checkText(name, s string) error {
	switch {
	case len(s) > packet.MaxString:
		return fmt.Errorf("%s of %d bytes is over %d", name, len(s), packet.MaxString)
	case !packet.ValidString([]byte(s)):
		return fmt.Errorf("%s %q is not UTF-8 without U+0000", name, s)
	}
	return nil
}

func checkUser(user []User) error {
	for _, u := range user { // [MQTT-1.5.7-1]
		if err := checkText("key of a User Property", u.Key); err != nil {
			return err
		}
		if err := checkText("User Property "+u.Key, u.Value); err != nil {
			return err
		}
	}
	return nil
}

// fill makes o the message m. It refers to the payload of m.
func (m *Message) fill(o *outbound) {
	o.topic, o.payload, o.qos, o.retain = m.Topic, m.Payload, m.QoS, m.Retain
	if !m.Properties.empty() {
		var p packet.Properties
		m.Properties.encode(&p, false)
		o.props, o.alias = p.AppendTo(nil), m.Properties.TopicAlias
	}
}

func (pr *Properties) empty() bool {
	return pr.PayloadFormat == 0 && pr.MessageExpiry <= 0 && pr.ContentType == "" && pr.ResponseTopic == "" &&
		pr.CorrelationData == nil && pr.TopicAlias == 0 && pr.User == nil
}

// encode writes pr into p, all but the Topic Alias; only a Will has a delay.
func (pr *Properties) encode(p *packet.Properties, will bool) {
	if pr.PayloadFormat != 0 {
		p.PayloadFormat = pr.PayloadFormat
		p.Mark(packet.PropPayloadFormat)
	}
	if pr.MessageExpiry > 0 {
		p.MessageExpiry = seconds(pr.MessageExpiry)
		p.Mark(packet.PropMessageExpiry)
	}
	if pr.ContentType != "" {
		p.ContentType = []byte(pr.ContentType)
		p.Mark(packet.PropContentType)
	}
	if pr.ResponseTopic != "" {
		p.ResponseTopic = []byte(pr.ResponseTopic)
		p.Mark(packet.PropResponseTopic)
	}
	if pr.CorrelationData != nil {
		p.CorrelationData = pr.CorrelationData
		p.Mark(packet.PropCorrelationData)
	}
	if pr.WillDelay > 0 && will {
		p.WillDelay = seconds(pr.WillDelay)
		p.Mark(packet.PropWillDelay)
	}
	encodeUser(p, pr.User)
}

func encodeUser(p *packet.Properties, user []User) {
	for _, u := range user {
		p.User = append(p.User, packet.User{Key: []byte(u.Key), Value: []byte(u.Value)})
		p.Mark(packet.PropUser)
	}
}

// decode copies everything: p belongs to the packet reader.
func (pr *Properties) decode(p *packet.Properties) {
	if p.Empty() {
		return
	}
	pr.PayloadFormat = p.PayloadFormat
	pr.MessageExpiry = time.Duration(p.MessageExpiry) * time.Second
	pr.ContentType = string(p.ContentType)
	pr.ResponseTopic = string(p.ResponseTopic)
	if p.Has(packet.PropCorrelationData) {
		pr.CorrelationData = append([]byte{}, p.CorrelationData...)
	}
	pr.TopicAlias = p.TopicAlias
	pr.SubscriptionIDs = append([]uint32(nil), p.SubscriptionIDs...)
	for _, u := range p.User {
		pr.User = append(pr.User, User{Key: string(u.Key), Value: string(u.Value)})
	}
}

// received makes d the message of p, which belongs to the packet reader.
func (d *delivery) received(p *packet.Publish, name string) {
	m := &d.msg
	m.Topic, m.QoS, m.Retain, m.Dup, m.PacketID = name, p.QoS, p.Retain, p.Dup, p.ID
	m.Payload = bytes.Clone(p.Payload)
	m.Properties.decode(&p.Properties)
	m.d = d
}
