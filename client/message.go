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
	Topic      string
	Payload    []byte
	QoS        byte
	Retain     bool
	Dup        bool   // received again, perhaps; ignored when publishing
	PacketID   uint16 // of a received QoS 1 or QoS 2 message; ignored when publishing
	Properties Properties

	client *Client
	in     *inbound
}

// Properties are those of a message. They travel with MQTT 5.0 only.
type Properties struct {
	// PayloadFormat is 1 for UTF-8 and 0 for anything.
	PayloadFormat byte
	// MessageExpiry is how long the message is worth delivering, in whole
	// seconds. 0 means forever.
	MessageExpiry   time.Duration
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte // nil means none
	// TopicAlias goes with an outgoing message beside its topic, and says which
	// alias an incoming one came with. 0 means none.
	TopicAlias uint16
	// SubscriptionIDs are of the subscriptions that an incoming message matched.
	SubscriptionIDs []uint32
	User            []User
	// WillDelay is how long the server waits before it publishes a Will, in
	// whole seconds. It counts in Options.Will only.
	WillDelay time.Duration
}

// Ack acknowledges a received message before OnMessage returns. It must be
// called by OnMessage, because acknowledgements keep the order of the messages.
// It does nothing for QoS 0 or when called again.
func (m *Message) Ack() {
	if m.client != nil && m.in != nil {
		m.client.handled(m.in)
	}
}

func (m *Message) check() error {
	if m.QoS > 2 {
		return fmt.Errorf("QoS %d is none of 0, 1 and 2", m.QoS)
	}
	if err := topic.CheckName(m.Topic); err != nil {
		return fmt.Errorf("topic %q: %w", m.Topic, err)
	}
	return nil
}

// publishPacket returns the packet for m. It refers to m's payload.
func (m *Message) publishPacket(v packet.Version) packet.Publish {
	p := packet.Publish{QoS: m.QoS, Retain: m.Retain, Topic: []byte(m.Topic), Payload: m.Payload}
	if v == packet.V5 {
		m.Properties.encode(&p.Properties, false)
	}
	return p
}

// encode writes pr into p; a Will has a delay and no alias.
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
	if pr.TopicAlias != 0 && !will {
		p.TopicAlias = pr.TopicAlias
		p.Mark(packet.PropTopicAlias)
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

// received copies p into a Message of the given topic.
func received(p *packet.Publish, name string) Message {
	m := Message{
		Topic:    name,
		Payload:  bytes.Clone(p.Payload),
		QoS:      p.QoS,
		Retain:   p.Retain,
		Dup:      p.Dup,
		PacketID: p.ID,
	}
	m.Properties.decode(&p.Properties)
	return m
}
