package client

import "github.com/wirebird/wirebird/packet"

// connectPacket builds CONNECT; reconnect is false until the first is accepted.
func (o *Options) connectPacket(v packet.Version, clientID string, reconnect bool) *packet.Connect {
	p := &packet.Connect{
		Version:     v,
		CleanStart:  o.CleanStart && (v != packet.V5 || !reconnect),
		KeepAlive:   o.keepAliveSeconds(),
		ClientID:    []byte(clientID),
		HasUsername: o.Username != "",
		HasPassword: o.Password != nil,
		Username:    []byte(o.Username),
		Password:    o.Password,
	}
	if clientID == "" && v != packet.V5 { // [MQTT-3.1.3-7] of 3.1.1
		p.CleanStart = true
	}
	if o.Will != nil {
		p.Will = &packet.Will{QoS: o.Will.QoS, Retain: o.Will.Retain, Topic: []byte(o.Will.Topic), Payload: o.Will.Payload}
		if v == packet.V5 {
			o.Will.Properties.encode(&p.Will.Properties, true)
		}
	}
	if v != packet.V5 {
		return p
	}
	pr := &p.Properties
	put := func(set bool, id packet.PropertyID) {
		if set {
			pr.Mark(id)
		}
	}
	pr.SessionExpiry = seconds(o.SessionExpiry)
	put(pr.SessionExpiry != 0, packet.PropSessionExpiry)
	pr.ReceiveMax = o.ReceiveMax
	put(o.ReceiveMax != 0, packet.PropReceiveMax)
	pr.MaxPacketSize = o.MaxPacketSize
	put(o.MaxPacketSize != 0, packet.PropMaxPacketSize)
	pr.TopicAliasMax = o.TopicAliasMax
	put(o.TopicAliasMax != 0, packet.PropTopicAliasMax)
	if o.RequestResponse {
		pr.RequestResponse = 1
		pr.Mark(packet.PropRequestResponse)
	}
	put(o.NoProblemInfo, packet.PropRequestProblem) // its value is 0
	encodeUser(pr, o.UserProperties)
	if o.Auth != nil {
		pr.AuthMethod = []byte(o.Auth.Method())
		pr.Mark(packet.PropAuthMethod)
		if data := o.Auth.Start(); data != nil {
			pr.AuthData = data
			pr.Mark(packet.PropAuthData)
		}
	}
	return p
}
